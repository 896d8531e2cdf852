package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// play is a source whose parts are written down.
type play struct {
	name    string
	scan    func(ctx context.Context) (fleet.Finding, error)
	refresh func() error
}

func (p play) Name() string                  { return p.name }
func (p play) Present(*machine.Machine) bool { return true }
func (p play) Scan(ctx context.Context, _ *machine.Machine) (fleet.Finding, error) {
	return p.scan(ctx)
}
func (p play) Refresh(context.Context, *machine.Machine) error { return p.refresh() }

// plain is a source that cannot refresh.
type plain struct{ Source }

func finds(name string, updates ...fleet.Update) play {
	return play{
		name:    name,
		scan:    func(context.Context) (fleet.Finding, error) { return fleet.Finding{Updates: updates}, nil },
		refresh: func() error { return nil },
	}
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.FixedZone("CET", 3600))

func scan(t testing.TB, opt Options, sources ...Source) []fleet.Finding {
	t.Helper()
	m := &machine.Machine{Root: t.TempDir(), Now: func() time.Time { return noon }}
	return Scan(t.Context(), m, sources, opt)
}

func TestAFindingHasTheFormOfTheContract(t *testing.T) {
	got := scan(t, Options{}, finds("apt", fleet.Update{Name: "zlib1g", Source: "liar"}, fleet.Update{Name: "curl", Arch: "i386"}, fleet.Update{Name: "curl", Arch: "amd64"}))
	want := []fleet.Finding{{
		Source: "apt", State: fleet.OK, ScannedAt: noon.UTC(), Checks: []fleet.Check{},
		Updates: []fleet.Update{{Source: "apt", Name: "curl", Arch: "amd64"}, {Source: "apt", Name: "curl", Arch: "i386"}, {Source: "apt", Name: "zlib1g"}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if zone := got[0].ScannedAt.Location(); zone != time.UTC {
		t.Errorf("the time is kept in %v", zone)
	}
}

func TestNoListIsNil(t *testing.T) {
	if got := scan(t, Options{}); got == nil || len(got) != 0 {
		t.Errorf("no source: %#v", got)
	}
	broken := finds("docker")
	broken.scan = func(context.Context) (fleet.Finding, error) { return fleet.Finding{}, errors.New("no engine") }
	for _, f := range scan(t, Options{}, finds("apt"), broken) {
		if f.Updates == nil || f.Checks == nil {
			t.Errorf("%s: %#v", f.Source, f)
		}
	}
}

func TestAPanicCostsOneSourceItsAnswerAndNoOther(t *testing.T) {
	odd := finds("odd")
	odd.scan = func(context.Context) (fleet.Finding, error) {
		var index []string
		return fleet.Finding{Because: index[3]}, nil
	}
	got := scan(t, Options{}, finds("apt", fleet.Update{Name: "curl"}), odd, finds("docker", fleet.Update{Name: "nginx:1"}))
	if got[0].State != fleet.OK || len(got[0].Updates) != 1 || got[2].State != fleet.OK || len(got[2].Updates) != 1 {
		t.Errorf("another source lost its answer: %+v", got)
	}
	if f := got[1]; f.Source != "odd" || f.State != fleet.Uncertain || f.Because == "" || f.Remedy == "" {
		t.Errorf("the panic's own finding: %+v", f)
	}
}

func TestAnUncertainFindingKeepsWhatItKnows(t *testing.T) {
	half := finds("docker")
	half.scan = func(context.Context) (fleet.Finding, error) {
		return fleet.Finding{Updates: []fleet.Update{{Name: "nginx:1"}}, Checks: []fleet.Check{{Name: "redis:7"}, {Name: "nginx:1"}}}, errors.Join(
			&fleet.Unknown{Because: "redis:7: access denied", Remedy: "log in"},
			fmt.Errorf("ghcr.io: %w", &fleet.Unknown{Because: "too many requests", Remedy: "wait"}),
		)
	}
	want := fleet.Finding{
		Source: "docker", State: fleet.Uncertain, ScannedAt: noon.UTC(),
		Because: "redis:7: access denied; ghcr.io: too many requests", Remedy: "log in; wait",
		Updates: []fleet.Update{{Source: "docker", Name: "nginx:1"}}, Checks: []fleet.Check{{Name: "nginx:1"}, {Name: "redis:7"}},
	}
	if diff := cmp.Diff([]fleet.Finding{want}, scan(t, Options{}, half)); diff != "" {
		t.Error(diff)
	}
}

func TestARefreshThatFailedMakesTheFindingUncertainAndTheScanGoesOn(t *testing.T) {
	s := finds("apt", fleet.Update{Name: "curl"})
	s.refresh = func() error { return &fleet.Unknown{Because: "not root", Remedy: "use sudo"} }
	got := scan(t, Options{Refresh: true}, s)[0]
	if got.State != fleet.Uncertain || got.Because != "not root" || got.Remedy != "use sudo" || len(got.Updates) != 1 {
		t.Errorf("got %+v", got)
	}
	if got := scan(t, Options{}, s)[0]; got.State != fleet.OK {
		t.Errorf("it was refreshed unasked: %+v", got)
	}
	if got := scan(t, Options{Refresh: true}, plain{s})[0]; got.State != fleet.OK {
		t.Errorf("a source that cannot refresh was held to it: %+v", got)
	}
	s.refresh = func() error { panic("boom") }
	if got := scan(t, Options{Refresh: true}, s)[0]; got.State != fleet.Uncertain || len(got.Updates) != 1 {
		t.Errorf("a panic in a refresh: %+v", got)
	}
}

func TestSourcesAreAskedAtOnceAndAnswerInTheirOrder(t *testing.T) {
	// Each waits for the other: asked one after the other, neither would answer.
	first, second := make(chan struct{}), make(chan struct{})
	a, b := finds("a"), finds("b")
	a.scan = func(context.Context) (fleet.Finding, error) { close(first); <-second; return fleet.Finding{}, nil }
	b.scan = func(context.Context) (fleet.Finding, error) { close(second); <-first; return fleet.Finding{}, nil }
	got := scan(t, Options{}, a, b)
	if len(got) != 2 || got[0].Source != "a" || got[1].Source != "b" {
		t.Errorf("got %+v", got)
	}
}

func TestWhoWatchesIsToldOfEachSourceOnce(t *testing.T) {
	var mu sync.Mutex
	told := map[string]int{}
	tell := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		told[what]++
	}
	scan(t, Options{
		Started: func(source string) { tell("started " + source) },
		Done:    func(f fleet.Finding) { tell("done " + f.Source) },
	}, finds("apt"), finds("docker"))
	want := map[string]int{"started apt": 1, "done apt": 1, "started docker": 1, "done docker": 1}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

func TestWhoIsInterruptedIsUncertain(t *testing.T) {
	waits := finds("docker")
	waits.scan = func(ctx context.Context) (fleet.Finding, error) {
		<-ctx.Done()
		return fleet.Finding{}, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := Scan(ctx, &machine.Machine{Now: func() time.Time { return noon }}, []Source{waits}, Options{})
	if got[0].State != fleet.Uncertain || got[0].Because == "" {
		t.Errorf("got %+v", got)
	}
}

// anyUpdate makes packages and images, several of one name.
func anyUpdate() *rapid.Generator[fleet.Update] {
	return rapid.Custom(func(t *rapid.T) fleet.Update {
		u := fleet.Update{
			Name: rapid.SampledFrom([]string{"curl", "nginx:1", "zlib1g"}).Draw(t, "name"),
			Arch: rapid.SampledFrom([]string{"amd64", "i386", ""}).Draw(t, "arch"),
		}
		if u.Name == "nginx:1" {
			u.ImageUpdate = &fleet.ImageUpdate{
				Kind:     rapid.SampledFrom([]fleet.Kind{fleet.Rebuild, fleet.Recreate, fleet.Version}).Draw(t, "kind"),
				Level:    rapid.SampledFrom([]fleet.Level{fleet.Patch, fleet.Minor, fleet.Major}).Draw(t, "level"),
				Platform: rapid.SampledFrom([]string{"linux/amd64", "linux/arm64"}).Draw(t, "platform"),
			}
		}
		return u
	})
}

func TestAFindingIsTheSameWhateverOrderASourceSpeaksIn(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		updates := rapid.SliceOf(anyUpdate()).Draw(r, "updates")
		shuffled := slices.Clone(updates)
		if len(updates) > 0 {
			shuffled = rapid.Permutation(updates).Draw(r, "shuffled")
		}
		got := scan(t, Options{}, finds("a", updates...), finds("a", shuffled...))
		if diff := cmp.Diff(got[0], got[1]); diff != "" {
			r.Fatal(diff)
		}
		if len(got[0].Updates) != len(updates) {
			r.Fatalf("%d updates became %d", len(updates), len(got[0].Updates))
		}
	})
}

func TestScanLeavesASourcesOwnListAlone(t *testing.T) {
	own := []fleet.Update{{Name: "b"}, {Name: "a"}}
	scan(t, Options{}, finds("apt", own...))
	if diff := cmp.Diff([]fleet.Update{{Name: "b"}, {Name: "a"}}, own); diff != "" {
		t.Error(diff)
	}
}
