package apt

import (
	"fmt"
	"slices"
	"strings"

	"redflag/internal/fleet"
)

// updates gives what is on offer, with what apt would not install marked as blocked. Where only apt knows the candidates, its plan is the list.
func (a *answer) updates() []fleet.Update {
	if a.Survey.Opaque {
		return a.planned()
	}
	updates := make([]fleet.Update, 0, len(a.Survey.Updates))
	inPlan := a.Plan.upgrades()
	for _, u := range a.Survey.Updates {
		updates = append(updates, u.judged(a.Plan, inPlan))
	}
	return append(updates, a.surprises()...)
}

// surprises are the updates of apt's plan that our reader has not found. While dpkg's journal is not in its status file the two see
// different packages, which is told for itself.
func (a *answer) surprises() []fleet.Update {
	if len(a.Survey.Interrupted) > 0 {
		return nil
	}
	listed := map[target]bool{}
	for _, u := range a.Survey.Updates {
		listed[target{u.Name, u.Arch, u.To}] = true
	}
	var updates []fleet.Update
	for t, change := range a.Plan.upgrades() {
		if !listed[t] {
			updates = append(updates, change.update())
		}
	}
	return updates
}

// unseen says that our reader has missed something: what else it has missed is not known.
func (a *answer) unseen() error {
	if a.Survey.Opaque {
		return nil
	}
	var names []string
	for _, u := range a.surprises() {
		names = append(names, u.Name+" "+u.To)
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	first, _, _ := strings.Cut(names[0], " ")
	return &fleet.Unknown{
		Because: fmt.Sprintf("apt would also upgrade %s, which was not found in the package lists", strings.Join(names, ", ")),
		Remedy:  "report it, with the output of `redflag doctor` and of `apt-cache policy " + first + "`",
	}
}

// update is what the plan alone says of an update.
func (p planned) update() fleet.Update {
	offer := p.Versions.Install
	return fleet.Update{
		Name: fleet.Plain(p.Name), Arch: fleet.Plain(offer.Architecture),
		From: fleet.Plain(p.Versions.Current.Version), To: fleet.Plain(offer.Version),
		Origin: offer.release().String(), Security: offer.release().security(),
	}
}

// target is what an upgrade leads to.
type target struct{ name, arch, version string }

// upgrades are the plan's; none where there is no plan.
func (p *plan) upgrades() map[target]planned {
	found := map[target]planned{}
	if p == nil {
		return found
	}
	for _, change := range p.Packages {
		if change.upgrade() {
			found[target{change.Name, change.Versions.Install.Architecture, change.Versions.Install.Version}] = change
		}
	}
	return found
}

// judged lays apt's word over ours: what it would install is not blocked, and what it leaves out is, even if we see no reason.
func (u update) judged(p *plan, inPlan map[target]planned) fleet.Update {
	if p == nil {
		return u.Update
	}
	if _, ok := inPlan[target{u.Name, u.Arch, u.To}]; ok {
		u.Blocked, u.BlockedBecause = "", ""
		return u.Update
	}
	if u.Blocked == "" {
		u.Blocked, u.BlockedBecause = fleet.KeptBack, u.Obstacle
		if u.BlockedBecause == "" {
			u.BlockedBecause = "apt leaves it out of a full upgrade: it needs something that cannot be installed, or that it must not remove"
		}
	}
	return u.Update
}

// planned makes the list from apt's plan alone, with what our reader knows of the same versions.
func (a *answer) planned() []fleet.Update {
	known := map[target]fleet.Update{}
	for _, u := range a.Survey.Updates {
		known[target{u.Name, u.Arch, u.To}] = u.Update
	}
	var updates []fleet.Update
	for t, change := range a.Plan.upgrades() {
		u, ok := known[t]
		if !ok {
			u = change.update()
		}
		u.From = fleet.Plain(change.Versions.Current.Version)
		u.Blocked, u.BlockedBecause = "", ""
		updates = append(updates, u)
	}
	return updates
}
