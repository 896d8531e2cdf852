package exposure

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"redflag/internal/fleet"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// said is what a host last said.
type said struct {
	name     string
	sequence int64
	packages map[fleet.Package]bool
	updates  []fleet.Update
	sent     []wire.Report
	digests  wire.Digests
}

// universe is what there is to be had: two packages in versions from 1 to 5, of which one has a flaw below 3 and the other one below 5, and both the same below 4.
var universe = map[string]map[string]int{"alpha": {"CVE-2026-1001": 3, "CVE-2026-1000": 4}, "beta": {"CVE-2026-1002": 5, "CVE-2026-1000": 4}}

// universeFeed is what a tracker says of it.
func universeFeed() string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(universe)) {
		flaws := ""
		for _, id := range slices.Sorted(maps.Keys(universe[name])) {
			flaws += fmt.Sprintf(`, %q: {"releases": {"bookworm": {"status": "resolved", "fixed_version": "%d", "urgency": "high"}}}`, id, universe[name][id])
		}
		text += fmt.Sprintf(`, %q: {%s}`, name, flaws[2:])
	}
	return "{" + text[2:] + "}"
}

// next draws what a host says next.
func (s *said) next(t *rapid.T, now time.Time) wire.Report {
	s.sequence++
	after := map[fleet.Package]bool{}
	s.updates = nil
	for _, name := range []string{"alpha", "beta", "gamma"} {
		version := rapid.IntRange(0, 5).Draw(t, name)
		if version == 0 {
			continue
		}
		p := pkg("lib"+name, fmt.Sprint(version))
		p.From = name
		if rapid.IntRange(0, 5).Draw(t, "of another origin") == 0 {
			p.Ecosystem = ""
		}
		after[p] = true
		if to := rapid.IntRange(version, 5).Draw(t, "on offer"); to > version {
			u := upd("lib"+name, p.Version, fmt.Sprint(to))
			u.Build.Package, u.Build.Ecosystem = name, p.Ecosystem
			if rapid.IntRange(0, 3).Draw(t, "held") == 0 {
				u.Blocked = fleet.Held
			}
			s.updates = append(s.updates, u)
		}
	}
	change := &wire.PackageChange{}
	if rapid.Bool().Draw(t, "as a change") {
		change.Base = s.digests["packages"]
	}
	for p := range after {
		if change.Base == "" || !s.packages[p] {
			change.Added = append(change.Added, p)
		}
	}
	for p := range s.packages {
		if change.Base != "" && !after[p] {
			change.Removed = append(change.Removed, p)
		}
	}
	s.packages, s.digests = after, wire.Digests{"packages": fmt.Sprint(s.name, s.sequence)}
	r := wire.Report{
		Sequence: s.sequence, Digests: s.digests, Host: &fleet.Host{Name: s.name}, Packages: change,
		Findings: []fleet.Finding{{Source: "apt", State: fleet.OK, ScannedAt: now, Updates: s.updates}},
	}
	s.sent = append(s.sent, r)
	return r
}

// counted is what is held to the model of a vulnerability.
type counted struct{ hosts, mendable int }

// count counts what hosts have said.
func count(hosts []*said) map[string]counted {
	number := map[string]counted{}
	for _, h := range hosts {
		stuck, has := map[string]bool{}, map[string]bool{}
		for p := range h.packages {
			for id, below := range universe[p.From] {
				if p.Ecosystem == "" || int(p.Version[0]-'0') >= below {
					continue
				}
				has[id] = true
				mended := slices.ContainsFunc(h.updates, func(u fleet.Update) bool {
					return u.Name == p.Name && u.Blocked == "" && int(u.To[0]-'0') >= below
				})
				stuck[id] = stuck[id] || !mended
			}
		}
		for id := range has {
			n := number[id]
			n.hosts++
			if !stuck[id] {
				n.mendable++
			}
			number[id] = n
		}
	}
	return number
}

