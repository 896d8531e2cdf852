package windowsupdate

import (
	"context"
	"fmt"
	"slices"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Plan implements source.Planner. Windows has no dry run: what is planned is the updates themselves, each in the revision that was seen.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	if len(sel.Back) > 0 {
		return s.planBack(ctx, m, p)
	}
	if sel.Mend {
		return p, &fleet.Unknown{Because: "Windows Update has nothing that mends what was interrupted", Remedy: rebootFirst}
	}
	r, err := ask(ctx, m, lookLimit, "pending", "offline")
	if err != nil {
		return p, err
	}
	pending, names := map[string]update{}, r.names()
	var offers []fleet.Update
	for i, u := range r.Updates {
		if u.valid() && !u.Installed {
			pending[u.key()] = u
			offers = append(offers, u.update(names[i], r.origin()))
		}
	}
	meant, err := chosen(offers, sel)
	if err != nil {
		return p, err
	}
	for _, u := range meant {
		p.Changes = append(p.Changes, fleet.Change{Action: fleet.Install, Name: u.Name, To: u.To, Security: u.Security, Origin: u.Origin})
		if !pending[u.To].Downloaded {
			p.Download += u.Size
		}
		p.Warnings = append(p.Warnings, warnings(u, pending[u.To])...)
	}
	slices.SortFunc(p.Changes, fleet.CompareChanges)
	p.Reboot = rebootFor(meant, pending)
	return p, nil
}

// chosen gives the updates that a selection means.
func chosen(offers []fleet.Update, sel fleet.Selection) ([]fleet.Update, error) {
	if !sel.All {
		return source.Meant(offers, sel)
	}
	return slices.DeleteFunc(offers, func(u fleet.Update) bool { return u.Blocked != "" }), nil
}

// warnings are what a person should know before approving an update.
func warnings(u fleet.Update, as update) []string {
	var list []string
	if !as.EULA {
		list = append(list, u.Name+" has a licence, which an approval agrees to: "+u.Summary)
	}
	if as.Input {
		list = append(list, u.Name+" may ask a person at the screen: it is installed without, and may fail")
	}
	if slices.Contains(as.Categories, upgrades) {
		list = append(list, u.Name+" is another release of Windows: the machine is away for long, and the way back is Windows' own, for ten days")
	}
	if !as.Uninstallable {
		list = append(list, u.Name+" does not say that it can be uninstalled")
	}
	return list
}

// rebootFor says what the updates announce. "Can request" is not known before.
func rebootFor(meant []fleet.Update, pending map[string]update) fleet.Reboot {
	r := fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}}
	var may []string
	for _, u := range meant {
		switch pending[u.To].Reboot {
		case rebootNever:
		case rebootAlways:
			r.Needed = fleet.Needed
			r.Because = append(r.Because, u.Name)
		default:
			may = append(may, u.Name+" may ask for one")
		}
	}
	if r.Needed == fleet.NotNeeded && len(may) > 0 {
		return fleet.Reboot{Needed: fleet.NeedUnknown, Because: may}
	}
	return r
}

// planBack plans what takes updates away again.
func (s Source) planBack(ctx context.Context, m *machine.Machine, p fleet.Plan) (fleet.Plan, error) {
	var words []string
	for _, c := range p.Selection.Back {
		if c.To != "" || !identity.MatchString(c.From) {
			return p, &fleet.Unknown{Because: fmt.Sprintf("%q is no update that could be uninstalled", fleet.Plain(c.Name)), Remedy: "see what the job to undo has installed"}
		}
		words = append(words, c.From)
	}
	now, err := stateOf(ctx, m, words)
	if err != nil {
		return p, err
	}
	for _, c := range p.Selection.Back {
		u, known := now[c.From]
		switch {
		case known && u.Waits:
			return p, &fleet.Unknown{Because: c.Name + " is not installed before the next start", Remedy: rebootFirst}
		case !known || !u.Installed:
			return p, &fleet.Unknown{Because: c.Name + " is not installed, or has made room for a newer update", Remedy: "see what is: redflag scan"}
		case !u.Uninstallable:
			return p, &fleet.Unknown{Because: c.Name + " cannot be uninstalled, says Windows", Remedy: "restore the machine from a backup"}
		}
		p.Changes = append(p.Changes, fleet.Change{Action: fleet.Remove, Name: c.Name, From: c.From})
	}
	slices.SortFunc(p.Changes, fleet.CompareChanges)
	p.Reboot.Because = append(p.Reboot.Because, "Windows says only afterwards whether it needs one")
	return p, nil
}

// Undo implements source.Installer: updates are uninstalled.
func (Source) Undo(_ *machine.Machine, _ fleet.Plan, o fleet.Outcome, _ source.Work) (fleet.Selection, error) {
	var back []fleet.Change
	for _, c := range o.Done {
		if c.Action != fleet.Install {
			return fleet.Selection{}, &fleet.Unknown{Because: c.Name + " was uninstalled, and to install it again is no way back that is known to work", Remedy: "redflag install " + c.Name}
		}
		back = append(back, fleet.Change{Action: fleet.Remove, Name: c.Name, From: c.To})
	}
	if len(back) == 0 {
		return fleet.Selection{}, &fleet.Unknown{Because: "nothing was installed, so there is nothing to take back"}
	}
	return fleet.Selection{Back: back}, nil
}
