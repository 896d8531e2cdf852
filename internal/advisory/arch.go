package advisory

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"redflag/internal/fleet"
)

// arch is the ecosystem of Arch Linux, for which OSV has no word.
const arch = "Arch Linux"

// group is what Arch's tracker calls an AVG: some flaws in some packages, which share their fate.
type group struct {
	Name       string   `json:"name"`
	Packages   []string `json:"packages"`
	Status     string   `json:"status"`
	Severity   string   `json:"severity"`
	Fixed      string   `json:"fixed"`
	Issues     []string `json:"issues"`
	Advisories []string `json:"advisories"`
}

// parseArch reads the list of Arch's security tracker (security.archlinux.org/all.json). It names binary packages. The version that it calls affected is the one in which
// somebody saw the flaw, and not the first that has it.
func parseArch(r io.Reader) (*parsed, error) {
	p := newParsed(ArchTracker, string(ArchTracker))
	d := json.NewDecoder(atOnce(r))
	if err := expect(d, '['); err != nil {
		return nil, err
	}
	for d.More() {
		var g group
		if err := d.Decode(&g); err != nil {
			return nil, fmt.Errorf("read Arch's tracker: %w", err)
		}
		p.Records++
		if err := p.group(g); err != nil {
			return nil, err
		}
	}
	if err := expect(d, ']'); err != nil {
		return nil, err
	}
	if p.Rows == 0 {
		return nil, refused("there are no flaws in it")
	}
	return p, nil
}

func (p *parsed) group(g group) error {
	r := rule{
		Introduced: "0", Severity: fleet.Severity(g.Severity), Remark: fleet.Plain(strings.Join(append([]string{g.Name}, g.Advisories...), ", ")),
	}
	switch g.Status {
	case "Fixed", "Testing": // in the testing repositories
		if r.Fixed = g.Fixed; r.Fixed == "" {
			p.Skipped[skipMalformed]++
			return nil
		}
	case "Vulnerable":
	case "Not affected":
		r.Not = true
	default: // Unknown: nobody has looked yet
		p.Skipped["undetermined"]++
		return nil
	}
	for _, name := range g.Packages {
		for _, id := range identifiers(g.Issues) {
			if name == "" || len(name) > maxName || len(r.Fixed) > maxName {
				p.Skipped[skipMalformed]++
				continue
			}
			r.ID = id
			if err := p.add(arch, name, &r); err != nil {
				return err
			}
		}
	}
	return nil
}
