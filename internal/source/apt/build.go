package apt

import (
	"strings"

	"redflag/internal/fleet"
)

// build gives the source package behind an update. Its ecosystem is the one that both versions come from. An installed version that no list offers any
// more was replaced there by the candidate, and is taken to come from where that does.
func build(from, to *version) *fleet.Build {
	ecosystem := to.ecosystem()
	if len(from.on) > 0 {
		switch before := from.ecosystem(); {
		case before == ecosystem:
		case strings.Replace(ecosystem, ":Pro:", ":", 1) == before && before != "": // from Ubuntu to its extended maintenance
		default:
			ecosystem = ""
		}
	}
	if from.source != to.source {
		ecosystem = "" // another source has taken over the name: their versions say nothing of each other
	}
	return &fleet.Build{Ecosystem: ecosystem, Package: fleet.Plain(to.source), From: fleet.Plain(from.sourceVersion), To: fleet.Plain(to.sourceVersion)}
}

// ecosystem names the distribution's release that offers a version, in OSV's words; empty where none does.
func (v *version) ecosystem() string {
	for _, i := range v.on {
		if e := i.suite.release.ecosystem(); e != "" {
			return e
		}
	}
	return ""
}

// ecosystem names a distribution's release in OSV's words (Debian:12, Ubuntu:24.04:LTS): whose advisories speak of what the suite offers. It is empty for
// others' suites, and for backports: they are newer versions of which no advisory about the release speaks, and they can lack a fix that an older one has.
func (r *release) ecosystem() string {
	if strings.Contains(r.suite, "backports") || strings.Contains(r.codename, "backports") {
		return ""
	}
	number, _, _ := strings.Cut(r.version, "-") // 12-updates
	if number == "" || strings.Trim(number, "0123456789.") != "" {
		return ""
	}
	major, minor, _ := strings.Cut(number, ".")
	switch {
	case r.origin == "Debian" && (r.label == "Debian" || r.label == "Debian-Security"):
		return "Debian:" + major
	case r.origin == "Ubuntu":
		return "Ubuntu:" + number + lts(major, minor)
	case strings.HasPrefix(r.origin, "UbuntuESM"):
		return "Ubuntu:Pro:" + number + lts(major, minor)
	}
	return ""
}

// lts is what OSV adds to Ubuntu's releases with long-term support: those of April in even years.
func lts(year, month string) string {
	if month == "04" && year != "" && (year[len(year)-1]-'0')%2 == 0 {
		return ":LTS"
	}
	return ""
}
