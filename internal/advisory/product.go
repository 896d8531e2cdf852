package advisory

import "regexp"

// products are the ecosystems that OSV has for parts of a distribution's release, and the release that they are parts of. Which part a package comes from is not
// told by the package: Red Hat's name the repository behind the release (Red Hat:enterprise_linux:9::appstream), SUSE's the module or the product, and who pays for
// it longer (SUSE:Linux Enterprise Module for Basesystem 15 SP5, SUSE:Linux Enterprise Server 15 SP5-LTSS). A package of one name is built once for all of them.
var products = []struct {
	part    *regexp.Regexp
	release string
}{
	{regexp.MustCompile(`^Red Hat:enterprise_linux:([0-9]+)::.*$`), "Red Hat:enterprise_linux:$1"},
	{regexp.MustCompile(`^SUSE:Linux Enterprise (?:[A-Z].* )?(1[25])( SP[0-9])?(?:-[A-Z]+)*$`), "SUSE:Linux Enterprise $1$2"},
}

// releaseOf gives the release that an ecosystem of OSV's is a part of; others are what they are.
func releaseOf(ecosystem string) string {
	for _, p := range products {
		if p.part.MatchString(ecosystem) {
			return p.part.ReplaceAllString(ecosystem, p.release)
		}
	}
	return ecosystem
}
