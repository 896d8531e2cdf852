// Package advisory knows which vulnerabilities a version of a package has, which of them an update mends, and how urgent that is. Feeds (OSV's
// archives, Debian's tracker, the catalogue of what is exploited, the probability of that, dates of support) are imported into a [Shelf]: one compact
// file each, replaced whole or not at all. A [Matcher] answers for a [Subject], once for each, however many hosts have it; [Matcher.Advise] says of
// an update what it mends, what remains, and in which of four buckets it belongs, with the reason in words. It asks nobody: what is
// installed here is compared here.
package advisory

import (
	"regexp"
	"strings"
)

// rule is one statement of a feed on one package of one ecosystem: who has a version in it is affected.
type rule struct {
	// ID is the record: ALSA-2025:0147, DSA-5532-1, DEBIAN-CVE-2024-1234, or for Debian's tracker the CVE itself.
	ID string
	// Introduced, Fixed and Last bound it: Introduced ≤ version < Fixed, or ≤ Last. "0" as Introduced is from the beginning; an empty Fixed
	// and Last are no end.
	Introduced, Fixed, Last string
	// Versions are affected whatever their order.
	Versions []string
	// Module is the stream that it is about.
	Module string
	// Not says that the package is not affected in this release, at any version.
	Not bool
	// Never says that the vendor will not mend it.
	Never bool
	// Severity and Remark are the vendor's on this package alone: "no security update is planned: minor issue".
	Severity, Remark string
}

// affects says whether a version is affected.
func (r *rule) affects(s Subject) bool {
	if r.Not || !sameStream(r.Module, s.Module) {
		return false
	}
	for _, v := range r.Versions {
		if v == s.Version {
			return true
		}
	}
	if len(r.Versions) > 0 && r.Introduced == "" {
		return false
	}
	if r.Introduced != "0" && r.Introduced != "" && before(s, s.Version, r.Introduced) {
		return false
	}
	switch {
	case r.Fixed != "":
		return before(s, s.Version, r.Fixed)
	case r.Last != "":
		return !before(s, r.Last, s.Version)
	}
	return true
}

// before is false where the order is not known: such a version is never said to be affected, and import does not take its rules.
func before(s Subject, a, b string) bool {
	if s.Bare {
		a, b = bare(a), bare(b)
	}
	order, known := compareIn(s.Ecosystem, a, b)
	return known && order < 0
}

// sameStream compares streams of modules by their first two parts: a label has a version and a context behind them (nginx:1.16:8030…:229f0a1c).
func sameStream(a, b string) bool { return stream(a) == stream(b) }

func stream(label string) string {
	parts := strings.SplitN(label, ":", 3)
	return strings.Join(parts[:min(2, len(parts))], ":")
}

// detail is what a record says of itself, once for all packages in it.
type detail struct {
	// CVEs are the vulnerabilities that it is about; empty where it names none, and then its ID stands for one.
	CVEs []string
	// Severity is the vendor's, in our five words; empty where it gives none. CVSS is the highest base score among its vectors; 0 where there is none.
	Severity string
	CVSS     float64
	// Vector is the one that CVSS was computed from.
	Vector string
}

// cveID is a CVE's name (cve.org: at least four digits).
var cveID = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,19}$`)

// cves gives those of some names that are CVEs, each once.
func cves(lists ...[]string) []string {
	var found []string
	var seen map[string]bool
	for _, list := range lists {
		for _, id := range list {
			if !cveID.MatchString(id) || seen[id] {
				continue
			}
			if seen == nil {
				seen = map[string]bool{}
			}
			seen[id] = true
			found = append(found, id)
		}
	}
	return found
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}
