package docker

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	inprocess "github.com/google/go-containerregistry/pkg/registry"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/registry"
)

// classicEngine plays an engine with the classic store, as dockerd 20.10 answers, that runs one container of each reference. The
// digests are those of the references; an ID is a config's and tells nothing.
func classicEngine(t testing.TB, refs, digests []string) string {
	t.Helper()
	return play(t, classicAnswers(refs, digests))
}

func classicAnswers(refs, digests []string) playing {
	containers, images := make([]string, 0, len(refs)), make([]string, 0, len(refs))
	answers := map[string]string{}
	for i, ref := range refs {
		id := fmt.Sprintf("sha256:%064x", i+1)
		repo := ref[:strings.LastIndex(ref, ":")]
		containers = append(containers, fmt.Sprintf(
			`{"Id":"%064x","Names":["/c%d"],"Image":%q,"ImageID":%q,"Command":"/idle","Created":1795451198,"Ports":[],"Labels":{},"State":"running","Status":"Up 1 second","HostConfig":{"NetworkMode":"none"},"NetworkSettings":{"Networks":{}},"Mounts":[]}`,
			i+1, i, ref, id))
		image := fmt.Sprintf(`"Id":%q,"ParentId":"","RepoDigests":[%q],"RepoTags":[%q],"Size":1429666`, id, repo+"@"+digests[i], ref)
		images = append(images, `{"Containers":-1,"Created":1795451195,"Labels":null,"SharedSize":-1,"VirtualSize":1429666,`+image+`}`)
		answers["/images/"+id+"/json"] = `{"Created":"2026-05-01T12:00:00Z","Os":"linux","Architecture":"amd64","Config":{"Env":[],"Labels":{}},` + image + `}`
	}
	answers["/containers/json"] = "[" + strings.Join(containers, ",") + "]"
	answers["/images/json"] = "[" + strings.Join(images, ",") + "]"
	return playing{version: "1.41", server: "Docker/20.10.24", answers: answers}
}

// ledger is a registry in the process that notes what it is asked.
type ledger struct {
	host string
	// before may answer in the registry's place.
	before func(w http.ResponseWriter, r *http.Request) (answered bool)
	mu     sync.Mutex
	asked  []string
}

func newLedger(t testing.TB) *ledger {
	t.Helper()
	l := &ledger{}
	inner := inprocess.New(inprocess.Logger(quiet))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.asked = append(l.asked, r.Method+" "+r.URL.Path)
		before := l.before
		l.mu.Unlock()
		if before == nil || !before(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	l.host = strings.TrimPrefix(srv.URL, "http://")
	return l
}

// since gives what was asked since the last time.
func (l *ledger) since() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := l.asked
	l.asked = nil
	return asked
}

const sixty = 60

// sixtyContainers makes as many images under a tag, and an engine that runs each.
func sixtyContainers(t testing.TB, host, tag string) (engine string, refs []string) {
	t.Helper()
	digests := make([]string, 0, sixty)
	for i := range sixty {
		ref := fmt.Sprintf("%s/t/app%d:%s", host, i, tag)
		refs = append(refs, ref)
		digests = append(digests, push(t, ref, recipe{content: fmt.Sprint(i)}))
	}
	return classicEngine(t, refs, digests), refs
}

func wantAll(t *testing.T, f fleet.Finding, err error, answer fleet.Answer, n int) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	count := 0
	for _, c := range f.Checks {
		if c.Answer == answer {
			count++
		}
	}
	if count != n {
		t.Errorf("%d of %d checks are %s", count, len(f.Checks), answer)
	}
}

func wantHeads(t *testing.T, asked []string, most int) {
	t.Helper()
	if len(asked) > most {
		t.Errorf("%d requests, want at most %d", len(asked), most)
	}
	for _, a := range asked {
		if !strings.HasPrefix(a, "HEAD ") && a != "GET /v2/" {
			t.Errorf("asked %s", a)
		}
	}
}

