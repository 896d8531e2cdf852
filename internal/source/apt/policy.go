package apt

// policy is what decides between versions: pins, in the order in which apt reads them, and phasing.
type policy struct {
	native string
	// specific are the pins for packages by name; the first that fits a version counts.
	specific []*pin
	// installed is the priority of what dpkg's status has.
	installed int
	phasing   phasing
}

// newPolicy gives every index its priority: its suite's own, or that of the first pin for all packages that fits; never wins always.
func newPolicy(native, defaultRelease string, pins []*pin, suites []*suite, ph phasing) *policy {
	var general []*pin
	p := &policy{native: native, phasing: ph}
	if defaultRelease != "" {
		general = append(general, &pin{kind: pinRelease, text: defaultRelease, priority: priorityDefault})
	}
	for _, pin := range pins {
		if pin.general() {
			general = append(general, pin)
		} else {
			p.specific = append(p.specific, pin)
		}
	}
	for _, s := range suites {
		for _, i := range s.indexes {
			i.priority = firstFit(general, s.release.priority(), func(g *pin) bool { return g.fitsSuite(s.release, i.component, i.arch) })
		}
	}
	p.installed = firstFit(general, priorityUpgrades, (*pin).fitsStatus)
	return p
}

func firstFit(general []*pin, usual int, fits func(*pin) bool) int {
	priority, fixed := usual, false
	for _, g := range general {
		if (fixed && g.priority != priorityNever) || priority == priorityNever || !fits(g) {
			continue
		}
		priority, fixed = g.priority, true
	}
	return priority
}

// pin gives each version of a package the first pin that names and fits it.
func (p *policy) pin(c *choice) {
	arch := nativeFor(c.pkg.Arch, p.native)
	for _, pin := range p.specific {
		for _, v := range c.versions {
			if v.pin == nil && pin.names(c.pkg, arch, p.native, v) && pin.fits(v) {
				v.pin = pin
			}
		}
	}
}

// nativeFor gives the architecture under which apt files a package: what runs on all is native.
func nativeFor(arch, native string) string {
	if arch == "all" {
		return native
	}
	return arch
}

// priority is what a version counts when the candidate is chosen (apt-pkg/policy.cc, GetPriority).
func (p *policy) priority(v *version) int {
	const none = -1 << 30
	highest, banned := none, true
	for _, i := range v.on {
		highest = max(highest, i.priority)
		banned = banned && i.priority == priorityNever
	}
	if v.installed {
		highest = max(highest, p.installed)
		banned = banned && p.installed == priorityNever
	}
	if v.pin != nil && !banned {
		highest = v.pin.priority
	}
	if highest == none {
		highest = 0
	}
	if p.phasing.policy && p.phasing.defers(v) {
		return min(highest, priorityNotAutomatic)
	}
	return highest
}
