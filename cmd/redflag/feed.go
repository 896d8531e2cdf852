package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"redflag/internal/advisory"
	"redflag/internal/client"
	"redflag/internal/command"
	nouns "redflag/internal/fleet"
	"redflag/internal/server"
)

// errFeed is for who names no feed.
var errFeed = errors.New("which feed? name its file, or an address that the server's configuration names")

const aboutFeed = `What advisories a fleet's server has. It compares what hosts report with them, and sends nothing of it anywhere.

Feeds are those of "redflag advisories" (docs/advisories.md): a publisher's file, or a bundle that "redflag advisories export" wrote. The key needs the scope admin to import.`

func (f *fleet) feedCommand() *cobra.Command {
	j := &jobs{Program: f.Program}
	cmd := &cobra.Command{Use: "feed", Short: "Feeds of advisories that a fleet's server goes by", Long: aboutFeed, Args: cobra.NoArgs, RunE: help}
	j.serverFlags(cmd)
	var how string
	list := &cobra.Command{
		Use: "list", Short: "The server's feeds: how old, whose, under which licence, and what is not known", Args: cobra.NoArgs,
		RunE: j.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			known, err := c.Advisories(ctx)
			if err != nil {
				return err
			}
			return j.written(how, known, func() {
				t := tabwriter.NewWriter(j.Stdout(), 0, 0, 2, ' ', 0)
				for _, one := range known.Feeds {
					fmt.Fprintf(t, "%s\tof %s\t%d entries\t%s\t%s\t%s\n", nouns.Plain(one.Name), one.AsOf.Format("2006-01-02"), one.Entries, nouns.Plain(one.Licence), nouns.Plain(one.Publisher), nouns.Plain(one.Error))
				}
				_ = t.Flush() // the error stays with the output
				for _, words := range known.Unknown {
					fmt.Fprintln(j.Stdout(), "not known: "+nouns.Plain(words))
				}
			})
		}),
	}
	format(list, &how)
	drop := &cobra.Command{
		Use: "delete NAME", Short: "Have the server forget a feed", Args: cobra.ExactArgs(1),
		RunE: j.asking(func(ctx context.Context, c *client.Client, args []string) error { return c.DeleteFeed(ctx, args[0]) }),
	}
	cmd.AddCommand(j.importCommand(), list, drop)
	return cmd
}

func (j *jobs) importCommand() *cobra.Command {
	var replace bool
	cmd := &cobra.Command{
		Use: "import FILE|ADDRESS...", Short: "Give the server feeds of advisories, or bundles of them",
		Long: `Gives the server feeds: files of this machine, which are sent to it, or addresses that its own configuration names (feeds in the section server), which
it asks itself. One that is refused leaves the one that is there as it is.`,
		Example: "  redflag feed import all.zip epss_scores-current.csv.gz\n  redflag feed import /media/stick/small.bundle",
		RunE: j.asking(func(ctx context.Context, c *client.Client, args []string) error {
			if len(args) == 0 {
				return command.Usage(errFeed)
			}
			var problems []error
			for _, from := range args {
				problems = append(problems, j.importFeed(ctx, c, from, replace))
			}
			return errors.Join(problems...)
		}),
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "take a feed even if it is older or much smaller than the one that is there")
	return cmd
}

// importFeed gives the server one feed, or those of a bundle, and says what became of them.
func (j *jobs) importFeed(ctx context.Context, c *client.Client, from string, replace bool) error {
	done, err := sendFeed(ctx, c, from, replace)
	if err != nil {
		return fmt.Errorf("%s: %w", nouns.Plain(from), err)
	}
	for _, one := range done.Feeds {
		words := fmt.Sprintf("%d entries, of %s", one.Entries, one.AsOf.Format("2006-01-02"))
		if one.Unchanged {
			words = "it was there already"
		}
		fmt.Fprintf(j.Stdout(), "%s: %s\n", nouns.Plain(one.Name), words)
	}
	if done.Problems != "" {
		return fmt.Errorf("%s: %s", nouns.Plain(from), nouns.Plain(done.Problems))
	}
	return nil
}

func sendFeed(ctx context.Context, c *client.Client, from string, replace bool) (server.ImportedFeeds, error) {
	if advisory.IsURL(from) {
		return c.FetchFeed(ctx, from, replace)
	}
	file, err := os.Open(from)
	if err != nil {
		return server.ImportedFeeds{}, err
	}
	defer file.Close()
	return c.ImportFeed(ctx, file, filepath.Base(from), replace)
}
