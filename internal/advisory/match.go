package advisory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	// at is where among them a flaw is, while they are gathered.
	at map[string]int
	// clear are flaws that a feed says this version has not.
	clear map[string]bool
	err   error
}

// NewMatcher makes a matcher for a shelf, which must stay open.
func NewMatcher(s *Shelf) *Matcher {
	return &Matcher{shelf: s, verdicts: map[Subject]*verdict{}, details: map[string]detail{}}
}

// Renew gives a matcher for a shelf that was opened anew. What was matched is kept of the ecosystems whose feeds have not changed.
func (m *Matcher) Renew(s *Shelf) *Matcher {
	renewed := NewMatcher(s)
	same := map[string]bool{}
	for _, e := range s.Ecosystems() {
		same[e] = m.shelf.Generation(e) == s.Generation(e)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, v := range m.verdicts {
		if same[k.Ecosystem] && v.err == nil {
			renewed.verdicts[k] = v
		}
	}
	return renewed
}

// matchVersion goes up when the same feeds give other verdicts.
const matchVersion = 2

// Generation is a digest of the feeds that speak of an ecosystem: as long as it stays, so do the verdicts on all its packages, and what was matched may be kept. What
// is exploited and how probable that is changes daily and is no part of it. It is empty where no feed speaks of the ecosystem.
func (s *Shelf) Generation(ecosystem string) string {
	h := sha256.New()
	fmt.Fprintln(h, matchVersion)
	speaks := false
	for _, t := range s.tables { // in the order of their files' names
		if t.Kind.matches() && t.speaks(ecosystem) {
			speaks = true
			fmt.Fprintf(h, "%q %s %d %d\n", t.Name, t.SHA256, t.ImportedAt.UnixNano(), t.Rows)
		}
	}
	if !speaks {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Ecosystems are those that feeds speak of, sorted.
func (s *Shelf) Ecosystems() []string {
	var list []string
	for _, t := range s.tables {
		for e := range t.Ecosystems {
			list = append(list, e)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Keep forgets what was matched of all but some subjects.
func (m *Matcher) Keep(some func(Subject) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.verdicts, func(s Subject, _ *verdict) bool { return !some(s) })
}

// Looked is how many distinct subjects were looked up in feeds, and not remembered.
func (m *Matcher) Looked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.looked
}

// Verdict is what feeds say of one version of one source package.
type Verdict struct {
	// Flaws are those that it has, by name, without what is exploited and how probable that is ([Matcher.Enrich]), which no package changes.
	Flaws []fleet.Flaw
	// Unknown says why nothing is known; empty where feeds speak of the ecosystem, and then no flaws are none that is known.
	Unknown string
}

// Match gives the flaws that a version has: where a distribution's own tracker speaks of a CVE in a package, that counts, and OSV's record of it does
// not. With an error (a feed is damaged) nothing is known. The verdict shares its memory with later ones: who changes a flaw changes a copy.
func (m *Matcher) Match(s Subject) (Verdict, error) {
	if s.Ecosystem == "" {
		return Verdict{Unknown: notOwn}, nil
	}
	if !m.shelf.covers(s.Ecosystem) {
		return Verdict{Unknown: noData(s.Ecosystem)}, nil
	}
	v := m.verdict(s)
	return Verdict{Flaws: v.flaws}, v.err
}

// notOwn is why a package without an ecosystem is matched by no feed.
const notOwn = "it is not the distribution's own, so no feed speaks of it"

func noData(ecosystem string) string { return "no advisory data about " + fleet.Plain(ecosystem) }

func (m *Matcher) verdict(s Subject) *verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.verdicts[s]; ok {
		return v
	}
	v := &verdict{clear: map[string]bool{}, at: map[string]int{}}
	m.verdicts[s] = v
	m.looked++
	said := map[string]bool{}
	for _, own := range []bool{true, false} {
		for _, t := range m.shelf.tables {
			if t.Kind.matches() && t.Kind.own() == own && t.speaks(s.Ecosystem) {
				if v.err = m.look(t, s, v, said); v.err != nil {
					return v
				}
			}
		}
	}
	slices.SortFunc(v.flaws, func(a, b fleet.Flaw) int { return strings.Compare(a.ID, b.ID) })
	v.at = nil
	return v
}

// look asks one feed. said are the CVEs of which a better feed has spoken.
func (m *Matcher) look(t *table, s Subject, v *verdict, said map[string]bool) error {
	records := map[string]bool{} // of which an ecosystem has spoken that counts more
	for i, ecosystem := range within(s.Ecosystem) {
		if t.Ecosystems[ecosystem] == 0 {
			continue
		}
		value, err := t.get(ruleKey(ecosystem, s.Name))
		if err != nil {
			return err
		}
		rules, err := readRules(value)
		if err != nil {
			return fmt.Errorf("read feed %s: %w", t.Name, err)
		}
		l := look{m, t, ecosystem, s, v, said}
		for j := range rules {
			if err := l.rule(&rules[j], records[rules[j].ID], i > 0); err != nil {
				return err
			}
		}
		for j := range rules {
			records[rules[j].ID] = true
		}
	}
	if t.Kind.own() {
		for _, f := range v.flaws {
			said[f.ID] = true
		}
		for id := range v.clear {
			said[id] = true
		}
	}
	return nil
}

// look is one look at what a feed says of a subject in one ecosystem.
type look struct {
	*Matcher
	t         *table
	ecosystem string
	s         Subject
	v         *verdict
	said      map[string]bool
}

// rule takes in one rule. Spoken: a record of an ecosystem that counts more has it already, so what it says here is where a fix can be had. Beside: it is of an
// ecosystem beside the subject's own.
func (l look) rule(r *rule, spoken, beside bool) error {
	hit := r.affects(l.s)
	if !hit && !l.t.Kind.own() {
		return nil
	}
	d := detail{CVEs: []string{r.ID}}
	if !l.t.Kind.own() {
		var err error
		if d, err = l.detail(l.t, l.ecosystem, r.ID); err != nil {
			return err
		}
		if len(d.CVEs) == 0 {
			d.CVEs = []string{r.ID}
		}
	}
	for _, id := range d.CVEs {
		f := flawOf(l.t, l.ecosystem, id, r, d)
		if beside && strings.HasPrefix(l.ecosystem, ubuntuPro) && f.FixedIn != "" && f.Remark == "" {
			f.Remark = bySubscription
		}
		i, has := l.v.at[f.ID]
		switch {
		case l.said[id] && has: // the better feed may not say how bad it is
			rate(&l.v.flaws[i], f)
		case spoken && has && l.v.flaws[i].FixedIn == "":
			l.v.flaws[i].FixedIn, l.v.flaws[i].Remark = f.FixedIn, f.Remark
		case l.said[id] || spoken:
		case hit && has:
			join(&l.v.flaws[i], f)
		case hit:
			l.v.at[f.ID] = len(l.v.flaws)
			l.v.flaws = append(l.v.flaws, f)
		default:
			l.v.clear[id] = true
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
	f := fleet.Flaw{ID: fleet.Plain(id), Evidence: fleet.ByOSV, CVSS: d.CVSS, Vector: fleet.Plain(d.Vector), FixedIn: fleet.Plain(r.Fixed), Remark: fleet.Plain(r.Remark), WontFix: r.Never}
	if t.Kind.own() {
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
		f.Severity, f.SeverityBy = rating(d.CVSS), byCVSS
	}
	return f
}

// join lays a flaw together with what another record says of the same one.
func join(have *fleet.Flaw, f fleet.Flaw) {
	for _, a := range f.Advisories {
		if !contains(have.Advisories, a) {
			have.Advisories = append(have.Advisories, a)
		}
	}
	rate(have, f)
	if have.FixedIn == "" {
		have.FixedIn = f.FixedIn
	}
}

// rate takes over how bad a flaw is from what another record says of it, the vendor's word before a score.
func rate(have *fleet.Flaw, f fleet.Flaw) {
	if have.Severity == "" || have.SeverityBy == byCVSS && f.SeverityBy != byCVSS && f.Severity != "" {
		have.Severity, have.SeverityBy = f.Severity, f.SeverityBy
	}
	if f.CVSS > have.CVSS {
		have.CVSS, have.Vector = f.CVSS, f.Vector
	}
}

// Enrich adds what is known of a CVE whatever the package: that it is exploited, and how probable that is.
func (m *Matcher) Enrich(f *fleet.Flaw) error {
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
