package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

const aboutVulnerabilities = `Lists the flaws that this machine has now, in all that is installed, whether or not an update is pending: what to do first
stands first, and each says what mends it: an update, a restart, a reboot, or nothing yet.

It goes by the feeds that were imported (see ` + "`redflag advisories --help`" + `), by the advisories of the package manager, and by the changelogs that were read. It looks at
packages as ` + "`redflag scan`" + ` does, asks nobody over the network, and changes nothing. What a person decided not to count is in suppressions.toml.

With a name (CVE-2024-1234) all that is known of it here is printed.`

type vulnerabilityOptions struct {
	format string
	bucket string
	all    bool
	names  []string
}

func (p *Program) vulnerabilitiesCommand() *cobra.Command {
	var opt vulnerabilityOptions
	buckets := []string{"act-now", "this-window", "routine", "track"}
	cmd := &cobra.Command{
		Use:     "vulnerabilities [CVE...]",
		Aliases: []string{"vulns"},
		Short:   "The flaws that this machine has now, and what mends each",
		Long:    aboutVulnerabilities,
		Example: `  redflag vulnerabilities
  redflag vulnerabilities --bucket act-now
  redflag vulnerabilities CVE-2024-1234
  redflag vulnerabilities --format csv > vulnerabilities.csv`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.names = args
			switch {
			case !slices.Contains(formats, opt.format):
				return usagef("--format %s: choose one of %s", opt.format, strings.Join(formats, ", "))
			case opt.bucket != "" && !slices.Contains(buckets, opt.bucket):
				return usagef("--bucket %s: choose one of %s", opt.bucket, strings.Join(buckets, ", "))
			}
			return p.vulnerabilities(cmd.Context(), opt)
		},
	}
	cmd.Flags().StringVar(&opt.format, "format", "table", "`FORMAT` of the output: table, json or csv")
	cmd.Flags().StringVar(&opt.bucket, "bucket", "", "only those of a `BUCKET`: act-now, this-window, routine or track")
	cmd.Flags().BoolVar(&opt.all, "all", false, "also print what can only be tracked; JSON and CSV have it always")
	complete(cmd, "format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	complete(cmd, "bucket", cobra.FixedCompletions(buckets, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (p *Program) vulnerabilities(ctx context.Context, opt vulnerabilityOptions) error {
	m := machine.Local()
	sources, err := p.sources(m, nil)
	if err != nil {
		return err
	}
	sources = slices.DeleteFunc(sources, func(s source.Source) bool {
		_, packages := s.(source.Lister)
		return !packages // images are asked over the network
	})
	scan := p.look(ctx, m, sources, false)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.advised(&scan, func() ([]fleet.Package, error) { return installed(ctx, m, sources, &scan) })
	scan.Vulnerabilities = opt.choose(scan.Vulnerabilities)
	switch opt.format {
	case "json":
		err = writeJSON(p.stdout, vulnerabilityList{Host: scan.Host.Name, ScannedAt: scan.ScannedAt, Advisories: scan.Advisories, Vulnerabilities: scan.Vulnerabilities})
	case "csv":
		err = writeVulnerabilityCSV(p.stdout, scan.Vulnerabilities)
	default:
		r := report{w: p.stdout, paint: painter(colourful(p.stdout)), width: columns(p.stdout), now: p.now()}
		r.vulnerabilities(scan, opt)
	}
	if err == nil && scan.Advisories.Vulnerable == nil {
		return &fleet.Unknown{Because: "which flaws this machine has is not known: " + scan.Advisories.Unknown, Remedy: "`redflag advisories --help` says what can be imported"}
	}
	if err != nil {
		return err
	}
	return verdict(scan, false)
}

// vulnerabilityList is what `redflag vulnerabilities --format json` prints: the contract of docs/json.md.
type vulnerabilityList struct {
	Host            string                `json:"host"`
	ScannedAt       time.Time             `json:"scanned_at"`
	Advisories      *fleet.Advisories     `json:"advisories"`
	Vulnerabilities []fleet.Vulnerability `json:"vulnerabilities"`
}

// choose gives those that were asked for.
func (o vulnerabilityOptions) choose(list []fleet.Vulnerability) []fleet.Vulnerability {
	chosen := []fleet.Vulnerability{}
	for _, v := range list {
		if o.bucket != "" && string(v.Bucket) != strings.ReplaceAll(o.bucket, "-", " ") {
			continue
		}
		if len(o.names) == 0 || slices.Contains(o.names, v.ID) || slices.Contains(o.names, v.Package) {
			chosen = append(chosen, v)
		}
	}
	return chosen
}

