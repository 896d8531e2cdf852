package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"redflag/internal/client"
	"redflag/internal/command"
	nouns "redflag/internal/fleet"
	"redflag/internal/store"
)

// watching is what was printed of each job.
type watching struct {
	*jobs
	c     *client.Client
	lines map[store.JobID]int
	state map[store.JobID]store.JobState
}

// follow watches jobs until they have ended, and gives the exit code by what became of them. The end of ctx only stops watching.
func (j *jobs) follow(ctx context.Context, c *client.Client, t client.Thing, detach bool) error {
	if detach {
		fmt.Fprintf(j.Stdout(), "rollout %d; see what becomes of it with: redflag job watch %d\n", t.Rollout, t.Rollout)
		return nil
	}
	w := &watching{jobs: j, c: c, lines: map[store.JobID]int{}, state: map[store.JobID]store.JobState{}}
	for {
		list, err := c.Jobs(ctx, t)
		if err == nil {
			err = w.look(ctx, list)
		}
		if ctx.Err() != nil {
			fmt.Fprintf(j.Stderr(), "\nredflag: it goes on without you; see what becomes of it with: redflag job watch %d, and end what has not begun with: redflag job cancel %d\n", t.Rollout, t.Rollout)
			return command.Exit(command.ExitInterrupted)
		}
		if err != nil {
			return err
		}
		if over(list) {
			return j.tellVerdict(list)
		}
		pause(ctx, lookEvery)
	}
}

// over says whether nothing more is to come. What waits for an approval waits for a person.
func over(list []store.Job) bool {
	for _, job := range list {
		if !job.State.Ended() && job.State != store.JobPlanned {
			return false
		}
	}
	return true
}

// look prints what is new.
func (w *watching) look(ctx context.Context, list []store.Job) error {
	width := 0
	for _, job := range list {
		width = max(width, len(job.HostName))
	}
	for _, job := range list {
		name := fmt.Sprintf("%-*s", width, nouns.Plain(job.HostName))
		if job.State == store.JobRunning && w.state[job.ID] != store.JobRunning {
			w.say(name, job)
		}
		for w.lines[job.ID] < job.Lines {
			part, err := w.c.Lines(ctx, job.ID, w.lines[job.ID])
			if err != nil {
				return err
			}
			for _, line := range part.Lines {
				fmt.Fprintf(w.Stdout(), "%s | %s\n", name, nouns.Plain(line))
			}
			if len(part.Lines) == 0 {
				break
			}
			w.lines[job.ID] = part.Next
		}
		if job.State != w.state[job.ID] {
			w.say(name, job)
		}
	}
	return nil
}

// say prints a job's state.
func (w *watching) say(name string, job store.Job) {
	w.state[job.ID] = job.State
	text := string(job.State)
	if job.Because != "" {
		text += ": " + nouns.Plain(job.Because)
	}
	fmt.Fprintf(w.Stdout(), "%s > %s\n", name, text)
	if job.Remedy != "" {
		fmt.Fprintf(w.Stdout(), "%s   → %s\n", name, nouns.Plain(job.Remedy))
	}
}

// verdict tells what became of jobs.
func (j *jobs) verdict(ctx context.Context, c *client.Client, t client.Thing) error {
	list, err := c.Jobs(ctx, t)
	if err != nil {
		return err
	}
	for _, job := range list {
		text := ""
		if job.Because != "" {
			text = ": " + nouns.Plain(job.Because)
		}
		fmt.Fprintf(j.Stdout(), "%s: %s%s\n", nouns.Plain(job.HostName), job.State, text)
	}
	return j.tellVerdict(list)
}

// tellVerdict sums up, and gives the exit code: 0 where all of it is done, 1 where something is not, 3 where of something it is not known.
func (j *jobs) tellVerdict(list []store.Job) error {
	by := map[store.JobState]int{}
	failed, unknown := 0, 0
	for _, job := range list {
		by[job.State]++
		switch job.State {
		case store.JobSucceeded, store.JobPlanned, store.JobPlanning, store.JobApproved, store.JobWaiting, store.JobRunning:
		case store.JobUnknown:
			unknown++
		default:
			failed++
			fmt.Fprintf(j.Stderr(), "redflag: %s has not done it; what its tools said: redflag job log %d\n", nouns.Plain(job.HostName), job.ID)
		}
	}
	text := ""
	for _, s := range []store.JobState{
		store.JobSucceeded, store.JobFailed, store.JobRolledBack, store.JobCancelled, store.JobExpired, store.JobUnknown, store.JobPlanning, store.JobPlanned, store.JobApproved, store.JobWaiting, store.JobRunning,
	} {
		if by[s] > 0 {
			text += fmt.Sprintf(", %d %s", by[s], s)
		}
	}
	fmt.Fprintf(j.Stdout(), "\n%s%s\n", command.Count(len(list), "host"), text)
	switch {
	case failed > 0:
		return command.Exit(command.ExitFailed)
	case unknown > 0 || by[store.JobSucceeded] < len(list):
		return command.Exit(command.ExitUnknown)
	}
	return nil
}

func (j *jobs) watchCommand() *cobra.Command {
	return &cobra.Command{
		Use: "watch ID", Short: "Watch a job, or all of a rollout, until it has ended", Args: cobra.ExactArgs(1),
		RunE: j.asking(func(ctx context.Context, c *client.Client, args []string) error {
			t, err := c.Find(ctx, args[0])
			if err != nil {
				return err
			}
			return j.follow(ctx, c, t, false)
		}),
	}
}

func (j *jobs) approveCommand() *cobra.Command {
	var yes, detach bool
	cmd := &cobra.Command{
		Use: "approve ID", Short: "Approve what is planned, after a look at it, and watch", Args: cobra.ExactArgs(1),
		RunE: j.asking(func(ctx context.Context, c *client.Client, args []string) error {
			t, err := c.Find(ctx, args[0])
			if err != nil {
				return err
			}
			return j.decide(ctx, c, t, yes, detach)
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "approve it without being asked")
	cmd.Flags().BoolVar(&detach, "detach", false, "do not watch")
	return cmd
}
