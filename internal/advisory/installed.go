package advisory

import (
	"errors"
	"slices"
	"strings"

	"redflag/internal/fleet"
)

const (
	// maxVulnerabilities bounds what is told of one host: a Debian with its kernel has 3,000, most of them with no fix.
	maxVulnerabilities = 20_000
	// maxInstalled bounds the packages that are named for one source package.
	maxInstalled = 50
)

// Installed lists the flaws that a host has now, by what is installed and by what its updates mend: it must come after [Advisor.Advise]. Packages that no feed speaks of are
// counted. A feed that cannot be read makes what it would have said unknown, and is told. With a nil list nobody knows what is installed, and only what updates mend is
// listed.
func (a Advisor) Installed(scan *fleet.Scan, installed []fleet.Package) {
	t := tally{Advisor: a, scan: scan, rows: map[place]*fleet.Vulnerability{}, menders: map[place][]fleet.Mender{}, newest: map[Subject]Subject{}, left: map[Subject]map[string]bool{}, known: map[string]fleet.Flaw{}}
	t.updates()
	t.kernels(installed)
	for _, p := range installed {
		t.install(p)
	}
	t.claimed()
	t.memory()
	list := make([]fleet.Vulnerability, 0, len(t.rows))
	for at, v := range t.rows {
		list = append(list, t.finish(at, *v))
	}
	slices.SortFunc(list, fleet.CompareVulnerabilities)
	if t.matched || len(list) > 0 {
		scan.Advisories.Vulnerable = count(list)
	}
	scan.Vulnerabilities = list[:min(len(list), maxVulnerabilities)]
	for _, problem := range t.problems {
		if unknown := &scan.Advisories.Unknown; *unknown == "" {
			*unknown = problem
		} else if !strings.Contains(*unknown, problem) {
			*unknown += "; " + problem
		}
	}
}

// count counts each flaw once: a list begins with the most urgent.
func count(list []fleet.Vulnerability) *fleet.Buckets {
	b := &fleet.Buckets{}
	seen := map[string]bool{}
	for _, v := range list {
		if !seen[v.ID] {
			seen[v.ID] = true
			b.Add(v.Bucket)
		}
	}
	return b
}

// place is one flaw in one package; without a version, one whatever the version.
type place struct {
	Subject
	id string
}

// tally is the flaws of a host while they are gathered.
type tally struct {
	Advisor
	scan *fleet.Scan
	rows map[place]*fleet.Vulnerability
	// menders are the pending updates that mend a flaw in a package.
	menders map[place][]fleet.Mender
	// newest are the newest of the kernels that are installed, by what they have in common; left are the flaws of those, nil where they are not known.
	newest map[Subject]Subject
	left   map[Subject]map[string]bool
	// matched: feeds speak of something that is installed.
	matched bool
	// known are flaws that were enriched, by name.
	known    map[string]fleet.Flaw
	problems []string
}

func (t *tally) fail(err error) {
	if err != nil {
		t.problems = appendNew(t.problems, fleet.Plain(err.Error()))
	}
}

// any is a subject without what changes from version to version.
func (s Subject) any() Subject { return Subject{Ecosystem: s.Ecosystem, Name: s.Name} }

// subject names what an update replaces; one without a source package is its own.
func subject(u fleet.Update) Subject {
	if u.Build == nil {
		return Subject{Name: u.Name, Version: u.From}
	}
	from, _ := subjects(u)
	return from
}

// updates notes what pending updates mend.
func (t *tally) updates() {
	for _, f := range t.scan.Findings {
		for _, u := range f.Updates {
			if u.Advice == nil {
				continue
			}
			for _, flaw := range u.Advice.Mends {
				at := place{subject(u).any(), flaw.ID}
				t.menders[at] = append(t.menders[at], fleet.Mender{Source: f.Source, Name: u.Name, From: u.From, To: u.To, Blocked: u.Blocked})
			}
		}
	}
}

// kernels notes which of the kernels that are installed is the newest.
func (t *tally) kernels(installed []fleet.Package) {
	for _, p := range installed {
		s := SubjectOf(p)
		if isKernel(p.Ecosystem, source(p)) && aside(t.scan.Host, p.Name, p.Ecosystem) == "" && (t.newest[s.any()].Version == "" || before(s, t.newest[s.any()].Version, s.Version)) {
			t.newest[s.any()] = s
		}
	}
}

// install adds the flaws of one installed package.
func (t *tally) install(p fleet.Package) {
	if Apart(t.scan.Host, p) != "" {
		return
	}
	s := SubjectOf(p)
	v, err := t.Match(s)
	if err != nil {
		t.fail(err)
		return
	}
	if v.Unknown != "" {
		t.scan.Advisories.Unmatched++
		return
	}
	t.matched = true
	for _, f := range v.Flaws {
		t.add(place{s, f.ID}, f, p.Source, p.Name)
	}
}

