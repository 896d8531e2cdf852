package rpm

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"redflag/internal/fleet"
)

// Advisory is what a repository publishes about versions of its packages (updateinfo.xml).
type Advisory struct {
	// ID is its publisher's: RHSA-2026:1001.
	ID string
	// Security: it is one for security.
	Security bool
	// Severity is the publisher's word, empty where there is none.
	Severity string
	// CVEs are those that it mends, sorted.
	CVEs []string
	// Reboot: it takes effect with the next start.
	Reboot bool
	// Packages are the versions that it is about.
	Packages []Package
}

const (
	// maxAdvisories bounds those of one repository: Red Hat's largest has some 7,000.
	maxAdvisories = 100_000
	// maxAdvised bounds the packages of one.
	maxAdvised = 20_000
)

// xmlAdvisory is an advisory in updateinfo.xml, as createrepo_c and libsolv read it.
type xmlAdvisory struct {
	Type       string  `xml:"type,attr"`
	ID         string  `xml:"id"`
	Severity   string  `xml:"severity"`
	Reboot     xmlFlag `xml:"reboot_suggested"`
	References []struct {
		ID   string `xml:"id,attr"`
		Type string `xml:"type,attr"`
	} `xml:"references>reference"`
	Collections []struct {
		Packages []struct {
			Name    string  `xml:"name,attr"`
			Epoch   string  `xml:"epoch,attr"`
			Version string  `xml:"version,attr"`
			Release string  `xml:"release,attr"`
			Arch    string  `xml:"arch,attr"`
			Reboot  xmlFlag `xml:"reboot_suggested"`
		} `xml:"package"`
	} `xml:"pkglist>collection"`
}

// xmlFlag is set by being there, unless it says otherwise.
type xmlFlag bool

// UnmarshalXML implements xml.Unmarshaler.
func (f *xmlFlag) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	var text string
	if err := d.DecodeElement(&text, &start); err != nil {
		return err
	}
	*f = text != "False" && text != "false" && text != "0"
	return nil
}

var errNoAdvisories = errors.New("it is no list of advisories")

// parseAdvisories reads updateinfo.xml.
func parseAdvisories(r io.Reader) ([]Advisory, error) {
	d := xml.NewDecoder(r)
	list, root := []Advisory{}, false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if !root {
				return nil, errNoAdvisories
			}
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read advisories: %w", err)
		}
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case !root:
			if root = start.Name.Local == "updates"; !root {
				return nil, errNoAdvisories
			}
		case start.Name.Local == "update":
			var a xmlAdvisory
			if err := d.DecodeElement(&a, &start); err != nil {
				return nil, fmt.Errorf("read advisories: %w", err)
			}
			if list = append(list, a.plain()); len(list) > maxAdvisories {
				return nil, fmt.Errorf("read advisories: over %d of them", maxAdvisories)
			}
		}
	}
}

func (a xmlAdvisory) plain() Advisory {
	plain := Advisory{ID: fleet.Plain(a.ID), Security: a.Type == "security", Severity: fleet.Plain(a.Severity), Reboot: bool(a.Reboot)}
	if plain.Severity == "None" {
		plain.Severity = ""
	}
	for _, r := range a.References {
		if r.Type == "cve" {
			plain.CVEs = append(plain.CVEs, fleet.Plain(r.ID))
		}
	}
	slices.Sort(plain.CVEs)
	plain.CVEs = slices.Compact(plain.CVEs)
	for _, c := range a.Collections {
		for _, p := range c.Packages {
			plain.Reboot = plain.Reboot || bool(p.Reboot)
			if len(plain.Packages) < maxAdvised {
				plain.Packages = append(plain.Packages, Package{Name: fleet.Plain(p.Name), EVR: fleet.Plain(EVR(p.Epoch, p.Version, p.Release)), Arch: fleet.Plain(p.Arch)})
			}
		}
	}
	return plain
}

// Advisories are those of a machine's repositories, by the packages that they are about.
type Advisories struct {
	by map[string][]advised
	// Without names the repositories that publish none.
	Without []string
}

type advised struct {
	evr string
	of  *Advisory
}

// add takes the advisories of a repository in.
func (a *Advisories) add(list []Advisory) {
	if a.by == nil {
		a.by = map[string][]advised{}
	}
	for i := range list {
		for _, p := range list[i].Packages {
			a.by[p.Key()] = append(a.by[p.Key()], advised{p.EVR, &list[i]})
		}
	}
}

// Between gives the advisories about versions of a package after one and up to another, which is what an update brings: also when the one for
// security is about a version that has since been followed by another. Sorted by ID.
func (a *Advisories) Between(name, arch, after, upTo string) []Advisory {
	var list []Advisory
	for _, one := range a.by[name+"."+arch] {
		if Newer(one.evr, after) && !Newer(one.evr, upTo) && !slices.ContainsFunc(list, func(o Advisory) bool { return o.ID == one.of.ID }) {
			list = append(list, *one.of)
		}
	}
	slices.SortFunc(list, func(x, y Advisory) int { return strings.Compare(x.ID, y.ID) })
	return list
}

// Security says whether any of the advisories is one for security.
func Security(list []Advisory) bool {
	return slices.ContainsFunc(list, func(a Advisory) bool { return a.Security })
}
