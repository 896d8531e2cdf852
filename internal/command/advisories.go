package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"redflag/internal/advisory"
	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/memory"
)

const aboutAdvisories = `Says which CVEs this machine has, which of them a pending update mends, and which update to install first.

RedFlag brings no advisory data with it, and asks nobody by itself what is installed here: feeds are imported whole,
and compared on this machine.

  OSV's archive of a distribution   https://osv-vulnerabilities.storage.googleapis.com/Debian/all.zip (AlmaLinux, Ubuntu, …)
  the Debian security tracker       https://security-tracker.debian.org/tracker/data/json
  Alpine's database of a repository https://secdb.alpinelinux.org/v3.20/main.json (and community.json)
  Arch's security tracker           https://security.archlinux.org/all.json
  what is exploited (CISA KEV)      https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json
  how probable that is (EPSS)       https://epss.empiricalsecurity.com/epss_scores-current.csv.gz
  dates of support                  /usr/share/distro-info/debian.csv, ubuntu.csv; of others https://endoflife.date/api/v1/products/alpine-linux

Each may also be a file, a folder or a mirror's address. Where no network is reached, ` + "`export`" + ` makes a file of what was
imported elsewhere. A person's decision that a CVE does not count goes into suppressions.toml (see docs/advisories.md).`

func (p *Program) advisoriesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "advisories",
		Short: "What is known of vulnerabilities: import it, export it, see its age",
		Long:  aboutAdvisories,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.advisoriesImport(), p.advisoriesExport(), p.advisoriesStatus(), p.advisoriesChangelogs())
	return cmd
}

func (p *Program) advisoriesImport() *cobra.Command {
	var replace bool
	cmd := &cobra.Command{
		Use:   "import [PATH|URL...]",
		Short: "Take in feeds, or a bundle of them",
		Long: `Takes in feeds from files, folders and addresses; what a feed is, its content says. Without any, what came from addresses is asked for anew.
A feed takes the place of the one of its name, whole or not at all: what is damaged, half, older or much smaller is refused, and the one that is there stays.`,
		Example: `  redflag advisories import https://security-tracker.debian.org/tracker/data/json
  redflag advisories import /media/stick/advisories.bundle
  redflag advisories import`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.importAdvisories(cmd.Context(), args, replace) },
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "take a feed even if it is older or much smaller than the one that is there")
	return cmd
}

