package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// jobCommands are those about work on this machine.
func (p *Program) jobCommands() []*cobra.Command {
	return []*cobra.Command{p.planCommand(), p.installCommand(), p.undoCommand(), p.historyCommand(), p.logCommand(), p.holdCommand(true), p.holdCommand(false), p.repairCommand()}
}

func (p *Program) undoCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "undo [JOB]", Short: "Go back to what was there before a job", Args: cobra.MaximumNArgs(1),
		Long: "Goes back to the versions that a job replaced: the last one's, or that of the job which is named. It is planned, shown and asked like\n" +
			"everything else. Data that newer programs have converted stay converted.",
		Example: "  sudo redflag undo\n  sudo redflag undo 20261124-083000-k3xa",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := rootAlone("go back"); err != nil {
				return err
			}
			m := machine.Local()
			if err := p.settle(cmd.Context(), m); err != nil {
				return err
			}
			j, err := lastJob(m, args)
			if err != nil {
				return err
			}
			installers, err := p.installers(m, nil)
			if err != nil {
				return err
			}
			plan, err := job.Undo(cmd.Context(), m, j, installers)
			if err != nil {
				return err
			}
			return p.carryOut(cmd.Context(), m, []fleet.Plan{plan}, yes, "Undo "+string(j.ID)+"?", j.ID)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "approve the plan without being asked")
	return cmd
}

// lastJob gives the job that is named, or the last that has changed something.
func lastJob(m *machine.Machine, args []string) (job.Job, error) {
	if len(args) > 0 {
		return job.Get(m, job.ID(args[0]))
	}
	list, err := job.List(m)
	if err != nil {
		return job.Job{}, err
	}
	for _, j := range list {
		if j.Outcome != nil && len(j.Outcome.Done) > 0 {
			return j, nil
		}
	}
	return job.Job{}, &fleet.Unknown{Because: "no job has changed anything here that is known", Remedy: "redflag history"}
}

func (p *Program) historyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "history", Short: "What was installed here, and what became of it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m := machine.Local()
			if err := rootAlone("read the jobs of this machine"); err != nil {
				return err
			}
			if installers, err := p.installers(m, nil); err == nil {
				if err := job.Recover(cmd.Context(), m, installers); err != nil {
					p.log().Warn("what was interrupted cannot be settled", "err", err)
				}
			}
			list, err := job.List(m)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				fmt.Fprintln(p.stdout, "nothing was installed by redflag yet")
				return nil
			}
			var t table
			t.spare = 4
			for _, j := range list {
				t.add(left(string(j.ID)), left(string(j.State)), left(j.CreatedBy), left(count(len(j.Plan.Changes), "change")), left(summaryOf(j)))
			}
			t.write(p.stdout, painter(colourful(p.stdout)), columns(p.stdout))
			return nil
		},
	}
}

// summaryOf says in a line what a job is about.
func summaryOf(j job.Job) string {
	if j.Because != "" {
		return j.Because
	}
	var names []string
	for _, c := range j.Plan.Changes {
		names = append(names, c.Name)
	}
	text := list(names, 4)
	if j.Undoes != "" {
		text = "undoes " + string(j.Undoes) + ": " + text
	}
	return text
}

func (p *Program) logCommand() *cobra.Command {
	return &cobra.Command{
		Use: "log JOB", Short: "What the tools said during a job", Args: cobra.ExactArgs(1),
		Long: "Prints what the package manager said during a job, and follows it while it is at work.",
		RunE: func(cmd *cobra.Command, args []string) error {
			m := machine.Local()
			if err := rootAlone("read the jobs of this machine"); err != nil {
				return err
			}
			j, err := job.Get(m, job.ID(args[0]))
			if err != nil {
				return err
			}
			return p.printLog(cmd.Context(), m, j)
		},
	}
}

// printLog copies a job's log, until the job has ended.
func (p *Program) printLog(ctx context.Context, m *machine.Machine, j job.Job) error {
	f, err := m.Open(j.ID.Log())
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		now, err := job.Get(m, j.ID) // before the log is read, so that its end is in it
		if err != nil {
			return err
		}
		if _, err := io.Copy(p.stdout, f); err != nil {
			return err
		}
		if now.State.Ended() {
			return p.ended(now)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *Program) holdCommand(hold bool) *cobra.Command {
	use, short := "hold NAME...", "Keep updates of packages from being installed"
	if !hold {
		use, short = "unhold NAME...", "Let updates of packages be installed again"
	}
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := rootAlone("hold packages"); err != nil {
				return err
			}
			m := machine.Local()
			sources, err := p.sources(m, nil)
			if err != nil {
				return err
			}
			for _, s := range sources {
				if h, ok := s.(source.Holder); ok {
					return h.Hold(cmd.Context(), m, names, hold)
				}
			}
			return errors.New("no source on this machine can hold packages")
		},
	}
}

func (p *Program) repairCommand() *cobra.Command {
	return &cobra.Command{
		Use: "repair", Short: "Let the package manager finish what was interrupted", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := rootAlone("repair"); err != nil {
				return err
			}
			m := machine.Local()
			if err := p.settle(cmd.Context(), m); err != nil {
				return err
			}
			sources, err := p.sources(m, nil)
			if err != nil {
				return err
			}
			for _, s := range sources {
				if r, ok := s.(source.Repairer); ok {
					j, err := job.Repair(cmd.Context(), m, r, caller())
					if err != nil {
						return err
					}
					return p.ended(j)
				}
			}
			return errors.New("no source on this machine needs repair")
		},
	}
}
