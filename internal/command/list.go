package command

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/memory"
	"redflag/internal/wire"
)

func (p *Program) now() time.Time { return time.Now() }

// remembered gives the last scan, or an error that says how to make one.
func (p *Program) remembered() (fleet.Scan, error) {
	scan, err := memory.Load(p.dirs.State)
	if agents, ok := p.agentsScan(); ok && (err != nil || agents.ScannedAt.After(scan.ScannedAt)) {
		scan, err = agents, nil
	}
	if errors.Is(err, memory.ErrEmpty) {
		return scan, &fleet.Unknown{Because: "this machine was not scanned yet by this user", Remedy: "run `redflag scan`", Err: err}
	}
	return scan, err
}

// agentsScan is for root the last scan of the agent, which runs as a user of its own: what it says is held to bounds and made safe, as a server does.
func (p *Program) agentsScan() (fleet.Scan, bool) {
	if !machine.Administers() {
		return fleet.Scan{}, false
	}
	if info, err := os.Lstat(memory.File(p.AgentDir())); err != nil || !info.Mode().IsRegular() {
		return fleet.Scan{}, false
	}
	scan, err := memory.Load(p.AgentDir())
	if err != nil {
		return fleet.Scan{}, false
	}
	r := wire.Report{Session: "local", Sequence: 1, Host: &scan.Host, Findings: scan.Findings}
	return scan, r.Check() == nil
}

const aboutList = `Prints what the last scan found, at once: nothing is read but that scan, and nothing is asked.

An update that later scans could neither confirm nor rule out is kept, and said to be not confirmed.`

func (p *Program) listCommand() *cobra.Command {
	var v view
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The last scan again, at once",
		Long:  aboutList,
		Example: `  redflag list
  redflag list --security --format csv > security.csv`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.list(v) },
	}
	v.addFlags(cmd)
	return cmd
}

func (p *Program) list(v view) error {
	if err := v.check(); err != nil {
		return err
	}
	scan, err := p.remembered()
	if err != nil {
		return err
	}
	p.advise(&scan)
	if v.security {
		scan = securityOnly(scan)
	}
	if err := p.print(scan, v); err != nil {
		return err
	}
	if v.format == "table" {
		fmt.Fprintf(p.stdout, "Scanned %s. `redflag scan` looks again.\n", ago(p.now(), scan.ScannedAt))
	}
	return verdict(scan, false)
}

func (p *Program) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "What was scanned when, what is unknown and why, what needs a reboot",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return p.status() },
	}
}

func (p *Program) status() error {
	scan, err := p.remembered()
	if err != nil {
		return err
	}
	now := p.now()
	paint := painter(colourful(p.stdout))
	r := report{w: p.stdout, paint: paint, width: columns(p.stdout), now: now}
	r.host(scan.Host)
	for _, f := range scan.Findings {
		fmt.Fprintln(p.stdout)
		r.heading(f)
		fmt.Fprintf(p.stdout, "  scanned %s\n", ago(now, f.ScannedAt))
		if f.State != fleet.OK {
			r.line(yellow, "  unknown: %s", f.Because)
		}
		if f.Remedy != "" {
			fmt.Fprintf(p.stdout, "  → %s\n", f.Remedy)
		}
		r.checks(f.Checks)
	}
	fmt.Fprintln(p.stdout)
	p.statusOfHost(r, scan.Host)
	p.advise(&scan)
	if scan.Advisories.Support != "" {
		fmt.Fprintln(p.stdout, scan.Advisories.Support)
	}
	p.statusOfBudgets(now)
	return verdict(scan, false)
}

func (p *Program) statusOfHost(r report, h fleet.Host) {
	if h.Reboot.Needed == fleet.NotNeeded {
		fmt.Fprintln(p.stdout, "no reboot needed")
	}
	if len(h.Restart.Services) == 0 && h.Restart.Needed == fleet.NotNeeded {
		fmt.Fprintln(p.stdout, "no service runs replaced files")
	}
	if h.Restart.Because != "" {
		fmt.Fprintf(p.stdout, "services to restart: %s: %s\n", h.Restart.Needed, h.Restart.Because)
	}
	r.needs(h)
	for _, s := range h.Restart.Services {
		fmt.Fprintf(p.stdout, "  %s %s: %s\n", s.Kind, s.Name, list(s.Files, maxNames))
	}
}

