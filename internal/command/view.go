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
}

var formats = []string{"table", "json", "csv"}

func (v *view) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&v.format, "format", "table", "`FORMAT` of the output: table, json or csv")
	cmd.Flags().BoolVar(&v.security, "security", false, "show security updates only")
	complete(cmd, "format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

func (v *view) check() error {
	if !slices.Contains(formats, v.format) {
		return usagef("--format %s: choose one of %s", v.format, strings.Join(formats, ", "))
	}
	return nil
}

// print shows a scan on standard output. As JSON it is one document and nothing else: the contract of docs/json.md.
func (p *Program) print(scan fleet.Scan, v view) error {
	switch v.format {
	case "json":
		return writeJSON(p.stdout, scan)
	case "csv":
		return writeCSV(p.stdout, scan)
	}
	r := report{w: p.stdout, paint: painter(colourful(p.stdout)), width: columns(p.stdout), now: p.now(), security: v.security}
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
}

// writeCSV writes one row an update, with a header (RFC 4180).
func writeCSV(w io.Writer, scan fleet.Scan) error {
	out := csv.NewWriter(w)
	rows := [][]string{csvHeader}
	for _, f := range scan.Findings {
		for _, u := range f.Updates {
			rows = append(rows, csvRow(u))
		}
	}
	return out.WriteAll(rows)
}

func csvRow(u fleet.Update) []string {
	var img fleet.ImageUpdate
	if u.ImageUpdate != nil {
		img = *u.ImageUpdate
	}
	return []string{
		u.Source, u.Name, u.Arch, string(img.Kind), string(img.Level), u.From, u.To, img.FromVersion, img.ToVersion,
		strconv.FormatBool(u.Security), string(u.Blocked), u.BlockedBecause, u.Origin, strconv.FormatInt(u.Size, 10),
		img.Platform, strings.Join(img.Containers, " "), u.Summary,
	}
}