// bucketsText says how many there are in each bucket.
func bucketsText(b fleet.Buckets) string {
	var words []string
	for _, part := range []struct {
		n    int
		word fleet.Bucket
	}{{b.ActNow, fleet.ActNow}, {b.ThisWindow, fleet.ThisWindow}, {b.Routine, fleet.Routine}, {b.Track, fleet.Track}} {
		if part.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	return strings.Join(words, ", ")
}

// vulnerabilities prints a list, or with names each in all its words.
func (r report) vulnerabilities(scan fleet.Scan, opt vulnerabilityOptions) {
	known := scan.Advisories
	if len(opt.names) > 0 {
		for i, v := range scan.Vulnerabilities {
			if i > 0 {
				fmt.Fprintln(r.w)
			}
			writePairs(r.w, vulnerabilityPairs(v))
		}
		if len(scan.Vulnerabilities) == 0 {
			r.line(plain, "this machine is not known to have %s", strings.Join(opt.names, ", "))
		}
	} else {
		t, tracked := table{indent: "  ", spare: 1, folds: []int{3, 5}}, 0
		for _, v := range scan.Vulnerabilities {
			if v.Bucket == fleet.Track && !opt.all && opt.bucket == "" {
				tracked++
				continue
			}
			t.add(vulnerabilityRow(v)...)
		}
		t.write(r.w, r.paint, r.width)
		if tracked > 0 {
			r.line(dim, "  and %d that can only be tracked: --all shows them", tracked)
		}
	}
	if known.Vulnerable != nil {
		r.line(bold, "vulnerable now: %s", orNone(bucketsText(*known.Vulnerable)))
	}
	if known.Unmatched > 0 {
		r.line(yellow, "of %s nothing is known: they are not the distribution's own, or it is not known whether they are, or there is no feed about them", count(known.Unmatched, "package"))
	}
	if known.MemoryUnknown != "" {
		r.line(yellow, "which flaws are mended and still in memory is not known of all that runs: %s", known.MemoryUnknown)
	}
	if known.Unknown != "" {
		r.line(yellow, "advisories: %s", known.Unknown)
	}
	for _, f := range scan.Findings {
		if f.State != fleet.OK {
			r.line(yellow, "%s: unknown: %s", f.Source, f.Because)
		}
	}
	for _, e := range known.Expired {
		r.line(yellow, "%s, so it counts again", e)
	}
	if known.Unsupported {
		r.line(yellow, "%s", known.Support)
	}
}

func orNone(text string) string {
	if text == "" {
		return "nothing that is known"
	}
	return text
}

func vulnerabilityRow(v fleet.Vulnerability) []cell {
	s := plain
	if v.Bucket == fleet.ActNow {
		s = red
	}
	severity := v.Severity
	if severity == "" {
		severity = "unrated"
	}
	return []cell{{text: string(v.Bucket), style: s}, {text: v.ID, style: s}, left(severity), left(v.Package + " " + v.Version), left(mendText(v)), {text: v.Because, style: dim}}
}

// mendText says what mends it.
func mendText(v fleet.Vulnerability) string {
	switch v.Mend {
	case fleet.MendByUpdate:
		var names []string
		blocked := 0
		for _, u := range v.Updates {
			names = append(names, u.Name)
			if u.Blocked != "" {
				blocked++
			}
		}
		text := "update " + list(names, maxNames)
		if blocked == len(v.Updates) {
			text += " (" + string(v.Updates[0].Blocked) + ")"
		}
		return text
	case fleet.NotOffered:
		return "fixed in " + v.FixedIn + ", not on offer"
	case fleet.MendByRestart:
		return "restart " + list(v.Services, maxNames)
	}
	return string(v.Mend)
}

func vulnerabilityPairs(v fleet.Vulnerability) []pair {
	row := flawRow(v.Flaw, false)
	suppressed := ""
	if v.Suppressed != nil {
		suppressed = fmt.Sprintf("%s, by %s until %s: %s", v.Suppressed.Status, v.Suppressed.Owner, v.Suppressed.Until.Format(time.DateOnly), v.Suppressed.Reason)
	}
	return []pair{
		{"id", v.ID},
		{"when", string(v.Bucket)},
		{"because", v.Because},
		{"package", v.Package + " " + v.Version},
		{"installed", list(v.Installed, maxShown)},
		{"mended by", mendText(v)},
		{"fixed in", v.FixedIn},
		{"severity", row[1].text},
		{"score", row[2].text},
		{"vector", v.Vector},
		{"probability", row[3].text},
		{"evidence", row[4].text},
		{"remark", v.Remark},
		{"suppressed", suppressed},
	}
}

// maxShown is how many packages are named where one vulnerability is printed.
const maxShown = 20

var vulnerabilityHeader = []string{
	"bucket", "id", "severity", "severity_by", "cvss", "epss", "exploited_since", "due", "ransomware", "package", "version", "installed",
	"mend", "updates", "services", "fixed_in", "evidence", "advisories", "suppressed", "because", "remark",
}

// writeVulnerabilityCSV writes one row a vulnerability, with a header (RFC 4180).
func writeVulnerabilityCSV(w io.Writer, vulnerabilities []fleet.Vulnerability) error {
	rows := [][]string{vulnerabilityHeader}
	for _, v := range vulnerabilities {
		since, due, ransomware, suppressed := "", "", "", ""
		if v.Exploited != nil {
			since, ransomware = v.Exploited.Added.Format(time.DateOnly), strconv.FormatBool(v.Exploited.Ransomware)
			if !v.Exploited.Due.IsZero() {
				due = v.Exploited.Due.Format(time.DateOnly)
			}
		}
		if v.Suppressed != nil {
			suppressed = v.Suppressed.Until.Format(time.DateOnly)
		}
		var updates []string
		for _, u := range v.Updates {
			updates = append(updates, u.Name)
		}
		rows = append(rows, []string{
			string(v.Bucket), v.ID, v.Severity, v.SeverityBy, number(v.CVSS), number(v.EPSS), since, due, ransomware, v.Package, v.Version, strings.Join(v.Installed, " "),
			string(v.Mend), strings.Join(updates, " "), strings.Join(v.Services, " "), v.FixedIn, string(v.Evidence), strings.Join(v.Advisories, " "), suppressed, v.Because, v.Remark,
		})
	}
	return writeRows(w, rows)
}

// number is empty for what is not known.
func number(f float64) string {
	if f == 0 {
		return ""
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