func TestSixtyContainersCostSixtyHeadsAndThenNothing(t *testing.T) {
	l := newLedger(t)
	engine, _ := sixtyContainers(t, l.host, "latest")
	now := machine.Local().Now()
	reg := registry.New(registry.Config{CacheDir: t.TempDir(), Now: func() time.Time { return now }})
	t.Cleanup(reg.Close)
	s := New(reg, Options{Host: engine, Getenv: noEnv})

	l.since()
	f, err := scan(t, s)
	wantAll(t, f, err, fleet.Current, sixty)
	wantHeads(t, l.since(), sixty+2)

	f, err = scan(t, s)
	wantAll(t, f, err, fleet.Current, sixty)
	wantHeads(t, l.since(), 0)

	now = now.Add(registry.DefaultTagLifetime + time.Second)
	f, err = scan(t, s)
	wantAll(t, f, err, fleet.Current, sixty)
	wantHeads(t, l.since(), sixty+2)
}

func TestVersionTagsCostNothingMoreOnceTheirListsAreKnown(t *testing.T) {
	l := newLedger(t)
	engine, refs := sixtyContainers(t, l.host, "1.0.0")
	for _, ref := range refs {
		push(t, strings.TrimSuffix(ref, "1.0.0")+"1.1.0", recipe{content: "newer"})
	}
	now := machine.Local().Now()
	reg := registry.New(registry.Config{CacheDir: t.TempDir(), Now: func() time.Time { return now }})
	t.Cleanup(reg.Close)
	s := New(reg, Options{Host: engine, Getenv: noEnv})
	for i := range 2 {
		l.since()
		f, err := scan(t, s)
		wantAll(t, f, err, fleet.Current, sixty)
		if len(f.Updates) != sixty {
			t.Errorf("%d version updates", len(f.Updates))
		}
		if i == 1 {
			wantHeads(t, l.since(), sixty+2)
		}
		now = now.Add(registry.DefaultTagLifetime + time.Second)
	}
}

func TestAnOldAnswerStandsInWhileARegistryRefuses(t *testing.T) {
	l := newLedger(t)
	ref := l.host + "/t/app:latest"
	old := push(t, ref, recipe{content: "1"})
	push(t, ref, recipe{content: "2"})
	now := machine.Local().Now()
	reg := registry.New(registry.Config{CacheDir: t.TempDir(), Now: func() time.Time { return now }})
	t.Cleanup(reg.Close)
	s := New(reg, Options{Host: classicEngine(t, []string{ref}, []string{old}), Getenv: noEnv})
	m := machine.Local()
	m.Now = func() time.Time { return now }
	first, err := s.Scan(t.Context(), m)
	wantAll(t, first, err, fleet.Outdated, 1)

	l.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	now = now.Add(3 * time.Hour)
	f, err := s.Scan(t.Context(), m)
	wantAll(t, f, err, fleet.Outdated, 1)
	if c := f.Checks[0]; !strings.Contains(c.Because, "as of 3h0m ago: ") || !c.CheckedAt.Equal(first.Checks[0].CheckedAt) {
		t.Errorf("because %q, checked at %v", c.Because, c.CheckedAt)
	}
	if !f.AsOf.Equal(first.AsOf) {
		t.Errorf("as of %v, want %v", f.AsOf, first.AsOf)
	}

	now = now.Add(maxStale)
	f, err = s.Scan(t.Context(), m)
	if err == nil || f.Checks[0].Answer != fleet.CannotAnswer {
		t.Errorf("an answer of yesterday is believed: %+v, %v", f.Checks[0], err)
	}
}

