package advisory

import (
	"fmt"
	"slices"
	"time"

	"redflag/internal/fleet"
)

// Kind is the form of a feed.
type Kind string

// The kinds of feed.
const (
	OSV         Kind = "osv"            // OSV records of a distribution
	Tracker     Kind = "debian-tracker" // the Debian security tracker's JSON
	SecDB       Kind = "alpine-secdb"   // Alpine's database of one repository of one release
	ArchTracker Kind = "arch-tracker"   // Arch's security tracker's list
	KEV         Kind = "kev"            // CISA's catalogue of known exploited vulnerabilities
	EPSS        Kind = "epss"           // FIRST's probabilities
	Support     Kind = "eol"            // dates of support, as distro-info-data has them
)

// trackers are the kinds of feed that a distribution makes of its own packages. They go before OSV's records of it.
var trackers = []Kind{Tracker, SecDB, ArchTracker}

// own says whether a feed is a distribution's own, and matches whether packages are compared with it.
func (k Kind) own() bool     { return slices.Contains(trackers, k) }
func (k Kind) matches() bool { return k == OSV || k.own() }

// Feed describes one feed on the shelf.
type Feed struct {
	// Name is what it is replaced by: one of the same name.
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	// From is the file, folder or address that it was read from.
	From string `json:"from"`
	// ETag and SHA256 tell whether a second import would bring the same.
	ETag   string `json:"etag,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	// Licence and Attribution are the publisher's.
	Licence     string `json:"licence"`
	Attribution string `json:"attribution"`
	// AsOf is when its publisher made it, as far as it says; zero where it does not.
	AsOf time.Time `json:"as_of,omitzero"`
	// ImportedAt is when it was read, CheckedAt when that was last found to be all that there is; the latter is its file's time.
	ImportedAt time.Time `json:"imported_at"`
	CheckedAt  time.Time `json:"-"`
	// Records is how many records it has, Rows how many statements on packages; Skipped counts records that were passed over, by reason.
	Records int            `json:"records"`
	Rows    int            `json:"rows"`
	Skipped map[string]int `json:"skipped,omitempty"`
	// Ecosystems are those that it speaks of, with their rows.
	Ecosystems map[string]int `json:"ecosystems,omitempty"`
}

// Age is since when the feed stands, as its publisher or else the import says.
func (f Feed) Age() time.Time {
	if f.AsOf.IsZero() {
		return f.ImportedAt
	}
	return f.AsOf
}

// staleAfter is the age at which a feed is said to be old: all publishers have something new every few days. Dates of support change once a year.
func (f Feed) staleAfter() time.Duration {
	if f.Kind == Support {
		return 400 * 24 * time.Hour
	}
	return 14 * 24 * time.Hour
}

// Stale says whether it is so old that it must be expected to lack something.
func (f Feed) Stale(now time.Time) bool {
	checked := f.Age()
	if f.CheckedAt.After(checked) && f.ETag != "" {
		checked = f.CheckedAt // its publisher has nothing newer
	}
	return now.Sub(checked) > f.staleAfter()
}

// terms are a feed's licence, and who is to be named.
type terms struct{ licence, attribution string }

var termsOf = map[Kind]terms{
	Tracker:     {"public data", "Debian security tracker, security-tracker.debian.org"},
	SecDB:       {"public data", "Alpine Linux, secdb.alpinelinux.org"},
	ArchTracker: {"public data", "Arch Linux security tracker, security.archlinux.org"},
	KEV:         {"CC0-1.0", "CISA, Known Exploited Vulnerabilities Catalog"},
	EPSS:        {"free with attribution", "FIRST, EPSS (first.org/epss)"},
	Support:     {"ISC", "distro-info-data"},
}

// termsOfOSV are those of the data that OSV has from distributions (google.github.io/osv.dev/data).
var termsOfOSV = map[string]terms{
	"AlmaLinux": {"MIT", "AlmaLinux OS Foundation, by OSV.dev"}, "Rocky Linux": {"BSD-3-Clause", "Rocky Enterprise Software Foundation, by OSV.dev"},
	"Debian": {"public data", "Debian, by OSV.dev"}, "Ubuntu": {"CC-BY-SA-4.0", "Canonical Ltd, by OSV.dev"}, "Alpine": {"public data", "Alpine Linux, by OSV.dev"},
}

// licensed adds the licence. What several distributions share is named as that.
func (f *Feed) licensed() {
	t, ok := termsOf[f.Kind]
	for ecosystem := range f.Ecosystems {
		if f.Kind != OSV {
			break
		}
		more, known := termsOfOSV[family(ecosystem)]
		if !known || ok && more != t {
			t = terms{"of each source, see google.github.io/osv.dev/data", "OSV.dev"}
			break
		}
		t, ok = more, true
	}
	f.Licence, f.Attribution = t.licence, t.attribution
}

// parsed is what comes out of a feed's bytes.
type parsed struct {
	Feed
	entries []entry
	// seen are the keys that may come once only.
	seen map[string]bool
}

func newParsed(kind Kind, name string) *parsed {
	return &parsed{Feed: Feed{Kind: kind, Name: name, Skipped: map[string]int{}, Ecosystems: map[string]int{}}, seen: map[string]bool{}}
}

// once adds a key that stands for itself: of two, the first counts.
func (p *parsed) once(key string, value []byte) {
	if !p.seen[key] {
		p.seen[key] = true
		p.entries = append(p.entries, entry{key, value})
	}
}

// maxRows bounds the statements of one feed: all of Ubuntu's releases have two million.
const maxRows = 8_000_000

// add adds a rule on a package.
func (p *parsed) add(ecosystem, name string, r *rule) error {
	if p.Rows++; p.Rows > maxRows {
		return refused("it has over %d statements", maxRows)
	}
	p.Ecosystems[ecosystem]++
	p.entries = append(p.entries, entry{ruleKey(ecosystem, name), r.append(nil)})
	return nil
}

// refused is a feed that is not taken; what was there stays.
func refused(format string, args ...any) error {
	return &fleet.Unknown{Because: fmt.Sprintf(format, args...)}
}
