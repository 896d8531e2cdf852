package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"redflag/internal/client"
	"redflag/internal/exposure"
	nouns "redflag/internal/fleet"
)

func (j *jobs) mendCommand() *cobra.Command {
	var a wanted
	cmd := &cobra.Command{
		Use: "mend VULNERABILITY [HOST...]", Short: "Install what mends a vulnerability, and nothing else, wherever it can be mended",
		Long: `Has exactly the updates installed that mend a vulnerability: on all hosts that have it, on those that are named, or on those of a group. Each host plans; you
see it and approve it once, as with "redflag job install".`,
		Example: "  redflag job mend CVE-2026-1234\n  redflag job mend CVE-2026-1234 --group production --restart-services", Args: cobra.MinimumNArgs(1),
		RunE: j.asking(func(ctx context.Context, c *client.Client, args []string) error {
			r := client.Request{After: a.after, Hours: a.hours}
			if names := args[1:]; len(names) > 0 || a.group != "" {
				var err error
				if r, err = a.request(ctx, c, r.Work, names); err != nil {
					return err
				}
			}
			id, err := c.Mend(ctx, args[0], r)
			if err != nil {
				return err
			}
			return j.begun(ctx, c, id, a)
		}),
	}
	a.flags(cmd)
	a.planFlags(cmd)
	return cmd
}

func (j *jobs) vulnerabilitiesCommand() *cobra.Command {
	var how, bucket, group string
	var exploited bool
	cmd := &cobra.Command{
		Use: "vulnerabilities [VULNERABILITY]", Short: "What the fleet's hosts are vulnerable to, what to do first first", Args: cobra.MaximumNArgs(1),
		Example: "  redflag job vulnerabilities --bucket \"act now\"\n  redflag job vulnerabilities CVE-2026-1234",
		RunE: j.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if len(args) > 0 {
				v, err := c.Vulnerability(ctx, args[0])
				if err != nil {
					return err
				}
				return j.written(how, v, func() { writeVulnerability(j.Stdout(), v) })
			}
			q := url.Values{}
			if bucket != "" {
				q.Set("bucket", bucket)
			}
			if exploited {
				q.Set("exploited", "true")
			}
			if group != "" {
				g, err := c.Group(ctx, group)
				if err != nil {
					return err
				}
				q.Set("group", fmt.Sprint(g.ID))
			}
			list, err := c.Vulnerabilities(ctx, q)
			if err != nil {
				return err
			}
			return j.written(how, list, func() { writeVulnerabilities(j.Stdout(), list) })
		}),
	}
	format(cmd, &how)
	cmd.Flags().StringVar(&bucket, "bucket", "", "those of a `BUCKET`: act now, this window, routine, track")
	cmd.Flags().BoolVar(&exploited, "exploited", false, "those that are known to be exploited")
	cmd.Flags().StringVar(&group, "group", "", "those of the hosts of a `GROUP`, by its name or ID")
	return cmd
}

func writeVulnerabilities(w io.Writer, list []exposure.Vulnerability) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d hosts, %d can be mended\t%s\n", v.Bucket, nouns.Plain(v.ID), nouns.Plain(strings.Join(v.Packages, " ")), v.Hosts, v.Mendable, nouns.Plain(v.Because))
	}
	_ = t.Flush() // the error stays with the output
}

func writeVulnerability(w io.Writer, v exposure.WholeVulnerability) {
	fmt.Fprintf(w, "%s: %s, %s\n", nouns.Plain(v.ID), v.Bucket, nouns.Plain(v.Because))
	if v.Remark != "" {
		fmt.Fprintln(w, nouns.Plain(v.Remark))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, a := range v.Affected {
		fixed := "no fix is known"
		if a.FixedIn != "" {
			fixed = "mended in " + a.FixedIn
		}
		fmt.Fprintf(t, "  %s\t%s %s\t%s\t%d hosts\n", nouns.Plain(a.Ecosystem), nouns.Plain(a.Package), nouns.Plain(a.Version), nouns.Plain(fixed), a.Hosts)
	}
	for _, m := range v.MendedBy {
		fmt.Fprintf(t, "  %s\t%s %s\t→ %s\ton offer on %d hosts, blocked on %d\n", m.Source, nouns.Plain(m.Name), nouns.Plain(m.From), nouns.Plain(m.To), m.Hosts, m.Blocked)
	}
	_ = t.Flush() // the error stays with the output
}
