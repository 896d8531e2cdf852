package inside

import (
	"regexp"
	"strings"

	"redflag/internal/fleet"
)

// ecosystem names a distribution's release in OSV's words (ossf.github.io/osv-schema, defined ecosystems), by the ID and VERSION_ID of its os-release; empty
// for one that has none.
func ecosystem(id, version string) string {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	if major == "" || strings.Trim(major+minor, "0123456789") != "" {
		return ""
	}
	switch id {
	case "debian":
		return "Debian:" + major
	case "ubuntu":
		if minor == "04" && strings.ContainsRune("02468", rune(major[len(major)-1])) {
			return "Ubuntu:" + major + ".04:LTS"
		}
		return "Ubuntu:" + major + "." + minor
	case "alpine":
		return "Alpine:v" + major + "." + minor
	case "almalinux":
		return "AlmaLinux:" + major
	case "rocky":
		return "Rocky Linux:" + major
	}
	return ""
}

// elsewhere tells versions of packages that other archives have made for a release: they name it (1.25.3-1~bookworm, 5:24.0.7-1~ubuntu.22.04~jammy,
// 16.1-1.pgdg120+1, 8.3.0-1+deb.sury.org). An image does not say where a package came from, and the distributions themselves do not do so.
var elsewhere = regexp.MustCompile(`[~+.-](?:stretch|buster|bullseye|bookworm|trixie|forky|bionic|focal|jammy|noble|questing|pgdg|deb\.sury|nodesource)|[~+]debian1[0-9]|~(?:debian|ubuntu)\.`)

// ofOthers is how packages of other archives are told.
const ofOthers = "of other archives"

// own gives the ecosystem of a package that may be another archive's: empty where its version says that it is.
func own(p fleet.Package, ecosystem string) string {
	if p.Source == "apt" && elsewhere.MatchString(p.Version) {
		return ""
	}
	return ecosystem
}
