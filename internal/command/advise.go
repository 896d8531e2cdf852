package command

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"redflag/internal/advisory"
	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// systemAdvisories is where root's feeds lie: everybody on the machine uses them who has none of their own.
func systemAdvisories() string { return machine.Local().Path("/var/lib/redflag/advisories") }

func (p *Program) advisoryDir() string { return filepath.Join(p.dirs.State, "advisories") }

// shelf opens the feeds: one's own, or else the system's. Note says that there may be some which this user cannot see.
func (p *Program) shelf() (s *advisory.Shelf, note string, err error) {
	own, err := advisory.Open(p.advisoryDir())
	if err != nil || !own.Empty() || p.advisoryDir() == systemAdvisories() {
		return own, "", err
	}
	system, unseen := advisory.Open(systemAdvisories())
	if unseen != nil {
		return own, "whether there is advisory data in " + systemAdvisories() + " cannot be seen by this user, who has none of their own", nil //nolint:nilerr // the note says it
	}
	return system, "", nil
}

// advise gives the updates of a scan their advice, by the feeds, the suppressions and the clock of now: it is never remembered.
func (p *Program) advise(scan *fleet.Scan) { p.advised(scan, nil) }

// advised does that too, and where installed says what the machine has installed, lists the vulnerabilities of that.
func (p *Program) advised(scan *fleet.Scan, installed func() ([]fleet.Package, error)) {
	a, shelf, note, err := p.advisor()
	if err != nil {
		because, _ := fleet.Explain(err)
		scan.Advisories = &fleet.Advisories{Unknown: because, Feeds: []fleet.AdvisoryFeed{}}
		return
	}
	defer shelf.Close()
	a.Advise(scan)
	if note != "" {
		scan.Advisories.Unknown = note
	}
	if !shelf.Empty() {
		p.adviseImages(a, scan)
	}
	if installed == nil {
		return
	}
	var packages []fleet.Package
	if !shelf.Empty() { // without feeds nothing is known of them
		if packages, err = installed(); err != nil {
			because, _ := fleet.Explain(err)
			scan.Advisories.Unknown = strings.TrimPrefix(scan.Advisories.Unknown+"; "+because, "; ")
		}
	}
	a.Installed(scan, packages)
}

// advisor advises by the feeds, the suppressions and the clock of now, as long as the shelf is open. Note says what this user cannot see.
func (p *Program) advisor() (a advisory.Advisor, shelf *advisory.Shelf, note string, err error) {
	shelf, note, err = p.shelf()
	if err != nil {
		return advisory.Advisor{}, nil, "", err
	}
	suppressions, err := p.suppressions()
	if err != nil {
		because, remedy := fleet.Explain(err)
		p.log().Warn(because, "remedy", remedy)
	}
	return advisory.Advisor{Matcher: advisory.NewMatcher(shelf), Now: p.now(), Suppressions: suppressions}, shelf, note, nil
}

// installed lists what the machine has installed, and says of its services which older versions of that they still run.
func installed(ctx context.Context, m *machine.Machine, sources []source.Source, scan *fleet.Scan) ([]fleet.Package, error) {
	list, err := source.Packages(ctx, m, sources)
	if err == nil {
		source.Replaced(ctx, m, sources, list, scan.Host.Restart.Services)
	}
	return list, err
}

// suppressions reads the user's file, or else the system's.
func (p *Program) suppressions() ([]advisory.Suppression, error) {
	for _, dir := range []string{p.dirs.Config, machine.Local().Path("/etc/redflag")} {
		if list, err := advisory.Suppressions(filepath.Join(dir, "suppressions.toml")); err != nil || list != nil {
			return list, err
		}
	}
	return nil, nil
}

// claims has sources read the changelogs of pending packages that are here. What cannot be read costs an evidence and nothing else.
func (p *Program) claims(ctx context.Context, m *machine.Machine, sources []source.Source, findings []fleet.Finding, fetch bool) error {
	var last error
	for i, s := range sources {
		if h, ok := s.(source.Historian); ok && i < len(findings) {
			if err := h.Claims(ctx, m, findings[i].Updates, fetch); err != nil {
				last = err
			}
		}
	}
	return last
}

// byPriority puts what to do first first; what no advice is of comes last, in its order.
func byPriority(updates []fleet.Update) []fleet.Update {
	sorted := byUrgency(updates)
	slices.SortStableFunc(sorted, func(a, b fleet.Update) int { return fleet.CompareAdvice(a.Advice, b.Advice) })
	return sorted
}

// sorted gives a scan whose updates stand in the order that was asked for.
func sorted(scan fleet.Scan, order string) fleet.Scan {
	if order != "priority" {
		return scan
	}
	scan.Findings = slices.Clone(scan.Findings)
	for i := range scan.Findings {
		scan.Findings[i].Updates = byPriority(scan.Findings[i].Updates)
	}
	return scan
}

