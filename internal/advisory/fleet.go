package advisory

import (
	"os"
	"slices"
	"time"

	"redflag/internal/fleet"
)

// What a fleet's server needs beside what a host does.

// SubjectsOf names what to look up for an update that has a build: before, and after.
func SubjectsOf(u fleet.Update) (from, to Subject) { return subjects(u) }

// Suppress makes a suppression of a decision that is kept elsewhere. Until is its last day.
func Suppress(id, pkg, status, owner, reason string, until time.Time) Suppression {
	return Suppression{ID: id, Package: pkg, Status: status, Owner: owner, Reason: reason, Until: date{until}}
}

// Covers gives what is to be shown of a flaw of a package that goes by any of some names, where the suppression holds and is about it; nil where not.
func (s Suppression) Covers(now time.Time, f fleet.Flaw, names ...string) *fleet.Suppressed {
	if !s.holds(now) || !s.covers(f, names...) {
		return nil
	}
	return &fleet.Suppressed{Owner: fleet.Plain(s.Owner), Reason: fleet.Plain(s.Reason), Status: s.Status, Until: s.Until.Time}
}

// Lacks says in words what is missing here to speak of some ecosystems, and what is old.
func (a Advisor) Lacks(ecosystems []string) []string {
	uncovered := map[string]bool{}
	for _, e := range a.uncovered(ecosystems) {
		uncovered[e] = true
	}
	return a.lacks(uncovered)
}

// uncovered gives those ecosystems of which no feed speaks.
func (a Advisor) uncovered(ecosystems []string) []string {
	return slices.DeleteFunc(slices.Clone(ecosystems), a.shelf.covers)
}

// Support says in words how long a host's release is cared for; empty where that is not known.
func (a Advisor) Support(h fleet.Host) (words string, unsupported bool) { return a.support(h) }

// IsKernel says whether an installed package is built from a kernel's source: whether its flaws count depends on the host ([Apart]).
func IsKernel(p fleet.Package) bool {
	source := p.From
	if source == "" {
		source = p.Name
	}
	return isKernel(p.Ecosystem, source)
}

// SameKernel says whether an installed package is a kernel of the kind that runs on a host, in whichever version.
func SameKernel(h fleet.Host, p fleet.Package) bool {
	if aside(h, p.Name, p.Ecosystem) != "" {
		return false
	}
	if sourceOf[family(p.Ecosystem)] != "apt" {
		return true
	}
	release := kernelPackage.FindStringSubmatch(p.Name)[1]
	return isRelease(release) && flavour(release) == flavour(h.Kernel)
}

// Older says whether a version of a package is known to be older than another of the same.
func Older(a, b Subject) bool {
	return a.Ecosystem == b.Ecosystem && a.Name == b.Name && before(a, a.Version, b.Version)
}

// ApartOf says why an update of a kernel does not count on a host; empty where it does.
func ApartOf(h fleet.Host, u fleet.Update) string { return apart(h, u) }

// LacksOf says of which of some ecosystems no feed speaks.
func (a Advisor) LacksOf(ecosystems []string) []string { return noDataOf(a.uncovered(ecosystems)) }

// Feeds describes the feeds that are asked.
func (m *Matcher) Feeds() []Feed { return m.shelf.Feeds() }

// Damaged are those that cannot be read, in words: what they would have said is not known.
func (m *Matcher) Damaged() []string { return m.shelf.Damaged }

// FileOf is where a feed of a name lies on a shelf.
func FileOf(dir, name string) string { return fileOf(dir, name) }

// File imports one feed, or those of a bundle, from a file that is open. From says where it comes from, for those who read it later.
func (i Import) File(f *os.File, from string) ([]Imported, error) {
	done, err := i.file(f, Feed{From: from})
	if err != nil {
		return done, explained(from, err)
	}
	return done, nil
}
