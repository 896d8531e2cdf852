package store

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/version"
	"redflag/internal/wire"
)

// all reads a list to its end, in pages of two, and gives what each item is called.
func all[T any](t *testing.T, read func(Page) ([]T, string, error), name func(T) string) string {
	t.Helper()
	var names []string
	for p := (Page{Limit: 2}); ; {
		items, next, err := read(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range items {
			names = append(names, name(i))
		}
		if next == "" {
			return strings.Join(names, " ")
		}
		if len(items) != 2 || next == p.After {
			t.Fatalf("a page of %d that is not the last, after %q", len(items), p.After)
		}
		p.After = next
	}
}

// five hosts: e has security updates, d updates, c none, b an unknown source, a never reported.
func fiveHosts(t *testing.T, s *Store) map[string]fleet.HostID {
	t.Helper()
	ids := map[string]fleet.HostID{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		ids[name] = enrol(t, s, name)
	}
	secure := anUpdate("openssl", "3.0.11-1", "3.0.15-1")
	secure.Security = true
	image := func(answer fleet.Answer) fleet.Finding {
		return fleet.Finding{Source: "docker", Checks: []fleet.Check{{Name: "nginx:1", Platform: "linux/amd64", Answer: answer}, {Name: "redis:7", Answer: fleet.Current}}}
	}
	p := func(version string) fleet.Package {
		return fleet.Package{Source: "apt", Name: "libssl3", Arch: "amd64", Version: version, From: "openssl"}
	}
	say(t, s, ids["e"], 1, fleet.Finding{Source: "apt", Updates: []fleet.Update{secure, anUpdate("curl", "1", "2")}}, p("3.0.11-1"))
	say(t, s, ids["d"], 1, fleet.Finding{Source: "apt", Updates: []fleet.Update{anUpdate("curl", "1", "2")}}, p("3.0.15-1~deb12u1"))
	say(t, s, ids["c"], 1, fleet.Finding{Source: "apt"}, p("3.0.15-1"))
	say(t, s, ids["e"], 2, image(fleet.Outdated))
	say(t, s, ids["d"], 2, image(fleet.Current))
	say(t, s, ids["c"], 2, image(fleet.Current))
	unknown := wire.Report{Sequence: 1, Findings: []fleet.Finding{{Source: "apt", State: fleet.Uncertain, Because: "a dead mirror"}}, Digests: wire.Digests{}}
	if _, err := s.SaveReport(t.Context(), ids["b"], unknown, "", noon); err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestHostsAreListedPageByPage(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		fiveHosts(t, s)
		for _, c := range []struct {
			filter HostFilter
			want   string
		}{
			{HostFilter{}, "a b c d e"}, {HostFilter{Desc: true}, "e d c b a"}, {HostFilter{Text: "D"}, "d"}, {HostFilter{Text: "%"}, ""},
			{HostFilter{State: HostUnknown}, "a b"}, {HostFilter{State: HostSecurity}, "e"}, {HostFilter{State: HostOutdated}, "d"}, {HostFilter{State: HostCurrent}, "c"},
			{HostFilter{State: HostUnknown, Stale: noon.Add(24 * time.Hour)}, "a b c d e"}, {HostFilter{State: HostCurrent, Stale: noon.Add(24 * time.Hour)}, ""},
		} {
			got := all(t, func(p Page) ([]Host, string, error) { return s.Hosts(t.Context(), c.filter, p) }, func(h Host) string {
				if c.filter.State != "" && h.State(c.filter.Stale) != c.filter.State {
					t.Errorf("%s is listed as %s and says it is %s", h.Facts.Name, c.filter.State, h.State(c.filter.Stale))
				}
				return h.Facts.Name
			})
			if got != c.want {
				t.Errorf("%+v: %q, want %q", c.filter, got, c.want)
			}
		}
		for _, sort := range []string{"seen", "security", "updates"} {
			if got := all(t, func(p Page) ([]Host, string, error) {
				return s.Hosts(t.Context(), HostFilter{Sort: sort, Desc: true}, p)
			}, func(h Host) string { return h.Facts.Name }); len(got) != 9 {
				t.Errorf("by %s: %q", sort, got)
			}
		}
	})
}

