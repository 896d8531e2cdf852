package command

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/machine"
)

const aboutInstall = `Installs updates: all that an ordinary upgrade would install now, or those that are named, or those for security.

It shows the plan and asks. What you approve is done, exactly that, or nothing: if anything else would happen by the
time it begins, it does not begin. Packages are downloaded first; Ctrl-C ends it there. Once it changes the machine it goes
on by itself, in a process of its own: Ctrl-C only stops watching. Configuration files that were changed here are kept.

Afterwards the package database says what was done. What was replaced is kept, so that "redflag undo" can go back.`

func (p *Program) installCommand() *cobra.Command {
	var c chosen
	var yes bool
	cmd := &cobra.Command{
		Use: "install [NAME...]", Short: "Install updates, after a look at the plan", Long: aboutInstall,
		Example: "  sudo redflag install --security\n  sudo redflag install curl\n  sudo redflag install --yes",
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := rootAlone("install updates"); err != nil {
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
			return p.carryOut(cmd.Context(), m, plans, yes, "Install this?", "")
		},
	}
	c.addFlags(p, cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "approve the plan without being asked")
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
func (p *Program) carryOut(ctx context.Context, m *machine.Machine, plans []fleet.Plan, yes bool, question string, undoes job.ID) error {
	todo := 0
	for _, plan := range plans {
		p.showPlan(plan)
		todo += len(plan.Changes)
	}
	if todo == 0 {
		return nil
	}
	if ok, err := p.approve(question, yes); err != nil || !ok {
		return err
	}
	for _, plan := range plans {
		if len(plan.Changes) == 0 {
			continue
		}
		j, err := job.New(m, job.Job{Plan: plan, CreatedBy: caller(), Undoes: undoes})
		if err != nil {
			return err
		}
		if err := begin(ctx, j.ID); err != nil {
			return err
		}
		if err := p.follow(ctx, m, j.ID); err != nil {
			return err
		}
	}
	return nil
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

const (
	// lookEvery is how often a job is looked at by who follows it.
	lookEvery = 150 * time.Millisecond
	// beginPatience is how long a job may take to begin before it is said that it does not.
	beginPatience = 30 * time.Second
)

// follow prints what a job does until it has ended. The end of ctx cancels a download; of what is under way it only stops watching.
func (p *Program) follow(ctx context.Context, m *machine.Machine, id job.ID) error {
	fmt.Fprintf(p.stdout, "\njob %s\n", id)
	progress := job.NewProgress(m, id)
	began := time.Now()
	for {
		j, err := job.Get(m, id)
		if err != nil {
			return err
		}
		for _, s := range progress.More() {
			fmt.Fprintf(p.stdout, "  %s\n", stepLine(s))
		}
		switch {
		case j.State.Ended():
			return p.ended(j)
		case j.State == job.Approved && time.Since(began) > beginPatience:
			return &fleet.Unknown{Because: "the job does not begin", Remedy: "another one may be at work: redflag history"}
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return p.leave(m, id)
		}
	}
}

// leave is what a Ctrl-C does.
func (p *Program) leave(m *machine.Machine, id job.ID) error {
	j, err := job.Get(m, id)
	if err != nil {
		return err
	}
	if j.State == job.Fetching && j.PID > 0 {
		if process, err := os.FindProcess(j.PID); err == nil && process.Signal(os.Interrupt) == nil {
			fmt.Fprintln(p.stderr, "\nredflag: the download is cancelled; nothing was changed")
			return exitCode(exitInterrupted)
		}
	}
	fmt.Fprintf(p.stderr, "\nredflag: it goes on without you; see what becomes of it with: redflag log %s\n", id)
	return exitCode(exitInterrupted)
}

// ended prints what became of a job, and gives its exit code.
func (p *Program) ended(j job.Job) error {
	fmt.Fprintf(p.stdout, "\n%s: %s", j.ID, j.State)
	if o := j.Outcome; o != nil {
		fmt.Fprintf(p.stdout, ", %s", count(len(o.Done), "change"))
		if len(o.Missing) > 0 {
			fmt.Fprintf(p.stdout, ", %d not done", len(o.Missing))
		}
	}
	fmt.Fprintln(p.stdout)
	if o := j.Outcome; o != nil {
		p.aftermath(*o)
	}
	if j.State == job.Succeeded {
		return nil
	}
	fmt.Fprintf(p.stderr, "redflag: %s\n", j.Because)
	if j.Remedy != "" {
		fmt.Fprintf(p.stderr, "  → %s\n", j.Remedy)
	}
	fmt.Fprintf(p.stderr, "  → what the tools said: redflag log %s\n", j.ID)
	return exitCode(exitFailed)
}

// aftermath prints what a person should know after a job.
func (p *Program) aftermath(o fleet.Outcome) {
	for _, c := range o.Missing {
		fmt.Fprintf(p.stdout, "  not done: %s\n", c)
	}
	if len(o.HalfDone) > 0 {
		fmt.Fprintf(p.stdout, "  left half done: %s\n", list(o.HalfDone, 5))
	}
	for _, f := range o.ConfigFiles {
		fmt.Fprintf(p.stdout, "  to review: %s\n", f)
	}
	if o.Reboot.Needed == fleet.Needed {
		fmt.Fprintf(p.stdout, "  a reboot is needed: %s\n", list(o.Reboot.Because, 3))
	}
	if o.Restart.Needed == fleet.Needed {
		var names []string
		for _, s := range o.Restart.Services {
			names = append(names, s.Name)
		}
		fmt.Fprintf(p.stdout, "  services to restart: %s\n", list(names, 8))
	}
}
