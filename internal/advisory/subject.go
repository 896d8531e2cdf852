package advisory

import (
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/version"
)

// Subject is what is looked up: one version of one source package of one distribution's release. It is comparable, so that it is matched once
// for all hosts that have it. [SubjectOf] makes it of an installed package; a list of ecosystems, source packages and versions from elsewhere is as good.
type Subject struct {
	// Ecosystem is the distribution and its release in OSV's words: Debian:12, Ubuntu:24.04:LTS, AlmaLinux:9, Alpine:v3.20; of Arch Linux its name alone. Empty
	// is a package that no distribution's feed speaks of.
	Ecosystem string
	// Name and Version are the source package's. Where a distribution's advisories name binary packages ([ByBinary]), so does this.
	Name, Version string
	// Module is the stream of a modular RPM, as name:stream; versions of different streams are not compared.
	Module string
	// Bare: the epoch of Version is not known, and epochs are left out where it is compared.
	Bare bool
}

// family is an ecosystem without its release.
func family(ecosystem string) string {
	base, _, _ := strings.Cut(ecosystem, ":")
	return base
}

// sourceOf names, for a family of distributions, the source of updates whose order of versions is its own.
var sourceOf = map[string]string{
	"Debian": "apt", "Ubuntu": "apt", "Echo": "apt",
	"AlmaLinux": "dnf", "Rocky Linux": "dnf", "Red Hat": "dnf", "openSUSE": "dnf", "SUSE": "dnf", "Mageia": "dnf", "openEuler": "dnf", "Azure Linux": "dnf",
	"Alpine": "apk", "Chainguard": "apk", "Wolfi": "apk",
	"Arch Linux": "pacman",
}

// compareIn orders two versions as an ecosystem's package manager does; known is false where that order is not known here.
func compareIn(ecosystem, a, b string) (order int, known bool) {
	return version.Compare(sourceOf[family(ecosystem)], a, b)
}

// ordered says whether versions of an ecosystem can be compared.
func ordered(ecosystem string) bool { return sourceOf[family(ecosystem)] != "" }

// within gives the ecosystems whose records speak of a release, the one that counts first. What Ubuntu mends for subscribers alone is in records of another word
// (Ubuntu:Pro:22.04:LTS): of a package of the release itself they say what it lacks and can only have with a subscription.
func within(ecosystem string) []string {
	switch {
	case strings.HasPrefix(ecosystem, ubuntuPro):
		return []string{ecosystem, ubuntu + strings.TrimPrefix(ecosystem, ubuntuPro)}
	case strings.HasPrefix(ecosystem, ubuntu):
		return []string{ecosystem, ubuntuPro + strings.TrimPrefix(ecosystem, ubuntu)}
	}
	return []string{ecosystem}
}

const (
	ubuntu    = "Ubuntu:"
	ubuntuPro = "Ubuntu:Pro:"
	// bySubscription is what is said of what only subscribers get.
	bySubscription = "the fix is for subscribers of Ubuntu Pro"
)

// byBinary are the families whose advisories name binary packages. OSV's schema says source packages of all; AlmaLinux' records name what is installed, and so do
// Red Hat's and Arch's.
var byBinary = map[string]bool{"AlmaLinux": true, "Red Hat": true, "Arch Linux": true}

// ByBinary says whether the advisories of an ecosystem name binary packages and their versions, and not those of sources.
func ByBinary(ecosystem string) bool { return byBinary[family(ecosystem)] }

// SubjectOf names what to look up for an installed package. Kernels that are signed, or that others pull in, go by the kernel's own source.
func SubjectOf(p fleet.Package) Subject {
	s := Subject{Ecosystem: p.Ecosystem, Name: p.Name, Version: p.Version, Module: p.Module}
	if s.Ecosystem == "" || ByBinary(s.Ecosystem) {
		return s
	}
	if p.From != "" {
		s.Name = p.From
	}
	if p.FromVersion != "" {
		s.Version = p.FromVersion
		s.Bare = sourceOf[family(s.Ecosystem)] == "dnf" && !strings.Contains(s.Version, ":") // what an RPM says of its source has no epoch
	}
	s.kernel()
	return s
}

// bare is a version without its epoch.
func bare(v string) string {
	if epoch, rest, ok := strings.Cut(v, ":"); ok && strings.Trim(epoch, "0123456789") == "" {
		return rest
	}
	return v
}
