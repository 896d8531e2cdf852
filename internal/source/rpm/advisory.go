package rpm

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
)

// Advisory is what a repository publishes about versions of its packages (updateinfo.xml).
type Advisory struct {
	// ID is its publisher's: RHSA-2026:1001.
	ID string
	// By is the publisher: the domain of the address that it gives. Empty where it gives none.
	By string
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
	From       string  `xml:"from,attr"`
	ID         string  `xml:"id"`
	Severity   string  `xml:"severity"`
	Reboot     xmlFlag `xml:"reboot_suggested"`
	References []struct {
		ID    string `xml:"id,attr"`
		Type  string `xml:"type,attr"`
		Title string `xml:"title,attr"`
	} `xml:"references>reference"`
	Collections []struct {
		Module *struct {
			Name   string `xml:"name,attr"`
			Stream string `xml:"stream,attr"`
		} `xml:"module"`
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

// cveText finds CVEs in the titles of bugs: Fedora names them nowhere else.
var cveText = regexp.MustCompile(`CVE-[0-9]{4}-[0-9]{4,19}`)

// maxCVEs bounds what one advisory mends: SUSE's of kernels name some hundreds.
const maxCVEs = 5_000

func (a xmlAdvisory) plain() Advisory {
	plain := Advisory{ID: fleet.Plain(a.ID), Security: a.Type == "security", Severity: fleet.Plain(a.Severity), Reboot: bool(a.Reboot)}
	if plain.Severity == "None" {
		plain.Severity = ""
	}
	if _, domain, found := strings.Cut(a.From, "@"); found {
		plain.By = fleet.Plain(domain)
	}
	for _, r := range a.References {
		if r.Type == "cve" {
			plain.CVEs = append(plain.CVEs, fleet.Plain(r.ID))
		} else if plain.Security {
			plain.CVEs = append(plain.CVEs, cveText.FindAllString(r.Title, maxCVEs)...)
		}
	}
	slices.Sort(plain.CVEs)
	plain.CVEs = slices.Compact(plain.CVEs)
	plain.CVEs = plain.CVEs[:min(len(plain.CVEs), maxCVEs)]
	for _, c := range a.Collections {
		module := ""
		if c.Module != nil && c.Module.Name != "" {
			module = fleet.Plain(c.Module.Name + ":" + c.Module.Stream)
		}
		for _, p := range c.Packages {
			plain.Reboot = plain.Reboot || bool(p.Reboot)
			if len(plain.Packages) < maxAdvised {
				plain.Packages = append(plain.Packages, Package{
					Name: fleet.Plain(p.Name), EVR: fleet.Plain(EVR(p.Epoch, p.Version, p.Release)), Arch: fleet.Plain(p.Arch), Module: module,
				})
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
	// module is the stream of which alone it speaks; empty where it speaks of none.
	module string
	of     *Advisory
}

// add takes the advisories of a repository in.
func (a *Advisories) add(list []Advisory) {
	if a.by == nil {
		a.by = map[string][]advised{}
	}
	for i := range list {
		for _, p := range list[i].Packages {
			a.by[p.Key()] = append(a.by[p.Key()], advised{p.EVR, p.Module, &list[i]})
		}
	}
}

// Found is an advisory, and the version of a package that it is about.
type Found struct {
	Advisory
	EVR string
}

// Between gives the advisories about versions of a package after one and up to another, which is what an update brings: also when the one for
// security is about a version that has since been followed by another. Those about another stream of its module than the installed one's are not
// among them. Sorted by ID.
func (a *Advisories) Between(p Package, upTo string) []Found {
	var list []Found
	for _, one := range a.by[p.Key()] {
		if one.module != "" && p.Module != "" && one.module != p.Module || !Newer(one.evr, p.EVR) || Newer(one.evr, upTo) {
			continue
		}
		if at := slices.IndexFunc(list, func(o Found) bool { return o.ID == one.of.ID }); at < 0 {
			list = append(list, Found{*one.of, one.evr})
		} else if Newer(list[at].EVR, one.evr) {
			list[at].EVR = one.evr // the first that has it
		}
	}
	slices.SortFunc(list, func(x, y Found) int { return strings.Compare(x.ID, y.ID) })
	return list
}

// Security says whether any of the advisories is one for security.
func Security(list []Found) bool {
	return slices.ContainsFunc(list, func(a Found) bool { return a.Security })
}

const (
	// maxNotices bounds the advisories of one update: the kernel of a machine that was left alone for years has some hundreds.
	maxNotices = 1_000
	// maxNoticed bounds the CVEs that they name together: SUSE's for such a kernel name some thousands.
	maxNoticed = 20_000
)

// notices gives advisories in the fleet's words.
func notices(list []Found) []fleet.Notice {
	var told []fleet.Notice
	left := maxNoticed
	for _, a := range list[:min(len(list), maxNotices)] {
		ids := a.CVEs[:min(len(a.CVEs), left)]
		left -= len(ids)
		told = append(told, fleet.Notice{ID: a.ID, By: a.By, Security: a.Security, Severity: fleet.Severity(a.Severity), CVEs: ids, FixedIn: a.EVR, Reboot: a.Reboot})
	}
	return told
}
