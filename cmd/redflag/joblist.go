package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/api"
	"redflag/internal/client"
	"redflag/internal/command"
	nouns "redflag/internal/fleet"
	"redflag/internal/store"
)

// format adds the flag that chooses how something is written.
func format(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVar(into, "format", "text", "`text|json`")
}

// written writes a value as JSON where that is wanted, and else as text.
func (j *jobs) written(format string, v any, text func()) error {
	switch format {
	case "text":
		text()
		return nil
	case "json":
		out := json.NewEncoder(j.Stdout())
		out.SetIndent("", "  ")
		return out.Encode(v)
	}
	return command.Usage(fmt.Errorf("--format %s: it is text or json", format))
}

func (j *jobs) listCommand() *cobra.Command {
	var how, state, host string
	limit := 0
	cmd := &cobra.Command{
		Use: "list", Short: "The jobs of the fleet, the newest first", Args: cobra.NoArgs,
		RunE: j.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			if state != "" {
				q.Set("state", state)
			}
			if host != "" {
				hosts, err := c.Hosts(ctx, []string{host})
				if err != nil {
					return err
				}
				q.Set("host", hosts[0].ID.String())
			}
			var page struct{ Items []store.Job }
			if err := c.Ask(ctx, http.MethodGet, "/jobs?"+q.Encode(), nil, &page); err != nil {
				return err
			}
			return j.written(how, page.Items, func() { writeJobs(j.Stdout(), page.Items) })
		}),
	}
	format(cmd, &how)
	cmd.Flags().StringVar(&state, "state", "", "those in a `STATE`: open, planned, running, failed …")
	cmd.Flags().StringVar(&host, "host", "", "those of a `HOST`, by its name or ID")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many")
	return cmd
}

func writeJobs(w io.Writer, list []store.Job) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, job := range list {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", job.ID, job.ChangedAt.Local().Format(time.DateTime), nouns.Plain(job.HostName), job.State, nouns.Plain(job.Work.String()), nouns.Plain(job.Because))
	}
	_ = t.Flush() // the error stays with the output
}

func (j *jobs) showCommand() *cobra.Command {
	var how string
	cmd := &cobra.Command{
		Use: "show ID", Short: "All that is known of a job, or of a rollout", Args: cobra.ExactArgs(1),
		RunE: j.asking(func(ctx context.Context, c *client.Client, args []string) error {
			t, err := c.Find(ctx, args[0])
			if err != nil {
				return err
			}
			if t.Job != 0 {
				job, err := c.Job(ctx, t.Job)
				if err != nil {
					return err
				}
				return j.written(how, job, func() { j.showJob(job) })
			}
			r, err := c.Rollout(ctx, t.Rollout)
			if err != nil {
				return err
			}
			list, err := c.Jobs(ctx, t)
			if err != nil {
				return err
			}
			return j.written(how, r, func() {
				fmt.Fprintf(j.Stdout(), "rollout %d: %s, by %s at %s\n\n", r.ID, nouns.Plain(r.Work.String()), nouns.Plain(r.CreatedBy), r.CreatedAt.Local().Format(time.DateTime))
				writeJobs(j.Stdout(), list)
				j.showCompared(r)
			})
		}),
	}
	format(cmd, &how)
	return cmd
}

func (j *jobs) showJob(job store.WholeJob) {
	out := j.Stdout()
	fmt.Fprintf(out, "job %d on %s, of rollout %d: %s\n", job.ID, nouns.Plain(job.HostName), job.Rollout, nouns.Plain(job.Work.String()))
	fmt.Fprintf(out, "  asked for by %s at %s\n", nouns.Plain(job.CreatedBy), job.CreatedAt.Local().Format(time.DateTime))
	if job.ApprovedBy != "" {
		fmt.Fprintf(out, "  approved by %s at %s\n", nouns.Plain(job.ApprovedBy), job.ApprovedAt.Local().Format(time.DateTime))
	}
	fmt.Fprintf(out, "  %s since %s", job.State, job.ChangedAt.Local().Format(time.DateTime))
	if job.Because != "" {
		fmt.Fprintf(out, ": %s", nouns.Plain(job.Because))
	}
	fmt.Fprintln(out)
	if job.Remedy != "" {
		fmt.Fprintf(out, "  → %s\n", nouns.Plain(job.Remedy))
	}
	j.showJobPlans(job)
	for _, o := range job.Outcomes {
		fmt.Fprintf(out, "\n%s: %s, %s done", nouns.Plain(o.Source), nouns.Plain(o.State), command.Count(len(o.Outcome.Done), "change"))
		if n := len(o.Outcome.Missing); n > 0 {
			fmt.Fprintf(out, ", %d not", n)
		}
		fmt.Fprintln(out)
		for _, f := range o.Outcome.ConfigFiles {
			fmt.Fprintf(out, "  to review there: %s\n", nouns.Plain(f))
		}
		if len(o.Outcome.Stopped) > 0 {
			fmt.Fprintf(out, "  does not run any more: %s\n", command.Some(o.Outcome.Stopped, 8))
		}
		if o.Outcome.Reboot.Needed == nouns.Needed {
			fmt.Fprintf(out, "  a reboot is needed: %s\n", command.Some(o.Outcome.Reboot.Because, 3))
		}
	}
	if job.Lines > 0 {
		fmt.Fprintf(out, "\n%s of what its tools said: redflag job log %d\n", command.Count(job.Lines, "line"), job.ID)
	}
}

func (j *jobs) logCommand() *cobra.Command {
	return &cobra.Command{
		Use: "log ID", Short: "All that the tools said while a job was carried out", Args: cobra.ExactArgs(1),
		RunE: j.asking(func(ctx context.Context, c *client.Client, args []string) error {
			t, err := c.Find(ctx, args[0])
			if err != nil {
				return err
			}
			list, err := c.Jobs(ctx, t)
			if err != nil {
				return err
			}
			if len(list) != 1 {
				writeJobs(j.Stderr(), list)
				return command.Usage(fmt.Errorf("the rollout has %d jobs: say which", len(list)))
			}
			return c.Copy(ctx, fmt.Sprintf("/jobs/%d/log", list[0].ID), j.Stdout())
		}),
	}
}

func (j *jobs) cancelCommand() *cobra.Command {
	var how string
	cmd := &cobra.Command{
		Use: "cancel ID", Short: "End a job, or those of a rollout, that have not begun", Args: cobra.ExactArgs(1),
		RunE: j.asking(func(ctx context.Context, c *client.Client, args []string) error {
			t, err := c.Find(ctx, args[0])
			if err != nil {
				return err
			}
			done, err := c.Cancel(ctx, t)
			if err != nil {
				return err
			}
			return j.written(how, done, func() {
				for _, part := range []struct {
					what string
					jobs []api.JobRef
				}{
					{"cancelled", done.Stopped}, {"asked to cancel it, because the host has it already", done.Asked},
					{"has begun: a download ends, and what changes the host goes on to its end", done.Running},
				} {
					for _, job := range part.jobs {
						fmt.Fprintf(j.Stdout(), "%s: %s\n", nouns.Plain(job.HostName), part.what)
					}
				}
				if len(done.Stopped)+len(done.Asked)+len(done.Running) == 0 {
					fmt.Fprintln(j.Stdout(), "all of it has ended already")
				}
			})
		}),
	}
	format(cmd, &how)
	return cmd
}
