package inside

import (
	"fmt"
	"strings"

	"github.com/package-url/packageurl-go"

	"redflag/internal/fleet"
)

// sources are the sources of updates that the types of package URLs belong to (package-url/purl-spec, types).
var sources = map[string]string{"deb": "apt", "rpm": "dnf", "apk": "apk"}

// fromURL reads one package URL. System is the distribution that it names, or its type where that is not a distribution's; then the package has no source.
func fromURL(text string) (p fleet.Package, system string, err error) {
	u, err := packageurl.FromString(text)
	if err != nil {
		return fleet.Package{}, "", fmt.Errorf("read %q: %w", fleet.Plain(text), err)
	}
	source, ok := sources[u.Type]
	if !ok {
		return fleet.Package{}, fleet.Plain(u.Type), nil
	}
	if u.Name == "" || u.Version == "" {
		return fleet.Package{}, "", fmt.Errorf("read %q: no name and version", fleet.Plain(text))
	}
	with := u.Qualifiers.Map()
	p = fleet.Package{Source: source, Name: fleet.Plain(u.Name), Arch: fleet.Plain(with["arch"]), Version: fleet.Plain(u.Version)}
	if epoch := with["epoch"]; epoch != "" && epoch != "0" {
		p.Version = fleet.Plain(epoch) + ":" + p.Version
	}
	from, version := upstream(u.Type, with["upstream"])
	if from != p.Name {
		p.From = fleet.Plain(from)
	}
	if version != p.Version {
		p.FromVersion = fleet.Plain(version)
	}
	system = fleet.Plain(strings.Replace(with["distro"], "-", " ", 1))
	p.Ecosystem = own(p, ecosystem(cutRelease(system)))
	return p, system, nil
}

// cutRelease takes a distribution and its version apart: debian 12.
func cutRelease(system string) (id, version string) {
	id, version, _ = strings.Cut(system, " ")
	return id, version
}

// upstream reads the source package that a URL names: NAME, NAME@VERSION, or an rpm's file.
func upstream(kind, text string) (name, version string) {
	if kind == "rpm" {
		text = strings.TrimSuffix(text, ".src.rpm")
		release := strings.LastIndex(text, "-")
		if release < 0 {
			return text, ""
		}
		if at := strings.LastIndex(text[:release], "-"); at >= 0 {
			return text[:at], text[at+1:]
		}
		return text, ""
	}
	name, version, _ = strings.Cut(text, "@")
	return name, version
}