func (p *Program) importAdvisories(ctx context.Context, from []string, replace bool) error {
	if len(from) == 0 {
		shelf, err := advisory.Open(p.advisoryDir())
		if err != nil {
			return err
		}
		for _, f := range shelf.Feeds() {
			if advisory.IsURL(f.From) && !slices.Contains(from, f.From) {
				from = append(from, f.From)
			}
		}
		if err := shelf.Close(); err != nil {
			return err
		}
	}
	if len(from) == 0 {
		return &fleet.Unknown{Because: "no feed came from an address yet", Remedy: "name files, folders or addresses; `redflag advisories --help` lists some"}
	}
	var problems []error
	for _, f := range from {
		done, err := advisory.Import{Dir: p.advisoryDir(), Now: p.now(), Replace: replace}.From(ctx, f)
		for _, d := range done {
			if d.Name != "" {
				fmt.Fprintln(p.stdout, importedText(d))
			}
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func importedText(d advisory.Imported) string {
	if d.Unchanged {
		return d.Name + ": nothing newer"
	}
	return fmt.Sprintf("%s: %s%s", d.Name, count(d.Records, "record"), skippedText(d.Feed))
}

func skippedText(f advisory.Feed) string {
	var reasons []string
	for reason, n := range f.Skipped {
		reasons = append(reasons, fmt.Sprintf("%d %s", n, reason))
	}
	slices.Sort(reasons)
	if len(reasons) == 0 {
		return ""
	}
	return " (passed over: " + strings.Join(reasons, ", ") + ")"
}

func (p *Program) advisoriesExport() *cobra.Command {
	var ecosystems []string
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Make one file of all feeds, for machines that reach no network",
		Example: `  redflag advisories export advisories.bundle
  redflag advisories export --ecosystem Debian:12 small.bundle`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return p.exportAdvisories(args[0], ecosystems) },
	}
	cmd.Flags().StringSliceVar(&ecosystems, "ecosystem", nil, "only what is said of these releases (`Debian:12`)")
	return cmd
}

func (p *Program) exportAdvisories(file string, ecosystems []string) error {
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	var written []advisory.Feed
	err = machine.WriteFileBy(path, 0o644, func(f *os.File) error {
		var err error
		written, err = advisory.Export(p.advisoryDir(), f, ecosystems...)
		return err
	})
	for _, f := range written {
		if err == nil {
			fmt.Fprintf(p.stdout, "%s: %s, %s\n", f.Name, f.Licence, f.Attribution)
		}
	}
	return err
}

func (p *Program) advisoriesStatus() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Which feeds there are, how old they are, whose they are",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if format != "table" && format != "json" {
				return usagef("--format %s: choose one of table, json", format)
			}
			return p.statusOfAdvisories(format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "`FORMAT` of the output: table or json")
	complete(cmd, "format", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (p *Program) statusOfAdvisories(format string) error {
	shelf, note, err := p.shelf()
	if err != nil {
		return err
	}
	defer shelf.Close()
	if format == "json" {
		return writeJSON(p.stdout, struct {
			Feeds   []advisory.Feed `json:"feeds"`
			Damaged []string        `json:"damaged"`
		}{append([]advisory.Feed{}, shelf.Feeds()...), append([]string{}, shelf.Damaged...)})
	}
	if note != "" {
		return &fleet.Unknown{Because: note, Remedy: "ask as root, or import feeds as this user"}
	}
	if shelf.Empty() {
		fmt.Fprintln(p.stdout, "no advisory data: `redflag advisories --help` says what can be imported")
		return nil
	}
	for _, f := range shelf.Feeds() {
		age := ago(p.now(), f.Age())
		if f.Stale(p.now()) {
			age += ": old"
		}
		writePairs(p.stdout, []pair{
			{"feed", f.Name},
			{"as of", age},
			{"imported", ago(p.now(), f.ImportedAt)},
			{"checked", ago(p.now(), f.CheckedAt)},
			{"from", advisory.Shown(f.From)},
			{"records", fmt.Sprintf("%d, with %s%s", f.Records, count(f.Rows, "statement"), skippedText(f))},
			{"about", list(keys(f.Ecosystems), 12)},
			{"licence", f.Licence},
			{"by", f.Attribution},
		})
		fmt.Fprintln(p.stdout)
	}
	for _, d := range shelf.Damaged {
		fmt.Fprintf(p.stdout, "unknown: a feed cannot be read: %s\n  → import it again\n", d)
	}
	if len(shelf.Damaged) > 0 {
		return exitCode(exitUnknown)
	}
	return nil
}

func keys(m map[string]int) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func (p *Program) advisoriesChangelogs() *cobra.Command {
	return &cobra.Command{
		Use:   "changelogs [NAME...]",
		Short: "Read in the pending packages themselves which CVEs they claim to mend",
		Long: `Fetches the packages of pending updates from the archives that they would be installed from, reads the changelog inside, and remembers which CVEs it
names between the installed version and the new one. Without names it does that for all security updates, one package of each source. Packages that apt
has fetched already are read by every scan, without this command and without any network.`,
		Example: `  redflag advisories changelogs openssl`,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.changelogs(cmd.Context(), args) },
	}
}

func (p *Program) changelogs(ctx context.Context, names []string) error {
	scan, err := p.remembered()
	if err != nil {
		return err
	}
	m := machine.Local()
	found := false
	var problems []error
	for i := range scan.Findings {
		f := &scan.Findings[i]
		sources, err := p.sources(m, []string{f.Source})
		if err != nil {
			return err
		}
		var wanted []fleet.Update
		var at []int
		for j, u := range f.Updates {
			if u.Build != nil && (slices.Contains(names, u.Name) || len(names) == 0 && u.Security) {
				wanted, at = append(wanted, u), append(at, j)
			}
		}
		if len(wanted) == 0 {
			continue
		}
		found = true
		part := []fleet.Finding{{Source: f.Source, Updates: wanted}}
		problems = append(problems, p.claims(ctx, m, sources, part, true))
		for k, j := range at {
			f.Updates[j].Claims = part[0].Updates[k].Claims
			if c := f.Updates[j].Claims; c != nil {
				fmt.Fprintf(p.stdout, "%s: %s\n", f.Updates[j].Name, claimsText(c))
			}
		}
	}
	if !found {
		return &fleet.Unknown{Because: "the last scan lists no such update", Remedy: "`redflag list` prints them all; `redflag scan` looks again"}
	}
	_, err = memory.Save(p.dirs.State, scan)
	return errors.Join(append(problems, err)...)
}

func claimsText(c *fleet.Claims) string {
	if len(c.IDs) == 0 {
		return "its changelog names no CVE"
	}
	return strings.Join(c.IDs, " ")
}
