package apt

import (
	"cmp"
	"slices"

	versions "redflag/internal/version"
)

// Priorities of versions (apt_preferences(5)).
const (
	priorityNotAutomatic = 1
	priorityUpgrades     = 100 // NotAutomatic with ButAutomaticUpgrades, and what is installed
	priorityUsual        = 500
	priorityDefault      = 990 // of APT::Default-Release
	priorityDowngrade    = 1000
	priorityNever        = -32768
)

// choice is one installed package with all versions of it that are known.
type choice struct {
	pkg *Package
	// versions stand in apt's order: the highest first, of equal ones those that an archive offers first.
	versions []*version
	// installed is the place of the installed one among them.
	installed int
	// candidate is the place of the one that apt would install; -1 where there is none.
	candidate int
}

// newChoice sorts the versions. Records of one version from several indexes are one version on several. The installed version comes last
// of its equals, as apt reads dpkg's status after all indexes.
func newChoice(p *Package, offered []*version) *choice {
	c := &choice{pkg: p, candidate: -1}
	record := p.record
	record.installed = true
	sorted := append(slices.Clone(offered), &record)
	slices.SortStableFunc(sorted, func(a, b *version) int { return versions.CompareDebian(b.text, a.text) })
	first := 0 // of those with the version of v
	for _, v := range sorted {
		if first < len(c.versions) && versions.CompareDebian(c.versions[first].text, v.text) != 0 {
			first = len(c.versions)
		}
		if i := slices.IndexFunc(c.versions[first:], v.same); i >= 0 {
			c.versions[first+i].merge(v)
		} else {
			c.versions = append(c.versions, v)
		}
	}
	c.installed = slices.IndexFunc(c.versions, func(v *version) bool { return v.installed })
	return c
}

// merge takes in another record of the same version.
func (v *version) merge(o *version) {
	v.on = append(v.on, o.on...)
	v.phased = min(v.phased, o.phased)
	v.installed = v.installed || o.installed
}

// choose picks the candidate as apt does (apt-pkg/policy.cc, GetCandidateVer): the highest priority, and of those the first; nothing
// lower than what is installed, unless its priority allows downgrades.
func (c *choice) choose(p *policy) {
	best := -1
	current := c.versions[c.installed]
	for i, v := range c.versions {
		priority := p.priority(v)
		if priority == 0 || priority <= best {
			continue
		}
		if priority < priorityDowngrade && versions.CompareDebian(v.text, current.text) < 0 {
			continue
		}
		best, c.candidate = priority, i
	}
}

// upgradable says whether the candidate is newer than what is installed. One of the same version but another build is, as apt sees it.
func (c *choice) upgradable() bool { return c.candidate >= 0 && c.candidate < c.installed }

// from and to are what is installed and what would be.
func (c *choice) from() *version { return c.versions[c.installed] }
func (c *choice) to() *version   { return c.versions[c.candidate] }

// security says whether a security version lies in (from, to], whichever suite the candidate itself comes from.
func (c *choice) security() bool {
	return slices.ContainsFunc(c.versions[c.candidate:c.installed], (*version).security)
}

// deferred says whether phasing holds the candidate back. Apt lets nothing be held back once a security version below it is missing
// (apt-pkg/upgrade.cc, IsSecurityUpdate).
func (c *choice) deferred(p phasing) bool {
	return p.defers(c.to()) && !slices.ContainsFunc(c.versions[c.candidate+1:c.installed], (*version).security)
}

func (v *version) security() bool {
	return slices.ContainsFunc(v.on, func(i *index) bool { return i.suite.release.security() })
}

// origin names who offers the version: of several indexes one with security updates, else the first.
func (v *version) origin() string {
	if len(v.on) == 0 {
		return ""
	}
	first := v.on[0]
	for _, i := range v.on {
		if i.suite.release.security() {
			first = i
			break
		}
	}
	return first.suite.release.String()
}

// compareChoices puts packages in the order in which findings list them.
func compareChoices(a, b *choice) int {
	return cmp.Or(cmp.Compare(a.pkg.Name, b.pkg.Name), cmp.Compare(a.pkg.Arch, b.pkg.Arch))
}
