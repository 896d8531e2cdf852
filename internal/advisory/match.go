package advisory

import (
	"fmt"
	"sync"

	"redflag/internal/fleet"
)

// Matcher answers which flaws a version has, and remembers it: for a fleet each distinct [Subject] is looked up once. What is exploited and how
// probable that is is not remembered with it, so that those feeds count at once when they change. It is safe for many goroutines.
type Matcher struct {
	shelf *Shelf

	mu       sync.Mutex
	verdicts map[Subject]*verdict
	details  map[string]detail
	looked   int
}

// verdict is what the feeds of an ecosystem say of one version. It is not changed once it is made.
type verdict struct {
	flaws []fleet.Flaw
	// clear are flaws that a feed says this version has not.
	clear map[string]bool
	err   error
}

// NewMatcher makes a matcher for a shelf, which must stay open.
func NewMatcher(s *Shelf) *Matcher {
	return &Matcher{shelf: s, verdicts: map[Subject]*verdict{}, details: map[string]detail{}}
}

// Renew gives a matcher for a shelf that was opened anew. What was matched is kept where no feed about packages has changed.
func (m *Matcher) Renew(s *Shelf) *Matcher {
	renewed := NewMatcher(s)
	if m.shelf.about() == s.about() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for k, v := range m.verdicts {
			renewed.verdicts[k] = v
		}
		for k, v := range m.details {
			renewed.details[k] = v
		}
	}
	return renewed
}

// about names the state of the feeds about packages.
func (s *Shelf) about() string {
	text := fmt.Sprint(s.Damaged)
	for _, t := range s.tables {
		if t.Kind == OSV || t.Kind == Tracker {
			text += fmt.Sprintf("%q %s %d %d;", t.Name, t.SHA256, t.ImportedAt.UnixNano(), t.Rows)
		}
	}
	return text
}

// Looked is how many distinct subjects were looked up in feeds, and not remembered.
func (m *Matcher) Looked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.looked
}

// Affected gives the flaws that a version has: where Debian's own tracker speaks of a CVE in a package, that counts, and OSV's record of it does
// not. It shares its memory with later answers.
func (m *Matcher) Affected(s Subject) ([]fleet.Flaw, error) {
	v := m.verdict(s)
	return v.flaws, v.err
}

func (m *Matcher) verdict(s Subject) *verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.verdicts[s]; ok {
		return v
	}
	v := &verdict{clear: map[string]bool{}}
	m.verdicts[s] = v
	m.looked++
	said := map[string]bool{}
	for _, kind := range []Kind{Tracker, OSV} {
		for _, t := range m.shelf.tables {
			if t.Kind == kind && t.Ecosystems[s.Ecosystem] > 0 {
				if v.err = m.look(t, s, v, said); v.err != nil {
					return v
				}
			}
		}
	}
	return v
}

// look asks one feed. said are the CVEs of which a better feed has spoken.
func (m *Matcher) look(t *table, s Subject, v *verdict, said map[string]bool) error {
	value, err := t.get(ruleKey(s.Ecosystem, s.Name))
	if err != nil || value == nil {
		return err
	}
	rules, err := readRules(value)
	if err != nil {
		return fmt.Errorf("read feed %s: %w", t.Name, err)
	}
	var spoken []string
	for i := range rules {
		r := &rules[i]
		hit := r.affects(s)
		if !hit && t.Kind != Tracker {
			continue
		}
		d := detail{CVEs: []string{r.ID}}
		if t.Kind != Tracker {
			if d, err = m.detail(t, s.Ecosystem, r.ID); err != nil {
				return err
			}
			if len(d.CVEs) == 0 {
				d.CVEs = []string{r.ID}
			}
		}
		for _, id := range d.CVEs {
			spoken = append(spoken, id)
			switch {
			case said[id]:
			case hit:
				v.flaws = addFlaw(v.flaws, flawOf(t, s.Ecosystem, id, r, d))
			default:
				v.clear[id] = true
			}
		}
	}
	if t.Kind == Tracker {
		for _, id := range spoken {
			said[id] = true
		}
	}
	return nil
}

// detail is asked with m.mu held.
func (m *Matcher) detail(t *table, ecosystem, id string) (detail, error) {
	key := t.Name + "\x00" + detailKey(ecosystem, id)
	if d, ok := m.details[key]; ok {
		return d, nil
	}
	value, err := t.get(detailKey(ecosystem, id))
	if err != nil {
		return detail{}, err
	}
	d, err := detail{}, nil
	if value != nil {
		d, err = readDetail(value)
	}
	m.details[key] = d
	return d, err
}

func flawOf(t *table, ecosystem, id string, r *rule, d detail) fleet.Flaw {
	f := fleet.Flaw{ID: fleet.Plain(id), Evidence: fleet.ByOSV, CVSS: d.CVSS, Vector: fleet.Plain(d.Vector), FixedIn: fleet.Plain(r.Fixed), Remark: fleet.Plain(r.Remark)}
	if t.Kind == Tracker {
		f.Evidence = fleet.ByAdvisory
	} else if r.ID != id {
		f.Advisories = []string{fleet.Plain(r.ID)}
	}
	switch {
	case r.Severity != "":
		f.Severity, f.SeverityBy = r.Severity, family(ecosystem)
	case d.Severity != "":
		f.Severity, f.SeverityBy = d.Severity, family(ecosystem)
	case d.CVSS > 0:
		f.Severity, f.SeverityBy = rating(d.CVSS), "CVSS"
	}
	return f
}

// addFlaw adds a flaw, or lays it together with what another record says of the same one.
func addFlaw(list []fleet.Flaw, f fleet.Flaw) []fleet.Flaw {
	for i := range list {
		have := &list[i]
		if have.ID != f.ID {
			continue
		}
		for _, a := range f.Advisories {
			if !contains(have.Advisories, a) {
				have.Advisories = append(have.Advisories, a)
			}
		}
		if have.Severity == "" || have.SeverityBy == "CVSS" && f.SeverityBy != "CVSS" && f.Severity != "" {
			have.Severity, have.SeverityBy = f.Severity, f.SeverityBy
		}
		if f.CVSS > have.CVSS {
			have.CVSS, have.Vector = f.CVSS, f.Vector
		}
		if have.FixedIn == "" {
			have.FixedIn = f.FixedIn
		}
		return list
	}
	return append(list, f)
}

// enrich adds what is known of a CVE whatever the package.
func (m *Matcher) enrich(f *fleet.Flaw) error {
	value, err := m.shelf.first(KEV, exploitedKey(f.ID))
	if err != nil {
		return err
	}
	if value != nil {
		if f.Exploited, err = readExploited(value); err != nil {
			return err
		}
	}
	value, err = m.shelf.first(EPSS, probableKey(f.ID))
	if err != nil || value == nil {
		return err
	}
	p, err := readProbability(value)
	f.EPSS, f.Percentile = p.score, p.percentile
	return err
}