func (t *tally) add(at place, f fleet.Flaw, source, name string) {
	row := t.rows[at]
	if row == nil {
		row = &fleet.Vulnerability{Flaw: f, Source: source, Ecosystem: at.Ecosystem, Package: at.Name, Version: at.Version}
		t.rows[at] = row
	}
	if len(row.Installed) < maxInstalled && !contains(row.Installed, name) {
		row.Installed = append(row.Installed, name)
	}
}

// claimed adds what an update mends of which the feeds do not know that it is there: by the advisories of its own manager, or by its changelog.
func (t *tally) claimed() {
	has := map[place]bool{}
	for at := range t.rows {
		has[place{at.any(), at.id}] = true
	}
	for _, f := range t.scan.Findings {
		for _, u := range f.Updates {
			if u.Advice == nil {
				continue
			}
			for _, flaw := range u.Advice.Mends {
				if s := subject(u); !has[place{s.any(), flaw.ID}] {
					t.add(place{s, flaw.ID}, flaw, f.Source, u.Name)
				}
			}
		}
	}
}

// memory adds what is mended on the disk and still in the memory of services: the flaws of the version that runs, which the installed one has not.
func (t *tally) memory() {
	restart := t.scan.Host.Restart
	var unknown []string
	if restart.Because != "" {
		unknown = append(unknown, restart.Because)
	}
	for _, s := range restart.Services {
		if s.ReplacedUnknown != "" {
			unknown = append(unknown, s.Name+": "+s.ReplacedUnknown)
		}
		for _, r := range s.Replaced {
			t.running(s.Name, r)
		}
	}
	if len(unknown) > maxUnknown {
		unknown = append(unknown[:maxUnknown], "and so on")
	}
	t.scan.Advisories.MemoryUnknown = strings.Join(unknown, "; ")
}

// maxUnknown is how many reasons are told for which something in memory is not known.
const maxUnknown = 5

func (t *tally) running(service string, r fleet.Replaced) {
	flaws, err := t.InMemory(r)
	t.fail(err)
	for _, f := range flaws {
		at := place{SubjectOf(r.Was()), f.ID}
		if t.rows[at] == nil {
			t.add(at, f, r.Source, r.Name)
			t.rows[at].Mend = fleet.MendByRestart
		}
		if row := t.rows[at]; !contains(row.Services, service) && len(row.Services) < maxInstalled {
			row.Services = append(row.Services, service)
		}
	}
}

// InMemory gives the flaws that a service still has of a package which was replaced under it: those of the version that it runs, which the installed one has not.
func (m *Matcher) InMemory(r fleet.Replaced) ([]fleet.Flaw, error) {
	was, err := m.Match(SubjectOf(r.Was()))
	is, err2 := m.Match(SubjectOf(r.Package))
	if err = errors.Join(err, err2); err != nil || is.Unknown != "" {
		return nil, err
	}
	return without(was.Flaws, is.Flaws), nil
}

// finish says how urgent a flaw is, and what mends it.
func (t *tally) finish(at place, v fleet.Vulnerability) fleet.Vulnerability {
	slices.Sort(v.Installed)
	known, ok := t.known[v.ID]
	if !ok {
		known.ID = v.ID
		t.fail(t.Enrich(&known))
		t.known[v.ID] = known
	}
	v.Exploited, v.EPSS, v.Percentile = known.Exploited, known.EPSS, known.Percentile
	t.suppress(&v.Flaw, append([]string{v.Package}, v.Installed...)...)
	v.Updates = t.menders[place{at.any(), v.ID}]
	switch {
	case v.Mend == fleet.MendByRestart:
		v.Updates = nil // the installed version has it not
	case len(v.Updates) > 0:
		v.Mend = fleet.MendByUpdate
		if v.FixedIn == "" {
			v.FixedIn = v.Updates[0].To
		}
	case t.rebooted(at):
		v.Mend = fleet.MendByReboot
	case v.FixedIn != "":
		v.Mend = fleet.NotOffered
	case v.WontFix:
		v.Mend = fleet.NeverMended
	default:
		v.Mend = fleet.NotMendedYet
	}
	v.Bucket, v.Because = Rank(v.Flaw, t.Now)
	return v
}

// rebooted says whether the newest of the kernels that are installed has a flaw no more, which the one that runs has.
func (t *tally) rebooted(at place) bool {
	newest, ok := t.newest[at.any()]
	if !ok || newest == at.Subject {
		return false
	}
	left, ok := t.left[newest]
	if !ok {
		v, err := t.Match(newest)
		t.fail(err)
		left = map[string]bool{}
		for i := range v.Flaws {
			left[v.Flaws[i].ID] = true
		}
		if err != nil {
			left = nil
		}
		t.left[newest] = left
	}
	return left != nil && !left[at.id]
}

// source is the source package of an installed one.
func source(p fleet.Package) string {
	if p.From != "" {
		return p.From
	}
	return p.Name
}
