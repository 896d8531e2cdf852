package rpm

import (
	"path/filepath"
	"slices"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Replaced gives the versions that a plan takes away, which an undo would need.
func Replaced(p fleet.Plan) []Package {
	var list []Package
	for _, c := range p.Changes {
		one := Package{Name: c.Name, EVR: c.From, Arch: c.Arch}
		if c.From != "" && one.Valid() == nil {
			list = append(list, one)
		}
	}
	return list
}

// KeepCached keeps a package from a package manager's own cache, whose folders fit the pattern; false where it is in none.
func KeepCached(m *machine.Machine, p Package, pattern string) bool {
	name := Kept(p)
	if source.Kept(m, name) != "" {
		return true
	}
	_, version, release := CutEVR(p.EVR)
	file := p.Name + "-" + version + "-" + release + "." + p.Arch + ".rpm"
	found, err := filepath.Glob(filepath.Join(m.Root, pattern, file))
	if err != nil || len(found) == 0 {
		return false
	}
	rel, err := filepath.Rel(m.Root, found[0])
	return err == nil && source.Keep(m, "/"+filepath.ToSlash(rel), name) == nil
}

// Older gives all but the newest version of the packages of these keys.
func Older(installed []Package, keys []string) []Package {
	newest := Newest(installed)
	return slices.DeleteFunc(slices.Clone(installed), func(p Package) bool {
		return !slices.Contains(keys, p.Key()) || newest[p.Key()].EVR == p.EVR
	})
}
