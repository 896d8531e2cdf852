package docker

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"redflag/internal/fleet"
	"redflag/internal/registry"
)

// What an engine with containerd's image store answers is played here, in the shape of the Engine API's documentation
// (docs.docker.com/reference/api/engine/version/v1.48, and v1.44 for the engines before): the ID is the digest of an index or a
// manifest, RepoDigests are filled for every image, and from API 1.48 on there are descriptors and manifests. No such engine
// runs on the machines that these tests are made for; the registry is a real one.

// kept is an image in containerd's store.
type kept struct {
	ref      string
	target   string            // its ID: an index's or a manifest's digest
	here     map[string]string // platform → manifest, of those that are here
	identity string            // JSON, API ≥ 1.53
	dangling bool
}

// contained is a container of containerd's store.
type contained struct {
	name, ref, target  string
	manifest, platform string // empty for API < 1.48
}

type object = map[string]any

// containerdEngine plays an engine.
func containerdEngine(t *testing.T, api string, containers []contained, images []kept) string {
	t.Helper()
	p := playing{version: api, server: "Docker/" + api, answers: map[string]string{}}
	list := make([]object, 0, len(containers))
	for _, c := range containers {
		o := object{
			"Id": strings.Repeat("c", 64), "Names": []string{"/" + c.name}, "Image": c.ref, "ImageID": c.target, "Command": "/idle", "Created": 1767225600,
			"Ports": []any{}, "Labels": object{}, "State": "running", "Status": "Up 2 hours", "HostConfig": object{"NetworkMode": "bridge"},
			"NetworkSettings": object{"Networks": object{}}, "Mounts": []any{},
		}
		if c.manifest != "" {
			o["ImageManifestDescriptor"] = object{
				"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": c.manifest, "size": 529, "platform": platformJSON(c.platform),
			}
		}
		list = append(list, o)
	}
	p.answers["/containers/json"] = text(t, list)
	list = make([]object, 0, len(images))
	for _, i := range images {
		summary, inspect := i.objects(api)
		list = append(list, summary)
		p.answers["/images/"+i.target+"/json"] = text(t, inspect)
	}
	p.answers["/images/json"] = text(t, list)
	return play(t, p)
}

