package command

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// chosen is what a person says of which updates are meant.
type chosen struct {
	security bool
	sources  []string
}

func (c *chosen) addFlags(p *Program, cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.security, "security", false, "those for security only")
	cmd.Flags().StringSliceVar(&c.sources, "source", nil, "of these sources only (`apt`)")
	complete(cmd, "source", p.completeSources)
}

// selection gives what names and flags come to.
func (c chosen) selection(names []string) (fleet.Selection, error) {
	switch {
	case c.security && len(names) > 0:
		return fleet.Selection{}, usagef("name updates, or say --security, and not both")
	case c.security:
		return fleet.Selection{Security: true}, nil
	case len(names) > 0:
		return fleet.Selection{Names: names}, nil
	}
	return fleet.Selection{All: true}, nil
}

// installers gives the sources of this machine that can install.
func (p *Program) installers(m *machine.Machine, names []string) ([]source.Installer, error) {
	sources, err := p.sources(m, names)
	if err != nil {
		return nil, err
	}
	var list []source.Installer
	for _, s := range sources {
		if i, ok := s.(source.Installer); ok && s.Present(m) {
			list = append(list, i)
		} else if len(names) > 0 {
			return nil, &fleet.Unknown{Because: s.Name() + " installs nothing here yet", Remedy: "`redflag doctor` says which sources this machine has"}
		}
	}
	if len(list) == 0 {
		return nil, &fleet.Unknown{Because: "this machine has no source of updates that RedFlag installs from"}
	}
	return list, nil
}

const aboutPlan = `Says exactly what an installation would do, and does nothing: each package that would be installed, upgraded,
downgraded or removed, with its versions, what must be downloaded, and what a person should know before.

The package manager itself makes the plan. What "redflag install" would do is this plan or nothing.`

func (p *Program) planCommand() *cobra.Command {
	var c chosen
	var format string
	cmd := &cobra.Command{
		Use: "plan [NAME...]", Short: "What an installation would do, exactly", Long: aboutPlan,
		Example: "  redflag plan\n  redflag plan --security\n  redflag plan curl openssl --format json",
		RunE: func(cmd *cobra.Command, names []string) error {
			if format != "text" && format != "json" {
				return usagef("format %q: choose text or json", format)
			}
			m := machine.Local()
			plans, err := p.plans(cmd.Context(), m, c, names)
			if err != nil {
				return err
			}
			if format == "json" {
				return cmp.Or(writeJSON(p.stdout, plans), unplanned(plans))
			}
			for _, plan := range plans {
				p.showPlan(plan)
			}
			return unplanned(plans)
		},
	}
	c.addFlags(p, cmd)
	cmd.Flags().StringVar(&format, "format", "text", "`text|json`")
	return cmd
}

// unplanned is the exit code where a source could not plan.
func unplanned(plans []fleet.Plan) error {
	if slices.ContainsFunc(plans, func(p fleet.Plan) bool { return p.Because != "" }) {
		return exitCode(exitUnknown)
	}
	return nil
}

// plans plans with every source that is meant. A name that one of them does not know may be another's.
func (p *Program) plans(ctx context.Context, m *machine.Machine, c chosen, names []string) ([]fleet.Plan, error) {
	sel, err := c.selection(names)
	if err != nil {
		return nil, err
	}
	installers, err := p.installers(m, c.sources)
	if err != nil {
		return nil, err
	}
	return source.PlanAll(ctx, m, installers, sel)
}

// showPlan prints a plan for a person: removals first.
func (p *Program) showPlan(plan fleet.Plan) {
	switch {
	case plan.Because != "":
		fmt.Fprintf(p.stdout, "%s: unknown, because %s\n", plan.Source, plan.Because)
		if plan.Remedy != "" {
			fmt.Fprintf(p.stdout, "  → %s\n", plan.Remedy)
		}
		return
	case len(plan.Changes) == 0:
		fmt.Fprintf(p.stdout, "%s: nothing to do\n", plan.Source)
		for _, w := range plan.Warnings {
			fmt.Fprintf(p.stdout, "  note: %s\n", w)
		}
		return
	}
	fmt.Fprintf(p.stdout, "%s: %s\n\n", plan.Source, count(len(plan.Changes), "change"))
	var t table
	t.indent, t.spare = "  ", 1
	for _, c := range plan.Changes {
		step := digest(c.From) + " → " + digest(c.To)
		if c.To == "" || c.From == "" {
			step = digest(c.From) + digest(c.To)
		}
		remark := ""
		if c.Security {
			remark = "security"
		}
		t.add(left(string(c.Action)), left(c.Name), left(step), left(remark), left(c.Origin))
	}
	t.write(p.stdout, painter(colourful(p.stdout)), columns(p.stdout))
	fmt.Fprintln(p.stdout)
	p.showCosts(plan)
	if len(plan.ConfigFiles) > 0 {
		fmt.Fprintf(p.stdout, "  changed here, and kept as they are: %s\n", list(plan.ConfigFiles, 5))
	}
	if running := names(plan.Restart.Services); len(running) > 0 {
		fmt.Fprintf(p.stdout, "  running from files that are replaced: %s\n", list(running, 8))
	}
	if plan.Reboot.Needed == fleet.Needed {
		fmt.Fprintf(p.stdout, "  a reboot will be needed: %s\n", list(plan.Reboot.Because, 3))
	}
	for _, w := range plan.Warnings {
		fmt.Fprintf(p.stdout, "  note: %s\n", w)
	}
	fmt.Fprintf(p.stdout, "  plan %s\n", digest(plan.Digest()))
}

// showCosts prints what a plan takes of the network and the disk.
func (p *Program) showCosts(plan fleet.Plan) {
	if plan.Download > 0 {
		fmt.Fprintf(p.stdout, "  download: %s\n", size(plan.Download))
	}
	if plan.Disk == 0 && plan.Free == 0 {
		return
	}
	verb := "more"
	if plan.Disk < 0 {
		verb = "less"
	}
	var parts []string
	if plan.Disk != 0 {
		parts = append(parts, size(max(plan.Disk, -plan.Disk))+" "+verb+" afterwards")
	}
	if plan.Free > 0 {
		parts = append(parts, size(plan.Free)+" free")
	}
	fmt.Fprintf(p.stdout, "  disk: %s\n", strings.Join(parts, ", "))
}

// approve asks the person on the terminal; yes is the answer that was given on the command line. Without a yes nothing is to be done: the error has said so.
func (p *Program) approve(ctx context.Context, question string, yes bool) error {
	if yes {
		return nil
	}
	ok, err := p.ask(ctx, question, "look at `redflag plan`, and say --yes")
	if err != nil || ok {
		return err
	}
	fmt.Fprintln(p.stdout, "nothing was done")
	if ctx.Err() != nil {
		return exitCode(exitInterrupted)
	}
	return exitCode(exitFailed)
}

// rootAlone refuses what only root may do.
func rootAlone(what string) error {
	if machine.Administers() {
		return nil
	}
	if runtime.GOOS == "windows" {
		return &fleet.Unknown{Because: "only administrators may " + what, Remedy: "run it as an administrator"}
	}
	return &fleet.Unknown{Because: "only root may " + what, Remedy: "sudo " + strings.Join(os.Args, " ")}
}
