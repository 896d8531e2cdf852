package docker

import (
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
)

func TestEveryContainerOfPodmanGetsTheRightAnswer(t *testing.T) {
	w := newWorld(t, parts.Podman(t), NewPodman)
	w.pushed("plain:latest", recipe{content: "1", program: idleProgram(w)})
	w.run("running", w.ref("plain:latest"))
	w.create("stopped", w.ref("plain"))

	w.pushed("rebuilt:latest", recipe{content: "1 rebuilt", version: "1.0"})
	w.create("rebuilt", w.ref("rebuilt:latest"))
	w.push("rebuilt:latest", recipe{content: "2 rebuilt", version: "2.0"})

	w.pushed("other:latest", index(w, []recipe{{content: "1"}, {content: "1", platform: "linux/arm64"}}))
	w.create("other-platform", w.ref("other:latest"))
	w.push("other:latest", index(w, []recipe{{content: "1"}, {content: "2", platform: "linux/arm64"}}))

	w.pushed("packed:latest", recipe{content: "packed"})
	w.create("packed", w.ref("packed:latest"))
	w.push("packed:latest", recipe{content: "packed", loose: true})

	w.pushed("moved:latest", recipe{content: "1 moved", version: "1.0"})
	w.create("moved", w.ref("moved:latest"))
	w.pushed("moved:latest", recipe{content: "2 moved", version: "2.0"})

	w.pushed("behind:latest", recipe{content: "1 behind"})
	w.create("behind", w.ref("behind:latest"))
	w.pushed("behind:latest", recipe{content: "2 behind"})
	w.push("behind:latest", recipe{content: "3 behind"})

	d := w.pushed("gone:latest", recipe{content: "gone"})
	w.create("gone", w.ref("gone:latest"))
	if _, err := w.scan(); err != nil { // it was seen at the registry once
		t.Error(err)
	}
	unpublish(w, w.ref("gone:latest"), d)

	w.imported("localhost/dev:1", "ours")
	w.create("local", "localhost/dev:1")

	w.imported("localhost/again:1", "monday's")
	w.create("built-again", "localhost/again:1")
	w.imported("localhost/again:1", "tuesday's")

	w.push("collides:latest", recipe{content: "the registry's"})
	w.imported(w.ref("collides:latest"), "our own collision")
	w.create("collides", w.ref("collides:latest"))

	w.imported(w.ref("unknown-there:latest"), "our own alone")
	w.create("local-with-host", w.ref("unknown-there:latest"))

	f, err := w.scan()
	if err != nil {
		t.Error(err)
	}
	compareOutcomes(t, f, map[string]outcome{
		"running": {Answer: fleet.Current}, "stopped": {Answer: fleet.Current},
		"rebuilt":         {fleet.Outdated, "rebuild", becauseTag},
		"other-platform":  {Answer: fleet.Current}, // Podman knows both the index and our image of it
		"packed":          {fleet.Current, "", "the same image"},
		"moved":           {fleet.Outdated, "recreate", becauseHere},
		"behind":          {fleet.Outdated, "rebuild recreate", "yet other content"},
		"gone":            {fleet.Gone, "", becauseGone},
		"local":           {fleet.LocalOnly, "", "built or imported here"},
		"built-again":     {fleet.Outdated, "recreate", becauseHere},
		"collides":        {fleet.LocalOnly, "", becauseOther},
		"local-with-host": {fleet.LocalOnly, "", "its registry has no such image"},
	})
	if u := updateOf(t, f, "moved", fleet.Recreate); u.From != "" || u.Note == "" || u.FromVersion != "1.0" || u.ToVersion != "2.0" {
		t.Errorf("moved: Podman forgets the digest of an image that lost its name, and an ID is none: %+v %+v", u, u.ImageUpdate)
	}
}

func TestTheContainersOfARealEngineAreListed(t *testing.T) {
	w := newWorld(t, parts.Podman(t), NewPodman)
	w.pushed("plain:latest", recipe{content: "1", program: idleProgram(w)})
	w.run("running", w.ref("plain:latest"))
	w.create("stopped", w.ref("plain:latest"))
	got, err := w.source.Containers(t.Context(), &machine.Machine{Root: "/"})
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, want := range []fleet.Container{{Name: "running", State: "running"}, {Name: "stopped", State: "created"}} {
		c := got[i]
		if c.Source != "podman" || c.Name != want.Name || c.State != want.State || c.Image != w.ref("plain:latest") || c.ImageID == "" {
			t.Errorf("%+v", c)
		}
	}
}

func TestAnEngineThatDoesNotAnswerHasNoListOfContainers(t *testing.T) {
	s := New(nil, Options{Host: "tcp://127.0.0.1:1", Getenv: noEnv})
	if got, err := s.Containers(t.Context(), &machine.Machine{Root: "/"}); err == nil {
		t.Errorf("%+v", got)
	}
}
