package rpm

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Differences gives what changed between two states of the database, sorted. A version that came in the place of another is an upgrade or a downgrade; one
// that came beside others, as kernels do, is an install, and one that went from beside others a removal.
func Differences(before, after []Package) []fleet.Change {
	was, is := byKey(before), byKey(after)
	var out, in []Package
	list := []fleet.Change{}
	for key, old := range was {
		now := is[key]
		if len(old) == 1 && len(now) == 1 && old[0].EVR != now[0].EVR {
			list = append(list, change(old[0], now[0]))
			continue
		}
		out = append(out, without(old, now)...)
	}
	for key, now := range is {
		if len(was[key]) != 1 || len(now) != 1 {
			in = append(in, without(now, was[key])...)
		}
	}
	list = append(list, pair(out, in)...)
	slices.SortFunc(list, fleet.CompareChanges)
	return list
}

// pair makes changes of what went and what came. A package that goes in one architecture and comes in another, one of each, was replaced.
func pair(out, in []Package) []fleet.Change {
	var list []fleet.Change
	named := func(packages []Package, name string) []Package {
		return slices.DeleteFunc(slices.Clone(packages), func(p Package) bool { return p.Name != name })
	}
	replaced := func(name string) bool {
		return len(named(out, name)) == 1 && len(named(in, name)) == 1 && named(out, name)[0].Arch != named(in, name)[0].Arch
	}
	for _, p := range out {
		if !replaced(p.Name) {
			list = append(list, fleet.Change{Action: fleet.Remove, Name: p.Name, Arch: p.Arch, From: p.EVR})
		}
	}
	for _, p := range in {
		if replaced(p.Name) {
			list = append(list, change(named(out, p.Name)[0], p))
		} else {
			list = append(list, fleet.Change{Action: fleet.Install, Name: p.Name, Arch: p.Arch, To: p.EVR})
		}
	}
	return list
}

func change(from, to Package) fleet.Change {
	c := fleet.Change{Action: fleet.Upgrade, Name: to.Name, Arch: to.Arch, From: from.EVR, To: to.EVR}
	if Newer(from.EVR, to.EVR) {
		c.Action = fleet.Downgrade
	}
	return c
}

func byKey(list []Package) map[string][]Package {
	m := map[string][]Package{}
	for _, p := range list {
		m[p.Key()] = append(m[p.Key()], p)
	}
	return m
}

// without gives those of a that are not in b.
func without(a, b []Package) []Package {
	return slices.DeleteFunc(slices.Clone(a), func(p Package) bool {
		return slices.ContainsFunc(b, func(o Package) bool { return o.Key() == p.Key() && o.EVR == p.EVR })
	})
}

// After gives the state that a transaction leads to.
func After(before, out, in []Package) []Package {
	return append(without(without(before, out), in), in...)
}

// Transaction gives what goes and what comes by changes, as a package manager counts it.
func Transaction(before []Package, changes []fleet.Change) (out, in []Package) {
	for _, c := range changes {
		if c.From != "" {
			p := Package{Name: c.Name, EVR: c.From, Arch: c.Arch}
			if old := slices.IndexFunc(before, func(o Package) bool { return o.Name == c.Name && o.EVR == c.From && o.Arch == c.Arch }); old < 0 {
				// It was replaced by one of another architecture.
				if i := slices.IndexFunc(before, func(o Package) bool { return o.Name == c.Name && o.EVR == c.From }); i >= 0 {
					p.Arch = before[i].Arch
				}
			}
			out = append(out, p)
		}
		if c.To != "" {
			in = append(in, Package{Name: c.Name, EVR: c.To, Arch: c.Arch})
		}
	}
	return out, in
}

// Missing gives the planned changes that are not among those that were done.
func Missing(planned, done []fleet.Change) []fleet.Change {
	list := []fleet.Change{}
	for _, c := range planned {
		if !slices.ContainsFunc(done, func(d fleet.Change) bool {
			return d.Name == c.Name && d.Arch == c.Arch && d.To == c.To && (c.To != "" || d.From == c.From)
		}) {
			list = append(list, c)
		}
	}
	return list
}

// Newest gives the newest installed version of each package, by its key.
func Newest(installed []Package) map[string]Package {
	newest := map[string]Package{}
	for _, p := range installed {
		if have, ok := newest[p.Key()]; !ok || Newer(p.EVR, have.EVR) {
			newest[p.Key()] = p
		}
	}
	return newest
}

// Before gives the installed version that a version on offer would take the place of: a package may change from one architecture to all of them, and back. It is
// empty where there is none.
func Before(newest map[string]Package, offered Package) string {
	if p, ok := newest[offered.Key()]; ok {
		return p.EVR
	}
	for _, p := range newest {
		if p.Name == offered.Name && (p.Arch == "noarch" || offered.Arch == "noarch") {
			return p.EVR
		}
	}
	return ""
}

// Duplicates names packages of which two versions are installed that cannot stand side by side: a transaction was interrupted between the new one
// and the removal of the old. Side says which may stand so.
func Duplicates(installed []Package, side func(name string) bool) []string {
	var list []string
	for key, p := range byKey(installed) {
		if len(p) > 1 && !side(p[0].Name) {
			list = append(list, key)
		}
	}
	slices.Sort(list)
	return list
}

// sideBySide says whether several versions of a package stand side by side by custom.
func sideBySide(name string) bool {
	return name == "kernel" || strings.HasPrefix(name, "kernel-") || strings.HasPrefix(name, "kmod-") || strings.Contains(name, "-kmp-")
}

// more are the lines by which a configuration has more packages stand side by side: dnf.conf(5), zypp.conf.
var more = regexp.MustCompile(`(?m)^[ \t]*(?:installonlypkgs|multiversion)[ \t]*=[ \t]*(\S.*)$`)

// maxConfig bounds a configuration file.
const maxConfig = 1 << 20

// Beside gives the question whether several versions of a package may stand side by side on this machine: kernels, and what its configuration names.
func Beside(m *machine.Machine) func(name string) bool {
	var patterns []string
	for _, file := range []string{"/etc/dnf/dnf.conf", "/etc/yum.conf", "/etc/zypp/zypp.conf"} {
		data, err := m.ReadFile(file, maxConfig)
		if err != nil {
			continue // what is not configured is not there
		}
		for _, found := range more.FindAllSubmatch(data, -1) {
			patterns = append(patterns, strings.FieldsFunc(string(found[1]), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })...)
		}
	}
	return func(name string) bool {
		return sideBySide(name) || slices.ContainsFunc(patterns, func(p string) bool {
			matches, err := path.Match(p, name)
			return err == nil && matches
		})
	}
}
