package command

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/memory"
	"redflag/internal/source"
)

func (p *Program) holdCommand(hold bool) *cobra.Command {
	use, short, long := "hold [NAME...]", "Keep updates of packages from being installed", "Keeps updates of packages from being installed, by anybody, until `redflag unhold`. Without names it lists those that are on hold."
	args := cobra.ArbitraryArgs
	if !hold {
		use, short, long, args = "unhold NAME...", "Let updates of packages be installed again", "", cobra.MinimumNArgs(1)
	}
	return &cobra.Command{
		Use: use, Short: short, Long: long, Args: args,
		RunE: func(cmd *cobra.Command, names []string) error {
			m := machine.Local()
			holder, err := p.holder(m)
			if err != nil {
				return err
			}
			if len(names) == 0 {
				return p.listHeld(m, holder)
			}
			if err := rootAlone("hold packages"); err != nil {
				return err
			}
			return p.hold(cmd.Context(), m, holder, names, hold)
		},
	}
}

func (p *Program) holder(m *machine.Machine) (source.Holder, error) {
	sources, err := p.sources(m, nil)
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		if h, ok := s.(source.Holder); ok {
			return h, nil
		}
	}
	return nil, &fleet.Unknown{Because: "no source on this machine can hold packages"}
}

func (p *Program) listHeld(m *machine.Machine, holder source.Holder) error {
	held, err := holder.Held(m)
	if err != nil {
		return err
	}
	if len(held) == 0 {
		fmt.Fprintln(p.stdout, "nothing is on hold")
	}
	for _, name := range held {
		fmt.Fprintln(p.stdout, name)
	}
	return nil
}

// hold holds packages, or lets go of them, and says so.
func (p *Program) hold(ctx context.Context, m *machine.Machine, holder source.Holder, names []string, hold bool) error {
	for _, name := range names {
		if p.isImage(name) {
			return &fleet.Unknown{Because: fleet.Plain(name) + " is a container's image, and holds are for packages", Remedy: "pin its tag or digest where the container is made, to keep it as it is"}
		}
	}
	held, err := holder.Held(m)
	if err == nil {
		err = holder.Hold(ctx, m, names, hold)
	}
	if err != nil {
		return err
	}
	word, already := "on hold", "on hold already"
	if !hold {
		word, already = "no longer on hold", "not on hold"
	}
	for _, name := range names {
		said := word
		if slices.Contains(held, name) == hold {
			said = already
		}
		fmt.Fprintf(p.stdout, "%s: %s\n", name, said)
	}
	return nil
}

// isImage says whether the last scan knows a name as that of an image, or of a container.
func (p *Program) isImage(name string) bool {
	scan, err := memory.Load(p.dirs.State)
	if err != nil {
		return false // nothing was scanned yet
	}
	for _, f := range scan.Findings {
		for _, c := range f.Checks {
			if c.Name == name || slices.Contains(c.Containers, name) {
				return true
			}
		}
	}
	return false
}