// flawsText sums up in a few words what an update mends; empty where nothing is known.
func flawsText(a *fleet.Advice) string {
	if a == nil || len(a.Mends) == 0 {
		return ""
	}
	exploited, severe, suppressed, claimed := 0, 0, 0, 0
	for _, f := range a.Mends {
		switch {
		case f.Suppressed != nil:
			suppressed++
		case f.Exploited != nil:
			exploited++
		case f.Severity == "critical" || f.Severity == "high":
			severe++
		}
		if f.Evidence == fleet.ByChangelog {
			claimed++
		}
	}
	var parts []string
	for _, part := range []struct {
		n    int
		word string
	}{{exploited, "exploited"}, {severe, "critical or high"}, {suppressed, "suppressed"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	if claimed == len(a.Mends) {
		parts = append(parts, "by its changelog")
	}
	text := "mends " + count(len(a.Mends), "CVE")
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text
}

// maxFirst is how many updates the end of a report names as the first to install.
const maxFirst = 5

// first says what to patch first, and what is not known.
func (r report) first(scan fleet.Scan) {
	known := scan.Advisories
	if known == nil {
		return
	}
	var urgent []fleet.Update
	number, advised, could, told := fleet.Buckets{}, 0, 0, 0
	for _, f := range scan.Findings {
		for _, u := range f.Updates {
			if u.Build != nil {
				could++
			}
			if u.Advice != nil && slices.ContainsFunc(u.Notices, func(n fleet.Notice) bool { return n.Security }) {
				told++
			}
			if u.Advice == nil {
				continue
			}
			advised++
			number.Add(u.Advice.Bucket)
			if u.Advice.Bucket == fleet.ActNow {
				urgent = append(urgent, u)
			}
		}
	}
	switch {
	case could == 0 || known.Unknown == "":
	case len(known.Feeds) == 0 && told > 0:
		r.line(dim, "%s: which CVEs these updates mend is known by the package manager's own advisories alone (see `redflag advisories --help`)", known.Unknown)
	case len(known.Feeds) == 0:
		r.line(dim, "%s: which CVEs these updates mend is not known (see `redflag advisories --help`)", known.Unknown)
	default:
		r.line(yellow, "advisories: %s", known.Unknown)
	}
	if advised > 0 {
		r.line(bold, "what to patch first: %s", bucketsText(number))
	}
	shown := byPriority(urgent)
	for i, u := range shown {
		if i == maxFirst {
			r.line(red, "  and %d more", len(shown)-i)
			break
		}
		r.line(red, "  act now: %s: %s", u.Name, u.Advice.Because)
	}
	if b := known.Vulnerable; b != nil && b.Total() > 0 {
		r.line(bold, "vulnerable now: %s (see `redflag vulnerabilities`)", bucketsText(*b))
	}
	for _, e := range known.Expired {
		r.line(yellow, "%s, so it counts again", e)
	}
	if known.Unsupported {
		r.line(yellow, "%s", known.Support)
	}
}

// advicePairs is what advisories say of one update in words.
func advicePairs(u fleet.Update) []pair {
	if u.Build == nil && u.Advice == nil {
		return nil
	}
	var pairs []pair
	if u.Build != nil {
		pairs = []pair{{"source package", fmt.Sprintf("%s %s → %s", u.Build.Package, u.Build.From, u.Build.To)}}
	}
	if u.Advice == nil {
		return append(pairs, pair{"advisories", "no advisory data"})
	}
	pairs = append(pairs,
		pair{"when", string(u.Advice.Bucket)},
		pair{"because", u.Advice.Because},
		pair{"advisories", u.Advice.Unknown})
	if u.Claims != nil {
		pairs = append(pairs, pair{"evidence", fmt.Sprintf("%s (%s): what it claims is not more than that", u.Claims.From, count(u.Claims.Entries, "version"))})
	}
	return pairs
}

// writeFlaws prints what an update mends and what remains.
func (s *shown) writeFlaws(r report, a *fleet.Advice) {
	if a == nil {
		return
	}
	for _, list := range []struct {
		title string
		flaws []fleet.Flaw
	}{{"mends", a.Mends}, {"remains", a.Remains}} {
		if len(list.flaws) == 0 {
			continue
		}
		r.line(bold, "%s %s:", list.title, count(len(list.flaws), "CVE"))
		t := table{indent: "  ", spare: 1, folds: []int{1}}
		for _, f := range list.flaws {
			t.add(flawRow(f, list.title == "remains")...)
		}
		t.write(r.w, r.paint, r.width)
	}
}

func flawRow(f fleet.Flaw, remains bool) []cell {
	severity := f.Severity
	if f.SeverityBy != "" && f.SeverityBy != "CVSS" {
		severity += " (" + f.SeverityBy + ")"
	}
	var score, epss string
	if f.CVSS > 0 {
		score = fmt.Sprintf("CVSS %.1f", f.CVSS)
	}
	if f.Percentile > 0 {
		epss = fmt.Sprintf("EPSS %.1f%%", f.EPSS*100)
	}
	s := plain
	var words []string
	if f.Exploited != nil {
		s = red
		words = append(words, "exploited since "+f.Exploited.Added.Format("2006-01-02"))
		if f.Exploited.Ransomware {
			words = append(words, "ransomware")
		}
		if !f.Exploited.Due.IsZero() {
			words = append(words, "due "+f.Exploited.Due.Format("2006-01-02"))
		}
	}
	if len(f.Packages) > 0 {
		words = append(words, "in "+list(f.Packages, maxNames))
	}
	if f.Suppressed != nil {
		words = append(words, fmt.Sprintf("suppressed (%s) by %s until %s: %s", f.Suppressed.Status, f.Suppressed.Owner, f.Suppressed.Until.Format("2006-01-02"), f.Suppressed.Reason))
	}
	if remains && f.FixedIn == "" {
		words = append(words, "no fix available")
	} else if remains {
		words = append(words, "fixed in "+f.FixedIn)
	}
	if f.Remark != "" {
		words = append(words, f.Remark)
	}
	evidence := string(f.Evidence)
	if len(f.Advisories) > 0 {
		evidence += " " + list(f.Advisories, 2)
	}
	return []cell{{text: f.ID, style: s}, left(severity), left(score), left(epss), left(evidence), {text: strings.Join(words, "; "), style: s}}
}
