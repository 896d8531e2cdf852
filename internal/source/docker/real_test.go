package docker

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	inprocess "github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"

	"redflag/internal/fleet"
	"redflag/internal/parts"
)

// scenarios are what happens to images in the life of a host. Each makes containers of its own, and what must be said of
// them stands beside it.
var scenarios = []struct {
	name string
	make func(w *world)
	want map[string]outcome
}{
	{"nothing new", func(w *world) {
		w.pushed("plain:latest", recipe{content: "1", program: idleProgram(w)})
		w.run("running", w.ref("plain:latest"))
		w.create("stopped", w.ref("plain:latest"))
		w.create("no-tag", w.ref("plain"))
	}, map[string]outcome{
		"running": {Answer: fleet.Current}, "stopped": {Answer: fleet.Current}, "no-tag": {Answer: fleet.Current},
	}},
	{"new content under the tag", func(w *world) {
		w.pushed("rebuilt:latest", recipe{content: "1", program: idleProgram(w)})
		w.run("rebuilt", w.ref("rebuilt:latest"))
		w.create("rebuilt-stopped", w.ref("rebuilt:latest"))
		w.push("rebuilt:latest", recipe{content: "2"})
	}, map[string]outcome{
		"rebuilt": {fleet.Outdated, "rebuild", becauseTag}, "rebuilt-stopped": {fleet.Outdated, "rebuild", becauseTag},
	}},
	{"an index of several platforms", func(w *world) {
		w.pushed("multi:latest", index(w, []recipe{{content: "1"}, {content: "1", platform: "linux/arm64"}}))
		w.create("multi", w.ref("multi:latest"))
	}, map[string]outcome{"multi": {Answer: fleet.Current}}},
	{"only the other platform was built anew", func(w *world) {
		w.pushed("other:latest", index(w, []recipe{{content: "1"}, {content: "1", platform: "linux/arm64"}}))
		w.create("other-platform", w.ref("other:latest"))
		w.push("other:latest", index(w, []recipe{{content: "1"}, {content: "2", platform: "linux/arm64"}}))
	}, map[string]outcome{"other-platform": {fleet.Current, "", "the same image behind it"}}},
	{"our platform was built anew", func(w *world) {
		w.pushed("ours:latest", index(w, []recipe{{content: "1"}, {content: "1", platform: "linux/arm64"}}))
		w.create("our-platform", w.ref("ours:latest"))
		w.push("ours:latest", index(w, []recipe{{content: "2"}, {content: "1", platform: "linux/arm64"}}))
	}, map[string]outcome{"our-platform": {fleet.Outdated, "rebuild", becauseTag}}},
	{"the platform is the image's and not the host's", func(w *world) {
		w.pushed("arm:latest", index(w, []recipe{{content: "1"}, {content: "1", platform: "linux/arm64"}}), "linux/arm64")
		w.create("arm-on-amd", w.ref("arm:latest"))
		w.push("arm:latest", index(w, []recipe{{content: "2"}, {content: "1", platform: "linux/arm64"}}))
		w.pushed("arm-new:latest", index(w, []recipe{{content: "1"}, {content: "1", platform: "linux/arm64"}}), "linux/arm64")
		w.create("arm-outdated", w.ref("arm-new:latest"))
		w.push("arm-new:latest", index(w, []recipe{{content: "1"}, {content: "2", platform: "linux/arm64"}}))
	}, map[string]outcome{
		"arm-on-amd": {fleet.Current, "", "the same image"}, "arm-outdated": {fleet.Outdated, "rebuild", becauseTag},
	}},
	{"pulled again when only the other platform had changed: two digests, one image", func(w *world) {
		w.pushed("twice:latest", index(w, []recipe{{content: "1"}, {content: "1", platform: "linux/arm64"}}))
		w.create("pulled-twice", w.ref("twice:latest"))
		w.pushed("twice:latest", index(w, []recipe{{content: "1"}, {content: "2", platform: "linux/arm64"}}))
	}, map[string]outcome{"pulled-twice": {Answer: fleet.Current}}},
	{"only the attestation was made anew", func(w *world) {
		w.pushed("attested:latest", index(w, []recipe{{content: "1"}}, "monday"))
		w.create("attested", w.ref("attested:latest"))
		w.push("attested:latest", index(w, []recipe{{content: "1"}}, "tuesday"))
	}, map[string]outcome{"attested": {fleet.Current, "", "the same image"}}},
	{"layers packed anew", func(w *world) {
		w.pushed("packed:latest", recipe{content: strings.Repeat("1", 5000)})
		w.create("packed", w.ref("packed:latest"))
		w.push("packed:latest", recipe{content: strings.Repeat("1", 5000), loose: true})
	}, map[string]outcome{"packed": {fleet.Current, "", "the same image"}}},
	{"a plain image was put into an index", func(w *world) {
		w.pushed("wrapped:latest", recipe{content: "1"})
		w.create("wrapped", w.ref("wrapped:latest"))
		w.push("wrapped:latest", index(w, []recipe{{content: "1"}, {content: "1", platform: "linux/arm64"}}))
	}, map[string]outcome{"wrapped": {Answer: fleet.Current}}},
	{"one image in two repositories", func(w *world) {
		w.pushed("first:latest", recipe{content: "shared"})
		w.pushed("second:latest", recipe{content: "shared"})
		w.create("in-first", w.ref("first:latest"))
		w.create("in-second", w.ref("second:latest"))
		w.push("second:latest", recipe{content: "own"})
	}, map[string]outcome{"in-first": {Answer: fleet.Current}, "in-second": {fleet.Outdated, "rebuild", becauseTag}}},
	{"tagged here under a name that the registry has too", func(w *world) {
		w.pushed("origin:latest", recipe{content: "retagged"})
		w.push("copy:latest", recipe{content: "retagged"})
		w.tag(w.ref("origin:latest"), w.ref("copy:latest"))
		w.create("retagged", w.ref("copy:latest"))
	}, map[string]outcome{"retagged": {Answer: fleet.Current}}},
	{"tagged here under a name that another image has", func(w *world) {
		w.pushed("home:latest", recipe{content: "retagged away"})
		w.push("foreign:latest", recipe{content: "something else"})
		w.tag(w.ref("home:latest"), w.ref("foreign:latest"))
		w.create("retagged-foreign", w.ref("foreign:latest"))
	}, map[string]outcome{"retagged-foreign": {fleet.LocalOnly, "", becauseOther}}},
	{"tagged here under a name that no registry has", func(w *world) {
		w.pushed("house:latest", recipe{content: "retagged alone"})
		w.tag(w.ref("house:latest"), w.ref("nowhere:latest"))
		w.create("retagged-alone", w.ref("nowhere:latest"))
	}, map[string]outcome{"retagged-alone": {fleet.LocalOnly, "", "its registry has no such image"}}},
	{"pulled, and not made anew", func(w *world) {
		w.pushed("moved:latest", recipe{content: "1", version: "1.0"})
		w.create("moved", w.ref("moved:latest"))
		w.pushed("moved:latest", recipe{content: "2", version: "2.0", created: may(2)})
		w.create("made-anew", w.ref("moved:latest"))
	}, map[string]outcome{"moved": {fleet.Outdated, "recreate", becauseHere}, "made-anew": {Answer: fleet.Current}}},
	{"pulled, not made anew, and newer yet", func(w *world) {
		w.pushed("behind:latest", recipe{content: "1", version: "1.0"})
		w.create("behind", w.ref("behind:latest"))
		w.pushed("behind:latest", recipe{content: "2", version: "2.0"})
		w.push("behind:latest", recipe{content: "3", version: "3.0"})
	}, map[string]outcome{"behind": {fleet.Outdated, "rebuild recreate", "yet other content"}}},
	{"pulled, not made anew, and gone", func(w *world) {
		w.pushed("lost:latest", recipe{content: "lost 1"})
		w.create("lost", w.ref("lost:latest"))
		unpublish(w, w.ref("lost:latest"), w.pushed("lost:latest", recipe{content: "lost 2"}))
	}, map[string]outcome{"lost": {fleet.Outdated, "recreate", becauseGone}}},
	{"the registry went back to what runs", func(w *world) {
		w.pushed("back:latest", recipe{content: "1"})
		w.create("back", w.ref("back:latest"))
		w.pushed("back:latest", recipe{content: "2"})
		w.push("back:latest", recipe{content: "1"})
	}, map[string]outcome{"back": {fleet.Current, "", "the tag means another image on this host"}}},
	{"a tag that was deleted", func(w *world) {
		d := w.pushed("gone:latest", recipe{content: "gone"})
		w.create("gone", w.ref("gone:latest"))
		unpublish(w, w.ref("gone:latest"), d)
	}, map[string]outcome{"gone": {fleet.Gone, "", becauseGone}}},
	{"pinned", func(w *world) {
		d := w.pushed("pinned:1.0", recipe{content: "1"})
		w.pull(w.host + "/t/pinned@" + d)
		w.create("pinned", w.host+"/t/pinned@"+d)
		w.create("pinned-with-tag", w.ref("pinned:1.0")+"@"+d)
		w.push("pinned:1.0", recipe{content: "2"})
	}, map[string]outcome{"pinned": {Answer: fleet.ByDigest}, "pinned-with-tag": {Answer: fleet.ByDigest}}},
	{"imported here", func(w *world) {
		w.imported("my-own:1", "imported")
		w.create("imported", "my-own:1")
	}, map[string]outcome{"imported": {fleet.LocalOnly, "", "built or imported here"}}},
	{"built here under a name that the registry has too", func(w *world) {
		w.push("collides:latest", recipe{content: "the registry's"})
		w.imported(w.ref("collides:latest"), "our own")
		w.create("collides", w.ref("collides:latest"))
	}, map[string]outcome{"collides": {fleet.LocalOnly, "", "built or imported here"}}},
	{"built here again", func(w *world) {
		w.imported("dev:1", "monday")
		w.create("built-again", "dev:1")
		w.imported("dev:1", "tuesday")
	}, map[string]outcome{"built-again": {fleet.Outdated, "recreate", becauseHere}}},
	{"pulled by the digest of one image of an index", func(w *world) {
		idx := index(w, []recipe{{content: "1"}, {content: "1", platform: "linux/arm64"}})
		w.push("child:latest", idx)
		manifest, err := idx.IndexManifest()
		if err != nil {
			w.Fatal(err)
		}
		child := w.host + "/t/child@" + manifest.Manifests[0].Digest.String()
		w.pull(child)
		w.tag(child, w.ref("child:latest"))
		w.create("by-child", w.ref("child:latest"))
	}, map[string]outcome{"by-child": {Answer: fleet.Current}}},
	{"run by image ID", func(w *world) {
		w.pushed("by-id:latest", recipe{content: "1"})
		id := w.imageID(w.ref("by-id:latest"))
		w.create("by-id", id)
		w.create("by-short-id", strings.TrimPrefix(id, "sha256:")[:12])
		w.pushed("by-lost-id:latest", recipe{content: "1 of lost"})
		w.create("by-lost-id", w.imageID(w.ref("by-lost-id:latest")))
		w.pushed("by-lost-id:latest", recipe{content: "2 of lost"})
	}, map[string]outcome{
		"by-id": {fleet.Current, "", "runs by image ID"}, "by-short-id": {fleet.Current, "", "runs by image ID"},
		"by-lost-id": {fleet.CannotAnswer, "", "the image has no tag here"},
	}},
	{"the index dropped our platform", func(w *world) {
		w.pushed("dropped:latest", index(w, []recipe{{content: "1"}, {content: "1", platform: "linux/arm64"}}))
		w.create("dropped", w.ref("dropped:latest"))
		w.push("dropped:latest", index(w, []recipe{{content: "2", platform: "linux/arm64"}}))
		w.pushed("dropped-plain:latest", recipe{content: "1"})
		w.create("dropped-plain", w.ref("dropped-plain:latest"))
		w.push("dropped-plain:latest", recipe{content: "2", platform: "linux/arm64"})
	}, map[string]outcome{
		"dropped": {fleet.Current, "", "no image for linux/amd64"}, "dropped-plain": {fleet.Current, "", "no image for linux/amd64"},
	}},
	{"an older build under the tag", func(w *world) {
		w.pushed("older:latest", recipe{content: "2", created: may(9)})
		w.create("older", w.ref("older:latest"))
		w.push("older:latest", recipe{content: "1", created: may(3)})
	}, map[string]outcome{"older": {fleet.Outdated, "rebuild", becauseTag}}},
	{"a registry that is down", func(w *world) {
		down := httptest.NewServer(inprocess.New(inprocess.Logger(quiet)))
		ref := strings.TrimPrefix(down.URL, "http://") + "/t/app:1"
		push(w, ref, recipe{content: "1"})
		w.pull(ref)
		w.create("down", ref)
		down.Close()
	}, map[string]outcome{"down": {fleet.CannotAnswer, "", "cannot be reached"}}},
	{"newer version tags", func(w *world) {
		w.pushed("versions:1.0.0", index(w, []recipe{{content: "1.0.0"}}))
		w.create("versions", w.ref("versions:1.0.0"))
		for _, v := range []string{"1.0.1", "1.1.0", "1.2.0", "2.0.0", "2.0.0-rc1", "latest"} {
			w.push("versions:"+v, index(w, []recipe{{content: v}}))
		}
		w.push("versions:3.0.0", index(w, []recipe{{content: "3.0.0", platform: "linux/arm64"}}))
	}, map[string]outcome{"versions": {fleet.Current, "version version version", ""}}},
	{"a swarm task and a pod", func(w *world) {
		d := w.pushed("service:1", recipe{content: "1"})
		w.create("web.1.abc", w.ref("service:1")+"@"+d, labelSwarmTask, "abc", labelSwarmService, "web")
		w.create("k8s_web_pod_default_uid_0", w.imageID(w.ref("service:1")), labelPod, "pod", labelPodNamespace, "default")
		w.push("service:1", recipe{content: "2"})
	}, map[string]outcome{
		"web.1.abc":                 {fleet.Outdated, "rebuild", "task of the swarm service web: update the service"},
		"k8s_web_pod_default_uid_0": {fleet.Outdated, "rebuild", "Kubernetes pod default/pod"},
	}},
	{"a swarm task is never to be made anew here", func(w *world) {
		d := w.pushed("pulled-service:1", recipe{content: "1"})
		w.create("api.1.def", w.ref("pulled-service:1")+"@"+d, labelSwarmTask, "def", labelSwarmService, "api")
		w.pushed("pulled-service:1", recipe{content: "2"})
	}, map[string]outcome{"api.1.def": {fleet.Outdated, "rebuild", "task of the swarm service api: update the service"}}},
	{"a newer version tag on the same content", func(w *world) {
		w.pushed("same:1.0.0", recipe{content: "1.0"})
		w.create("same-version", w.ref("same:1.0.0"))
		w.push("same:1.0.1", recipe{content: "1.0"})
	}, map[string]outcome{"same-version": {Answer: fleet.Current}}},
	{"the image was deleted by force", func(w *world) {
		w.pushed("deleted:latest", recipe{content: "to be deleted"})
		w.create("deleted", w.ref("deleted:latest"))
		w.remove(w.imageID(w.ref("deleted:latest")))
	}, map[string]outcome{"deleted": {fleet.CannotAnswer, "", "deleted"}}},
	{"the image was deleted by force, and newer content pulled", func(w *world) {
		w.pushed("replaced:latest", recipe{content: "to be replaced"})
		w.create("replaced", w.ref("replaced:latest"))
		w.remove(w.imageID(w.ref("replaced:latest")))
		w.pushed("replaced:latest", recipe{content: "the replacement"})
	}, map[string]outcome{"replaced": {fleet.Outdated, "recreate", becauseHere}}},
}

