package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// enrol takes a host into a store, with a token of its own.
func enrol(t testing.TB, s *Store, name string) fleet.HostID {
	t.Helper()
	_, secret, err := s.NewToken(t.Context(), Token{Seats: 1, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Enroll(t.Context(), wire.Enroll{Token: secret, Key: make([]byte, 32), Machine: "machine of " + name, Host: fleet.Host{Name: name}}, "192.0.2.1", noon)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// model is what a store should hold of one host.
type model struct {
	sequence   int64
	now        time.Time
	findings   map[string]fleet.Finding
	packages   map[fleet.Package]bool
	containers []fleet.Container
	digests    wire.Digests
	sent       []wire.Report // in the order in which they were saved
}

// next draws what the host says next, and takes it over.
func (m *model) next(t *rapid.T) wire.Report {
	m.sequence++
	m.now = m.now.Add(time.Minute)
	r := wire.Report{Level: wire.Level, Sequence: m.sequence, Digests: maps.Clone(m.digests)}
	for _, source := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"apt", "docker"}), rapid.ID).Draw(t, "sources") {
		f := drawFinding(t, source, m.now)
		r.Findings = append(r.Findings, f)
		m.findings[source] = f.After(m.findings[source])
	}
	if rapid.Bool().Draw(t, "packages change") {
		r.Packages = m.change(t)
	}
	if rapid.Bool().Draw(t, "containers change") {
		m.containers = drawContainers(t)
		r.Containers = &wire.ContainerSet{All: m.containers}
	}
	m.digests = r.Digests
	m.sent = append(m.sent, r)
	return r
}

func (m *model) change(t *rapid.T) *wire.PackageChange {
	after := map[fleet.Package]bool{}
	for _, n := range rapid.SliceOfN(rapid.IntRange(0, 40), 0, 30).Draw(t, "packages") {
		p := fleet.Package{Source: "apt", Name: fmt.Sprintf("p%d", n/3), Arch: "amd64", Version: fmt.Sprint(n % 3), From: "src"}
		p.Ecosystem = rapid.SampledFrom([]string{"", "Debian:12"}).Draw(t, "ecosystem") // an agent that was brought up to date says it
		after[p] = true
	}
	c := &wire.PackageChange{Base: m.digests["packages"]}
	if rapid.Bool().Draw(t, "begin anew") {
		c.Base = ""
	}
	for p := range after {
		if c.Base == "" || !m.packages[p] {
			c.Added = append(c.Added, p)
		}
	}
	for p := range m.packages {
		if c.Base != "" && !after[p] {
			c.Removed = append(c.Removed, p)
		}
	}
	m.packages = after
	return c
}

func drawFinding(t *rapid.T, source string, now time.Time) fleet.Finding {
	f := fleet.Finding{Source: source, State: rapid.SampledFrom([]fleet.State{fleet.OK, fleet.Uncertain}).Draw(t, "state"), ScannedAt: now, Updates: []fleet.Update{}, Checks: []fleet.Check{}}
	if f.State != fleet.OK {
		f.Because, f.Remedy = "a dead mirror", "mend it"
	}
	f.Notes = rapid.SampledFrom([][]string{nil, {"nobody cares for it any more", "somebody else installs, too"}}).Draw(t, "notes")
	f.SecurityUnknown = rapid.SampledFrom([]string{"", "nobody publishes advisories"}).Draw(t, "security unknown")
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 12), 0, 8, rapid.ID).Draw(t, "updates") {
		u := fleet.Update{Source: source, Name: fmt.Sprintf("u%02d", n), From: "1", To: rapid.SampledFrom([]string{"2", "3"}).Draw(t, "to"), Security: n%2 == 0}
		if n%3 == 0 {
			u.Blocked = fleet.Held
		}
		if source == "docker" {
			u.ImageUpdate = &fleet.ImageUpdate{Kind: fleet.Rebuild, Platform: "linux/amd64", Containers: []string{"c"}}
			f.Checks = append(f.Checks, fleet.Check{Name: u.Name, Containers: []string{"c"}, Platform: "linux/amd64", Answer: fleet.Outdated, CheckedAt: now})
		}
		f.Updates = append(f.Updates, u)
	}
	slices.SortFunc(f.Updates, byName)
	slices.SortFunc(f.Checks, func(a, b fleet.Check) int { return strings.Compare(a.Name, b.Name) })
	return f
}

func byName(a, b fleet.Update) int { return strings.Compare(a.Name, b.Name) }

