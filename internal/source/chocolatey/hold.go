package chocolatey

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Held implements source.Holder.
func (Source) Held(m *machine.Machine) ([]string, error) {
	pinned, err := pins(context.Background(), m)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(pinned)), nil
}

// Hold implements source.Holder by Chocolatey's pins.
func (Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	installed, err := list(ctx, m)
	if err != nil {
		return err
	}
	for _, name := range names {
		if installed[strings.ToLower(name)] == "" {
			return &fleet.Unknown{Because: fmt.Sprintf("%q was not installed by Chocolatey", fleet.Plain(name)), Remedy: "redflag list shows what is on offer"}
		}
	}
	action := "add"
	if !hold {
		action = "remove"
	}
	for _, name := range names {
		r, err := ask(ctx, m, "pin", action, "--name="+strings.ToLower(name), "--yes", "--limit-output")
		if err != nil {
			return err
		}
		if r.Code != done && r.Code != enhanced {
			_, strange := parse(r.Stdout, 2, 2)
			return failed("choco pin "+action, r.Code, strange)
		}
	}
	pinned, err := pins(ctx, m)
	if err != nil {
		return err
	}
	for _, name := range names {
		if pinned[strings.ToLower(name)] != hold {
			return &fleet.Unknown{Because: name + " is not pinned as it should be", Remedy: "run it as an administrator; see choco pin list"}
		}
	}
	return nil
}