// statusOfBudgets says how many pulls the registries have left for us, as they last said.
func (p *Program) statusOfBudgets(now time.Time) {
	for _, b := range p.registry.Budgets() {
		if b.Limit > 0 {
			fmt.Fprintf(p.stdout, "%s: %d of %d pulls left in %s, said %s\n", b.Host, b.Remaining, b.Limit,
				span(time.Duration(b.Window)*time.Second), ago(now, b.At))
		}
		if b.LimitedUntil.After(now) {
			fmt.Fprintf(p.stdout, "%s: not asked until %s, because it said so\n", b.Host, b.LimitedUntil.Local().Format(time.TimeOnly))
		}
	}
}

// span says a length of time in its largest whole unit.
func span(d time.Duration) string {
	if d >= time.Hour && d%time.Hour == 0 {
		return count(int(d/time.Hour), "hour")
	}
	return d.String()
}

func (p *Program) showCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show NAME...",
		Short: "All that is known of one update",
		Long: `Prints all that the last scan learnt of updates: for a package why it is blocked and where it comes from, for an image
what runs, what its tag points to, and where its release notes are.

NAME is a package (openssl, or openssl:amd64), an image as a container names it (nginx:1.25), or a container.`,
		Example: `  redflag show openssl
  redflag show nginx:1.25`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return p.show(args, format) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return p.completeUpdates(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "`FORMAT` of the output: table or json")
	complete(cmd, "format", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (p *Program) show(names []string, format string) error {
	if format != "table" && format != "json" {
		return usagef("--format %s: choose one of table, json", format)
	}
	scan, err := p.remembered()
	if err != nil {
		return err
	}
	p.advise(&scan)
	found := shown{Updates: []fleet.Update{}, Checks: []fleet.Check{}}
	var missing []string
	for _, name := range names {
		if !found.collect(scan, name) {
			missing = append(missing, name)
		}
	}
	if format == "json" {
		err = writeJSON(p.stdout, found)
	} else {
		found.write(report{w: p.stdout, paint: painter(colourful(p.stdout)), width: columns(p.stdout), now: p.now()})
	}
	if err != nil || len(missing) == 0 {
		return err
	}
	return &fleet.Unknown{
		Because: fmt.Sprintf("the last scan (%s) lists no update of %s", ago(p.now(), scan.ScannedAt), strings.Join(missing, ", ")),
		Remedy:  "`redflag list` prints them all; `redflag scan` looks again",
	}
}

// completeUpdates offers the names in the last scan to the shell.
func (p *Program) completeUpdates() []string {
	if p.prepare() != nil {
		return nil
	}
	scan, err := p.remembered()
	if err != nil {
		return nil
	}
	var names []string
	for _, f := range scan.Findings {
		for _, u := range f.Updates {
			names = append(names, u.Name)
		}
	}
	return names
}

// shown is what `redflag show --format json` prints.
type shown struct {
	Updates []fleet.Update `json:"updates"`
	Checks  []fleet.Check  `json:"checks"`
}

// collect adds what goes by a name and says whether there was anything.
func (s *shown) collect(scan fleet.Scan, name string) bool {
	before := len(s.Updates) + len(s.Checks)
	for _, f := range scan.Findings {
		for _, u := range f.Updates {
			if u.Name == name || u.Name+":"+u.Arch == name || u.ImageUpdate != nil && contains(u.Containers, name) {
				s.Updates = append(s.Updates, u)
			}
		}
		for _, c := range f.Checks {
			if c.Name == name || contains(c.Containers, name) {
				s.Checks = append(s.Checks, c)
			}
		}
	}
	return len(s.Updates)+len(s.Checks) > before
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}

func (s *shown) write(r report) {
	w := r.w
	for i, u := range s.Updates {
		if i > 0 {
			fmt.Fprintln(w)
		}
		writePairs(w, append(updatePairs(u), advicePairs(u)...))
		s.writeFlaws(r, u.Advice)
	}
	for i, c := range s.Checks {
		if i > 0 || len(s.Updates) > 0 {
			fmt.Fprintln(w)
		}
		writePairs(w, checkPairs(c))
	}
}
