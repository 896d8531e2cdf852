package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/machine"
	"redflag/internal/source"
)

const aboutRestart = `Restarts the services that still run files which an update has replaced: all of them, or those that are named. It shows which and why, and
asks. Those that would cut off what hangs on them (dbus, logins, container engines, networks, display managers …) are left, and it is said why.
Afterwards it looks whether they run.`

func (p *Program) restartCommand() *cobra.Command {
	var a asked
	cmd := &cobra.Command{
		Use: "restart-services [NAME...]", Short: "Restart what still runs replaced files", Long: aboutRestart,
		Example: "  sudo redflag restart-services\n  sudo redflag restart-services nginx --yes",
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := errors.Join(a.check(), rootAlone("restart services")); err != nil {
				return err
			}
			m := machine.Local()
			if err := p.settle(cmd.Context(), m); err != nil {
				return err
			}
			chosen, err := p.toRestart(machine.Facts(cmd.Context(), m).Restart, names, a.format == "text")
			if err != nil {
				return err
			}
			if len(chosen) == 0 {
				return p.carryOutAll(cmd.Context(), m, nil, a.format)
			}
			if err := p.approve(cmd.Context(), "Restart "+count(len(chosen), "service")+"?", a.yes); err != nil {
				return err
			}
			return p.carryOutAll(cmd.Context(), m, []job.Job{{Kind: job.ToRestart, Names: chosen, CreatedBy: caller(), Plan: fleet.NewPlan("", fleet.Selection{}, m.Now())}}, a.format)
		},
	}
	a.addFlags(cmd)
	return cmd
}

// toRestart shows what runs replaced files, and gives those of it that are meant and may be restarted.
func (p *Program) toRestart(found fleet.Restart, names []string, show bool) ([]string, error) {
	wanted := map[string]bool{}
	for _, n := range names {
		if !strings.Contains(n, ".") {
			n += ".service"
		}
		wanted[n] = true
	}
	var chosen []string
	var t table
	t.indent, t.spare = "  ", 1
	for _, s := range found.Services {
		if len(names) > 0 && !wanted[s.Name] {
			continue
		}
		delete(wanted, s.Name)
		remark := leftBecause(s)
		if remark == "" {
			chosen = append(chosen, s.Name)
		}
		t.add(left(s.Name), left("runs "+list(s.Files, 2)), left(remark))
	}
	for _, n := range names {
		if name := strings.TrimSuffix(n, ".service") + ".service"; wanted[n] || wanted[name] {
			return nil, &fleet.Unknown{Because: fleet.Plain(n) + " runs no files that were replaced", Remedy: "systemctl restart " + fleet.Plain(name) + " restarts it all the same"}
		}
	}
	if !show {
		return chosen, nil
	}
	t.write(p.stdout, painter(colourful(p.stdout)), columns(p.stdout))
	switch {
	case len(found.Services) == 0 && found.Needed == fleet.NotNeeded:
		fmt.Fprintln(p.stdout, "nothing runs replaced files")
	case len(chosen) == 0:
		fmt.Fprintln(p.stdout, "nothing is restarted")
	}
	if found.Because != "" {
		fmt.Fprintf(p.stdout, "  note: %s\n", found.Because)
	}
	return chosen, nil
}

// leftBecause says why something that runs replaced files is not restarted; empty where it may be.
func leftBecause(s fleet.Service) string {
	switch s.Kind {
	case "unit":
		if !strings.HasSuffix(s.Name, ".service") {
			return "left: it is no service; a reboot restarts it"
		}
		if because := machine.MayRestart(s.Name); because != "" {
			_, why, _ := strings.Cut(because, ": ")
			return "left: " + why
		}
		return ""
	case "container":
		return "left: a container; it is restarted by its engine"
	case "session":
		return "left: a login; it ends when its user logs out"
	}
	return "left: it belongs to no service"
}

