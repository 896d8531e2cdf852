package docker

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"redflag/internal/fleet"
)

func TestLabelsThatCannotBeUnderstoodAreNoGuess(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{labelUpdate, "off", ""}, {labelUpdate, "On", ""}, {labelUpdate, "maybe", "neither on nor off"}, {labelPin, "", "neither on nor off"},
		{labelOrder, "-3", ""}, {labelOrder, "first", "no number from"}, {labelOrder, "99999999999999999999", "no number from"},
		{labelKeep, "0", ""}, {labelKeep, "21", "no number from 0 to 20"}, {labelKeep, "-1", "no number from 0 to 20"},
		{labelStopTimeout, "30s", ""}, {labelStopTimeout, "30", ""}, {labelStopTimeout, "1h", "no time from"}, {labelStopTimeout, "-1s", "no time from"}, {labelStopTimeout, "soon", "no time from"},
		{labelPre, "", "no command"}, {labelPre, "[]", "no list of words"}, {labelPost, `["a", 1]`, "no list of words"}, {labelPost, `[""]`, "no list of words"},
		{"redflag.somebody.elses", "x", ""}, {"other", "x", ""},
	} {
		_, err := steer(map[string]string{c.name: c.value})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: %v, want %q", c.name, c.value, err, c.want)
		}
	}
	s, err := steer(map[string]string{labelPre: " echo a; b ", labelPost: `["/b", "c d"]`, labelStopTimeout: "1500ms", labelOrder: "7"})
	if diff := cmp.Diff([]any{[]string{"/bin/sh", "-c", "echo a; b"}, []string{"/b", "c d"}, 2, 7}, []any{s.pre, s.post, *s.stop, s.order}); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestLabelsSteerWhatIsDone(t *testing.T) {
	w := newWorkshop(t)
	w.pushed("steer:1", recipe{content: "1", program: idleProgram(t), volume: "/data"})
	made := func(name string, labels ...string) string {
		c := container.Config{Image: w.ref("steer:1"), Labels: map[string]string{}}
		for i := 0; i < len(labels); i += 2 {
			c.Labels[labels[i]] = labels[i+1]
		}
		return w.make(name, c, container.HostConfig{}, true)
	}
	alone := map[string]string{ // and why
		made("off", labelUpdate, "off"):                                                                                 "its label redflag.update says off",
		made("watchtower", "com.centurylinklabs.watchtower.enable", "false"):                                            "its label com.centurylinklabs.watchtower.enable says false",
		made("monitored", "com.centurylinklabs.watchtower.monitor-only", "true"):                                        "its label com.centurylinklabs.watchtower.monitor-only says true",
		made("wud", "wud.watch", "false"):                                                                               "its label wud.watch says false",
		made("odd", labelStopTimeout, "soon"):                                                                           `its label redflag.stop-timeout says "soon", which is no time`,
		made("pinned", labelPin, "true", labelStopTimeout, "1s", labelPre, `["/idle", "write", "/data/pre", "before"]`): "unless it is named",
	}
	w.push("steer:1", recipe{content: "2", program: idleProgram(t), volume: "/data"})
	p := w.plan(fleet.Selection{All: true})
	if said := strings.Join(p.Warnings, "; "); len(p.Changes) != 0 {
		t.Errorf("%+v", p.Changes)
	} else {
		for _, why := range alone {
			if !strings.Contains(said, why) {
				t.Errorf("%s is missing in %s", why, said)
			}
		}
	}
	o, k := w.carryOut(w.plan(fleet.Selection{Names: []string{"pinned"}}))
	if !o.Succeeded() || alone[w.inspect("pinned").ID] != "" || w.get("pinned", "/data/pre") != "before" {
		t.Errorf("%+v, %s\n%s", o, w.get("pinned", "/data/pre"), w.log(k))
	}
}

func TestCommandsOfAContainerDecideOverItsUpdate(t *testing.T) {
	w := newWorkshop(t)
	for name, c := range map[string]struct {
		labels  map[string]string
		because string
		back    bool
	}{
		"pre":   {map[string]string{labelPre: `["/idle", "ill"]`}, "redflag.pre) failed, so nothing was changed: pre: it ended with code 1: I feel ill", false},
		"shell": {map[string]string{labelPre: `exit 0`}, "so nothing was changed", false}, // there is none in it
		"post":  {map[string]string{labelPost: `["/idle", "ill"]`}, "post: it ended with code 1: I feel ill", true},
	} {
		w.pushed(name+":1", recipe{content: "1", program: idleProgram(t)})
		id := w.make(name, container.Config{Image: w.ref(name + ":1"), Labels: c.labels}, container.HostConfig{}, true)
		w.push(name+":1", recipe{content: "2", program: idleProgram(t)})
		o, k := w.carryOut(w.plan(fleet.Selection{Names: []string{name}}))
		if o.Succeeded() || o.RolledBack != c.back || !strings.Contains(o.Because, c.because) || w.inspect(name).ID != id || !w.inspect(name).State.Running {
			t.Errorf("%s: %+v\n%s", name, o, w.log(k))
		}
	}
}

func TestAProgramThatDoesNotEndIsKilledAndThatIsSaid(t *testing.T) {
	w := newWorkshop(t)
	w.pushed("deaf:1", recipe{content: "1", program: idleProgram(t), cmd: []string{"deaf"}})
	w.make("deaf", container.Config{Image: w.ref("deaf:1"), Labels: map[string]string{labelStopTimeout: "1s"}}, container.HostConfig{}, true)
	w.push("deaf:1", recipe{content: "2", program: idleProgram(t)})
	o, k := w.carryOut(w.plan(fleet.Selection{All: true}))
	if !o.Succeeded() || !strings.Contains(w.log(k), "deaf: it did not end in the time that it has for that, and was killed") {
		t.Errorf("%+v\n%s", o, w.log(k))
	}
}

func FuzzSteer(f *testing.F) {
	f.Add(labelPre, `["a"]`)
	f.Add(labelStopTimeout, "1h")
	f.Fuzz(func(t *testing.T, name, value string) {
		s, err := steer(map[string]string{name: value})
		if err == nil && (s.keep < 0 || s.keep > maxKeep || s.stop != nil && (*s.stop < 0 || *s.stop > int(maxStop.Seconds()))) {
			t.Errorf("%s=%s: %+v", name, value, s)
		}
	})
}
