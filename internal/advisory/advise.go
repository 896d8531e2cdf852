package advisory

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// Advisor says what to patch first on a host.
type Advisor struct {
	*Matcher
	Now          time.Time
	Suppressions []Suppression
}

// Advise gives each pending update of a scan its advice, and the scan what is known of advisories. Without feeds about an update it has none, unless its
// changelog claims something. A feed that cannot be read makes what it would have said unknown, and is told.
func (a Advisor) Advise(scan *fleet.Scan) {
	known := &fleet.Advisories{Feeds: []fleet.AdvisoryFeed{}}
	for _, f := range a.shelf.Feeds() {
		known.Feeds = append(known.Feeds, fleet.AdvisoryFeed{Name: f.Name, AsOf: f.Age()})
	}
	known.Support, known.Unsupported = a.support(scan.Host)
	problems := []string{}
	uncovered := map[string]bool{}
	for i := range scan.Findings {
		for j := range scan.Findings[i].Updates {
			u := &scan.Findings[i].Updates[j]
			var err error
			u.Advice, err = a.Update(scan.Host, *u)
			if err != nil {
				problems = appendNew(problems, err.Error())
			}
			if u.Build != nil && u.Build.Ecosystem != "" && !a.shelf.covers(u.Build.Ecosystem) {
				uncovered[u.Build.Ecosystem] = true
			}
		}
	}
	known.Unknown = strings.Join(append(a.lacks(uncovered), problems...), "; ")
	known.Expired = a.expired(scan)
	scan.Advisories = known
}

func appendNew(list []string, s string) []string {
	if contains(list, s) {
		return list
	}
	return append(list, s)
}

// lacks says in words what the shelf has not, or has of long ago.
func (a Advisor) lacks(uncovered map[string]bool) []string {
	var words []string
	if a.shelf.Empty() {
		return []string{"no advisory data"}
	}
	words = append(words, noDataOf(slices.Sorted(maps.Keys(uncovered)))...)
	for _, f := range a.shelf.Feeds() {
		if f.Stale(a.Now) {
			words = append(words, fmt.Sprintf("%s is of %s", f.Name, f.Age().Format(time.DateOnly)))
		}
	}
	for _, d := range a.shelf.Damaged {
		words = append(words, "a feed cannot be read: "+d)
	}
	if len(a.shelf.tables) > 0 {
		if !a.shelf.has(KEV) {
			words = append(words, "what is exploited is not known (kev)")
		}
		if !a.shelf.has(EPSS) {
			words = append(words, "how probable that is is not known (epss)")
		}
	}
	return words
}

// maxUncovered is how many distributions without a feed are named: a fleet has a few, and a host that lies can make up any number.
const maxUncovered = 20

func noDataOf(ecosystems []string) []string {
	var words []string
	for i, e := range ecosystems {
		if i == maxUncovered {
			return append(words, fmt.Sprintf("no advisory data about %d others", len(ecosystems)-i))
		}
		words = append(words, noData(e))
	}
	return words
}

// Update advises on one update of a host; nil where nothing is known.
func (a Advisor) Update(h fleet.Host, u fleet.Update) (*fleet.Advice, error) {
	advice := &fleet.Advice{Mends: []fleet.Flaw{}, Remains: []fleet.Flaw{}}
	covered := u.Build != nil && u.Build.Ecosystem != "" && a.shelf.covers(u.Build.Ecosystem)
	told := slices.ContainsFunc(u.Notices, isSecurity)
	switch {
	case covered:
	case !told && (u.Build == nil || u.Claims == nil):
		return nil, nil
	case u.Build != nil && u.Build.Ecosystem != "":
		advice.Unknown = noData(u.Build.Ecosystem)
	case !told:
		advice.Unknown = notOwn
	}
	if why := apart(h, u); why != "" {
		advice.Bucket, advice.Because = fleet.Track, why
		return advice, nil
	}
	err := a.compare(u, covered, advice)
	notices(u, advice)
	a.claims(u, covered, advice)
	for _, list := range [][]fleet.Flaw{advice.Mends, advice.Remains} {
		for i := range list {
			err = errors.Join(err, a.Enrich(&list[i]))
			a.suppress(&list[i], goesBy(u)...)
		}
		slices.SortStableFunc(list, fleet.CompareFlaws)
	}
	if err != nil {
		advice.Unknown = fleet.Plain(err.Error())
	}
	advice.Bucket, advice.Because = a.bucket(u, advice)
	return advice, err
}

// compare fills in what the feeds say: affected before and not after.
func (a Advisor) compare(u fleet.Update, covered bool, advice *fleet.Advice) error {
	if !covered {
		return nil
	}
	from, to := subjects(u)
	before, after := a.verdict(from), a.verdict(to)
	if err := errors.Join(before.err, after.err); err != nil {
		return err
	}
	advice.Mends = without(before.flaws, after.flaws)
	advice.Remains = append(advice.Remains, after.flaws...)
	return nil
}

