package apt

import (
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
	return updates
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
			offer := change.Versions.Install
			u = fleet.Update{Arch: fleet.Plain(t.arch), Origin: offer.release().String(), Security: offer.release().security()}
		}
		u.Name, u.From, u.To = fleet.Plain(t.name), fleet.Plain(change.Versions.Current.Version), fleet.Plain(t.version)
		u.Blocked, u.BlockedBecause = "", ""
		updates = append(updates, u)
	}
	return updates
}
