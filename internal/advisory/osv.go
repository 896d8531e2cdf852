package advisory

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// record is what we read of an OSV record (ossf.github.io/osv-schema).
type record struct {
	ID        string     `json:"id"`
	Modified  time.Time  `json:"modified"`
	Withdrawn *time.Time `json:"withdrawn"`
	Aliases   []string   `json:"aliases"`
	Related   []string   `json:"related"`
	Upstream  []string   `json:"upstream"`
	Summary   string     `json:"summary"`
	Severity  []score    `json:"severity"`
	Affected  []affected `json:"affected"`
	Specific  specific   `json:"database_specific"`
}

type score struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Severity []score `json:"severity"`
	Ranges   []struct {
		Type   string  `json:"type"`
		Events []event `json:"events"`
	} `json:"ranges"`
	Versions  []string `json:"versions"`
	Ecosystem specific `json:"ecosystem_specific"`
	Database  specific `json:"database_specific"`
}

type event struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
}

// specific is what publishers add in their own words. A field of another type than expected is as good as absent.
type specific struct{ urgency, severity string }

// UnmarshalJSON implements json.Unmarshaler.
func (s *specific) UnmarshalJSON(data []byte) error {
	var words struct {
		Urgency  json.RawMessage `json:"urgency"`
		Severity json.RawMessage `json:"severity"`
	}
	if json.Unmarshal(data, &words) != nil {
		return nil //nolint:nilerr // no object: it says nothing to us
	}
	_ = json.Unmarshal(words.Urgency, &s.urgency)
	_ = json.Unmarshal(words.Severity, &s.severity)
	return nil
}

// Reasons for which records are passed over, as status shows them.
const (
	skipWithdrawn = "withdrawn"
	skipOrder     = "of ecosystems whose order of versions is not known here"
	skipMalformed = "not as the schema has them"
	skipStream    = "of a module whose stream is not named"
)

// osv adds one record.
func (p *parsed) osv(data []byte) error {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("read an OSV record: %w", err)
	}
	if r.ID == "" || len(r.ID) > maxName {
		return refused("a record has no id that can be used")
	}
	p.Records++
	if r.Modified.After(p.AsOf) {
		p.AsOf = r.Modified.UTC()
	}
	switch {
	case r.Withdrawn != nil && !r.Withdrawn.IsZero():
		p.Skipped[skipWithdrawn]++
		return nil
	case len(r.Affected) == 0:
		p.Skipped["without packages"]++
		return nil
	}
	reasons := map[string]bool{}
	for i := range r.Affected {
		if err := p.affected(&r, &r.Affected[i], reasons); err != nil {
			return err
		}
	}
	for reason := range reasons {
		p.Skipped[reason]++
	}
	return nil
}

// maxName bounds the name of a record, a package or a version.
const maxName = 400

func (p *parsed) affected(r *record, a *affected, reasons map[string]bool) error {
	ecosystem, name := releaseOf(a.Package.Ecosystem), a.Package.Name
	switch {
	case name == "" || len(name) > maxName || len(ecosystem) > maxName:
		reasons[skipMalformed] = true
		return nil
	case !ordered(ecosystem):
		reasons[skipOrder] = true
		return nil
	}
	rules := a.rules(r.ID, ecosystem)
	if len(rules) == 0 {
		reasons[skipMalformed] = true
	}
	vendor := fleet.Severity(firstWord(a.Ecosystem.urgency, a.Ecosystem.severity, a.Database.severity))
	for _, rule := range rules {
		rule.Severity = vendor
		if isModular(rule.Fixed + rule.Last) {
			if rule.Module = streamOf(r.Summary); rule.Module == "" {
				reasons[skipStream] = true
				continue
			}
		}
		if err := p.add(ecosystem, name, &rule); err != nil {
			return err
		}
	}
	if key := detailKey(ecosystem, r.ID); !p.seen[key] {
		d := r.detail(a)
		p.once(key, d.append(nil))
	}
	return nil
}

// rules makes a rule of each interval. The order in which events are written means nothing, their versions count. Where there is a range in the
// ecosystem's own order, the versions listed beside it are those that lie in it, and are left out.
func (a *affected) rules(id, ecosystem string) []rule {
	var rules []rule
	for _, r := range a.Ranges {
		if r.Type != "ECOSYSTEM" && r.Type != "SEMVER" {
			continue // commits
		}
		slices.SortStableFunc(r.Events, func(a, b event) int { return compareEvents(ecosystem, a, b) })
		open := false
		for _, e := range r.Events {
			last := len(rules) - 1
			switch {
			case e.Introduced != "":
				rules = append(rules, rule{ID: id, Introduced: e.Introduced})
				open = true
			case e.Fixed != "" && open:
				rules[last].Fixed, open = e.Fixed, false
			case e.LastAffected != "" && open:
				rules[last].Last, open = e.LastAffected, false
			}
		}
	}
	if len(rules) == 0 && len(a.Versions) > 0 {
		rules = append(rules, rule{ID: id, Versions: a.Versions})
	}
	return rules
}

// compareEvents orders events by their versions. The version "0" comes before all; a version that is introduced as the same is mended ends in nothing.
func compareEvents(ecosystem string, a, b event) int {
	at := func(e event) string { return firstWord(e.Introduced, e.Fixed, e.LastAffected) }
	switch x, y := at(a), at(b); {
	case x == y:
		return 0
	case x == "0":
		return -1
	case y == "0":
		return 1
	default:
		order, _ := compareIn(ecosystem, x, y)
		return order
	}
}

// detail is what the record says for all its packages of one ecosystem. Vulnerabilities are its aliases and upstreams; AlmaLinux and Rocky have
// them in related, which others use for what is merely similar, so that counts only where the rest names none.
func (r *record) detail(a *affected) detail {
	d := detail{CVEs: cves([]string{r.ID}, r.Aliases, r.Upstream)}
	if _, cve, ok := strings.Cut(r.ID, "-CVE-"); ok { // DEBIAN-CVE-2024-1234, UBUNTU-CVE-2024-1234
		d.CVEs = cves([]string{"CVE-" + cve})
	}
	if len(d.CVEs) == 0 {
		d.CVEs = cves(r.Related)
	}
	for _, s := range append(r.Severity, a.Severity...) {
		if s.Type == "Ubuntu" {
			d.Severity = fleet.Severity(s.Score)
		} else if base := baseScore(s.Score); base > d.CVSS {
			d.CVSS, d.Vector = base, s.Score
		}
	}
	if d.Severity == "" {
		word, _, _ := strings.Cut(r.Summary, ":") // "Important: firefox security update"
		d.Severity = fleet.Severity(firstWord(r.Specific.severity, word))
	}
	return d
}

func firstWord(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// modular marks the builds of module streams (1:1.14.1-9.module_el8.0.0+1234+abcd).
var modular = regexp.MustCompile(`[.+]module[_+]`)

func isModular(version string) bool { return modular.MatchString(version) }

// streamed finds a module's stream in the summary of an advisory, which is the one place that has it: "Important: nginx:1.16 security update".
var streamed = regexp.MustCompile(`(?:^|\s)([A-Za-z0-9][A-Za-z0-9_.+-]*:[A-Za-z0-9_.+-]+)\s`)

func streamOf(summary string) string {
	_, rest, ok := strings.Cut(summary, ": ")
	if !ok {
		rest = summary
	}
	if found := streamed.FindStringSubmatch(fleet.Plain(rest) + " "); found != nil {
		return found[1]
	}
	return ""
}
