package snap

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Plan implements source.Planner: for each snap the revision that the store has for its channel.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	if sel.Security {
		return p, &fleet.Unknown{Because: "which updates are for security is not known: " + noAdvisories, Remedy: "choose updates by their names, or all"}
	}
	list, err := installed(ctx, m)
	if err != nil {
		return p, err
	}
	if len(sel.Back) > 0 {
		err = planBack(ctx, m, &p, list)
	} else {
		err = s.planUpdates(ctx, m, &p, list)
	}
	if err != nil {
		return p, err
	}
	slices.SortFunc(p.Changes, fleet.CompareChanges)
	p.Warnings = append(p.Warnings, warnings(p, list)...)
	p.Free, _, _ = m.Space("/var/lib/snapd") // 0 is not known
	p.Reboot, err = reboot(ctx, m, p, list)
	p.Restart = fleet.Restart{Needed: fleet.NotNeeded, Services: []fleet.Service{}} // snapd does that
	return p, err
}

func (s Source) planUpdates(ctx context.Context, m *machine.Machine, p *fleet.Plan, list []snap) error {
	a, err := s.offers(ctx, m, list, false)
	if err != nil {
		return err
	}
	var updates []fleet.Update
	for _, i := range list {
		if to, ok := a.of(i); ok {
			updates = append(updates, update(i, to, m.Now()))
		}
	}
	meant := updates
	if !p.Selection.All {
		if meant, err = source.Meant(updates, p.Selection); err != nil {
			return err
		}
	}
	for _, u := range meant {
		if u.Blocked == "" && !slices.ContainsFunc(p.Changes, func(c fleet.Change) bool { return c.Name == u.Name }) {
			p.Changes = append(p.Changes, fleet.Change{Action: fleet.Upgrade, Name: u.Name, From: u.From, To: u.To, Origin: u.Origin})
			p.Download += u.Size
		}
	}
	return nil
}

// planBack plans the way back to revisions that are still there.
func planBack(ctx context.Context, m *machine.Machine, p *fleet.Plan, list []snap) error {
	var all []snap
	if err := get(ctx, m, "/v2/snaps?select=all", &all); err != nil {
		return err
	}
	for _, back := range p.Selection.Back {
		revision := revisionOf(back.To)
		at := slices.IndexFunc(list, func(i snap) bool { return i.Name == back.Name })
		switch {
		case at < 0:
			return &fleet.Unknown{Because: fmt.Sprintf("%q is not installed any more", fleet.Plain(back.Name)), Remedy: "install it by hand: snap install"}
		case list[at].Revision == revision:
			continue
		case revision == "" || !slices.ContainsFunc(all, func(i snap) bool { return i.Name == back.Name && i.Revision == revision }):
			return &fleet.Unknown{
				Because: fmt.Sprintf("the revision of %s that was there before, %s, is not kept any more", back.Name, fleet.Plain(back.To)),
				Remedy:  "snapd keeps as many as `snap get system refresh.retain` says",
			}
		}
		p.Changes = append(p.Changes, fleet.Change{Action: fleet.Downgrade, Name: back.Name, From: list[at].what(), To: back.To})
	}
	return nil
}

// warnings says what a person should know: whose services are started again, and what cannot be replaced while it runs.
func warnings(p fleet.Plan, list []snap) []string {
	var words []string
	for _, c := range p.Changes {
		at := slices.IndexFunc(list, func(i snap) bool { return i.Name == c.Name })
		var services []string
		for _, app := range list[at].Apps {
			if app.Daemon != "" && app.Active {
				services = append(services, fleet.Plain(app.Name))
			}
		}
		if len(services) > 0 {
			words = append(words, fmt.Sprintf("the services of %s are stopped and started again: %s", c.Name, strings.Join(services, ", ")))
		}
		if list[at].Inhibit != nil {
			words = append(words, c.Name+" runs, and cannot be replaced before it is closed")
		}
	}
	return words
}

// reboot says whether the machine starts again for it: only where the system itself is made of snaps.
func reboot(ctx context.Context, m *machine.Machine, p fleet.Plan, list []snap) (fleet.Reboot, error) {
	r := fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}}
	if len(p.Changes) == 0 {
		return r, nil
	}
	var s system
	if err := get(ctx, m, "/v2/system-info", &s); err != nil {
		return r, err
	}
	for _, c := range p.Changes {
		at := slices.IndexFunc(list, func(i snap) bool { return i.Name == c.Name })
		switch kind := list[at].Type; {
		case kind == "kernel", kind == "gadget", !s.OnClassic && (kind == "os" || kind == "base"):
			r.Needed = fleet.Needed
			r.Because = append(r.Because, c.Name)
		}
	}
	return r, nil
}

// first puts snapd itself and what others stand on before the rest.
func first(list []snap) func(a, b fleet.Change) int {
	rank := func(c fleet.Change) int {
		at := slices.IndexFunc(list, func(i snap) bool { return i.Name == c.Name })
		if at < 0 {
			return 9
		}
		order := []string{"snapd", "os", "base", "gadget", "kernel"}
		if i := slices.Index(order, list[at].Type); i >= 0 {
			return i
		}
		return len(order)
	}
	return func(a, b fleet.Change) int { return cmp.Compare(rank(a), rank(b)) }
}
