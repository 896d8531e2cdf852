// Package chocolatey is the source of Windows programs that Chocolatey has installed, versions 1 and 2 of it. It is asked with --limit-output, whose lines of
// fields between pipes are made for programs and are not translated. Chocolatey keeps no metadata on the machine, so a scan asks its feeds.
package chocolatey

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Source is Chocolatey. It implements source.Installer, source.Lister and source.Holder.
type Source struct{}

var _ source.Installer = Source{}

// Name implements source.Source.
func (Source) Name() string { return "chocolatey" }

// Present implements source.Source.
func (Source) Present(m *machine.Machine) bool {
	_, err := m.Stat("/ProgramData/chocolatey/bin/choco.exe")
	return err == nil
}

const (
	program = "choco.exe"
	// askLimit bounds a question to the feeds, which takes a second for each package that is installed.
	askLimit = 10 * time.Minute
	// noAdvisories is what is known of security.
	noAdvisories = "Chocolatey's feeds carry no advisories"
)

// Packages implements source.Lister.
func (s Source) Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	installed, err := list(ctx, m)
	if err != nil {
		return nil, err
	}
	all := make([]fleet.Package, 0, len(installed))
	for name, version := range installed {
		all = append(all, fleet.Package{Source: s.Name(), Name: name, Version: version})
	}
	fleet.SortPackages(all)
	return all, nil
}

// Scan implements source.Source. `choco outdated` asks the feeds, as any user.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	f := fleet.Finding{SecurityUnknown: noAdvisories}
	pinned, pinError := pins(ctx, m)
	r, err := ask(ctx, m, "outdated", "--limit-output")
	if err != nil {
		return f, err
	}
	rows, strange := parse(r.Stdout, 4, 4)
	problems := []error{pinError, complaint(strange)}
	if r.Code != done && r.Code != enhanced || r.Code == enhanced && len(rows)+len(strange) == 0 {
		problems[1] = failed("choco outdated", r.Code, strange)
	}
	for _, row := range rows {
		u := fleet.Update{Name: row[0], From: row[1], To: row[2]}
		if u.From == u.To {
			continue // no feed has it: outdated lists that as well
		}
		if pinned[u.Name] || row[3] == "true" {
			u.Blocked, u.BlockedBecause = fleet.Held, "it is pinned: choco pin list"
		}
		f.Updates = append(f.Updates, u)
	}
	if problems[1] == nil {
		f.AsOf = m.Now().UTC()
	}
	return f, errors.Join(problems...)
}

// Exit codes (docs.chocolatey.org, each command's "Exit Codes"). Those of useEnhancedExitCodes are a feature that may be on.
const (
	done            = 0
	enhanced        = 2 // outdated: there are some; upgrade: there is nothing to do
	rebootBegun     = 1641
	rebootNeeded    = 3010
	rebootPending   = 350  // a reboot is pending, and nothing was done
	rebootSuspended = 1604 // a reboot is pending, and not all was done
)

// ask asks Chocolatey.
func ask(ctx context.Context, m *machine.Machine, words ...string) (machine.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	r, err := m.Run(ctx, machine.Command{Name: program, Args: append(words, "--no-color")})
	if errors.Is(err, machine.ErrNotInstalled) {
		return r, &fleet.Unknown{
			Because: "Chocolatey cannot be asked: choco.exe is not there, or in a folder that somebody else than an administrator has made",
			Remedy:  `see whose C:\ProgramData\chocolatey is, and install Chocolatey again`, Err: err,
		}
	}
	if err != nil {
		return r, &fleet.Unknown{Because: "Chocolatey cannot be asked: " + fleet.Plain(err.Error()), Remedy: "see whether it works: choco --version", Err: err}
	}
	return r, nil
}

var (
	packageID   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$`)
	versionText = regexp.MustCompile(`^[0-9][0-9A-Za-z.+-]{0,99}$`)
)

// parse reads lines of fields between pipes: an ID, versions, and whether it is pinned. Every other line is strange: with --limit-output Chocolatey prints
// only what went wrong.
func parse(out []byte, least, most int) (rows [][]string, strange []string) {
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if line == "" {
			continue
		}
		row := strings.Split(line, "|")
		if len(row) < least || len(row) > most || !packageID.MatchString(row[0]) || !fields(row[1:]) {
			strange = append(strange, fleet.Plain(line))
			continue
		}
		row[0] = strings.ToLower(row[0]) // IDs are the same in any case, and Chocolatey is not of one mind
		rows = append(rows, row)
	}
	return rows, strange
}

func fields(rest []string) bool {
	for i, f := range rest {
		last := i == len(rest)-1
		if !versionText.MatchString(f) && (!last || len(rest) == 1 || f != "true" && f != "false") {
			return false
		}
	}
	return true
}

// list gives what is installed: version 1 lists what its feeds have, unless it is told otherwise, and version 2 takes being told for an error.
func list(ctx context.Context, m *machine.Machine) (map[string]string, error) {
	r, err := ask(ctx, m, "--version")
	if err != nil {
		return nil, err
	}
	major, _, _ := strings.Cut(strings.TrimSpace(string(r.Stdout)), ".")
	n, err := strconv.Atoi(major)
	if err != nil || r.Code != done {
		return nil, &fleet.Unknown{
			Because: fmt.Sprintf("Chocolatey does not say which version it is: %q (code %d)", fleet.Plain(string(r.Stdout)), r.Code), Remedy: "see what `choco --version` says", Err: err,
		}
	}
	words := []string{"list", "--limit-output"}
	if n < 2 {
		words = append(words, "--local-only")
	}
	if r, err = ask(ctx, m, words...); err != nil {
		return nil, err
	}
	rows, strange := parse(r.Stdout, 2, 2)
	if r.Code != done || len(strange) > 0 || len(rows) == 0 { // Chocolatey itself is always one
		return nil, failed("choco list", r.Code, strange)
	}
	installed := map[string]string{}
	for _, row := range rows {
		installed[row[0]] = row[1]
	}
	return installed, nil
}

// pins gives what is pinned.
func pins(ctx context.Context, m *machine.Machine) (map[string]bool, error) {
	r, err := ask(ctx, m, "pin", "list", "--limit-output")
	if err != nil {
		return nil, err
	}
	rows, strange := parse(r.Stdout, 2, 2)
	if r.Code != done && r.Code != enhanced || len(strange) > 0 {
		return nil, failed("choco pin list", r.Code, strange)
	}
	pinned := map[string]bool{}
	for _, row := range rows {
		pinned[row[0]] = true
	}
	return pinned, nil
}

func failed(what string, code int, strange []string) error {
	because := fmt.Sprintf("%s ended with code %d", what, code)
	if len(strange) > 0 {
		because += ": " + strange[0]
	}
	return &fleet.Unknown{Because: because, Remedy: `see C:\ProgramData\chocolatey\logs\chocolatey.log`}
}

// complaint makes an unknown of what went wrong while the rest was listed: a feed that did not answer.
func complaint(strange []string) error {
	if len(strange) == 0 {
		return nil
	}
	return &fleet.Unknown{Because: "Chocolatey could not ask for everything: " + strange[0], Remedy: "see choco source list, and the network"}
}
