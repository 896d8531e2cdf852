package flatpak

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Held implements source.Holder: what a mask covers.
func (Source) Held(m *machine.Machine) ([]string, error) {
	var names []string
	var problems []error
	for _, i := range installations(m) {
		masks, err := i.masks(context.Background(), m)
		problems = append(problems, err)
		there, err := i.deployed(m)
		problems = append(problems, err)
		for r := range there {
			if covering(masks, r) != "" {
				names = append(names, i.name(r))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), errors.Join(problems...)
}

// Hold implements source.Holder by Flatpak's own means, a mask of exactly this ref. Masks that a person has made of more than that are not ours to take away.
func (Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	for _, name := range names {
		found := false
		for _, i := range installations(m) {
			there, err := i.deployed(m)
			if err != nil {
				return err
			}
			for r := range there {
				if i.name(r) != name && i.name(r)+":"+r.arch != name {
					continue
				}
				found = true
				if err := i.hold(ctx, m, r, hold); err != nil {
					return err
				}
			}
		}
		if !found {
			return &fleet.Unknown{Because: fmt.Sprintf("%q is not installed", fleet.Plain(name)), Remedy: "redflag list shows what is on offer"}
		}
	}
	return nil
}

func (i installation) hold(ctx context.Context, m *machine.Machine, r ref, hold bool) error {
	masks, err := i.masks(ctx, m)
	if err != nil {
		return err
	}
	switch ours := slices.Contains(masks, r.String()); {
	case hold && !ours:
		_, err = i.ask(ctx, m, "mask", r.String())
	case !hold && ours:
		_, err = i.ask(ctx, m, "mask", "--remove", r.String())
	}
	if err != nil {
		return err
	}
	if masks, err = i.masks(ctx, m); err != nil {
		return err
	}
	if by := covering(masks, r); hold != (by != "") {
		if hold {
			return &fleet.Unknown{Because: i.name(r) + " is not masked as it should be", Remedy: "see what `flatpak mask` says"}
		}
		return &fleet.Unknown{Because: i.name(r) + " is masked by hand: " + by, Remedy: "take it away by hand: flatpak mask --remove '" + by + "'"}
	}
	return nil
}
