package store

import (
	"fmt"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// countAgain holds the fleet's counters to what there is to count.
func countAgain(t testing.TB, s *Store) {
	t.Helper()
	for what, query := range map[string]string{
		"offers that are counted wrong": `SELECT COUNT(*) FROM offers AS o WHERE o.hosts <> (SELECT COUNT(*) FROM updates AS u WHERE u.offer_id = o.id)
			OR o.blocked <> (SELECT COUNT(*) FROM updates AS u WHERE u.offer_id = o.id AND u.blocked <> '') OR o.hosts <= 0`,
		"updates without an offer": `SELECT COUNT(*) FROM updates AS u WHERE NOT EXISTS (SELECT 1 FROM offers AS o WHERE o.id = u.offer_id)`,
		"images that are counted wrong": `SELECT COUNT(*) FROM images AS i WHERE i.hosts <= 0
			OR i.hosts <> (SELECT COUNT(*) FROM checks AS c WHERE c.name = i.name AND c.platform = i.platform AND c.answer = i.answer)`,
		"checks without an image": `SELECT COUNT(*) FROM checks AS c WHERE NOT EXISTS
			(SELECT 1 FROM images AS i WHERE c.name = i.name AND c.platform = i.platform AND c.answer = i.answer)`,
	} {
		var n int
		if err := s.reader().one(t.Context(), []any{&n}, query); err != nil {
			t.Fatal(what, err)
		}
		if n > 0 {
			t.Errorf("%s: %d", what, n)
		}
	}
	countPackages(t, s)
}

// countPackages sees that every package of a host is there, and that as many are counted.
func countPackages(t testing.TB, s *Store) {
	t.Helper()
	hosts := map[fleet.HostID]int{}
	if err := s.reader().all(t.Context(), func(scan func(...any) error) error {
		var id fleet.HostID
		var n int
		err := scan(&id, &n)
		hosts[id] = n
		return err
	}, `SELECT id, packages FROM hosts`); err != nil {
		t.Fatal(err)
	}
	for id, n := range hosts {
		have, err := readShelves(t.Context(), s.reader(), id, everyShelf())
		if err != nil {
			t.Fatal(err)
		}
		there, err := s.Packages(t.Context(), id)
		if err != nil || size(have) != n || len(there) != n {
			t.Errorf("%s: %d packages are counted, %d are kept, %d are there, %v", id, n, size(have), len(there), err)
		}
	}
	var lost int
	if err := s.reader().one(t.Context(), []any{&lost}, `SELECT COUNT(*) FROM host_packages AS p WHERE NOT EXISTS (SELECT 1 FROM hosts AS h WHERE h.id = p.host_id)`); err != nil || lost > 0 {
		t.Errorf("%d shelves of nobody, %v", lost, err)
	}
}

// say saves a report of one source.
func say(t testing.TB, s *Store, id fleet.HostID, sequence int64, f fleet.Finding, packages ...fleet.Package) {
	t.Helper()
	f.State = fleet.OK
	r := wire.Report{Sequence: sequence, Findings: []fleet.Finding{f}, Digests: wire.Digests{}}
	if packages != nil {
		r.Packages = &wire.PackageChange{Added: packages}
	}
	if _, err := s.SaveReport(t.Context(), id, r, "192.0.2.1", noon.Add(time.Duration(sequence)*time.Minute)); err != nil {
		t.Fatal(err)
	}
}

func anUpdate(name, from, to string) fleet.Update {
	return fleet.Update{Source: "apt", Name: name, Arch: "amd64", From: from, To: to}
}

func TestTheFleetsCountersFollowItsHosts(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a, b := enrol(t, s, "a"), enrol(t, s, "b")
		held := anUpdate("curl", "1", "2")
		held.Blocked = fleet.Held
		say(t, s, a, 1, fleet.Finding{Source: "apt", Updates: []fleet.Update{anUpdate("openssl", "1", "2"), anUpdate("curl", "1", "2")}})
		say(t, s, b, 1, fleet.Finding{Source: "apt", Updates: []fleet.Update{anUpdate("openssl", "1", "2"), held}})
		countAgain(t, s)
		var hosts, blocked int
		read := func(name, to string) {
			t.Helper()
			hosts, blocked = 0, 0
			err := s.reader().all(t.Context(), func(scan func(...any) error) error { return scan(&hosts, &blocked) },
				`SELECT hosts, blocked FROM offers WHERE id = $1`, offerID(anUpdate(name, "1", to)))
			if err != nil {
				t.Fatal(err)
			}
		}
		if read("curl", "2"); hosts != 2 || blocked != 1 {
			t.Errorf("curl: on %d hosts, blocked on %d", hosts, blocked)
		}
		say(t, s, a, 2, fleet.Finding{Source: "apt", Updates: []fleet.Update{anUpdate("openssl", "1", "3")}})
		if read("openssl", "2"); hosts != 1 {
			t.Errorf("openssl 2: %d", hosts)
		}
		if read("openssl", "3"); hosts != 1 {
			t.Errorf("openssl 3: %d", hosts)
		}
		countAgain(t, s)
		if err := s.Forget(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if read("curl", "2"); hosts != 0 {
			t.Errorf("curl after all: %d", hosts)
		}
		countAgain(t, s)
	})
}

func TestHowAnUpdateLeftIsToldByWhatTheHostHas(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id := enrol(t, s, "a")
		p := func(name, version string) fleet.Package {
			return fleet.Package{Source: "apt", Name: name, Arch: "amd64", Version: version}
		}
		var updates []fleet.Update
		for _, name := range []string{"by-hand", "removed", "withdrawn"} {
			updates = append(updates, anUpdate(name, "1", "2"))
		}
		say(t, s, id, 1, fleet.Finding{Source: "apt", Updates: updates}, p("by-hand", "1"), p("removed", "1"), p("withdrawn", "1"))
		say(t, s, id, 2, fleet.Finding{Source: "apt"}, p("by-hand", "2"), p("withdrawn", "1"))
		history, _, err := s.History(t.Context(), id, Page{})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]How{}
		for _, g := range history {
			got[g.Update.Name] = g.How
		}
		if fmt.Sprint(got) != fmt.Sprint(map[string]How{"by-hand": Installed, "removed": Removed, "withdrawn": Withdrawn}) {
			t.Error(got)
		}
	})
}

func TestPackagesThatNoHostHasAreDeletedAndComeBack(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s, other := open(t, dsn), open(t, dsn)
		id := enrol(t, s, "a")
		p := fleet.Package{Source: "apt", Name: "openssl", Version: "1"}
		say(t, s, id, 1, fleet.Finding{Source: "apt"}, p)
		say(t, s, id, 2, fleet.Finding{Source: "apt"}, []fleet.Package{}...)
		if _, err := s.SaveReport(t.Context(), id, wire.Report{Sequence: 3, Packages: &wire.PackageChange{}, Digests: wire.Digests{}}, "", noon); err != nil {
			t.Fatal(err)
		}
		if err := other.TidyPackages(t.Context()); err != nil { // this process does not know of it
			t.Fatal(err)
		}
		var n int
		if err := s.reader().one(t.Context(), []any{&n}, `SELECT COUNT(*) FROM packages`); err != nil || n != 0 {
			t.Fatalf("%d packages that nobody has, %v", n, err)
		}
		say(t, s, id, 4, fleet.Finding{Source: "apt"}, p)
		countAgain(t, s)
		if list, err := s.Packages(t.Context(), id); err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
		}
	})
}
