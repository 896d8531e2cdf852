package rpm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Whole refuses where an installation was interrupted.
func Whole(installed []Package, side func(string) bool) error {
	if twice := Duplicates(installed, side); len(twice) > 0 {
		return &fleet.Unknown{
			Because: "an installation was interrupted: two versions are installed of " + strings.Join(twice, ", "), Remedy: "let it be finished first: redflag repair",
		}
	}
	return nil
}

// Repair finishes what an interrupted installation left in two versions: the older one goes. The newer one's files are in place, so only what is
// the older one's alone is removed, and no script runs that belongs to a removal.
func Repair(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work, side func(string) bool, known ...Reason) (fleet.Outcome, error) {
	installed, err := Remember(ctx, m, p, w)
	if err != nil {
		return fleet.Outcome{}, err
	}
	older := Older(installed, Duplicates(installed, side))
	if len(older) == 0 {
		return fleet.NewOutcome(), nil
	}
	args := []string{"-e", "--nodeps", "--noscripts", "--notriggers", "--"}
	for _, one := range older {
		args = append(args, one.String())
	}
	if err := Carry(m, w, machine.Command{Name: "rpm", Args: args}); err != nil {
		return fleet.Outcome{}, err
	}
	return Settle(ctx, m, p, w, side, known...)
}

// Holdable refuses names that cannot be put on hold: what is no name, and what is not installed.
func Holdable(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	for _, n := range names {
		if !nameText.MatchString(n) {
			return fmt.Errorf("%q is no name of a package", fleet.Plain(n))
		}
	}
	if !hold {
		return nil
	}
	installed, err := Installed(ctx, m)
	if err != nil {
		return err
	}
	for _, n := range names {
		if !slices.ContainsFunc(installed, func(p Package) bool { return p.Name == n }) {
			return &fleet.Unknown{Because: n + " is not installed", Remedy: "redflag list shows what is"}
		}
	}
	return nil
}
