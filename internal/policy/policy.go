// Package policy is the host's last word: what a fleet's server may ask of it, as its owner wrote it down in a file. A server that asks for
// more is refused, whatever it has signed.
package policy

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
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

// Load reads the host's policy. One that cannot be read, or is not understood, allows reports alone.
func Load(m *machine.Machine) (Policy, error) {
	strict := Policy{fleet.Policy{Allow: fleet.AllowReport, Only: []string{}, Never: []string{}}}
	data, err := m.ReadFile(File, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Policy{fleet.Policy{Allow: Default, Only: []string{}, Never: []string{}}}, nil
	}
	if err != nil {
		return strict, fmt.Errorf("read the policy: %w", err)
	}
	p := Policy{fleet.Policy{Only: []string{}, Never: []string{}}}
	meta, err := toml.Decode(string(data), &p)
	if err != nil {
		return strict, fmt.Errorf("read %s: %w", File, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return strict, fmt.Errorf("read %s: there is no setting %q", File, unknown[0].String())
	}
	if p.Allow = cmp.Or(p.Allow, Default); order[p.Allow] == 0 {
		return strict, fmt.Errorf("read %s: allow is one of report, plan, security, all", File)
	}
	for _, pattern := range append(append([]string{}, p.Only...), p.Never...) {
		if _, err := path.Match(pattern, ""); err != nil {
			return strict, fmt.Errorf("read %s: the pattern %q: %w", File, pattern, err)
		}
	}
	if _, err := p.open(time.Now()); err != nil {
		return strict, fmt.Errorf("read %s: %w", File, err)
	}
	return p, nil
}

func refusal(because string) error {
	return &fleet.Unknown{Because: "the host's policy does not let a server " + because, Remedy: "its owner can allow it in " + File + " on the host"}
}

// MayPlan says whether a server may ask what an installation would do.
func (p Policy) MayPlan() error {
	if order[p.Allow] < order[fleet.AllowPlan] {
		return refusal("plan an installation")
	}
	return nil
}

// MayInstall says whether a server may have a plan carried out now.
func (p Policy) MayInstall(plan fleet.Plan, now time.Time) error {
	if order[p.Allow] < order[fleet.AllowSecurity] {
		return refusal("install anything")
	}
	for _, c := range plan.Changes {
		if p.Allow == fleet.AllowSecurity && !c.Security && (!c.Automatic || c.To == "") {
			return refusal("install what is not for security: " + c.String())
		}
		if matches(p.Never, c.Name) || len(p.Only) > 0 && !matches(p.Only, c.Name) {
			return refusal("change " + c.Name)
		}
	}
	if open, err := p.open(now); err != nil || !open {
		return refusal("install at this hour: it may at " + p.Hours)
	}
	return nil
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
