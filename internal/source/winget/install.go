package winget

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Plan implements source.Planner. winget has no dry run: what is planned is each package in its exact version. What its installer brings along, nobody knows.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	switch {
	case sel.Security:
		return p, &fleet.Unknown{Because: "which updates are for security is not known: " + noAdvisories, Remedy: "choose updates by their names, or all"}
	case len(sel.Back) > 0:
		return p, errNoWayBack
	case sel.Mend:
		return p, &fleet.Unknown{Because: "winget has nothing that mends what was interrupted", Remedy: "winget repair NAME"}
	}
	f, err := s.Scan(ctx, m)
	if err != nil && (sel.All || len(f.Updates) == 0) {
		return p, err
	}
	meant := slices.DeleteFunc(f.Updates, func(u fleet.Update) bool { return sel.All && u.Blocked != "" })
	if !sel.All {
		if meant, err = source.Meant(f.Updates, sel); err != nil {
			return p, err
		}
	}
	for _, u := range meant {
		p.Changes = append(p.Changes, fleet.Change{Action: fleet.Upgrade, Name: u.Name, From: u.From, To: u.To, Origin: u.Origin})
	}
	slices.SortFunc(p.Changes, fleet.CompareChanges)
	p.Reboot.Because = append(p.Reboot.Because, "winget says only afterwards whether it needs one")
	if len(p.Changes) > 0 {
		p.Warnings = append(p.Warnings, "winget cannot go back to older versions", "a program that runs may be ended by its installer")
	}
	return p, nil
}

// errNoWayBack: winget refuses an older version, and what an installer does with one is its own affair.
var errNoWayBack = &fleet.Unknown{Because: "winget cannot go back to older versions", Remedy: "uninstall the program and install the older version by hand"}

// Undo implements source.Installer. There is no way back.
func (Source) Undo(*machine.Machine, fleet.Plan, fleet.Outcome, source.Work) (fleet.Selection, error) {
	return fleet.Selection{}, errNoWayBack
}

// Fetch implements source.Installer. There is nothing to fetch for itself: winget downloads what it installs.
func (Source) Fetch(context.Context, *machine.Machine, fleet.Plan, source.Work) error { return nil }

// Files of a job.
const (
	beforeFile = "before.json"
	codesFile  = "codes.json"
)

// quiet are the options that let winget ask nobody.
var quiet = []string{"--silent", "--accept-source-agreements", "--accept-package-agreements", "--disable-interactivity"}

// words mean one change to winget, and only that.
func words(c fleet.Change) ([]string, error) {
	if c.Action != fleet.Upgrade || !packageID.MatchString(c.Name) || !versionText.MatchString(c.To) || !sourceName.MatchString(c.Origin) {
		return nil, &fleet.Unknown{Because: fmt.Sprintf("%q is no update of winget's", fleet.Plain(c.String())), Remedy: "plan again"}
	}
	return append([]string{"upgrade", "--id", c.Name, "--exact", "--version", c.To, "--source", c.Origin, "--include-unknown"}, quiet...), nil
}

// Apply implements source.Installer: each change by itself, in its exact version.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	program, err := find(m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	for _, c := range p.Changes {
		if _, err := words(c); err != nil {
			return fleet.Outcome{}, err
		}
	}
	before, err := versions(ctx, m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if err := w.Write(m, beforeFile, before); err != nil {
		return fleet.Outcome{}, err
	}
	codes := map[string]int{}
	for _, c := range p.Changes {
		args, err := words(c)
		if err != nil {
			return fleet.Outcome{}, err
		}
		code, err := w.Carry(m, machine.Command{Name: program, Args: args})
		codes[c.Name] = code
		if err := errors.Join(err, w.Write(m, codesFile, codes)); err != nil {
			fmt.Fprintf(w.Log, "\n%s: %v\n", c.Name, err)
			break // what is so is told below
		}
		if uint32(code) == rebootBegun { //nolint:gosec // an HRESULT
			break
		}
	}
	return s.Settle(ctx, m, p, w)
}

// Codes that speak of a reboot.
const (
	rebootFinishes = 0x8A150109
	rebootBefore   = 0x8A15010A
	rebootBegun    = 0x8A15010B
)

