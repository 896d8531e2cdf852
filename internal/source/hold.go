package source

import (
	"context"
	"errors"
	"slices"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Holders gives those of the sources that can hold packages; an error where none can.
func Holders[S Source](sources []S) ([]Holder, error) {
	var list []Holder
	for _, s := range sources {
		if h, ok := any(s).(Holder); ok {
			list = append(list, h)
		}
	}
	if len(list) == 0 {
		return nil, &fleet.Unknown{Because: "no source on this machine can hold packages"}
	}
	return list, nil
}

// HoldEach keeps updates of packages from being installed, or lets go of them: each by the sources that have a package of that name. What none has is for the
// first to refuse.
func HoldEach(ctx context.Context, m *machine.Machine, holders []Holder, names []string, hold bool) error {
	if len(holders) == 1 {
		return holders[0].Hold(ctx, m, names, hold)
	}
	theirs := make([][]string, len(holders))
	found := map[string]bool{}
	for i, h := range holders {
		l, ok := h.(Lister)
		if !ok {
			continue
		}
		packages, err := l.Packages(ctx, m)
		if err != nil {
			continue // it cannot hold anything either, and says so where it is the only one
		}
		for _, name := range names {
			has := func(p fleet.Package) bool { return goesBy(fleet.Update{Name: p.Name, Arch: p.Arch}, name) }
			if slices.ContainsFunc(packages, has) {
				theirs[i] = append(theirs[i], name)
				found[name] = true
			}
		}
	}
	for _, name := range names {
		if !found[name] {
			theirs[0] = append(theirs[0], name)
		}
	}
	var problems []error
	for i, h := range holders {
		if len(theirs[i]) > 0 {
			problems = append(problems, h.Hold(ctx, m, theirs[i], hold))
		}
	}
	return errors.Join(problems...)
}

// HeldBy gives what any of them keeps from being updated. What one cannot say is the error, and the rest holds all the same.
func HeldBy(m *machine.Machine, holders []Holder) ([]string, error) {
	var names []string
	var problems []error
	for _, h := range holders {
		held, err := h.Held(m)
		names, problems = append(names, held...), append(problems, err)
	}
	return names, errors.Join(problems...)
}
