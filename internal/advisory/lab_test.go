package advisory

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
)

var now = time.Date(2025, 9, 1, 12, 0, 0, 0, time.UTC)

// lab is a shelf's folder to import into.
type lab struct {
	testing.TB
	dir string
	now time.Time
}

func newLab(t testing.TB) *lab { return &lab{t, t.TempDir(), now} }

func (l *lab) try(from string) ([]Imported, error) {
	return Import{Dir: l.dir, Now: l.now}.From(l.Context(), from)
}

// take imports what must be taken.
func (l *lab) take(from ...string) {
	l.Helper()
	for _, f := range from {
		if _, err := l.try(f); err != nil {
			l.Fatal(err)
		}
	}
}

// refuses imports what must not be taken, for a reason, and fails the test where the shelf has changed by it.
func (l *lab) refuses(from, because string) {
	l.Helper()
	before := l.files()
	if _, err := l.try(from); err == nil || !strings.Contains(err.Error(), because) {
		l.Errorf("%s: %v; want %q", from, err, because)
	}
	if after := l.files(); !slices.Equal(before, after) {
		l.Errorf("%s: the shelf had %v and has %v", from, before, after)
	}
}

// files gives every file in the folder with its content, those left behind by a refused import too.
func (l *lab) files() []string {
	l.Helper()
	found, err := filepath.Glob(filepath.Join(l.dir, "*"))
	hidden, err2 := filepath.Glob(filepath.Join(l.dir, ".*"))
	if err != nil || err2 != nil {
		l.Fatal(err, err2)
	}
	var list []string
	for _, name := range append(found, hidden...) {
		data, err := os.ReadFile(name)
		if err != nil {
			l.Fatal(err)
		}
		list = append(list, name+string(data))
	}
	return list
}

func (l *lab) file(name, text string) string {
	l.Helper()
	path := filepath.Join(l.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.Fatal(err)
	}
	return path
}

// zip makes an archive of records.
func (l *lab) zip(records ...string) string {
	l.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i, r := range records {
		w, err := z.Create(fmt.Sprintf("R-%d.json", i))
		if err != nil {
			l.Fatal(err)
		}
		if _, err := w.Write([]byte(r)); err != nil {
			l.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		l.Fatal(err)
	}
	return l.file("all.zip", b.String())
}

func (l *lab) open() *Shelf {
	l.Helper()
	s, err := Open(l.dir)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { s.Close() })
	return s
}

// affected gives the flaws of a version by name, sorted.
func (l *lab) affected(s Subject) []string {
	l.Helper()
	v, err := NewMatcher(l.open()).Match(s)
	if err != nil {
		l.Fatal(err)
	}
	ids := []string{}
	for _, f := range v.Flaws {
		ids = append(ids, f.ID)
	}
	slices.Sort(ids)
	return ids
}

// advise gives the advice on one update of a host.
func (l *lab) advise(h fleet.Host, u fleet.Update, suppressions ...Suppression) (fleet.Advice, fleet.Advisories) {
	l.Helper()
	scan := fleet.Scan{Host: h, Findings: []fleet.Finding{{Source: "apt", Updates: []fleet.Update{u}}}}
	Advisor{Matcher: NewMatcher(l.open()), Now: l.now, Suppressions: suppressions}.Advise(&scan)
	a := scan.Findings[0].Updates[0].Advice
	if a == nil {
		a = &fleet.Advice{}
	}
	return *a, *scan.Advisories
}

// osv is a record about one package, whose lines are events: introduced, fixed or last_affected and a version.
func osv(id, ecosystem, name, more string, events ...string) string {
	var list []string
	for _, e := range events {
		what, version, _ := strings.Cut(e, " ")
		list = append(list, fmt.Sprintf("{%q:%q}", what, version))
	}
	return fmt.Sprintf(`{"id":%q,"modified":"2025-08-01T00:00:00Z","affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":[%s]}]}]%s}`,
		id, ecosystem, name, strings.Join(list, ","), more)
}
