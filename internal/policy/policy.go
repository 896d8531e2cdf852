// Package policy is the host's last word: what a fleet's server may ask of it, as its owner wrote it down in a file. A server that asks for
// more is refused, whatever it has signed.
package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// File is where it lies.
const File = "/etc/redflag/policy.toml"

// Policy decides by what the file says.
type Policy struct{ fleet.Policy }

var order = map[fleet.Allow]int{fleet.AllowReport: 1, fleet.AllowPlan: 2, fleet.AllowSecurity: 3, fleet.AllowAll: 4}

// Default is what holds where there is no file: nothing is installed at a server's word.
const Default = fleet.AllowPlan

// maxFile bounds the file.
const maxFile = 1 << 20

// Load reads the host's policy. One that cannot be read, or is not understood, allows reports alone, and says why in its Because.
func Load(m *machine.Machine) Policy {
	p, err := read(m)
	if err != nil {
		p = Policy{fleet.Policy{Allow: fleet.AllowReport, Because: fleet.Plain(err.Error())}}
	}
	p.Only, p.Never = append([]string{}, p.Only...), append([]string{}, p.Never...)
	return p
}

func read(m *machine.Machine) (Policy, error) {
	p := Policy{fleet.Policy{Allow: Default}}
	data, err := m.ReadFile(File, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("read the policy: %w", err)
	}
	meta, err := toml.Decode(string(data), &p)
	if err != nil {
		return p, fmt.Errorf("read %s: %w", File, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return p, fmt.Errorf("read %s: there is no setting %q", File, unknown[0].String())
	}
	if order[p.Allow] == 0 {
		return p, fmt.Errorf("read %s: allow is one of report, plan, security, all", File)
	}
	for _, pattern := range append(append([]string{}, p.Only...), p.Never...) {
		if _, err := path.Match(pattern, ""); err != nil {
			return p, fmt.Errorf("read %s: the pattern %q: %w", File, pattern, err)
		}
	}
	if _, err := p.open(time.Time{}); err != nil {
		return p, fmt.Errorf("read %s: %w", File, err)
	}
	return p, nil
}

func (p Policy) refusal(because string) error {
	u := &fleet.Unknown{Because: "the host's policy does not let a server " + because, Remedy: "its owner can allow it in " + File + " on the host"}
	if p.Because != "" {
		u.Because, u.Remedy = u.Because+": it cannot be understood ("+p.Because+")", "mend "+File+" on the host"
	}
	return u
}

// ErrHours: it may be done, at another hour.
var ErrHours = errors.New("the host's policy lets it be done at another hour")

// within gives an [ErrHours] where it is not the hour.
func (p Policy) within(now time.Time) error {
	if open, err := p.open(now); err != nil || !open {
		return &fleet.Unknown{Because: "the host's policy lets a server do this at " + p.Hours + " alone, by the host's clock", Err: ErrHours}
	}
	return nil
}

func (p Policy) atLeast(a fleet.Allow) bool { return order[p.Allow] >= order[a] }

// MayPlan says whether a server may ask what an installation would do.
func (p Policy) MayPlan() error {
	if !p.atLeast(fleet.AllowPlan) {
		return p.refusal("plan an installation")
	}
	return nil
}

// MayInstall says whether a server may have a plan carried out now. Where only the hour is wrong, it is [ErrHours]. What is for security is what the plan says, so
// the plan that decides must be one that this host has made.
func (p Policy) MayInstall(plan fleet.Plan, now time.Time) error {
	if !p.atLeast(fleet.AllowSecurity) {
		return p.refusal("install anything")
	}
	for _, c := range plan.Changes {
		if p.Allow == fleet.AllowSecurity && !c.Security && !needed(plan, c) {
			return p.refusal("install what is not for security: " + c.String())
		}
		names := []string{c.Name}
		if c.Image != "" { // a container goes by its name, its image, and that without its registry
			names = append(names, c.Image, path.Base(c.Image))
		}
		if err := p.mayChange(names...); err != nil {
			return err
		}
	}
	return p.within(now)
}

// needed says whether a change is there because a security update needs it: a package that comes along, or one that came along before and is upgraded where nothing but
// security updates was selected.
func needed(plan fleet.Plan, c fleet.Change) bool {
	return c.Automatic && (c.Action == fleet.Install || c.Action == fleet.Upgrade && plan.Selection.Security)
}

// mayChange judges something by all the names that it goes by.
func (p Policy) mayChange(names ...string) error {
	matched := func(patterns []string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return matches(patterns, n) })
	}
	if matched(p.Never) || len(p.Only) > 0 && !matched(p.Only) {
		return p.refusal("change " + names[0])
	}
	return nil
}

// MayHold says whether a server may hold packages, or let go of them.
func (p Policy) MayHold(names []string) error {
	if !p.atLeast(fleet.AllowSecurity) {
		return p.refusal("hold packages")
	}
	for _, n := range names {
		base, _, _ := strings.Cut(n, ":") // a package may be named with its architecture
		if err := p.mayChange(base); err != nil {
			return err
		}
	}
	return nil
}

// MayRepair says whether a server may have an interrupted installation finished now.
func (p Policy) MayRepair(now time.Time) error {
	if !p.atLeast(fleet.AllowSecurity) {
		return p.refusal("repair an installation")
	}
	return p.within(now)
}

// MayRestart says whether a server may have services restarted now.
func (p Policy) MayRestart(now time.Time) error {
	if !p.Restart {
		return p.refusal("restart services")
	}
	return p.within(now)
}

// MayReboot says whether a server may have the host rebooted now.
func (p Policy) MayReboot(now time.Time) error {
	if !p.Reboot {
		return p.refusal("reboot it")
	}
	return p.within(now)
}

// After leaves of what is to be done after an installation what is allowed.
func (p Policy) After(a fleet.After) fleet.After {
	return fleet.After{RestartServices: a.RestartServices && p.Restart, Reboot: a.Reboot && p.Reboot}
}

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok { // checked when it was read
			return true
		}
	}
	return false
}

// open says whether a time is within the hours.
func (p Policy) open(now time.Time) (bool, error) {
	if p.Hours == "" {
		return true, nil
	}
	from, to, ok := strings.Cut(p.Hours, "-")
	begin, err1 := time.Parse("15:04", strings.TrimSpace(from))
	end, err2 := time.Parse("15:04", strings.TrimSpace(to))
	if !ok || err1 != nil || err2 != nil {
		return false, fmt.Errorf("hours %q: they look like 22:00-05:30", p.Hours)
	}
	minute := now.Hour()*60 + now.Minute()
	first, last := begin.Hour()*60+begin.Minute(), end.Hour()*60+end.Minute()
	if first <= last {
		return minute >= first && minute < last, nil
	}
	return minute >= first || minute < last, nil // over midnight
}
