package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"redflag/internal/api"
	"redflag/internal/client"
	"redflag/internal/command"
	nouns "redflag/internal/fleet"
	"redflag/internal/store"
)

// planned has hosts plan, shows what they would do, has it approved and watches it.
func (j *jobs) planned(ctx context.Context, c *client.Client, r client.Request, a wanted) error {
	id, err := c.Begin(ctx, r)
	if err != nil {
		return err
	}
	return j.begun(ctx, c, id, a)
}

// begun waits for the plans of a rollout, shows them, and has them approved.
func (j *jobs) begun(ctx context.Context, c *client.Client, id store.RolloutID, a wanted) error {
	t := client.Thing{Rollout: id}
	fmt.Fprintf(j.Stderr(), "rollout %d: the hosts plan\n", id)
	if err := j.awaitPlans(ctx, c, t, a.patient); err != nil {
		return err
	}
	return j.decide(ctx, c, t, a.yes, a.detach)
}

// lookEvery is how often the server is wanted how far jobs are.
const lookEvery = 700 * time.Millisecond

// awaitPlans waits until no host plans any more, or for so long.
func (j *jobs) awaitPlans(ctx context.Context, c *client.Client, t client.Thing, patience time.Duration) error {
	for began := time.Now(); ; {
		list, err := c.Jobs(ctx, t)
		if ctx.Err() != nil {
			fmt.Fprintf(j.Stderr(), "\nredflag: the hosts plan on; go on with: redflag job approve %d, or end it: redflag job cancel %d\n", t.Rollout, t.Rollout)
			return command.Exit(command.ExitInterrupted)
		}
		if err != nil {
			return err
		}
		var open []string
		for _, job := range list {
			if job.State == store.JobPlanning {
				open = append(open, job.HostName)
			}
		}
		if len(open) == 0 {
			return nil
		}
		if time.Since(began) > patience {
			fmt.Fprintf(j.Stderr(), "redflag: not planned yet: %s; they plan when they are back: redflag job approve %d\n", command.Some(open, 8), t.Rollout)
			return nil
		}
		pause(ctx, lookEvery)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// decide shows what is planned, asks, approves exactly that, and watches it.
func (j *jobs) decide(ctx context.Context, c *client.Client, t client.Thing, yes, detach bool) error {
	for {
		digest, err := j.showPlans(ctx, c, t)
		if err != nil {
			return err
		}
		if digest == "" {
			return j.verdict(ctx, c, t)
		}
		if !yes {
			ok, err := j.Ask("Approve this?", fmt.Sprintf("say --yes, or approve it later: redflag job approve %d", t.Rollout))
			if err != nil {
				return err
			}
			if !ok {
				fmt.Fprintf(j.Stderr(), "redflag: nothing is done; approve it later with: redflag job approve %d, or end it: redflag job cancel %d\n", t.Rollout, t.Rollout)
				return nil
			}
		}
		err = c.Approve(ctx, t, digest)
		if client.IsStatus(err, http.StatusConflict) {
			fmt.Fprintln(j.Stderr(), "\nredflag: meanwhile something else is planned:")
			continue
		}
		if err != nil {
			return err
		}
		return j.follow(ctx, c, t, detach)
	}
}

// showPlans prints what waits for an approval, and gives its digest; empty where nothing does.
func (j *jobs) showPlans(ctx context.Context, c *client.Client, t client.Thing) (digest string, err error) {
	if t.Job != 0 {
		job, err := c.Job(ctx, t.Job)
		if err != nil || job.State != store.JobPlanned {
			return "", err
		}
		j.showJobPlans(job)
		return job.Digest, nil
	}
	r, err := c.Rollout(ctx, t.Rollout)
	if err != nil || r.Planned == 0 {
		return "", err
	}
	list, err := c.Jobs(ctx, t)
	if err != nil {
		return "", err
	}
	for _, job := range list {
		if job.State.Ended() && job.State != store.JobSucceeded {
			fmt.Fprintf(j.Stdout(), "%s: %s, %s\n", job.HostName, job.State, job.Because)
		}
	}
	j.showCompared(r)
	return r.Digest, nil
}

// showCompared prints where hosts differ, and then what they have in common, so that what must be seen is on top.
func (j *jobs) showCompared(r api.WholeRollout) {
	out := j.Stdout()
	for _, v := range r.Variants {
		if len(v.Changes) == 0 && len(v.Warnings) == 0 && len(v.ConfigFiles) == 0 && len(r.Variants) == 1 {
			continue
		}
		fmt.Fprintf(out, "\n%s:\n", hostNames(v.Hosts))
		if len(v.Changes) > 0 {
			j.showChanges(v.Changes)
		}
		j.showNotes(v)
	}
	if r.More > 0 {
		fmt.Fprintf(out, "\n%s with other plans still: redflag job show\n", command.Count(r.More, "host"))
	}
	if len(r.Common) > 0 {
		title := "on all " + command.Count(r.Planned, "host")
		if len(r.Variants) == 1 {
			title = hostNames(r.Variants[0].Hosts)
		}
		fmt.Fprintf(out, "\n%s: %s\n", title, command.Count(len(r.Common), "change"))
		j.showChanges(r.Common)
	}
	if len(r.Variants) == 1 {
		j.showNotes(r.Variants[0])
	}
	if r.After.RestartServices {
		fmt.Fprintln(out, "  afterwards: restart the services that run replaced files")
	}
	if r.After.Reboot {
		fmt.Fprintln(out, "  afterwards: reboot where it is needed")
	}
}

func hostNames(hosts []api.JobRef) string {
	var names []string
	for _, h := range hosts {
		names = append(names, nouns.Plain(h.HostName))
	}
	return command.Some(names, 10)
}

// showChanges prints changes, removals first, as they come.
func (j *jobs) showChanges(changes []nouns.Change) {
	t := tabwriter.NewWriter(j.Stdout(), 0, 0, 2, ' ', 0)
	for _, c := range changes {
		step := short(c.From) + " → " + short(c.To)
		if c.From == "" || c.To == "" {
			step = short(c.From + c.To)
		}
		remark := ""
		if c.Security {
			remark = "security"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", c.Action, nouns.Plain(c.Name), nouns.Plain(step), remark)
	}
	_ = t.Flush() // the error stays with the output
}

// short shortens a digest as container engines do.
func short(version string) string {
	const digits = 12
	if hex, ok := strings.CutPrefix(version, "sha256:"); ok && len(hex) > digits {
		return hex[:digits]
	}
	return version
}

func (j *jobs) showNotes(v api.Variant) {
	out := j.Stdout()
	if v.Download > 0 {
		fmt.Fprintf(out, "  download: %s\n", command.Size(v.Download))
	}
	if len(v.ConfigFiles) > 0 {
		fmt.Fprintf(out, "  changed there, and kept as they are: %s\n", command.Some(v.ConfigFiles, 5))
	}
	if v.Reboot == nouns.Needed {
		fmt.Fprintf(out, "  a reboot will be needed: %s\n", command.Some(v.Because, 3))
	}
	if len(v.Restart) > 0 {
		var names []string
		for _, s := range v.Restart {
			names = append(names, s.Name)
		}
		fmt.Fprintf(out, "  services that run replaced files then: %s\n", command.Some(names, 8))
	}
	for _, w := range v.Warnings {
		fmt.Fprintf(out, "  note: %s\n", nouns.Plain(w))
	}
}

func (j *jobs) showJobPlans(job store.WholeJob) {
	for _, p := range job.Plans {
		fmt.Fprintf(j.Stdout(), "\n%s, %s: %s\n", nouns.Plain(job.HostName), nouns.Plain(p.Source), command.Count(len(p.Changes), "change"))
		j.showChanges(p.Changes)
		j.showNotes(api.Variant{Download: p.Download, ConfigFiles: p.ConfigFiles, Reboot: p.Reboot.Needed, Because: p.Reboot.Because, Restart: p.Restart.Services, Warnings: p.Warnings})
	}
}