func TestOneImagesFailureHidesNoOthersAnswer(t *testing.T) {
	l := newLedger(t)
	names := []string{"private", "limited", "broken", "fine", "rebuilt", "slow-config"}
	refs, digests := make([]string, 0, len(names)), make([]string, 0, len(names))
	for _, name := range names {
		ref := l.host + "/t/" + name + ":latest"
		refs, digests = append(refs, ref), append(digests, push(t, ref, recipe{content: name}))
	}
	push(t, refs[4], recipe{content: "rebuilt again"})
	push(t, refs[5], recipe{content: "new", version: "9"})
	l.before = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.Contains(r.URL.Path, "/private/"):
			w.WriteHeader(http.StatusForbidden)
		case strings.Contains(r.URL.Path, "/broken/"):
			w.WriteHeader(http.StatusTeapot)
		case strings.Contains(r.URL.Path, "/slow-config/blobs/"):
			w.WriteHeader(http.StatusNotFound)
		default:
			return false
		}
		return true
	}
	f, err := scan(t, New(newClient(t), Options{Host: classicEngine(t, refs, digests), Getenv: noEnv}))
	got := outcomes(t, f)
	for i, want := range []fleet.Answer{fleet.CannotAnswer, fleet.Current, fleet.CannotAnswer, fleet.Current, fleet.Outdated, fleet.Outdated} {
		if name := fmt.Sprintf("c%d", i); got[name].Answer != want {
			t.Errorf("%s: %+v, want %s", refs[i], got[name], want)
		}
	}
	if err == nil || !strings.HasPrefix(err.Error(), "2 of 6 images could not be checked: ") {
		t.Errorf("error %v", err)
	}
	if u := updateOf(t, f, "c5", fleet.Rebuild); u.ToVersion != "" || !strings.Contains(u.Note, "could not be read") {
		t.Errorf("an update whose config cannot be read: %+v %+v", u, u.ImageUpdate)
	}
}

func TestTagsThatCannotBeListedChangeNoAnswer(t *testing.T) {
	l := newLedger(t)
	ref := l.host + "/t/app:1.0.0"
	d := push(t, ref, recipe{content: "1"})
	l.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	}
	f, err := scan(t, New(newClient(t), Options{Host: classicEngine(t, []string{ref}, []string{d}), Getenv: noEnv}))
	wantAll(t, f, nil, fleet.Current, 1)
	if f.Checks[0].VersionsUnknown == "" || err == nil || !strings.HasPrefix(err.Error(), "whether there are newer versions of 1 of 1 images is not known: ") {
		t.Errorf("versions unknown %q, error %v", f.Checks[0].VersionsUnknown, err)
	}
	if slices.ContainsFunc(l.since(), func(a string) bool { return strings.HasPrefix(a, "GET /v2/t/app/manifests") }) {
		t.Error("a manifest was fetched")
	}
}

func TestNoRegistryLearnsANameThatIsOnlyHere(t *testing.T) {
	l := newLedger(t)
	built, moved, pinned := l.host+"/private/built:1.0.0", l.host+"/private/moved:1.0.0", l.host+"/private/pinned@"+digestA
	const idOld, idC = "sha256:1111111111111111111111111111111111111111111111111111111111111111", "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	list := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	inspect := func(ref string) string {
		c := container.InspectResponse{Config: &container.Config{Image: ref}}
		return list(c)
	}
	behind := summary("behind", idOld, idOld)
	behind.ID = strings.Repeat("b", 64)
	host := play(t, playing{version: "1.41", answers: map[string]string{
		"/containers/json": list([]container.Summary{summary("built", built, idA), behind, summary("pinned", pinned, idC)}),
		"/images/json": list([]image.Summary{
			{ID: idA, RepoTags: []string{built}}, {ID: idOld, RepoTags: []string{"<none>:<none>"}}, {ID: idB, RepoTags: []string{moved}},
			{ID: idC, RepoDigests: []string{pinned}},
		}),
		"/containers/" + behind.ID + "/json": inspect(moved),
		"/images/" + idOld + "/json":         `{"Os":"linux","Architecture":"amd64"}`,
		"/images/" + idB + "/json":           `{"Os":"linux","Architecture":"amd64"}`,
	}})
	f, err := scan(t, New(newClient(t), Options{Host: host, Getenv: noEnv}))
	if err != nil {
		t.Error(err)
	}
	compareOutcomes(t, f, map[string]outcome{
		"built": {fleet.LocalOnly, "", "built or imported here"}, "behind": {fleet.Outdated, "recreate", becauseHere}, "pinned": {Answer: fleet.ByDigest},
	})
	if asked := l.since(); len(asked) > 0 {
		t.Errorf("the registry was asked %q", asked)
	}
}
