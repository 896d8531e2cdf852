package advisory

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"redflag/internal/fleet"
)

// Keys of a table: a letter says what is behind it.
func ruleKey(ecosystem, name string) string { return "r" + ecosystem + "\x00" + name }

// detailKey has the ecosystem, because one record may say other things of each release.
func detailKey(ecosystem, id string) string { return "d" + ecosystem + "\x00" + id }

func exploitedKey(cve string) string { return "k" + cve }

func probableKey(cve string) string { return "p" + cve }

func supportKey(distribution, version string) string { return "s" + distribution + "\x00" + version }

// Flags of a rule.
const (
	notAffected = 1 << iota
	neverMended
)

func (r *rule) append(to []byte) []byte {
	flags := uint64(0)
	if r.Not {
		flags |= notAffected
	}
	if r.Never {
		flags |= neverMended
	}
	to = binary.AppendUvarint(to, flags)
	for _, s := range []string{r.ID, r.Introduced, r.Fixed, r.Last, r.Module, r.Severity, r.Remark} {
		to = appendText(to, s)
	}
	to = binary.AppendUvarint(to, uint64(len(r.Versions)))
	for _, v := range r.Versions {
		to = appendText(to, v)
	}
	return to
}

// readRules reads the rules of one package.
func readRules(value []byte) ([]rule, error) {
	var rules []rule
	for c := (&cursor{left: value}); len(c.left) > 0; {
		flags := c.number()
		r := rule{Not: flags&notAffected != 0, Never: flags&neverMended != 0}
		for _, s := range []*string{&r.ID, &r.Introduced, &r.Fixed, &r.Last, &r.Module, &r.Severity, &r.Remark} {
			*s = c.text()
		}
		n := c.number()
		if n > uint64(len(c.left)) {
			return nil, errDamaged
		}
		for range n {
			r.Versions = append(r.Versions, c.text())
		}
		if c.err != nil {
			return nil, c.err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func (d *detail) append(to []byte) []byte {
	to = appendText(to, d.Severity)
	to = binary.AppendUvarint(to, uint64(math.Round(d.CVSS*10)))
	to = appendText(to, d.Vector)
	for _, id := range d.CVEs {
		to = appendText(to, id)
	}
	return to
}

func readDetail(value []byte) (detail, error) {
	c := &cursor{left: value}
	d := detail{Severity: c.text(), CVSS: float64(c.number()) / 10, Vector: c.text()}
	for len(c.left) > 0 {
		d.CVEs = append(d.CVEs, c.text())
	}
	return d, c.err
}

// probability is EPSS's word on one CVE, in hundred-thousandths, which is how it is published.
type probability struct{ score, percentile float64 }

const epssScale = 100_000

func (p probability) append(to []byte) []byte {
	to = binary.AppendUvarint(to, uint64(math.Round(p.score*epssScale)))
	return binary.AppendUvarint(to, uint64(math.Round(p.percentile*epssScale)))
}

func readProbability(value []byte) (probability, error) {
	c := &cursor{left: value}
	p := probability{float64(c.number()) / epssScale, float64(c.number()) / epssScale}
	return p, c.err
}

func readExploited(value []byte) (*fleet.Exploited, error) {
	var e fleet.Exploited
	if err := json.Unmarshal(value, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return &e, nil
}

// support is how long a release is cared for.
type support struct {
	Codename string `json:"codename"`
	// Until is the end of ordinary support, Longer the end of what comes after it for everybody (Debian's LTS, Ubuntu's server support), Paid of what is
	// for subscribers. Zero where there is none.
	Until  time.Time `json:"until,omitzero"`
	Longer time.Time `json:"longer,omitzero"`
	Paid   time.Time `json:"paid,omitzero"`
}
