package source

import (
	"slices"
	"strings"

	"redflag/internal/fleet"
)

// GuardRemovals refuses a plan that takes away what the machine stands on: what it is reached, started or updated by. Needed says of a removal whether
// it is of such a package, in the words of its package manager. A package that comes again in another architecture is not taken away.
func GuardRemovals(p fleet.Plan, needed func(fleet.Change) bool, remedy string) error {
	var gone []string
	for _, c := range p.Changes {
		comes := slices.ContainsFunc(p.Changes, func(o fleet.Change) bool { return o.Name == c.Name && o.To != "" && o.Arch != c.Arch })
		if c.To == "" && needed(c) && !comes {
			gone = append(gone, c.Name)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return &fleet.Unknown{Because: "the plan would remove " + strings.Join(gone, ", ") + ", which this machine needs", Remedy: remedy}
}
