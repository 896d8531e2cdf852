package source

import (
	"context"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Packages lists what is installed by all of some sources, sorted. Where one of them cannot say, it is an error: half a list would say that the rest is not there.
func Packages(ctx context.Context, m *machine.Machine, sources []Source) ([]fleet.Package, error) {
	list := []fleet.Package{}
	for _, s := range sources {
		lister, ok := s.(Lister)
		if !ok {
			continue
		}
		var some []fleet.Package
		err := guard(func() (err error) {
			some, err = lister.Packages(ctx, m)
			return err
		})
		if err != nil {
			because, remedy := fleet.Explain(err)
			return nil, &fleet.Unknown{Because: "what " + s.Name() + " has installed is not known: " + because, Remedy: remedy, Err: err}
		}
		list = append(list, some...)
	}
	fleet.SortPackages(list)
	return list, nil
}