func (i kept) objects(api string) (summary, inspect object) {
	repo := i.ref[:strings.LastIndex(i.ref, ":")]
	tags, digests := []string{i.ref}, []string{repo + "@" + i.target}
	if i.dangling {
		tags, digests = []string{}, []string{}
	}
	summary = object{
		"Id": i.target, "ParentId": "", "RepoTags": tags, "RepoDigests": digests, "Created": 1767225600, "Size": 1000, "SharedSize": -1, "Labels": nil, "Containers": 1,
	}
	inspect = object{
		"Id": i.target, "RepoTags": tags, "RepoDigests": digests, "Created": "2026-05-01T12:00:00Z", "Architecture": "amd64", "Os": "linux", "Size": 1000,
		"Config": object{"Labels": object{}, "Env": []string{"PATH=/bin"}},
	}
	if api >= "1.48" {
		descriptor := object{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": i.target, "size": 1000}
		summary["Descriptor"], inspect["Descriptor"] = descriptor, descriptor
		manifests := make([]object, 0, len(i.here))
		for platform, digest := range i.here {
			manifests = append(manifests, object{
				"ID": digest, "Descriptor": object{"digest": digest, "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 529},
				"Available": true, "Kind": "image", "Size": object{"Content": 1, "Total": 1},
				"ImageData": object{"Platform": platformJSON(platform), "Size": object{"Unpacked": 1}, "Containers": []string{}},
			})
		}
		inspect["Manifests"] = manifests
	}
	if i.identity != "" {
		inspect["Identity"] = json.RawMessage(i.identity)
	}
	return summary, inspect
}

func platformJSON(s string) object {
	os, arch, _ := strings.Cut(s, "/")
	return object{"os": os, "architecture": arch}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// shelf is a registry in the process, and a client of it.
type shelf struct {
	*testing.T
	*ledger
	reg *registry.Client
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	reg := registry.New(registry.Config{TagLifetime: -1, CacheDir: t.TempDir()})
	t.Cleanup(reg.Close)
	return &shelf{T: t, ledger: newLedger(t), reg: reg}
}

func (s *shelf) ref(name string) string { return s.host + "/t/" + name }

// scan gives what is said of the one container of an engine.
func (s *shelf) scan(api string, c contained, images ...kept) (outcome, fleet.Finding) {
	s.Helper()
	host := containerdEngine(s.T, api, []contained{c}, images)
	f, _ := scan(s.T, New(s.reg, Options{Host: host, Getenv: noEnv}))
	return outcomes(s.T, f)[c.name], f
}

func (s *shelf) want(got outcome, answer fleet.Answer, kinds, because string) {
	s.Helper()
	if got.Answer != answer || got.Kinds != kinds || !strings.Contains(got.Because, because) {
		s.Errorf("got %+v, want %s %q %q", got, answer, kinds, because)
	}
}

// childOf gives the digest of one image of an index.
func childOf(t *testing.T, idx v1.ImageIndex, platform string) string {
	t.Helper()
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.Manifests {
		if d.Platform.String() == platform {
			return d.Digest.String()
		}
	}
	t.Fatalf("no %s in the index", platform)
	return ""
}

const amd, arm = "linux/amd64", "linux/arm64"

func both(t *testing.T, ours, others string) v1.ImageIndex {
	return index(t, []recipe{{content: ours}, {content: others, platform: arm}})
}

func TestContainerdsStoreIsComparedByManifests(t *testing.T) {
	monday := both(t, "1", "1")
	child := childOf(t, monday, amd)
	for _, c := range []struct {
		name           string
		then           v1.ImageIndex
		answer         fleet.Answer
		kinds, because string
	}{
		{"nothing new", monday, fleet.Current, "", ""},
		{"only the other platform was built anew", both(t, "1", "2"), fleet.Current, "", ""},
		{"our platform was built anew", both(t, "2", "1"), fleet.Outdated, "rebuild", becauseTag},
		{"layers packed anew", index(t, []recipe{{content: "1", loose: true}}), fleet.Current, "", "the same image"},
		{"only the attestation was made anew", index(t, []recipe{{content: "1"}}, "tuesday"), fleet.Current, "", ""},
		{"our platform was dropped", index(t, []recipe{{content: "2", platform: arm}}), fleet.Current, "", "no image for linux/amd64"},
	} {
		for _, api := range []string{"1.44", "1.48", "1.52"} {
			t.Run(c.name+" "+api, func(t *testing.T) {
				s := newShelf(t)
				ref := s.ref("app:1.x")
				target := push(t, ref, monday)
				push(t, ref, c.then)
				runs := contained{name: "app", ref: ref, target: target}
				if api >= "1.48" {
					runs.manifest, runs.platform = child, amd
				}
				got, f := s.scan(api, runs, kept{ref: ref, target: target, here: map[string]string{amd: child}})
				s.want(got, c.answer, c.kinds, c.because)
				if c.kinds != "" && f.Updates[0].From != target {
					t.Errorf("from %s, want %s", f.Updates[0].From, target)
				}
			})
		}
	}
}

func TestAContainerOfAnotherPlatformIsComparedWithItsOwn(t *testing.T) {
	s := newShelf(t)
	monday := both(t, "1", "1")
	ref := s.ref("app:latest")
	target := push(t, ref, monday)
	runs := contained{name: "app", ref: ref, target: target, manifest: childOf(t, monday, arm), platform: arm}
	image := kept{ref: ref, target: target, here: map[string]string{arm: childOf(t, monday, arm)}}
	push(t, ref, both(t, "2", "1"))
	got, _ := s.scan("1.49", runs, image)
	s.want(got, fleet.Current, "", "")
	push(t, ref, both(t, "1", "2"))
	got, f := s.scan("1.49", runs, image)
	s.want(got, fleet.Outdated, "rebuild", becauseTag)
	if p := f.Updates[0].Platform; p != arm {
		t.Errorf("platform %s", p)
	}
}

func TestWhatContainerdBuiltItselfIsLocal(t *testing.T) {
	built := recipe{content: "built here"}.image(t)
	d, err := built.Digest()
	if err != nil {
		t.Fatal(err)
	}
	target := d.String()
	t.Run("no such name in the registry", func(t *testing.T) {
		s := newShelf(t)
		ref := s.ref("own:latest")
		got, _ := s.scan("1.48", contained{name: "own", ref: ref, target: target, manifest: target, platform: amd}, kept{ref: ref, target: target})
		s.want(got, fleet.LocalOnly, "", "its registry has no such image")
	})
	t.Run("another image of the name in the registry", func(t *testing.T) {
		s := newShelf(t)
		ref := s.ref("own:latest")
		push(t, ref, recipe{content: "the registry's"})
		got, _ := s.scan("1.48", contained{name: "own", ref: ref, target: target, manifest: target, platform: amd}, kept{ref: ref, target: target})
		s.want(got, fleet.LocalOnly, "", becauseOther)
	})
	t.Run("a name of this host", func(t *testing.T) {
		s := newShelf(t)
		got, _ := s.scan("1.48", contained{name: "own", ref: "localhost/own:1", target: target, manifest: target, platform: amd}, kept{ref: "localhost/own:1", target: target})
		s.want(got, fleet.LocalOnly, "", "built or imported here")
	})
}

func TestWhatTheEngineKnowsOfAnOriginNeedsNoRegistry(t *testing.T) {
	s := newShelf(t)
	ref := s.ref("app:latest")
	push(t, ref, recipe{content: "new"})
	d, err := recipe{content: "deleted there"}.image(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	runs := contained{name: "app", ref: ref, target: d.String(), manifest: d.String(), platform: amd}
	pulled := kept{ref: ref, target: d.String(), identity: fmt.Sprintf(`{"Pull":[{"Repository":%q}]}`, s.host+"/t/app")}
	got, f := s.scan("1.53", runs, pulled)
	s.want(got, fleet.Outdated, "rebuild", becauseTag)
	if note := f.Updates[0].Note; !strings.Contains(note, "compared by digest alone") {
		t.Errorf("note %q", note)
	}
	built := kept{ref: ref, target: d.String(), identity: `{"Build":[{"Ref":"x","CreatedAt":"2026-05-01T12:00:00Z"}]}`}
	got, _ = s.scan("1.53", runs, built)
	s.want(got, fleet.LocalOnly, "", "")
}

func TestWhatWasPulledFromElsewhereIsAskedForAtItsOwnRegistry(t *testing.T) {
	s := newShelf(t)
	ref := s.ref("app:latest")
	old := push(t, ref, recipe{content: "1"})
	push(t, ref, recipe{content: "2"})
	runs := contained{name: "app", ref: ref, target: old, manifest: old, platform: amd}
	got, _ := s.scan("1.53", runs, kept{ref: ref, target: old, identity: `{"Pull":[{"Repository":"mirror.example/t/app"}]}`})
	s.want(got, fleet.Outdated, "rebuild", becauseTag)
}

func TestWhatContainerdBuiltAgainIsNotSaidToHaveBeenInARegistry(t *testing.T) {
	for _, name := range []string{"localhost/own:1", "in the registry's name"} {
		s := newShelf(t)
		ref := name
		if !strings.HasPrefix(ref, "localhost/") {
			ref = s.ref("own:1")
		}
		monday, tuesday := both(t, "1", "1"), both(t, "2", "2")
		same := index(t, []recipe{{content: "1"}}, "tuesday")
		runs := contained{name: "own", ref: ref, target: digestOf(t, monday), manifest: childOf(t, monday, amd), platform: amd}
		old := kept{ref: ref, target: digestOf(t, monday), here: map[string]string{amd: childOf(t, monday, amd)}, dangling: true}

		got, f := s.scan("1.48", runs, old, kept{ref: ref, target: digestOf(t, tuesday), here: map[string]string{amd: childOf(t, tuesday, amd)}})
		s.want(got, fleet.Outdated, "recreate", becauseHere)
		if f.Checks[0].Because != becauseHere {
			t.Errorf("%s: because %q", ref, f.Checks[0].Because)
		}
		got, _ = s.scan("1.48", runs, old, kept{ref: ref, target: digestOf(t, same), here: map[string]string{amd: childOf(t, same, amd)}})
		s.want(got, fleet.LocalOnly, "", "built or imported here")
	}
}

func TestTheTagsOfAnotherImageOfTheNameAreNotOffered(t *testing.T) {
	s := newShelf(t)
	ref := s.ref("own:1.0.0")
	push(t, ref, both(t, "theirs", "theirs"))
	push(t, s.ref("own:1.1.0"), both(t, "their newer", "theirs"))
	monday, tuesday := both(t, "1", "1"), both(t, "2", "2")
	got, _ := s.scan("1.48", contained{name: "own", ref: ref, target: digestOf(t, monday), manifest: childOf(t, monday, amd), platform: amd},
		kept{ref: ref, target: digestOf(t, monday), here: map[string]string{amd: childOf(t, monday, amd)}, dangling: true},
		kept{ref: ref, target: digestOf(t, tuesday), here: map[string]string{amd: childOf(t, tuesday, amd)}})
	s.want(got, fleet.Outdated, "recreate", becauseHere)
}

func digestOf(t *testing.T, idx v1.ImageIndex) string {
	t.Helper()
	d, err := idx.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func TestAnIDThatChangedWithAnotherPlatformIsNoReasonToRecreate(t *testing.T) {
	for _, api := range []string{"1.44", "1.48"} {
		t.Run(api, func(t *testing.T) {
			s := newShelf(t)
			ref := s.ref("app:latest")
			monday, tuesday, wednesday := both(t, "1", "1"), both(t, "1", "2"), both(t, "2", "2")
			first := push(t, ref, monday)
			second := push(t, ref, tuesday)
			runs := contained{name: "app", ref: ref, target: first}
			if api >= "1.48" {
				runs.manifest, runs.platform = childOf(t, monday, amd), amd
			}
			old := kept{ref: ref, target: first, here: map[string]string{amd: childOf(t, monday, amd)}, dangling: true}
			got, _ := s.scan(api, runs, old, kept{ref: ref, target: second, here: map[string]string{amd: childOf(t, tuesday, amd)}})
			s.want(got, fleet.Current, "", "")

			third := push(t, ref, wednesday)
			got, f := s.scan(api, runs, old, kept{ref: ref, target: third, here: map[string]string{amd: childOf(t, wednesday, amd)}})
			s.want(got, fleet.Outdated, "recreate", becauseHere)
			if u := f.Updates[0]; u.From != first || u.To != third {
				t.Errorf("from %s to %s, want %s to %s", u.From, u.To, first, third)
			}
		})
	}
}

func TestWhatTheEngineSaysOfManifestsHoldsWithoutARegistry(t *testing.T) {
	s := newShelf(t)
	ref := s.ref("app:latest")
	monday, tuesday := both(t, "1", "1"), both(t, "1", "2")
	first, second := push(t, ref, monday), push(t, ref, tuesday)
	s.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	got, _ := s.scan("1.48",
		contained{name: "app", ref: ref, target: first, manifest: childOf(t, monday, amd), platform: amd},
		kept{ref: ref, target: first, here: map[string]string{amd: childOf(t, monday, amd)}, dangling: true},
		kept{ref: ref, target: second, here: map[string]string{amd: childOf(t, tuesday, amd)}})
	s.want(got, fleet.CannotAnswer, "", "or the image was built here")
}
