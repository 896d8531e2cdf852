package fwupd

import (
	"context"
	"os"
	"slices"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Plan implements source.Planner. There is no plan of firmware: of all updates, and of those for security, it is left out with a warning, and named it is refused.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	if len(sel.Back) > 0 {
		return p, errByHand
	}
	f, err := s.Scan(ctx, m)
	if err != nil && len(f.Updates) == 0 {
		return p, err
	}
	if len(sel.Names) > 0 {
		return p, refuse(f.Updates, sel.Names)
	}
	for _, u := range f.Updates {
		if sel.All || u.Security {
			p.Warnings = append(p.Warnings, u.Name+" "+u.From+" → "+u.To+" is left out: "+u.BlockedBecause)
		}
	}
	p.Reboot = fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}}
	p.Restart = fleet.Restart{Needed: fleet.NotNeeded, Services: []fleet.Service{}}
	return p, nil
}

// errByHand is why nothing is done.
var errByHand = &fleet.Unknown{Because: byHand, Remedy: "fwupdmgr get-updates shows what there is, fwupdmgr update installs it, and fwupdmgr downgrade goes back"}

// refuse says of what is named who installs it and how.
func refuse(updates []fleet.Update, names []string) error {
	var missing []string
	var first *fleet.Unknown
	for _, name := range names {
		at := slices.IndexFunc(updates, func(u fleet.Update) bool { return u.Name == name })
		if at < 0 {
			missing = append(missing, name)
			continue
		}
		if first == nil {
			first = &fleet.Unknown{Because: updates[at].Name + ": " + updates[at].BlockedBecause, Remedy: "type this command, at the machine, once it may fail"}
		}
	}
	if len(missing) > 0 {
		return source.NotOnOffer(missing, "")
	}
	return first
}

// Fetch implements source.Installer. It refuses.
func (Source) Fetch(context.Context, *machine.Machine, fleet.Plan, source.Work) error {
	return errByHand
}

// Apply implements source.Installer. It refuses.
func (Source) Apply(context.Context, *machine.Machine, fleet.Plan, source.Work) (fleet.Outcome, error) {
	return fleet.Outcome{}, errByHand
}

// Settle implements source.Installer: nothing can have been begun.
func (Source) Settle(_ context.Context, _ *machine.Machine, p fleet.Plan, _ source.Work) (fleet.Outcome, error) {
	o := fleet.NewOutcome()
	o.Missing, o.Because, o.Remedy = p.Changes, errByHand.Because, errByHand.Remedy
	return o, nil
}

// Undo implements source.Installer. It refuses.
func (Source) Undo(*machine.Machine, fleet.Plan, fleet.Outcome, source.Work) (fleet.Selection, error) {
	return fleet.Selection{}, errByHand
}

// refreshLimit bounds a refresh: the list of all firmware has 2 MB.
const refreshLimit = 10 * time.Minute

// Refresh implements source.Refresher. fwupd fetches nothing where what it has is of today.
func (Source) Refresh(ctx context.Context, m *machine.Machine) error {
	if os.Geteuid() != 0 {
		return &fleet.Unknown{Because: "only root may fetch what firmware there is", Remedy: "sudo redflag scan --refresh"}
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	result, err := m.Run(ctx, machine.Command{Name: program, Args: []string{"--json", "refresh"}})
	switch {
	case err != nil:
		return unanswered(err.Error(), "refresh", err)
	case result.Code == 0 || result.Code == upToDate:
		return nil
	}
	return parse(result, "refresh", &struct{}{})
}

// upToDate is the exit code for what has nothing to do (fwupdmgr(1)).
const upToDate = 2
