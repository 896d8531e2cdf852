package advisory

import (
	"fmt"

	"redflag/internal/fleet"
)

// Image lists the flaws of what is in an image, and says in a scan's words what is known of advisories. Kernels in it do not count: it runs on its host's.
func (a Advisor) Image(packages []fleet.Package) fleet.Scan {
	scan := fleet.Scan{Host: fleet.Host{Virtualisation: inImage}, ScannedAt: a.Now}
	a.Advise(&scan)
	a.Installed(&scan, packages)
	return scan
}

// inImage is a word of [contained].
const inImage = "container"

// ImageUpdate advises on the update of an image by the packages of both, as far as each is known (nil where it is not): it mends what no package of the new one has.
func (a Advisor) ImageUpdate(u fleet.Update, before, after []fleet.Package) *fleet.Advice {
	advice := &fleet.Advice{Mends: []fleet.Flaw{}, Remains: []fleet.Flaw{}}
	if after == nil {
		return nil
	}
	then := a.Image(after)
	advice.Remains = flaws(then.Vulnerabilities, nil)
	advice.Unknown = unmatched(then)
	if before == nil {
		advice.Unknown = "which packages are in what runs is not known"
	} else {
		remains := map[string]bool{}
		for _, f := range advice.Remains {
			remains[f.ID] = true
		}
		now := a.Image(before)
		advice.Mends = flaws(now.Vulnerabilities, remains)
		if advice.Unknown == "" {
			advice.Unknown = unmatched(now)
		}
	}
	advice.Bucket, advice.Because = a.bucket(u, advice)
	return advice
}

// unmatched says why the flaws of an image may lack some.
func unmatched(scan fleet.Scan) string {
	switch n := scan.Advisories.Unmatched; {
	case n > 0:
		return fmt.Sprintf("no feed speaks of %d of its packages", n)
	case scan.Advisories.Vulnerable == nil:
		return "no feed speaks of anything in it"
	}
	return ""
}

// flaws gives each flaw once, the most urgent first, with the packages that have it, but for some.
func flaws(list []fleet.Vulnerability, but map[string]bool) []fleet.Flaw {
	found := []fleet.Flaw{}
	at := map[string]int{}
	for _, v := range list {
		if but[v.ID] {
			continue
		}
		i, ok := at[v.ID]
		if !ok {
			i = len(found)
			at[v.ID] = i
			found = append(found, v.Flaw)
		}
		found[i].Packages = appendNew(found[i].Packages, v.Package)
	}
	return found
}