// Settle implements source.Installer: what was done is the difference between what was installed before and what is now.
func (s Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	o := fleet.NewOutcome()
	var before map[string]string
	if err := w.Read(m, beforeFile, &before); errors.Is(err, fs.ErrNotExist) {
		o.Missing = append(o.Missing, p.Changes...)
		o.Because, o.Remedy = "it was ended before it changed anything", "begin it again"
		return o, nil
	} else if err != nil {
		return o, err
	}
	now, err := versions(ctx, m)
	if err != nil {
		return o, err
	}
	codes := map[string]int{}
	if err := w.Read(m, codesFile, &codes); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return o, err
	}
	o.Done = differences(before, now, p)
	var reasons, remedies []string
	for _, c := range p.Changes {
		code, told := codes[c.Name]
		if n := uint32(code); n == rebootFinishes || n == rebootBefore || n == rebootBegun { //nolint:gosec // an HRESULT
			o.Reboot.Needed = fleet.Needed
			o.Reboot.Because = append(o.Reboot.Because, c.Name)
		}
		if now[c.Name] == c.To {
			continue
		}
		o.Missing = append(o.Missing, c)
		why, what := explain(code)
		switch {
		case !told:
			why, what = "it was not begun, or was ended while it was at it", "look at the host, and begin it again"
		case code == 0:
			why, what = fmt.Sprintf("winget says that all went well, and lists %q", now[c.Name]), "see the log"
		}
		reasons, remedies = append(reasons, c.Name+": "+why), append(remedies, what)
	}
	if len(reasons) > 0 {
		o.Because, o.Remedy = strings.Join(reasons, "; "), remedies[0]
	}
	return o, nil
}

// differences gives what has changed, what nobody planned among it.
func differences(before, now map[string]string, p fleet.Plan) []fleet.Change {
	list := []fleet.Change{}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		from, to := before[name], now[name]
		if from == to {
			continue
		}
		c := fleet.Change{Action: fleet.Upgrade, Name: name, From: from, To: to}
		if from == "" {
			c.Action, c.Automatic = fleet.Install, true
		}
		if at := slices.IndexFunc(p.Changes, func(o fleet.Change) bool { return o.Name == name && o.To == to }); at >= 0 {
			c = p.Changes[at]
		}
		list = append(list, c)
	}
	for name, from := range before {
		if _, there := now[name]; !there {
			list = append(list, fleet.Change{Action: fleet.Remove, Name: name, From: from})
		}
	}
	slices.SortFunc(list, fleet.CompareChanges)
	return list
}

// Held implements source.Holder.
func (Source) Held(m *machine.Machine) ([]string, error) {
	pinned, err := pins(context.Background(), m)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(pinned)), nil
}

// Hold implements source.Holder by a blocking pin, which keeps people from upgrading it by its name as well.
func (s Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	installed, err := versions(ctx, m)
	if err != nil {
		return err
	}
	var ids []string
	for _, name := range names {
		at := slices.IndexFunc(slices.Sorted(maps.Keys(installed)), func(id string) bool { return strings.EqualFold(id, name) })
		if at < 0 {
			return &fleet.Unknown{Because: fmt.Sprintf("winget does not know %q as installed", fleet.Plain(name)), Remedy: "redflag list shows what is on offer"}
		}
		ids = append(ids, slices.Sorted(maps.Keys(installed))[at])
	}
	for _, id := range ids {
		args := []string{"pin", "add", "--id", id, "--exact", "--blocking", "--accept-source-agreements", "--disable-interactivity"}
		if !hold {
			args = []string{"pin", "remove", "--id", id, "--exact", "--accept-source-agreements", "--disable-interactivity"}
		}
		r, err := run(ctx, m, args...)
		if err != nil {
			return err
		}
		if r.Code != 0 {
			because, remedy := explain(r.Code)
			return &fleet.Unknown{Because: id + ": " + because, Remedy: remedy}
		}
	}
	pinned, err := pins(ctx, m)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if pinned[strings.ToLower(id)] != hold {
			return &fleet.Unknown{Because: id + " is not pinned as it should be", Remedy: "see winget pin list"}
		}
	}
	return nil
}
