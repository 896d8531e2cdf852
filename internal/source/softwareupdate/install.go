package softwareupdate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Plan implements source.Planner. What is installed is what is listed, by label and version.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	p.Restart.Because = "which programs run what is replaced is not known on macOS"
	switch {
	case sel.Mend:
		return p, nil
	case len(sel.Back) > 0:
		return p, errNoWayBack
	case sel.Security:
		return p, &fleet.Unknown{Because: "which updates are for security is not known: " + noAdvisories, Remedy: "choose updates by their names, or all"}
	}
	f, err := s.Scan(ctx, m)
	if err != nil && len(f.Updates) == 0 {
		return p, err
	}
	meant, err := source.Meant(f.Updates, sel)
	if err != nil {
		return p, err
	}
	for _, u := range f.Updates {
		named := slices.ContainsFunc(meant, func(o fleet.Update) bool { return o.Name == u.Name })
		switch {
		case named && u.Blocked != "":
			return p, &fleet.Unknown{Because: u.Summary + " is not installed by RedFlag: " + u.BlockedBecause, Remedy: "do it by hand"}
		case !named && (!sel.All || u.Blocked != ""):
			continue
		}
		p.Changes = append(p.Changes, fleet.Change{Action: fleet.Upgrade, Name: u.Name, From: u.From, To: u.To, Origin: u.Origin})
		p.Download += u.Size
	}
	p.Free = source.Free(m, "/Library/Updates", "/")
	p.Reboot = fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}} // what needs one is never in it
	slices.SortFunc(p.Changes, fleet.CompareChanges)
	return p, nil
}

// errNoWayBack: nothing older is to be had of Apple.
var errNoWayBack = &fleet.Unknown{Because: "macOS cannot go back to an older version of what Apple has updated", Remedy: "restore it from a backup (Time Machine)"}

// Files of a job.
const (
	beforeFile = "before.json"
	codeFile   = "code.json"
)

// labels gives what softwareupdate calls the changes of a plan.
func labels(p fleet.Plan) []string {
	var list []string
	for _, c := range p.Changes {
		list = append(list, c.Name)
	}
	return list
}

// Fetch implements source.Installer.
func (Source) Fetch(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) error {
	if len(p.Changes) == 0 {
		return nil
	}
	code, err := m.Follow(ctx, machine.Command{Name: "softwareupdate", Args: append([]string{"--download"}, labels(p)...)}, w.Log, w.Held...)
	if err != nil || code == 0 {
		return err
	}
	said, err := w.LastRun(m)
	if err != nil {
		return err
	}
	because, remedy := explain(said, fmt.Sprintf("softwareupdate --download ended with code %d and no word", code))
	return &fleet.Unknown{Because: because, Remedy: remedy}
}

// before is what was there before a job, and by which titles the history will speak of what is planned.
type before struct {
	History history           `json:"history"`
	Titles  map[string]string `json:"titles"`
}

// Apply implements source.Installer. A label names its version: another than what was planned cannot be installed by it.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	now, err := s.Plan(ctx, m, p.Selection)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if now.Digest() != p.Digest() {
		return fleet.Outcome{}, &fleet.Unknown{
			Because: "what it would do now is not what was approved: " + strings.Join(p.Differences(now), "; "), Remedy: "plan again, and approve what is planned now",
		}
	}
	b := before{Titles: map[string]string{}}
	items, err := listed(ctx, m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	for _, i := range items {
		b.Titles[i.label] = i.title
	}
	if b.History, err = readHistory(ctx, m); err != nil {
		return fleet.Outcome{}, err
	}
	if err := w.Write(m, beforeFile, b); err != nil {
		return fleet.Outcome{}, err
	}
	code := 0
	if len(p.Changes) > 0 {
		code, err = w.Carry(m, machine.Command{Name: "softwareupdate", Args: append([]string{"--install", "--agree-to-license"}, labels(p)...)})
	}
	if err := errors.Join(err, w.Write(m, codeFile, code)); err != nil {
		fmt.Fprintf(w.Log, "\n%v\n", err) // what was done until then is told below
	}
	return s.Settle(ctx, m, p, w)
}

// Settle implements source.Installer: the truth is in Apple's history of installations.
func (Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	o := fleet.NewOutcome()
	var b before
	if err := w.Read(m, beforeFile, &b); errors.Is(err, fs.ErrNotExist) {
		o.Missing, o.Because = p.Changes, "it was ended before it began to change anything"
		return o, nil
	} else if err != nil {
		return o, err
	}
	now, err := readHistory(ctx, m)
	if err != nil {
		return o, err
	}
	for _, c := range p.Changes {
		came := slices.ContainsFunc(now, func(e installed) bool {
			return e.Name == b.Titles[c.Name] && e.Version == c.To && !slices.ContainsFunc(b.History, func(o installed) bool { return o.Name == e.Name && o.Version == e.Version && o.At.Equal(e.At) })
		})
		if came {
			o.Done = append(o.Done, c)
		} else {
			o.Missing = append(o.Missing, c)
		}
	}
	var code int
	err = w.Read(m, codeFile, &code)
	if (err != nil || code == 0) && o.Succeeded() {
		return o, nil // without a code we were killed, and softwareupdate went on alone: what is there says all
	}
	said, err := w.LastRun(m)
	if err != nil {
		return o, err
	}
	o.Because, o.Remedy = explain(said, fmt.Sprintf("softwareupdate ended with code %d, and Apple's history does not have it", code))
	return o, nil
}

// Undo implements source.Installer. There is no way back.
func (Source) Undo(*machine.Machine, fleet.Plan, fleet.Outcome, source.Work) (fleet.Selection, error) {
	return fleet.Selection{}, errNoWayBack
}

// refreshLimit bounds a question to Apple, which takes a minute.
const refreshLimit = 10 * time.Minute

// Refresh implements source.Refresher: macOS asks Apple.
func (Source) Refresh(ctx context.Context, m *machine.Machine) error {
	if os.Geteuid() != 0 {
		return &fleet.Unknown{Because: "only root has macOS ask Apple for updates", Remedy: "sudo redflag scan --refresh"}
	}
	_, err := ask(ctx, m, refreshLimit, "--list")
	return err
}
