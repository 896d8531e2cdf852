package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/machine"
)

// jobCommands are those about work on this machine.
func (p *Program) jobCommands() []*cobra.Command {
	return []*cobra.Command{
		p.planCommand(), p.installCommand(), p.undoCommand(), p.historyCommand(), p.logCommand(), p.holdCommand(true), p.holdCommand(false),
		p.restartCommand(), p.rebootCommand(), p.repairCommand(),
	}
}

const aboutUndo = `Goes back to the versions that a job replaced: those of the last one, or of the job that is named (the end of its ID is enough).
What it installed is removed, what it removed is installed again. It is planned, shown and asked like everything else; what cannot go
back is said before it asks. An undo can be undone.

Packages come from what was kept (/var/lib/redflag/packages) or from archives that still have them. Configuration files stay as they
are, and data that newer programs have converted stay converted.`

func (p *Program) undoCommand() *cobra.Command {
	var a asked
	cmd := &cobra.Command{
		Use: "undo [JOB]", Short: "Go back to what was there before a job", Args: cobra.MaximumNArgs(1), Long: aboutUndo,
		Example: "  sudo redflag undo\n  sudo redflag undo 20261124-083000-k3xa",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(a.check(), rootAlone("go back")); err != nil {
				return err
			}
			m := machine.Local()
			if err := p.settle(cmd.Context(), m); err != nil {
				return err
			}
			j, err := undoable(m, args)
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
			return p.carryOut(cmd.Context(), m, []fleet.Plan{plan}, a, "Undo "+string(j.ID)+"?", j.ID)
		},
	}
	a.addFlags(cmd)
	a.addAfterFlags(cmd)
	return cmd
}

// undoable gives the job that is named, or the last that has changed something.
func undoable(m *machine.Machine, args []string) (job.Job, error) {
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
	var format string
	cmd := &cobra.Command{
		Use: "history", Short: "What was done here, and what became of it", Args: cobra.NoArgs,
		Long: "Lists the jobs of this machine, the newest first: when, what became of it, who asked, and what for. `redflag log JOB` says more of one.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return usagef("format %q: choose text or json", format)
			}
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
			return p.showHistory(list, format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "`text|json`")
	return cmd
}

func (p *Program) showHistory(list []job.Job, format string) error {
	undone := undoneBy(list)
	if format == "json" {
		results := jobResults{Jobs: []jobResult{}}
		for _, j := range list {
			results.Jobs = append(results.Jobs, resultOf(j, undone[j.ID]))
		}
		return writeJSON(p.stdout, results)
	}
	if len(list) == 0 {
		fmt.Fprintln(p.stdout, "redflag has done nothing here yet")
		return nil
	}
	var t table
	t.spare = 4
	for _, j := range list {
		state := string(j.State)
		if undone[j.ID] != "" {
			state += ", undone"
		}
		t.add(left(string(j.ID)), left(j.CreatedAt.Local().Format("2006-01-02 15:04")), left(state), left(j.CreatedBy), left(summaryOf(j, undone[j.ID])))
	}
	t.write(p.stdout, painter(colourful(p.stdout)), columns(p.stdout))
	return nil
}

// summaryOf says in a line what a job is about.
func summaryOf(j job.Job, undoneBy job.ID) string {
	var what []string
	for _, c := range j.Plan.Changes {
		what = append(what, c.Name)
	}
	text := string(kindOf(j))
	if len(what) == 0 {
		what = j.Names
	}
	if j.Undoes != "" {
		text += " of " + string(j.Undoes)
	}
	if len(what) > 0 {
		text += " " + list(what, 4)
	}
	if undoneBy != "" {
		text += " (undone by " + string(undoneBy) + ")"
	}
	if j.State != job.Succeeded && j.Because != "" {
		text += ": " + j.Because
	}
	return text
}

func (p *Program) logCommand() *cobra.Command {
	return &cobra.Command{
		Use: "log [JOB]", Short: "What the tools said during a job", Args: cobra.MaximumNArgs(1),
		Long: "Prints what the package manager said during a job, the last one or the one that is named, and follows it while it is at work.",
		RunE: func(cmd *cobra.Command, args []string) error {
			m := machine.Local()
			if err := rootAlone("read the jobs of this machine"); err != nil {
				return err
			}
			if installers, err := p.installers(m, nil); err == nil {
				if err := job.Recover(cmd.Context(), m, installers); err != nil {
					p.log().Warn("what was interrupted cannot be settled", "err", err)
				}
			}
			if len(args) == 0 {
				list, err := job.List(m)
				if err != nil || len(list) == 0 {
					return cmp.Or(err, error(&fleet.Unknown{Because: "redflag has done nothing here yet"}))
				}
				args = []string{string(list[0].ID)}
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
	if errors.Is(err, fs.ErrNotExist) && j.State.Ended() {
		return p.ended(p.stdout, j) // it has not come so far
	}
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
			return p.ended(p.stdout, now)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
