package rpm

import (
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// distribution is a release of which OSV has advisories, and who makes its packages. The zero value is any other.
type distribution struct {
	ecosystem string
	vendor    *regexp.Regexp
}

// of gives the ecosystem of a package by its vendor; empty where it is not the distribution's own.
func (d distribution) of(vendor string) string {
	if d.vendor == nil || !d.vendor.MatchString(vendor) {
		return ""
	}
	return d.ecosystem
}

// families are the distributions of RPM's world in OSV's list of ecosystems (ossf.github.io/osv-schema), by os-release's ID: how their releases are called
// there, with $1 for the major version and $0 for all of it, and the vendor that their packages name. Of Red Hat's and SUSE's, OSV's have the products that
// a release is made of, which no package tells (package advisory lays them together).
var families = map[string]struct {
	version   string
	ecosystem string
	vendor    *regexp.Regexp
}{
	"almalinux":           {major, "AlmaLinux:$1", regexp.MustCompile(`^AlmaLinux`)},
	"rocky":               {major, "Rocky Linux:$1", regexp.MustCompile(`^Rocky `)},
	"rhel":                {major, "Red Hat:enterprise_linux:$1", regexp.MustCompile(`^Red Hat, Inc`)},
	"opensuse-leap":       {`^([0-9]+\.[0-9]+)$`, "openSUSE:Leap $1", suse},
	"opensuse-tumbleweed": {`^[0-9]+$`, "openSUSE:Tumbleweed", suse},
	"sles":                {servicePack, "SUSE:Linux Enterprise $1$2", suse},
	"sles_sap":            {servicePack, "SUSE:Linux Enterprise $1$2", suse},
	"sled":                {servicePack, "SUSE:Linux Enterprise $1$2", suse},
	"mageia":              {major, "Mageia:$1", regexp.MustCompile(`^Mageia`)},
	"azurelinux":          {major, "Azure Linux:$1", regexp.MustCompile(`^Microsoft Corporation`)},
}

var suse = regexp.MustCompile(`^(?:SUSE |openSUSE$)`)

const (
	major = `^([0-9]+)(?:\.[0-9]+)*$`
	// servicePack is SUSE's version: 15.5 is called 15 SP5.
	servicePack = `^(12|15)(?:\.([0-9]+))?$`
)

// distributionOf gives the machine's.
func distributionOf(m *machine.Machine) distribution {
	r := m.OSRelease()
	f, known := families[r["ID"]]
	if !known {
		return distribution{}
	}
	at := regexp.MustCompile(f.version).FindStringSubmatch(r["VERSION_ID"])
	if at == nil {
		return distribution{}
	}
	name := f.ecosystem
	for i, part := range at[1:] {
		if f.version == servicePack && i == 1 && part != "" {
			part = " SP" + part
		}
		name = strings.Replace(name, "$"+string(rune('1'+i)), part, 1)
	}
	return distribution{name, f.vendor}
}

// Offer is what a package manager says of a version on offer, beside its name and version: the file name of its source package, and its vendor.
type Offer struct{ Source, Vendor string }

// Judge says of each update what is behind it: its source package, what advisories say, whether it is for security; and it says where that is not known,
// because updates come from where nothing is said about security. Offers are by the update's package, in its new version; where there are none, as with zypper, which
// does not tell, a new version is taken to be built as the old one was: zypper changes no vendor by itself (zypp.conf, solver.allowVendorChange).
func Judge(m *machine.Machine, f *fleet.Finding, installed []Package, advisories *Advisories, offers map[Package]Offer) {
	var silent []string
	own := distributionOf(m)
	for i := range f.Updates {
		u := &f.Updates[i]
		old := before(installed, *u)
		found := advisories.Between(old, u.To)
		u.Security, u.Notices = Security(found), notices(found)
		u.Build = build(own, old, Package{Name: u.Name, EVR: u.To, Arch: u.Arch}, offers)
		if !u.Security && slices.Contains(advisories.Without, u.Origin) && !slices.Contains(silent, u.Origin) {
			silent = append(silent, u.Origin)
		}
	}
	if len(silent) > 0 {
		slices.Sort(silent)
		f.SecurityUnknown = "no advisory data in " + strings.Join(silent, ", ")
	}
}

// before gives what an update takes the place of. Of what replaces a package of another name only the version is known.
func before(installed []Package, u fleet.Update) Package {
	named := Package{Name: u.Name, EVR: u.From, Arch: u.Arch}
	for _, p := range installed {
		if p.Name == u.Name && p.EVR == u.From && (p.Arch == u.Arch || p.Arch == "noarch" || u.Arch == "noarch") {
			p.Arch = u.Arch // advisories name the new one's
			return p
		}
	}
	return named
}

// build gives the source package behind an update; nil where it is not known.
func build(own distribution, old, offered Package, offers map[Package]Offer) *fleet.Build {
	if old.Source == "" {
		return nil
	}
	b := &fleet.Build{Package: old.Source, From: old.SourceVersion, To: offered.EVR, Ecosystem: own.of(old.Vendor)}
	if offers == nil {
		if old.SourceVersion != old.EVR {
			b.To, b.Ecosystem = "", "" // a part with a version of its own tells nothing of its source's
		}
	} else {
		o := offers[offered]
		name, evr, same := builtFrom(offered, o.Source)
		if name == "" {
			return nil
		}
		if epoch, _, _ := CutEVR(old.SourceVersion); !same {
			evr = EVR(epoch, evr, "") // a part with a version of its own
		}
		if b.Package, b.To = name, evr; name != old.Source || own.of(fleet.Plain(o.Vendor)) != b.Ecosystem {
			b.Ecosystem = "" // another source, or another vendor, has taken over the name: their versions say nothing of each other
		}
	}
	if modular(old.EVR) && modular(offered.EVR) {
		b.Module = old.Module // a package manager stays in a stream until a person changes it
	} else if modular(old.EVR) != modular(offered.EVR) {
		b.Ecosystem = ""
	}
	return b
}

// modular says whether a version is of a module's build: 1.14.1-9.module_el8.0.0+1234+abcd, 1.24.0-1.module+el9+1+a.
func modular(evr string) bool { return strings.Contains(evr, ".module") }