// without gives the flaws of one list that another has not.
func without(list, other []fleet.Flaw) []fleet.Flaw {
	has := make(map[string]bool, len(other))
	for i := range other {
		has[other[i].ID] = true
	}
	left := []fleet.Flaw{}
	for i := range list {
		if !has[list[i].ID] {
			left = append(left, list[i])
		}
	}
	return left
}

func isSecurity(n fleet.Notice) bool { return n.Security }

// notices adds what the advisories of the update's own manager say: they are the vendor's own, so they go before OSV's records, and what they mend does not remain.
func notices(u fleet.Update, advice *fleet.Advice) {
	for _, n := range u.Notices {
		if !n.Security {
			continue
		}
		ids := n.CVEs
		if len(ids) == 0 {
			ids = []string{n.ID}
		}
		for _, id := range ids {
			f := fleet.Flaw{ID: fleet.Plain(id), Evidence: fleet.ByAdvisory, FixedIn: fleet.Plain(n.FixedIn), Severity: fleet.Severity(n.Severity)}
			if id != n.ID {
				f.Advisories = []string{fleet.Plain(n.ID)}
			}
			if f.Severity != "" {
				f.SeverityBy = fleet.Plain(cmp.Or(n.By, "vendor"))
			}
			is := func(o fleet.Flaw) bool { return o.ID == f.ID }
			advice.Remains = slices.DeleteFunc(advice.Remains, is)
			if i := slices.IndexFunc(advice.Mends, is); i >= 0 {
				join(&f, advice.Mends[i])
				advice.Mends[i] = f
				continue
			}
			advice.Mends = append(advice.Mends, f)
		}
	}
}

// goesBy are the names that a suppression may have for what an update is of.
func goesBy(u fleet.Update) []string {
	if u.Build == nil {
		return []string{u.Name}
	}
	return []string{u.Name, u.Build.Package}
}

// claims adds what the changelog alone says. A feed that knows of the flaw, or knows that the installed version has it not, goes before it.
func (a Advisor) claims(u fleet.Update, covered bool, advice *fleet.Advice) {
	if u.Claims == nil || u.Build == nil {
		return
	}
	clear := map[string]bool{}
	if covered {
		from, _ := subjects(u)
		clear = a.verdict(from).clear
	}
	for _, id := range u.Claims.IDs {
		is := func(f fleet.Flaw) bool { return f.ID == id }
		if clear[id] || slices.ContainsFunc(advice.Mends, is) || slices.ContainsFunc(advice.Remains, is) {
			continue
		}
		advice.Mends = append(advice.Mends, fleet.Flaw{ID: id, Evidence: fleet.ByChangelog, FixedIn: u.Build.To})
	}
}

// suppress marks a flaw of a package that goes by any of some names, where somebody has decided that it does not count.
func (a Advisor) suppress(f *fleet.Flaw, names ...string) {
	for _, s := range a.Suppressions {
		if s.holds(a.Now) && s.covers(*f, names...) {
			f.Suppressed = &fleet.Suppressed{Owner: fleet.Plain(s.Owner), Reason: fleet.Plain(s.Reason), Status: s.Status, Until: s.Until.Time}
			return
		}
	}
}

// expired names the suppressions that have run out and would have covered something in a scan.
func (a Advisor) expired(scan *fleet.Scan) []string {
	var words []string
	for _, s := range a.Suppressions {
		if s.holds(a.Now) {
			continue
		}
		for _, f := range scan.Findings {
			for _, u := range f.Updates {
				if u.Advice != nil && slices.ContainsFunc(slices.Concat(u.Advice.Mends, u.Advice.Remains), func(f fleet.Flaw) bool { return s.covers(f, goesBy(u)...) }) {
					words = appendNew(words, fmt.Sprintf("the suppression of %s by %s ended on %s", fleet.Plain(s.ID), fleet.Plain(s.Owner), s.Until.Format(time.DateOnly)))
				}
			}
		}
	}
	return words
}

// subjects names what to look up for an update: before, and after.
func subjects(u fleet.Update) (from, to Subject) {
	b := u.Build
	from = Subject{Ecosystem: b.Ecosystem, Name: b.Package, Version: b.From, Module: b.Module}
	to = Subject{Ecosystem: b.Ecosystem, Name: b.Package, Version: b.To, Module: b.Module}
	if ByBinary(b.Ecosystem) {
		from.Name, from.Version, to.Name, to.Version = u.Name, u.From, u.Name, u.To
	}
	from.kernel()
	to.kernel()
	return from, to
}