func TestUpdatesImagesAndPackagesAreListedPageByPage(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		fiveHosts(t, s)
		offerName := func(o Offer) string { return fmt.Sprintf("%s:%d", o.Update.Name, o.Hosts) }
		offers := func(f OfferFilter) string {
			return all(t, func(p Page) ([]Offer, string, error) { return s.Offers(t.Context(), f, p) }, offerName)
		}
		if got := offers(OfferFilter{Desc: true}); got != "curl:2 openssl:1" {
			t.Error(got)
		}
		if got := offers(OfferFilter{Sort: "security", Desc: true}); got != "openssl:1 curl:2" {
			t.Error(got)
		}
		if got := offers(OfferFilter{Security: true}); got != "openssl:1" {
			t.Error(got)
		}
		if got := all(t, func(p Page) ([]OnHost, string, error) {
			return s.OfferHosts(t.Context(), offerID(anUpdate("curl", "1", "2")), p)
		}, func(o OnHost) string { return o.HostName }); len(got) != 3 || strings.Contains(got, "c") {
			t.Error(got)
		}
		if got := all(t, func(p Page) ([]Image, string, error) { return s.Images(t.Context(), ImageFilter{}, p) }, func(i Image) string {
			return fmt.Sprintf("%s:%d:%d", i.Name, i.Hosts, i.Answers[fleet.Outdated])
		}); got != "nginx:1:3:1 redis:7:3:0" {
			t.Error(got)
		}
		if got := all(t, func(p Page) ([]ImageOnHost, string, error) { return s.ImageHosts(t.Context(), "nginx:1", p) }, func(i ImageOnHost) string { return i.HostName }); len(got) != 5 {
			t.Error(got)
		}
		for _, c := range []struct {
			query PackageQuery
			want  string
		}{
			{PackageQuery{Name: "openssl", BySource: true, Below: "3.0.15-1"}, "d e"}, {PackageQuery{Name: "libssl3", From: "3.0.15-1"}, "c"},
			{PackageQuery{Name: "libssl3", Exactly: "3.0.11-1"}, "e"}, {PackageQuery{Name: "libssl3"}, "c d e"}, {PackageQuery{Name: "libssl3", Source: "dnf"}, ""}, {PackageQuery{Name: "openssl"}, ""},
		} {
			c.query.Compare = version.Compare
			got := strings.Fields(all(t, func(p Page) ([]PackageOnHost, string, error) { return s.PackageHosts(t.Context(), c.query, p) }, func(o PackageOnHost) string { return o.HostName }))
			if slices.Sort(got); strings.Join(got, " ") != c.want {
				t.Errorf("%+v: %q, want %q", c.query, got, c.want)
			}
		}
	})
}

func TestWhatCameAndWentIsListedPageByPage(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		ids := fiveHosts(t, s)
		say(t, s, ids["e"], 3, fleet.Finding{Source: "apt"})
		if got := all(t, func(p Page) ([]Gone, string, error) { return s.History(t.Context(), 0, p) }, func(g Gone) string { return g.HostName }); got != "e e" {
			t.Error(got)
		}
		if got := all(t, func(p Page) ([]OnHost, string, error) { return s.Appeared(t.Context(), p) }, func(o OnHost) string { return o.HostName + "." + o.Update.Name }); got != "d.curl" {
			t.Error(got)
		}
		sum, err := s.Summary(t.Context(), noon, noon)
		if err != nil || sum.Hosts != 5 || sum.States[HostUnknown] != 2 || sum.States[HostOutdated] != 1 || sum.States[HostCurrent] != 2 || sum.Totals.Updates != 1 || sum.Images[fleet.Current] != 5 {
			t.Errorf("%+v, %v", sum, err)
		}
		if sum, err = s.Summary(t.Context(), noon, noon.Add(24*time.Hour)); err != nil || sum.States[HostUnknown] != 5 || sum.States[HostCurrent] != 0 {
			t.Errorf("a day later: %+v, %v", sum, err)
		}
		for _, bad := range []string{"x", "e30", cursor("a"), cursor(1, "a"), cursor("a", 1, 2), cursor([]string{"a"}, 1)} {
			if _, _, err := s.Hosts(t.Context(), HostFilter{}, Page{After: bad}); err == nil {
				t.Errorf("the cursor %q is taken", bad)
			}
		}
	})
}

const (
	largeHosts   = 5000
	largeUpdates = 40
	largeChecks  = 12
)

