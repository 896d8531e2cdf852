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
			sources, err := p.sources(m, nil)
			if err != nil {
				return err
			}
			holders, err := source.Holders(sources)
			if err != nil {
				return err
			}
			if len(names) == 0 {
				return p.listHeld(m, holders)
			}
			if err := rootAlone("hold packages"); err != nil {
				return err
			}
			return p.hold(cmd.Context(), m, holders, names, hold)
		},
	}
}

func (p *Program) listHeld(m *machine.Machine, holders []source.Holder) error {
	held, err := source.HeldBy(m, holders)
	if len(held) == 0 && err == nil {
		fmt.Fprintln(p.stdout, "nothing is on hold")
	}
	for _, name := range held {
		fmt.Fprintln(p.stdout, name)
	}
	return err
}

// hold holds packages, or lets go of them, and says so.
func (p *Program) hold(ctx context.Context, m *machine.Machine, holders []source.Holder, names []string, hold bool) error {
	for _, name := range names {
		if p.isImage(name) {
			return &fleet.Unknown{Because: fleet.Plain(name) + " is a container's image, and holds are for packages", Remedy: "pin its tag or digest where the container is made, to keep it as it is"}
		}
	}
	held, _ := source.HeldBy(m, holders) // whether it was so before is a word more, and no more
	if err := source.HoldEach(ctx, m, holders, names, hold); err != nil {
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