func TestEveryContainerOfDockerGetsTheRightAnswer(t *testing.T) {
	w := newWorld(t, parts.Engine(t), New)
	want := map[string]outcome{}
	for _, s := range scenarios {
		w.scene = s.name
		s.make(w)
		for name, o := range s.want {
			want[name] = o
		}
	}
	f, err := w.scan()
	if err == nil || !strings.Contains(err.Error(), "images could not be checked") {
		t.Errorf("error %v: want what could not be checked", err)
	}
	compareOutcomes(t, f, want)
	checkDetails(t, f)
}

// checkDetails looks at what the updates themselves say.
func checkDetails(t *testing.T, f fleet.Finding) {
	t.Helper()
	rebuilt := updateOf(t, f, "rebuilt", fleet.Rebuild)
	if !isDigest(rebuilt.From) || !isDigest(rebuilt.To) || rebuilt.From == rebuilt.To || rebuilt.Size == 0 || rebuilt.Platform != "linux/amd64" || rebuilt.Arch != "amd64" || rebuilt.Note != "" {
		t.Errorf("rebuilt: %+v %+v", rebuilt, rebuilt.ImageUpdate)
	}
	moved := updateOf(t, f, "moved", fleet.Recreate)
	if !isDigest(moved.To) || moved.FromVersion != "1.0" || moved.ToVersion != "2.0" || !moved.ToCreated.Equal(may(2)) {
		t.Errorf("moved: %+v %+v", moved, moved.ImageUpdate)
	}
	if behind := updateOf(t, f, "behind", fleet.Rebuild); behind.FromVersion != "1.0" || behind.ToVersion != "3.0" {
		t.Errorf("behind: %+v %+v", behind, behind.ImageUpdate)
	}
	if older := updateOf(t, f, "older", fleet.Rebuild); older.Note != "older build: rolled back?" {
		t.Errorf("older: note %q", older.Note)
	}
	for _, c := range f.Checks {
		if slices.Contains(c.Containers, "replaced") && c.Because != becauseHere {
			t.Errorf("replaced: because %q, and the registry was asked", c.Because)
		}
	}
	if task := updateOf(t, f, "web.1.abc", fleet.Rebuild); !strings.Contains(task.Note, "update the service") {
		t.Errorf("swarm task: note %q", task.Note)
	}
	levels := map[fleet.Level]string{}
	for _, u := range f.Updates {
		if u.Kind == fleet.Version {
			levels[u.Level] = u.From + " → " + u.To
		}
	}
	want := map[fleet.Level]string{fleet.Patch: "1.0.0 → 1.0.1", fleet.Minor: "1.0.0 → 1.2.0", fleet.Major: "1.0.0 → 2.0.0"}
	if diff := cmp.Diff(want, levels); diff != "" {
		t.Errorf("newer versions (-want +got):\n%s", diff)
	}
}

func isDigest(s string) bool {
	_, err := digest.Parse(s)
	return err == nil
}
