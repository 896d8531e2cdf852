package command

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"redflag/internal/fleet"
)

// view is how a scan is shown.
type view struct {
	format   string
	security bool
	sort     string
}

var (
	formats = []string{"table", "json", "csv"}
	orders  = []string{"name", "priority"}
)

func (v *view) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&v.format, "format", "table", "`FORMAT` of the output: table, json or csv")
	cmd.Flags().StringVar(&v.sort, "sort", "name", "`ORDER` of the updates: name, or priority for what to patch first")
	cmd.Flags().BoolVar(&v.security, "security", false, "show security updates only")
	complete(cmd, "format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	complete(cmd, "sort", cobra.FixedCompletions(orders, cobra.ShellCompDirectiveNoFileComp))
}

func (v *view) check() error {
	if !slices.Contains(formats, v.format) {
		return usagef("--format %s: choose one of %s", v.format, strings.Join(formats, ", "))
	}
	if v.sort != "" && !slices.Contains(orders, v.sort) {
		return usagef("--sort %s: choose one of %s", v.sort, strings.Join(orders, ", "))
	}
	return nil
}

// print shows a scan on standard output. As JSON it is one document and nothing else: the contract of docs/json.md.
func (p *Program) print(scan fleet.Scan, v view) error {
	scan = sorted(scan, v.sort)
	switch v.format {
	case "json":
		return writeJSON(p.stdout, scan)
	case "csv":
		return writeCSV(p.stdout, scan)
	}
	r := report{w: p.stdout, paint: painter(colourful(p.stdout)), width: columns(p.stdout), now: p.now(), security: v.security, priority: v.sort == "priority"}
	r.scan(scan)
	return nil
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

var csvHeader = []string{
	"source", "name", "arch", "kind", "level", "from", "to", "from_version", "to_version",
	"security", "blocked", "blocked_because", "origin", "size", "platform", "containers", "summary",
	"when", "because", "cves",
}

// writeCSV writes one row an update, with a header (RFC 4180).
func writeCSV(w io.Writer, scan fleet.Scan) error {
	rows := [][]string{csvHeader}
	for _, f := range scan.Findings {
		for _, u := range f.Updates {
			rows = append(rows, csvRow(u))
		}
	}
	return writeRows(w, rows)
}

// writeRows writes a header, and rows in which no spreadsheet finds a formula.
func writeRows(w io.Writer, rows [][]string) error {
	for _, row := range rows[1:] {
		for i := range row {
			row[i] = fleet.Defuse(row[i])
		}
	}
	return csv.NewWriter(w).WriteAll(rows)
}

func csvRow(u fleet.Update) []string {
	var img fleet.ImageUpdate
	if u.ImageUpdate != nil {
		img = *u.ImageUpdate
	}
	var advice fleet.Advice
	if u.Advice != nil {
		advice = *u.Advice
	}
	var ids []string
	for _, f := range advice.Mends {
		ids = append(ids, f.ID)
	}
	return []string{
		u.Source, u.Name, u.Arch, string(img.Kind), string(img.Level), u.From, u.To, img.FromVersion, img.ToVersion,
		strconv.FormatBool(u.Security), string(u.Blocked), u.BlockedBecause, u.Origin, strconv.FormatInt(u.Size, 10),
		img.Platform, strings.Join(img.Containers, " "), u.Summary,
		string(advice.Bucket), advice.Because, strings.Join(ids, " "),
	}
}