func (p *Program) rebootCommand() *cobra.Command {
	var a asked
	var ifNeeded bool
	cmd := &cobra.Command{
		Use: "reboot", Short: "Reboot this machine, and say whether it came back", Args: cobra.NoArgs,
		Long: "Reboots this machine, after it has said why and asked. It refuses while a job is at work, or something else forbids a shutdown, as apt does while it\n" +
			"installs. Afterwards `redflag history` says that it has come back, and which services have not.",
		Example: "  sudo redflag reboot --if-needed --yes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(a.check(), rootAlone("reboot")); err != nil {
				return err
			}
			m := machine.Local()
			if err := p.settle(cmd.Context(), m); err != nil {
				return err
			}
			need := machine.Facts(cmd.Context(), m).Reboot
			if a.format == "text" {
				p.showNeed(need)
			}
			if ifNeeded && need.Needed != fleet.Needed {
				err := p.carryOutAll(cmd.Context(), m, nil, a.format)
				if err == nil && need.Needed == fleet.NeedUnknown {
					err = exitCode(exitUnknown)
				}
				return err
			}
			if err := p.approve(cmd.Context(), "Reboot this machine now?", a.yes); err != nil {
				return err
			}
			return p.carryOutAll(cmd.Context(), m, []job.Job{{Kind: job.ToReboot, IfNeeded: ifNeeded, CreatedBy: caller(), Plan: fleet.NewPlan("", fleet.Selection{}, m.Now())}}, a.format)
		},
	}
	a.addFlags(cmd)
	cmd.Flags().BoolVar(&ifNeeded, "if-needed", false, "only if updates need it")
	return cmd
}

func (p *Program) showNeed(need fleet.Reboot) {
	switch need.Needed {
	case fleet.Needed:
		fmt.Fprintf(p.stdout, "a reboot is needed: %s\n", list(need.Because, 3))
	case fleet.NotNeeded:
		fmt.Fprintln(p.stdout, "nothing needs a reboot")
	default:
		fmt.Fprintf(p.stdout, "whether a reboot is needed is not known: %s\n", list(need.Because, 3))
	}
}

const aboutRepair = `Finishes what was interrupted, by each package manager's own means. On Debian: first dpkg finishes with the packages that it has left in the middle (dpkg --configure -a), with
configuration files kept. If packages still lack what they need, apt plans what would mend that (apt-get -f install): the plan passes the same guard as every other,
is shown, and asked about.`

func (p *Program) repairCommand() *cobra.Command {
	a := asked{format: "text"}
	cmd := &cobra.Command{
		Use: "repair", Short: "Finish what the package manager was interrupted in", Args: cobra.NoArgs, Long: aboutRepair,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := rootAlone("repair"); err != nil {
				return err
			}
			m := machine.Local()
			if err := p.settle(cmd.Context(), m); err != nil {
				return err
			}
			installers, err := p.installers(m, nil)
			if err != nil {
				return err
			}
			return p.repairAll(cmd.Context(), m, installers, a)
		},
	}
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "approve it without being asked")
	return cmd
}

// repairAll lets each source that repairs finish, as far as one does not fail: FreeBSD has two, for its base system and for its packages.
func (p *Program) repairAll(ctx context.Context, m *machine.Machine, installers []source.Installer, a asked) error {
	repairs := false
	for _, i := range installers {
		r, ok := i.(source.Repairer)
		if !ok {
			continue
		}
		repairs = true
		if err := p.repair(ctx, m, i, r, a); err != nil {
			return err
		}
	}
	if !repairs {
		return &fleet.Unknown{Because: "no source on this machine needs repair"}
	}
	return nil
}

// repair lets a source finish, and then shows what it would take to mend what is left.
func (p *Program) repair(ctx context.Context, m *machine.Machine, i source.Installer, r source.Repairer, a asked) error {
	unfinished, err := r.Unfinished(m)
	if err != nil {
		return err
	}
	var problem error
	if len(unfinished) > 0 {
		fmt.Fprintf(p.stdout, "%s has not finished with %s\nit is told to finish; configuration files stay as they are\n", i.Name(), list(unfinished, 8))
		if err := p.approve(ctx, "Let it finish?", a.yes); err != nil {
			return err
		}
		problem = p.carryOutAll(ctx, m, []job.Job{{Kind: job.ToRepair, CreatedBy: caller(), Plan: fleet.NewPlan(i.Name(), fleet.Selection{}, m.Now())}}, a.format)
		if ctx.Err() != nil {
			return problem
		}
	}
	plan, err := i.Plan(ctx, m, fleet.Selection{Mend: true})
	if err != nil {
		return errors.Join(problem, err)
	}
	switch {
	case len(plan.Changes) > 0:
		return p.carryOut(ctx, m, []fleet.Plan{plan}, a, "Do this to mend it?", "")
	case len(unfinished) == 0:
		fmt.Fprintln(p.stdout, "nothing needs repair")
	}
	return problem
}