// test is one, or a part of one.
type test interface {
	Context() context.Context
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// lists gives the same of an exposure, and holds the lists of hosts to it.
func (l *lab) lists(t test, e *Exposure) map[string]counted {
	list, _, err := e.List(t.Context(), Filter{}, store.Page{Limit: store.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	number := map[string]counted{}
	for _, v := range list {
		number[v.ID] = counted{v.Hosts, v.Mendable}
		on := map[fleet.HostID]bool{}
		for p := (store.Page{Limit: 3}); ; {
			some, next, err := e.Hosts(t.Context(), v.ID, 0, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range some {
				on[h.Host] = true
			}
			if p.After = next; next == "" {
				break
			}
		}
		if len(on) != v.Hosts {
			t.Fatalf("%s: %d hosts are listed, and %d counted", v.ID, len(on), v.Hosts)
		}
	}
	return number
}

func TestWhatIsCountedIsWhatHostsSayWhateverBecomesOfTheirReports(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.feed(universeFeed())
		other := New(l.store, l.now) // another process, which is not told of anything
		if err := other.Feeds(t.Context(), l.shelf); err != nil {
			t.Fatal(err)
		}
		var hosts []*said
		var ids []fleet.HostID
		joined := 0
		rapid.Check(t, func(rt *rapid.T) {
			if len(hosts) < 30 {
				joined++
				name := fmt.Sprint("h", joined)
				ids, hosts = append(ids, l.host(name, "prod")), append(hosts, &said{name: name, digests: wire.Digests{}})
			}
			for range rapid.IntRange(1, 4).Draw(rt, "reports") {
				l.pass(time.Second)
				i := rapid.IntRange(0, len(hosts)-1).Draw(rt, "host")
				h := hosts[i]
				r := h.next(rt, l.now())
				for range rapid.IntRange(1, 2).Draw(rt, "times it is sent") {
					if send, err := l.store.SaveReport(rt.Context(), ids[i], r, "", l.now()); err != nil || len(send) > 0 {
						rt.Fatal(send, err)
					}
				}
				late := h.sent[rapid.IntRange(0, len(h.sent)-1).Draw(rt, "comes late")]
				if _, err := l.store.SaveReport(rt.Context(), ids[i], late, "", l.now()); err != nil {
					rt.Fatal(err)
				}
				if rapid.Bool().Draw(rt, "somebody looks") {
					l.Outdated()
					l.lists(rt, l.Exposure)
				}
			}
			if rapid.IntRange(0, 9).Draw(rt, "one leaves") == 0 && len(hosts) > 1 {
				if err := l.store.Forget(rt.Context(), ids[0]); err != nil {
					rt.Fatal(err)
				}
				ids, hosts = ids[1:], hosts[1:]
			}
			l.Outdated()
			l.pass(2 * fresh)
			want := count(hosts)
			for who, e := range map[string]*Exposure{"here": l.Exposure, "in another process": other} {
				if diff := cmp.Diff(want, l.lists(rt, e), cmp.AllowUnexported(counted{})); diff != "" {
					rt.Fatalf("%s (-said +counted):\n%s", who, diff)
				}
			}
		})
		anew := New(l.store, l.now)
		if err := anew.Feeds(t.Context(), l.shelf); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(count(hosts), l.lists(t, anew), cmp.AllowUnexported(counted{})); diff != "" {
			t.Errorf("begun anew (-said +counted):\n%s", diff)
		}
	})
}

func TestReportsAtTheSameTimeAreAllCounted(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.feed(tracker)
		var ids []fleet.HostID
		for i := range 24 {
			ids = append(ids, l.host(fmt.Sprint("h", i), "prod"))
		}
		done := make(chan error, len(ids))
		for _, id := range ids {
			go func() {
				var err error
				for n := int64(1); n <= 3 && err == nil; n++ {
					version := []string{"", "3.0.15-1", "3.0.13-1", "3.0.14-1"}[n]
					r := wire.Report{
						Sequence: n, Digests: wire.Digests{}, Host: &fleet.Host{Name: id.String()}, Packages: &wire.PackageChange{Added: []fleet.Package{pkg("openssl", version)}},
						Findings: []fleet.Finding{{Source: "apt", State: fleet.OK, Updates: []fleet.Update{upd("openssl", version, "3.0.16-1")}}},
					}
					_, err = l.store.SaveReport(t.Context(), id, r, "", l.now())
					l.Outdated()
				}
				done <- err
			}()
		}
		for range ids { // somebody looks all the time
			l.list(Filter{})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if v := l.one("CVE-2026-0001", Filter{}); v.Hosts != len(ids) || v.Mendable != len(ids) {
			t.Errorf("%+v", v)
		}
		if v := l.one("CVE-2026-0002", Filter{}); v.Hosts != 0 {
			t.Errorf("mended since: %+v", v)
		}
	})
}
