package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"

	"github.com/spf13/cobra"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/machine"
)

const aboutInstall = `Installs updates: all that an ordinary upgrade would install now, or those that are named, or those for security.

It shows the plan and asks. What you approve is done, exactly that, or nothing: if anything else would happen by the
time it begins, it does not begin. Packages are downloaded first; Ctrl-C ends it there. Once it changes the machine it goes
on by itself, in a process of its own: Ctrl-C only stops watching. Configuration files that were changed here are kept.

Afterwards the package database says what was done. What was replaced is kept, so that "redflag undo" can go back.


Exit codes: 0 it is done, or there was nothing to do; 1 it is not, and it is said why; 2 wrong usage, or nobody to ask;
130 you have stopped it, or stopped watching.`

// asked is how a person wants work to be done.
type asked struct {
	yes    bool
	format string
	after  fleet.After
}

func (a *asked) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "approve it without being asked")
	cmd.Flags().StringVar(&a.format, "format", "text", "`text|json`; json needs --yes")
	complete(cmd, "format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

func (a *asked) addAfterFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.after.RestartServices, "restart-services", false, "afterwards, restart services that run replaced files")
	cmd.Flags().BoolVar(&a.after.Reboot, "reboot", false, "afterwards, reboot if that is needed")
}

func (a *asked) check() error {
	switch {
	case a.format != "text" && a.format != "json":
		return usagef("format %q: choose text or json", a.format)
	case a.format == "json" && !a.yes:
		return usagef("--format json asks nobody: look at `redflag plan --format json`, and say --yes")
	}
	return nil
}

func (p *Program) installCommand() *cobra.Command {
	var c chosen
	var a asked
	cmd := &cobra.Command{
		Use: "install [NAME...]", Short: "Install updates, after a look at the plan", Long: aboutInstall,
		Example: "  sudo redflag install --security\n  sudo redflag install curl\n  sudo redflag install --yes --restart-services --reboot",
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := errors.Join(a.check(), rootAlone("install updates")); err != nil {
				return err
			}
			m := machine.Local()
			if err := p.settle(cmd.Context(), m); err != nil {
				return err
			}
			plans, err := p.plans(cmd.Context(), m, c, names)
			if err != nil {
				return err
			}
			return p.carryOut(cmd.Context(), m, plans, a, "Install this?", "")
		},
	}
	c.addFlags(p, cmd)
	a.addFlags(cmd)
	a.addAfterFlags(cmd)
	return cmd
}

// settle ends what was killed in the middle, by what is there.
func (p *Program) settle(ctx context.Context, m *machine.Machine) error {
	installers, err := p.installers(m, nil)
	if err != nil {
		return err
	}
	if err := job.Recover(ctx, m, installers); err != nil {
		return err
	}
	if busy := job.AtWork(m); busy != "" {
		return &fleet.Unknown{Because: "the job " + string(busy) + " is at work", Remedy: "redflag log " + string(busy) + " follows it"}
	}
	return nil
}

// carryOut shows plans, asks, and does what is approved, one after the other.
func (p *Program) carryOut(ctx context.Context, m *machine.Machine, plans []fleet.Plan, a asked, question string, undoes job.ID) error {
	plans = slices.DeleteFunc(plans, func(plan fleet.Plan) bool {
		if len(plan.Changes) == 0 && a.format == "text" {
			p.showPlan(plan)
		}
		return len(plan.Changes) == 0
	})
	var work []job.Job
	for _, plan := range plans {
		if a.format == "text" {
			p.showPlan(plan)
		}
		work = append(work, job.Job{Plan: plan, CreatedBy: caller(), Undoes: undoes, After: a.after})
	}
	if a.format == "text" && len(work) > 0 {
		p.showAfter(a.after)
		if err := p.approve(ctx, question, a.yes); err != nil {
			return err
		}
	}
	return p.carryOutAll(ctx, m, work, a.format)
}

// showAfter says what comes after a plan.
func (p *Program) showAfter(after fleet.After) {
	if after.RestartServices {
		fmt.Fprintln(p.stdout, "  then services that run replaced files are restarted, but for those that should not be unasked")
	}
	if after.Reboot {
		fmt.Fprintln(p.stdout, "  then this machine is rebooted, if it needs that")
	}
}

// carryOutAll does work that was approved, until something fails.
func (p *Program) carryOutAll(ctx context.Context, m *machine.Machine, work []job.Job, format string) error {
	results := jobResults{Jobs: []jobResult{}}
	var problem error
	for _, w := range work {
		j, err := job.New(m, w)
		if err == nil {
			err = begin(ctx, j.ID)
		}
		if err != nil {
			return err
		}
		problem = p.follow(ctx, m, j.ID, format)
		if j, err = job.Get(m, j.ID); err == nil {
			results.Jobs = append(results.Jobs, resultOf(j, ""))
		}
		if problem != nil {
			break
		}
	}
	if format == "json" {
		return cmp.Or(writeJSON(p.stdout, results), problem)
	}
	return problem
}

// caller names who asks, also behind sudo.
func caller() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name + " (sudo)"
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "root"
}

// jobRunName is the hidden command that carries a job out in a process of its own.
const jobRunName = "job-run"

func (p *Program) jobRunCommand() *cobra.Command {
	return &cobra.Command{
		Use: jobRunName + " ID", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m := machine.Local()
			installers, err := p.installers(m, nil)
			if err != nil {
				return err
			}
			return job.Run(cmd.Context(), m, job.ID(args[0]), installers)
		},
	}
}