// large is a fleet of 5,000 hosts with 40 updates and 12 images each, put into the tables as reports would.
func large(t testing.TB, s *Store) {
	t.Helper()
	ctx := context.Background()
	series := func(n int) string {
		return fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) `, n-1)
	}
	err := s.inOwnTx(ctx, func(c conn) error {
		for _, query := range []string{
			series(largeHosts) + `INSERT INTO hosts (id, name, machine, public_key, agent, address, facts, digests, session, began_at, sessions, sequence, clone, enrolled_at, reported_at, seen_at,
				updates, security, blocked, unconfirmed, unknown, packages, containers, reboot, restart)
				SELECT 1000 + i * 7919, 'web' || (i * 7 % 5000), '', '', '', '', '{"name":"web","os":"Debian GNU/Linux 12 (bookworm)","kernel":"` + strings.Repeat("x", 1000) + `"}', '{}', '', 0, '[]', 1, '', 1, 1, 1000 + i,
				40, i % 9, 0, 0, CASE WHEN i % 100 = 0 THEN 1 ELSE 0 END, 800, 12, 'no', 'no' FROM n`,
			series(largeUpdates) + `INSERT INTO updates (host_id, source, name, arch, kind, level, platform, security, blocked, body, offer_id, first_seen)
				SELECT h.id, 'apt', 'package' || n.i, 'amd64', '', '', '', 0, '', '{"source":"apt","name":"package' || n.i || '","arch":"amd64","from":"1","to":"2","summary":"` + strings.Repeat("s", 100) + `"}', n.i, h.id % 100000
				FROM hosts AS h CROSS JOIN n`,
			`INSERT INTO offers (id, source, name, kind, security, body, hosts, blocked, first_seen)
				SELECT offer_id, 'apt', name, '', 0, MIN(body), COUNT(*), 0, MIN(first_seen) FROM updates WHERE offer_id < 40 GROUP BY offer_id, name`,
			series(largeChecks) + `INSERT INTO checks (host_id, source, name, platform, answer, body)
				SELECT h.id, 'docker', 'image' || n.i, 'linux/amd64', 'current', '{"name":"image' || n.i || '"}' FROM hosts AS h CROSS JOIN n`,
			`INSERT INTO images (name, platform, answer, hosts) SELECT name, platform, answer, COUNT(*) FROM checks WHERE name LIKE 'image%' GROUP BY name, platform, answer`,
			series(2000) + `INSERT INTO packages (id, source, name, arch, version, source_package, source_version) SELECT i, 'apt', 'package' || (i / 2), 'amd64', '1.' || i, 'source' || (i / 10), '' FROM n`,
			series(20) + `INSERT INTO history (id, host_id, source, name, body, first_seen, gone_at, how) SELECT h.id * 100 + n.i, h.id, 'apt', 'gone' || n.i, '{}', 1, h.id % 10000 + n.i, 'installed' FROM hosts AS h CROSS JOIN n`,
			series(200) + `INSERT INTO rollouts (id, work, after, life, created_at, created_by) SELECT i, '{"install":{"all":true}}', '{}', 1, i, 'anna' FROM n`,
			series(4) + `INSERT INTO jobs (id, rollout_id, host_id, state, because, remedy, plan_order, work_order, cancel_order, plans, changes, approval, approved_at, approved_by, cancelled_by,
				step, percent, next_line, lines, bytes, heard_at, created_at, changed_at, expires_at)
				SELECT h.id * 4 + n.i, (h.id + n.i) % 200, h.id, CASE WHEN h.id % 50 = 0 THEN 'planned' WHEN h.id % 50 = 1 THEN 'failed' ELSE 'succeeded' END, '', '', h.id * 4 + n.i, 0, 0, '', 0, '', 0, '', '', '', 0, 0, 0, 0, 0, h.id, h.id, h.id FROM hosts AS h CROSS JOIN n`,
			`INSERT INTO orders (id, host_id, state, body, because, created_at, created_by, expires_at, changed_at, job_id, given_at)
				SELECT id, host_id, CASE WHEN id % 50 = 0 THEN 'waiting' WHEN id % 50 = 1 THEN 'failed' ELSE 'succeeded' END, '{"order":"e30=","signature":""}', '', created_at, '', created_at, created_at, id, 0 FROM jobs WHERE plan_order = id`,
			`INSERT INTO answers (order_id, body) SELECT id, '{"plans":[],"jobs":[]}' FROM orders WHERE job_id = id`,
			series(20) + `INSERT INTO job_lines (job_id, first, body) SELECT j.id, n.i, 'a line' FROM jobs AS j CROSS JOIN n WHERE j.rollout_id < 20`,
			`INSERT INTO labels (host_id, name, value) SELECT id, 'env', CASE WHEN id % 3 = 0 THEN 'prod' ELSE 'test' END FROM hosts WHERE facts LIKE '%xxx%'`,
		} {
			if _, err := c.exec(ctx, query); err != nil {
				return fmt.Errorf("%w in %s", err, query)
			}
		}
		return largePackages(ctx, c)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(ctx, "ANALYZE"); err != nil {
		t.Fatal(err)
	}
}

// largePackages gives each host every twentieth package: one half of the hosts the even ones, the other those beside them.
func largePackages(ctx context.Context, c conn) error {
	for half := range int64(2) {
		has := map[int64]shelf{}
		for id := half; id < 2000; id += 20 {
			n := shelfOf(fleet.Package{From: fmt.Sprint("source", id/10)})
			if has[n] == nil {
				has[n] = shelf{}
			}
			has[n][id] = true
		}
		for n, packages := range has {
			if _, err := c.exec(ctx, `INSERT INTO host_packages (shelf, host_id, packages) SELECT $1, id, $2 FROM hosts WHERE id % 2 = $3 AND facts LIKE '%xxx%'`, n, packages.String(), half); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayScan are tables that are as long as there are distinct things, not as there are hosts; g are groups of them, and s suppressions.
var mayScan = []string{"offers", "images", "groups", "api_keys", "users", "tokens", "schema_version", "g", "feeds", "feed_errors", "s"}

func TestNoQuestionReadsAWholeTable(t *testing.T) {
	if testing.Short() {
		t.Skip("long: it makes a fleet of 5,000 hosts")
	}
	s := open(t, filepath.Join(t.TempDir(), "fleet.db"))
	f := newFilled(t, s)
	large(t, s)
	reads := f.reads()
	delete(reads, "Backup") // it is there to read everything
	for _, name := range []string{"Survey", "PackagesByID"} {
		reads[name] = reads[name][1:] // the first one is, when a server begins
	}
	plans := map[string]string{}
	s.seen = func(query string, args []any) { plans[query] = "" }
	for name, calls := range reads {
		for _, call := range calls {
			if err := call(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	s.seen = nil
	for query := range plans {
		for _, step := range plan(t, s, query) {
			if words := strings.Fields(step); words[0] == "SCAN" && !strings.Contains(step, "COVERING INDEX") && !strings.Contains(step, "USING INDEX") && !slices.Contains(mayScan, words[1]) {
				t.Errorf("%s\nfor %s", step, query)
			}
		}
	}
}

// plan gives the steps by which SQLite answers a question.
func plan(t *testing.T, s *Store, query string) []string {
	t.Helper()
	args := make([]any, strings.Count(query, "$"))
	for i := range args {
		args[i] = 1
	}
	var steps []string
	if err := s.reader().all(t.Context(), func(scan func(...any) error) error {
		var id, parent, unused int
		var step string
		err := scan(&id, &parent, &unused, &step)
		steps = append(steps, step)
		return err
	}, "EXPLAIN QUERY PLAN "+query, args[:min(len(args), highest(query))]...); err != nil {
		t.Fatalf("%v in %s", err, query)
	}
	return steps
}

// highest is the number of the last argument of a statement.
func highest(query string) int {
	n := 0
	for i := 1; strings.Contains(query, fmt.Sprintf("$%d", i)); i++ {
		n = i
	}
	return n
}

func BenchmarkLists(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "fleet.db"))
	large(b, s)
	ctx := context.Background()
	labels, err := ParseLabels("env=prod")
	if err != nil {
		b.Fatal(err)
	}
	for name, read := range map[string]func() error{
		"summary":        func() error { _, err := s.Summary(ctx, noon, time.UnixMilli(1500)); return err },
		"hosts":          func() error { _, _, err := s.Hosts(ctx, HostFilter{}, Page{}); return err },
		"hosts-by-label": func() error { _, _, err := s.Hosts(ctx, HostFilter{Labels: labels}, Page{}); return err },
		"hosts-by-text":  func() error { _, _, err := s.Hosts(ctx, HostFilter{Text: "b4999"}, Page{}); return err },
		"hosts-unknown":  func() error { _, _, err := s.Hosts(ctx, HostFilter{State: HostUnknown}, Page{}); return err },
		"hosts-security": func() error { _, _, err := s.Hosts(ctx, HostFilter{Sort: "security", Desc: true}, Page{}); return err },
		"updates":        func() error { _, _, err := s.Offers(ctx, OfferFilter{Desc: true}, Page{}); return err },
		"update-hosts":   func() error { _, _, err := s.OfferHosts(ctx, 7, Page{}); return err },
		"images":         func() error { _, _, err := s.Images(ctx, ImageFilter{}, Page{}); return err },
		"image-hosts":    func() error { _, _, err := s.ImageHosts(ctx, "image7", Page{}); return err },
		"history":        func() error { _, _, err := s.History(ctx, 0, Page{}); return err },
		"appeared":       func() error { _, _, err := s.Appeared(ctx, Page{}); return err },
		"packages":       func() error { _, _, err := s.PackageNames(ctx, "package1", Page{}); return err },
		"package-hosts": func() error {
			_, _, err := s.PackageHosts(ctx, PackageQuery{Name: "package10", Below: "1.30", Compare: version.Compare}, Page{})
			return err
		},
		"a-host-packages": func() error { _, err := s.Packages(ctx, 1000); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