func drawContainers(t *rapid.T) []fleet.Container {
	list := []fleet.Container{}
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 0, 5, rapid.ID).Draw(t, "containers") {
		list = append(list, fleet.Container{Source: "docker", Name: fmt.Sprint(n), Image: "nginx:1", State: "running"})
	}
	slices.SortFunc(list, func(a, b fleet.Container) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// compare holds the store to the model.
func (m *model) compare(t *rapid.T, s *Store, id fleet.HostID) {
	findings, err := s.Findings(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want, totals := []fleet.Finding{}, Totals{Packages: len(m.packages), Containers: len(m.containers)}
	for _, source := range slices.Sorted(maps.Keys(m.findings)) {
		f := m.findings[source]
		slices.SortFunc(f.Updates, byName)
		want = append(want, f)
		if f.State != fleet.OK {
			totals.Unknown++
		}
		for _, u := range f.Updates {
			var n counters
			n.count(u)
			totals.Updates += n.updates
			totals.Security += n.security
			totals.Blocked += n.blocked
			totals.Unconfirmed += n.unconfirmed
		}
	}
	if diff := cmp.Diff(want, findings); diff != "" {
		t.Fatalf("findings (-said +stored):\n%s", diff)
	}
	packages, err := s.Packages(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[fleet.Package]bool{}
	for _, p := range packages {
		stored[p] = true
	}
	if diff := cmp.Diff(m.packages, stored); diff != "" {
		t.Fatalf("packages (-said +stored):\n%s", diff)
	}
	containers, err := s.Containers(t.Context(), id)
	if diff := cmp.Diff(m.containers, containers); diff != "" || err != nil {
		t.Fatalf("containers (-said +stored): %v\n%s", err, diff)
	}
	m.survey(t, s, id)
	h, err := s.Host(t.Context(), id)
	if diff := cmp.Diff(totals, h.Totals); diff != "" || err != nil {
		t.Fatalf("totals (-said +stored): %v\n%s", err, diff)
	}
}

// survey holds what is told to who counts vulnerabilities to the model.
func (m *model) survey(t *rapid.T, s *Store, id fleet.HostID) {
	said, stored := map[string]bool{}, map[string]bool{}
	for p := range m.packages {
		said[fmt.Sprint(p)] = true
	}
	for _, f := range m.findings {
		for _, u := range f.Updates {
			if u.ImageUpdate == nil {
				said[fmt.Sprint(u.Name, u.To, u.Blocked != "")] = true
			}
		}
	}
	packages, err := s.PackagesByID(t.Context(), nil)
	offers, err2 := s.OffersByID(t.Context(), nil)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	hosts := 0
	if err := s.Survey(t.Context(), []fleet.HostID{id}, Survey{
		Host: func(h Surveyed) error { hosts += int(h.Stamp.Sequence); return nil },
		Packages: func(_ fleet.HostID, ids []int64) error {
			for _, p := range ids {
				stored[fmt.Sprint(packages[p])] = true
			}
			return nil
		},
		Offer: func(_ fleet.HostID, o int64, blocked bool) error {
			stored[fmt.Sprint(offers[o].Name, offers[o].To, blocked)] = true
			return nil
		},
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(said, stored); diff != "" || hosts != int(m.sequence) {
		t.Fatalf("survey of report %d of %d (-said +stored):\n%s", hosts, m.sequence, diff)
	}
}

func TestTheStoreHoldsWhatHostsSayWhateverBecomesOfTheirReports(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		hosts := 0
		rapid.Check(t, func(rt *rapid.T) {
			hosts++
			id := enrol(t, s, fmt.Sprintf("web%d", hosts))
			m := &model{now: noon, findings: map[string]fleet.Finding{}, packages: map[fleet.Package]bool{}, containers: []fleet.Container{}, digests: wire.Digests{}}
			for range rapid.IntRange(1, 5).Draw(rt, "reports") {
				r := m.next(rt)
				for range rapid.IntRange(1, 2).Draw(rt, "times it is sent") {
					if send, err := s.SaveReport(rt.Context(), id, r, "192.0.2.1", m.now); err != nil || len(send) > 0 {
						rt.Fatalf("report %d: %q, %v", r.Sequence, send, err)
					}
				}
				late := m.sent[rapid.IntRange(0, len(m.sent)-1).Draw(rt, "comes late")]
				if _, err := s.SaveReport(rt.Context(), id, late, "192.0.2.1", m.now); err != nil {
					rt.Fatal(err)
				}
			}
			m.compare(rt, s, id)
		})
		countAgain(t, s)
	})
}
