package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/machine"
)

const (
	// lookEvery is how often a job is looked at by who follows it.
	lookEvery = 150 * time.Millisecond
	// beginPatience is how long a job may take to begin before it is said that it does not.
	beginPatience = 30 * time.Second
	// cancelPatience is how long a download may take to end once it is cancelled.
	cancelPatience = 30 * time.Second
)

// steps prints the progress of a job: on a terminal one line that changes, elsewhere a line for each step.
type steps struct {
	w       io.Writer
	changes bool
	width   int
	open    bool // the line that changes is there
}

func (s *steps) print(step job.Step) {
	line := "  " + stepLine(step)
	if !s.changes || step.Failed {
		s.end()
		fmt.Fprintln(s.w, line)
		return
	}
	fmt.Fprintf(s.w, "\r\x1b[K%s", cut(line, max(s.width-1, 20)))
	s.open = true
}

// end lets what comes next begin on a line of its own.
func (s *steps) end() {
	if s.open {
		fmt.Fprint(s.w, "\r\x1b[K")
		s.open = false
	}
}

// stepLine writes a step of a job for a person.
func stepLine(s job.Step) string {
	if s.Failed || s.Percent < 0 {
		return s.Text
	}
	return fmt.Sprintf("%3d%%  %s", s.Percent, s.Text)
}

// follow prints what a job does until it has ended; as JSON it prints nothing. The end of ctx cancels a download; of what is under way it only stops
// watching.
func (p *Program) follow(ctx context.Context, m *machine.Machine, id job.ID, format string) error {
	out := p.stdout
	if format == "json" {
		out = p.stderr
	}
	fmt.Fprintf(out, "\njob %s\n", id)
	shown := &steps{w: out, changes: colourful(out), width: columns(out)}
	progress := job.NewProgress(m, id)
	for began := time.Now(); ; {
		j, err := job.Get(m, id)
		if err != nil {
			return err
		}
		for _, s := range progress.More() {
			shown.print(s)
		}
		switch {
		case j.State.Ended():
			shown.end()
			return p.ended(out, j)
		case j.State == job.Rebooting:
			shown.end()
			fmt.Fprintf(out, "\n%s: all else is done, and the machine goes down; see what became of it with: redflag log %s\n", j.ID, j.ID)
			return nil
		case j.State == job.Approved && time.Since(began) > beginPatience:
			return &fleet.Unknown{Because: "the job does not begin", Remedy: "see whether another one is at work: redflag history"}
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			shown.end()
			return p.leave(m, id)
		}
	}
}

// leave is what a Ctrl-C does: it cancels what has not begun to change the machine, and stops watching what has.
func (p *Program) leave(m *machine.Machine, id job.ID) error {
	if err := job.Cancel(m, id); err != nil {
		return err
	}
	fmt.Fprintln(p.stderr, "\nredflag: stopping")
	for began := time.Now(); time.Since(began) < cancelPatience; time.Sleep(lookEvery) {
		j, err := job.Get(m, id)
		if err != nil {
			return err
		}
		if j.State == job.Cancelled {
			fmt.Fprintln(p.stderr, "redflag: the download is cancelled; nothing was changed")
			return exitCode(exitInterrupted)
		}
		if j.State.Ended() {
			return p.ended(p.stdout, j)
		}
		if j.State == job.Running || j.State == job.Rebooting {
			break
		}
	}
	fmt.Fprintf(p.stderr, "redflag: it is under way and goes on without you; watch it again with: redflag log %s\n", id)
	return exitCode(exitInterrupted)
}

// ended prints what became of a job, and gives its exit code.
func (p *Program) ended(out io.Writer, j job.Job) error {
	fmt.Fprintf(out, "\n%s: %s", j.ID, j.State)
	if o := j.Outcome; o != nil && (j.Kind == job.ToInstall || len(o.Done) > 0) {
		fmt.Fprintf(out, ", %s", count(len(o.Done), "change"))
		if len(o.Missing) > 0 {
			fmt.Fprintf(out, ", %d not done", len(o.Missing))
		}
	}
	fmt.Fprintln(out)
	if o := j.Outcome; o != nil {
		aftermath(out, *o)
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
func aftermath(out io.Writer, o fleet.Outcome) {
	for _, c := range o.Missing {
		fmt.Fprintf(out, "  not done: %s\n", c)
	}
	say := func(what string, names []string, most int) {
		if len(names) > 0 {
			fmt.Fprintf(out, "  %s: %s\n", what, list(names, most))
		}
	}
	say("left half done", o.HalfDone, 5)
	for _, f := range o.ConfigFiles {
		fmt.Fprintf(out, "  to review: %s\n", f)
	}
	say("do not run any more", o.Stopped, 8)
	say("restarted", o.Restarted, 8)
	if o.Rebooted {
		fmt.Fprintln(out, "  it was rebooted, and has come back")
	}
	if o.Reboot.Needed == fleet.Needed {
		say("a reboot is needed", o.Reboot.Because, 3)
	}
	if o.Restart.Needed == fleet.Needed {
		say("services to restart (redflag restart-services)", names(o.Restart.Services), 8)
	}
}

func names(services []fleet.Service) []string {
	var list []string
	for _, s := range services {
		list = append(list, s.Name)
	}
	return list
}
