package exposure

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"redflag/internal/advisory"
	"redflag/internal/fleet"
	"redflag/internal/parts"
	"redflag/internal/store"
	"redflag/internal/wire"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// lab is a fleet with feeds.
type lab struct {
	testing.TB
	*Exposure
	store *store.Store
	feeds string // the folder
	shelf *advisory.Shelf

	mu       sync.Mutex
	clock    time.Time
	sequence map[fleet.HostID]int64
}

// onBoth runs a test on an empty database of each engine.
func onBoth(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "fleet.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, parts.Postgres(t, store.CreateDatabase)) })
}

func newLab(t testing.TB, dsn string) *lab {
	t.Helper()
	s, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{TB: t, store: s, feeds: t.TempDir(), clock: noon, sequence: map[fleet.HostID]int64{}}
	l.Exposure = New(s, l.now)
	t.Cleanup(func() {
		if l.shelf != nil {
			_ = l.shelf.Close() // it was read
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *lab) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clock
}

// pass lets time pass.
func (l *lab) pass(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock = l.clock.Add(d)
}

// feed imports feeds, each a text, and has them asked from now on.
func (l *lab) feed(texts ...string) {
	l.Helper()
	for i, text := range texts {
		file := filepath.Join(l.TempDir(), fmt.Sprintf("feed%d", i))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			l.Fatal(err)
		}
		if _, err := (advisory.Import{Dir: l.feeds, Now: l.now(), Replace: true}).From(l.Context(), file); err != nil {
			l.Fatal(err)
		}
	}
	l.open()
}

// open takes over what is in the folder.
func (l *lab) open() {
	l.Helper()
	shelf, err := advisory.Open(l.feeds)
	if err != nil {
		l.Fatal(err)
	}
	if err := l.Feeds(l.Context(), shelf); err != nil {
		l.Fatal(err)
	}
	if l.shelf != nil {
		_ = l.shelf.Close() // it was read
	}
	l.shelf = shelf
}

// host enrols a host with a label env.
func (l *lab) host(name, env string) fleet.HostID {
	l.Helper()
	_, secret, err := l.store.NewToken(l.Context(), store.Token{Seats: 1, Labels: map[string]string{"env": env}, CreatedAt: noon, ExpiresAt: noon.AddDate(1, 0, 0)})
	if err != nil {
		l.Fatal(err)
	}
	id, err := l.store.Enroll(l.Context(), wire.Enroll{Token: secret, Key: make([]byte, 32), Machine: "machine of " + name, Host: fleet.Host{Name: name}}, "", l.now())
	if err != nil {
		l.Fatal(err)
	}
	return id
}

// says saves a report of all that a host has.
func (l *lab) says(id fleet.HostID, facts fleet.Host, updates []fleet.Update, packages ...fleet.Package) {
	l.Helper()
	l.sequence[id]++
	if packages == nil {
		packages = []fleet.Package{}
	}
	r := wire.Report{
		Sequence: l.sequence[id], Digests: wire.Digests{}, Host: &facts, Packages: &wire.PackageChange{Added: packages},
		Findings: []fleet.Finding{{Source: "apt", State: fleet.OK, Updates: updates}},
	}
	if _, err := l.store.SaveReport(l.Context(), id, r, "", l.now()); err != nil {
		l.Fatal(err)
	}
	l.Outdated()
}

// list gives what a filter chooses.
func (l *lab) list(f Filter) []Vulnerability {
	l.Helper()
	list, next, err := l.List(l.Context(), f, store.Page{Limit: store.MaxLimit})
	if err != nil || next != "" {
		l.Fatal(err, next)
	}
	return list
}

// one gives one vulnerability of those that a filter chooses; the zero one where it is not among them.
func (l *lab) one(id string, f Filter) Vulnerability {
	l.Helper()
	for _, v := range l.list(f) {
		if v.ID == id {
			return v
		}
	}
	return Vulnerability{}
}

// on gives the hosts that have one.
func (l *lab) on(ctx context.Context, id string) []VulnerableHost {
	l.Helper()
	list, _, err := l.Hosts(ctx, id, 0, store.Page{Limit: store.MaxLimit})
	if err != nil {
		l.Fatal(err)
	}
	return list
}

const debian = "Debian:12"

// pkg is a package of Debian that is built from a source of its own name.
func pkg(name, version string) fleet.Package {
	return fleet.Package{Source: "apt", Name: name, Arch: "amd64", Version: version, Ecosystem: debian}
}

// upd is an update of one.
func upd(name, from, to string) fleet.Update {
	return fleet.Update{Source: "apt", Name: name, Arch: "amd64", From: from, To: to, Security: true, Build: &fleet.Build{Ecosystem: debian, Package: name, From: from, To: to}}
}

// tracker is a feed in the form of Debian's tracker: openssl has two flaws mended in 3.0.15, and one that nobody has mended; curl one mended in 8; the kernel one in
// 6.1.123-1.
const tracker = `{
 "openssl": {
  "CVE-2026-0001": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.15-1", "urgency": "high"}}},
  "CVE-2026-0002": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.14-1", "urgency": "medium"}}},
  "CVE-2026-0003": {"releases": {"bookworm": {"status": "open", "urgency": "low", "nodsa": "Minor issue"}}}
 },
 "curl": {
  "CVE-2026-0001": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "8-1", "urgency": "low"}}},
  "CVE-2026-0010": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "8-1", "urgency": "medium"}}}
 },
 "linux": {
  "CVE-2026-0020": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "6.1.123-1", "urgency": "high"}}}
 }
}`

// kev is a catalogue of exploited vulnerabilities with one entry.
func kev(id string, at time.Time) string {
	return fmt.Sprintf(`{"catalogVersion":"1","dateReleased":%q,"count":1,"vulnerabilities":[{"cveID":%q,"dateAdded":"2026-02-01","dueDate":"2026-03-20","knownRansomwareCampaignUse":"Known"}]}`,
		at.Format(time.RFC3339), id)
}

// epss is a list of probabilities with one entry.
func epss(id string, score float64, at time.Time) string {
	return fmt.Sprintf("#model_version:v2025.03.14,score_date:%s\ncve,epss,percentile\n%s,%.5f,%.5f\n", at.Format(time.RFC3339), id, score, score)
}
