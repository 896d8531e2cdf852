// Package softwareupdate is the source of Apple's own updates of macOS, by softwareupdate(8). What restarts the Mac is left to a person, with the command: it
// restarts while it installs, and on Apple silicon an owner of the disk has to give a password. The rest, as Safari and the command line tools, RedFlag installs by
// its label, which names a version.
package softwareupdate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Source is macOS' software update. It implements source.Installer, source.Refresher and source.Lister. Apple has no means any more to hold an update.
type Source struct{}

// Name implements source.Source.
func (Source) Name() string { return "softwareupdate" }

// Present implements source.Source.
func (Source) Present(m *machine.Machine) bool {
	_, err := m.Stat("/usr/sbin/softwareupdate")
	return err == nil
}

// system is the name of the system itself among what is installed.
const system = "macOS"

// Packages implements source.Lister: the system, and what its software update has installed, in the newest version.
func (s Source) Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	version, err := productVersion(ctx, m)
	if err != nil {
		return nil, err
	}
	h, err := readHistory(ctx, m)
	if err != nil {
		return nil, err
	}
	list := []fleet.Package{{Source: s.Name(), Name: system, Version: version}}
	for _, name := range h.names() {
		if !strings.HasPrefix(name, system) {
			list = append(list, fleet.Package{Source: s.Name(), Name: fleet.Plain(name), Version: fleet.Plain(h.version(name))})
		}
	}
	return list, nil
}

// noAdvisories is what is known of security here. A title with the word in it is no data: most updates that mend flaws do not have it.
const noAdvisories = "Apple's list of updates does not say which are for security (https://support.apple.com/100100 does)"

// staleAfter is how old what is known may be: macOS asks Apple by itself every day, where that is switched on.
const staleAfter = 7 * 24 * time.Hour

// Scan implements source.Source. It asks for what macOS has found when it asked Apple last.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	f := fleet.Finding{SecurityUnknown: noAdvisories}
	items, err := listed(ctx, m)
	if err != nil {
		return f, err
	}
	last, err := readPreferences(ctx, m)
	problems := []error{err}
	f.AsOf = last.asked
	if err == nil {
		problems = append(problems, last.trouble(m.Now(), items)...)
	}
	if len(items) == 0 {
		return f, errors.Join(problems...)
	}
	version, err := productVersion(ctx, m)
	problems = append(problems, err)
	h, err := readHistory(ctx, m)
	problems = append(problems, err)
	silicon := appleSilicon(ctx, m)
	for _, i := range items {
		u := fleet.Update{Name: i.label, From: fleet.Plain(h.version(i.title)), To: i.version, Size: i.size, Summary: i.title, Origin: "Apple"}
		if strings.HasPrefix(i.title, system+" ") {
			u.From = version
		}
		if why := i.byHand(silicon); why != "" {
			u.Blocked, u.BlockedBecause = fleet.KeptBack, why
		}
		f.Updates = append(f.Updates, u)
	}
	return f, errors.Join(problems...)
}

// trouble says why the list is not the last word: it is old, or macOS has noted more than it lists.
func (p preferences) trouble(now time.Time, items []item) []error {
	const remedy = "redflag scan --refresh asks Apple"
	switch age := now.Sub(p.asked); {
	case p.asked.IsZero():
		return []error{&fleet.Unknown{Because: "macOS has not asked Apple for updates yet, or does not say when", Remedy: remedy}}
	case age > staleAfter:
		return []error{&fleet.Unknown{Because: fmt.Sprintf("macOS asked Apple for updates %d days ago", int(age.Hours()/24)), Remedy: remedy + "; switch automatic checks on"}}
	case len(items) == 0 && len(p.recommended) > 0:
		return []error{&fleet.Unknown{Because: "macOS has noted updates that it does not list: " + strings.Join(p.recommended, ", "), Remedy: remedy}}
	}
	return nil
}

// byHand says why RedFlag does not install it, with the command; empty where it does.
func (i item) byHand(silicon bool) string {
	command := "sudo softwareupdate --install '" + i.label + "'"
	switch {
	case i.deferred:
		return "it is deferred by whoever manages this Mac (MDM)"
	case i.restart && silicon:
		return "it restarts the Mac while it installs, and an owner of the disk has to give a password: " + command + " --restart --user NAME"
	case i.restart:
		return "it restarts the Mac while it installs: " + command + " --restart"
	}
	return ""
}

func productVersion(ctx context.Context, m *machine.Machine) (string, error) {
	r, err := m.Run(ctx, machine.Command{Name: "sw_vers", Args: []string{"-productVersion"}})
	if err != nil {
		return "", fmt.Errorf("ask for the version of macOS: %w", err)
	}
	version := strings.TrimSpace(string(r.Stdout))
	if r.Code != 0 || !versionText.MatchString(version) {
		return "", &fleet.Unknown{Because: "which macOS this is cannot be told", Remedy: "see what `sw_vers` says"}
	}
	return version, nil
}

// appleSilicon says whether the processor is Apple's. Where nobody says, it is not.
func appleSilicon(ctx context.Context, m *machine.Machine) bool {
	r, err := m.Run(ctx, machine.Command{Name: "sysctl", Args: []string{"-n", "hw.optional.arm64"}})
	return err == nil && r.Code == 0 && strings.TrimSpace(string(r.Stdout)) == "1"
}
