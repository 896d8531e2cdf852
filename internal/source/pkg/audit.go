package pkg

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// vuxml are the files that pkg audit reads: what FreeBSD knows of flaws in its ports.
var vuxml = []string{"/var/db/pkg/vuln.xml", "/var/db/pkg/vuln.osvf"}

// Flaw is what pkg audit tells of a package.
type Flaw struct {
	Description string   `json:"description"`
	CVEs        []string `json:"cve"`
	URL         string   `json:"url"`
}

// vuxmlEntry is the identity of an entry in VuXML's addresses.
var vuxmlEntry = regexp.MustCompile(`^https?://(?:vuxml|vuxml\.freebsd|www\.vuxml)\.(?i:freebsd\.)?org/freebsd/([0-9a-f-]{36})\.html$`)

// ID names it as VuXML does, or by its address.
func (f Flaw) ID() string {
	url := strings.TrimSpace(f.URL)
	if found := vuxmlEntry.FindStringSubmatch(strings.ToLower(url)); found != nil {
		return found[1]
	}
	if url != "" {
		return fleet.Plain(url)
	}
	return fleet.Plain(f.Description)
}

// auditReport is what pkg-audit(8) says with --raw.
type auditReport struct {
	Count    *int `json:"pkg_count"`
	Packages map[string]struct {
		Issues []Flaw `json:"issues"`
	} `json:"packages"`
}

// advise marks the updates that mend a flaw which pkg audit knows: one that the installed version has, and the one on offer has not. It says why that is not known.
func advise(ctx context.Context, m *machine.Machine, updates []fleet.Update) (unknown string) {
	have, err := Flaws(ctx, m)
	if err != nil {
		return because(err)
	}
	var names []string
	for _, u := range updates {
		if len(have[u.Name]) > 0 {
			names = append(names, u.Name+"-"+u.To)
		}
	}
	var remains map[string][]Flaw
	if len(names) > 0 { // without names pkg would look at what is installed
		if remains, err = Flaws(ctx, m, names...); err != nil {
			return because(err)
		}
	}
	for i, u := range updates {
		updates[i].Notices = Mended(have[u.Name], remains[u.Name])
		updates[i].Security = len(updates[i].Notices) > 0
		if strings.HasPrefix(u.Name, basePrefix) {
			unknown = "FreeBSD's list of flaws does not speak of the packages of the base system"
		}
	}
	return cmp.Or(Stale(m), unknown)
}

// Mended gives the flaws that what is installed has, and what is on offer has not.
func Mended(have, remains []Flaw) []fleet.Notice {
	var list []fleet.Notice
	for _, f := range have {
		if !slices.ContainsFunc(remains, func(o Flaw) bool { return o.ID() == f.ID() }) {
			list = append(list, f.Notice())
		}
	}
	return list
}

// Notice gives it as an update carries it.
func (f Flaw) Notice() fleet.Notice {
	n := fleet.Notice{ID: f.ID(), By: "FreeBSD VuXML", Security: true}
	for _, cve := range f.CVEs {
		n.CVEs = append(n.CVEs, fleet.Plain(cve))
	}
	slices.Sort(n.CVEs)
	return n
}

func because(err error) string {
	why, remedy := fleet.Explain(err)
	return fmt.Sprintf("FreeBSD's list of flaws in packages cannot be asked: %s (%s)", why, remedy)
}

// Stale says that the list of flaws is too old to tell; nothing where it is not.
func Stale(m *machine.Machine) string {
	for _, file := range vuxml {
		info, err := m.Stat(file)
		if err != nil {
			continue
		}
		if age := m.Now().Sub(info.ModTime()); age > staleAfter {
			return fmt.Sprintf("FreeBSD's list of flaws in packages was last fetched %d days ago: sudo redflag scan --refresh", int(age.Hours()/24))
		}
		return ""
	}
	return ""
}

// Flaws asks pkg which it knows of what is installed, or of the named packages with their versions (curl-8.9.1): by name. Without a list of flaws, the error says why.
func Flaws(ctx context.Context, m *machine.Machine, names ...string) (map[string][]Flaw, error) {
	r, err := run(ctx, m, append([]string{"audit", "--raw=json-compact"}, names...)...)
	if err != nil {
		return nil, err
	}
	found, err := parseAudit(r.Stdout) // the exit code is 1 where there are some
	switch {
	case err == nil:
		return found, nil
	case strings.Contains(string(r.Stderr), "does not exist"):
		return nil, &fleet.Unknown{Because: "it was not fetched yet", Remedy: "sudo redflag scan --refresh"}
	case r.Code != 0:
		return nil, explain(r, "pkg audit").unknown()
	}
	return nil, unreadable("what pkg audit says", err)
}

var errAudit = errors.New("it does not say how many packages have flaws")

func parseAudit(out []byte) (map[string][]Flaw, error) {
	var report auditReport
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, err
	}
	if report.Count == nil || *report.Count != len(report.Packages) {
		return nil, errAudit
	}
	found := map[string][]Flaw{}
	for name, p := range report.Packages {
		found[name] = p.Issues
	}
	return found, nil
}
