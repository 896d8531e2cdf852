package apt

import (
	"context"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Packages implements source.Lister: every package whose files are on the machine, be it half, in the order of their names. Without dpkg's
// whole word (a journal that cannot be read) it is an error: half an inventory would say that the rest was removed. Which archives offer a package is looked up where
// the last scan's answer does not say it.
func (s Source) Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	set, err := readSettings(m)
	if err != nil {
		return nil, err
	}
	db, err := ReadDatabase(m, set.status)
	if err != nil {
		return nil, unreadable(set.status, err)
	}
	of, err := s.ecosystems(ctx, m, set)
	if err != nil {
		return nil, err
	}
	list := []fleet.Package{}
	for _, p := range db.Packages {
		if !p.Installed() {
			continue
		}
		f := fleet.Package{Source: s.Name(), Name: fleet.Plain(p.Name), Arch: fleet.Plain(p.Arch), Version: fleet.Plain(p.Version), Ecosystem: of[p.key()]}
		if p.Source != p.Name {
			f.From = fleet.Plain(p.Source)
		}
		if p.SourceVersion != p.Version {
			f.FromVersion = fleet.Plain(p.SourceVersion)
		}
		list = append(list, f)
	}
	fleet.SortPackages(list)
	return list, nil
}
