package docker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Plan implements source.Planner: each container that runs an older image than its tag means is made anew, from exactly the content that
// the tag has now, and with it those that live in its network, process or IPC space, or have its volumes. Newer tags are not a plan's: the tag is a
// person's choice. Images carry no word of what is for security.
func (s *Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	p.Reboot.Needed, p.Restart.Needed = fleet.NotNeeded, fleet.NotNeeded
	engines, err := s.engines(ctx, m)
	defer closeAll(engines)
	if err != nil {
		return p, err
	}
	if sel.Security {
		p.Warnings = append(p.Warnings, "images do not say which updates are for security, so none is planned")
		return p, nil
	}
	d := &drafting{ctx: ctx, m: m, source: s, plan: &p, engines: engines}
	if len(sel.Back) > 0 {
		return p, d.back(sel.Back)
	}
	finding, err := s.Scan(ctx, m)
	if err != nil && len(finding.Updates) == 0 {
		return p, err
	}
	if err != nil {
		because, _ := fleet.Explain(err)
		d.warn("there may be more: %s", because)
	}
	if err := d.forward(finding.Updates, sel); err != nil {
		return p, err
	}
	return p, d.finish()
}

// drafting is a plan that is being made.
type drafting struct {
	ctx     context.Context //nolint:containedctx // it lives as long as one call
	m       *machine.Machine
	source  *Source
	plan    *fleet.Plan
	engines []*engine
	// seen are the engines' containers, by name; nil until somebody has asked.
	seen map[string][]seen
}

func (d *drafting) warn(format string, args ...any) {
	if w := fmt.Sprintf(format, args...); !slices.Contains(d.plan.Warnings, w) {
		d.plan.Warnings = append(d.plan.Warnings, w)
	}
}

// forward adds the containers of the updates that are selected. Where a container could go to what is here or to what the registry has, it goes to that.
func (d *drafting) forward(updates []fleet.Update, sel fleet.Selection) error {
	updates = slices.Clone(updates)
	slices.SortStableFunc(updates, func(a, b fleet.Update) int { return cmp.Compare(rank(a), rank(b)) })
	found, tags := map[string]bool{}, map[string]string{}
	for _, u := range updates {
		if u.ImageUpdate == nil || !u.StaleSince.IsZero() {
			continue
		}
		added := false
		for _, container := range u.Containers {
			byImage := slices.ContainsFunc(sel.Names, func(name string) bool { return name == u.Name || asked(name, u.Name) == name })
			byName := slices.Contains(sel.Names, container)
			if !sel.All && !byImage && !byName {
				continue
			}
			for _, name := range append([]string{container}, sel.Names...) {
				if name == container || name == u.Name || asked(name, u.Name) == name {
					found[name] = found[name] || u.Kind != fleet.Version
					tags[name] = u.To
				}
			}
			if u.Kind == fleet.Version || d.planned(container) {
				continue
			}
			if err := d.add(container, u, byName); err != nil {
				return err
			}
			added = added || d.planned(container)
		}
		if added {
			d.plan.Download += u.Size
		}
	}
	var missing []string
	for _, name := range sel.Names {
		if !found[name] && tags[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return source.NotOnOffer(missing, "")
	}
	for _, name := range sel.Names {
		if !found[name] {
			return &fleet.Unknown{
				Because: fmt.Sprintf("%q has the newer tag %s, and the same content under its own: which tag it runs is for a person to say", fleet.Plain(name), tags[name]),
				Remedy:  "write the newer tag where the container is made (its compose file, or the command), and make it anew there",
			}
		}
	}
	return nil
}

// rank puts what a registry has before what is here already.
func rank(u fleet.Update) int {
	if u.ImageUpdate != nil && u.Kind == fleet.Rebuild {
		return 0
	}
	return 1
}

// add plans one container, unless it is not ours to change: then it says so.
func (d *drafting) add(name string, u fleet.Update, named bool) error {
	c, err := d.find(name)
	if err != nil && !named {
		because, _ := fleet.Explain(err)
		d.warn("%s is left as it is: %s", name, because)
		return nil
	}
	if err != nil {
		return err
	}
	if why := d.leave(c, named); why != "" {
		d.warn("%s is left as it is: %s", name, why)
		return nil
	}
	change := fleet.Change{
		Action: fleet.Recreated, Name: name, Arch: u.Platform, Image: u.Name, From: cmp.Or(u.From, c.Image), To: u.To, Origin: u.Origin,
	}
	if own := textOf(c.whole["ImageDigest"]); own != "" && u.From != "" {
		change.From = own // Podman finds an image that lost its name by no other one
	}
	if change.To == "" { // what the tag means here has no digest in any registry
		here, err := c.engine.api.ImageInspect(d.ctx, u.Name)
		if err != nil {
			return fmt.Errorf("inspect %s: %w", fleet.Plain(u.Name), err)
		}
		change.To = here.ID
	}
	d.plan.Changes = append(d.plan.Changes, change)
	d.cautions(name, u)
	return nil
}

// leave says why a container cannot be made anew; empty where it can. What Compose alone could do is left to it.
func (d *drafting) leave(c seen, named bool) string {
	why := c.engine.handsOff(d.m, c.InspectResponse, named)
	if why == "" && c.engine.libpod.Load() {
		why = d.leaveOfPodman(c, named)
	}
	if why != "" || !c.isComposed() {
		return why
	}
	_, without := c.engine.composedOf(d.ctx, d.m, c.InspectResponse)
	if without == "" && c.State != nil && runsNow(c.InspectResponse) {
		return ""
	}
	file, err := c.engine.copiedInto(d.ctx, c.InspectResponse)
	switch {
	case err != nil:
		return "whether Compose has copied files into it cannot be told: " + fleet.Plain(err.Error())
	case file != "" && without == "":
		return "it is stopped, and Compose, which copied " + file + " into it, would do so again only when it starts it"
	case file != "":
		return "Compose copied " + file + " into it when it was made, and would have to again: " + without
	}
	if without == "" {
		return ""
	}
	d.warn("%s: Compose is not asked to make it anew, so it is made from what the engine knows of it: %s", c.engine.called(strings.TrimPrefix(c.Name, "/")), without)
	return ""
}

// finish adds what comes along, and says in which order all is done.
func (d *drafting) finish() error {
	if len(d.plan.Changes) == 0 {
		return nil
	}
	if err := d.dependants(); err != nil {
		return err
	}
	nodes, err := d.nodes()
	if err != nil {
		return err
	}
	for _, set := range inSets(nodes) {
		if len(set) > 1 {
			names := make([]string, len(set))
			for i, n := range set {
				names[i] = n.name
			}
			d.warn("in this order, and all or none: %s", strings.Join(names, ", "))
		}
	}
	d.room()
	slices.SortFunc(d.plan.Changes, fleet.CompareChanges)
	return nil
}

// back adds the way back to images that were run before.
func (d *drafting) back(changes []fleet.Change) error {
	for _, c := range changes {
		now, err := d.find(c.Name)
		if err != nil {
			return err
		}
		if why := d.leave(now, true); why != "" {
			return &fleet.Unknown{Because: c.Name + " is not changed here: " + why}
		}
		if err := d.stillThere(now.engine, c); err != nil {
			return err
		}
		d.plan.Changes = append(d.plan.Changes, fleet.Change{Action: fleet.Recreated, Name: c.Name, Arch: c.Arch, Image: c.Image, From: c.From, To: c.To, Automatic: c.Automatic})
	}
	d.warn("only the containers go back; data that the newer program has converted stay as they are")
	return d.finish()
}

// stillThere says whether an image can be gone back to: it is here, or its registry still has it.
func (d *drafting) stillThere(e *engine, c fleet.Change) error {
	if _, err := e.imageAt(d.ctx, c); err == nil {
		return nil
	}
	gone := &fleet.Unknown{
		Because: fmt.Sprintf("the image that %s ran (%s) was removed here, and its registry does not have it", c.Name, fleet.Plain(c.To)),
		Remedy:  "build it again, or choose another: " + d.source.brand.name + " image prune removes what no tag names, and that is what an undo needs",
	}
	_, byDigest, err := pinned(c)
	if err != nil {
		return gone
	}
	ref, err := reference.ParseNormalizedNamed(byDigest)
	canonical, ok := ref.(reference.Canonical)
	if err != nil || !ok {
		return gone
	}
	known, err := d.source.reg.Exists(d.ctx, canonical)
	if err != nil {
		return &fleet.Unknown{Because: gone.Because + ", or cannot be asked: " + fleet.Plain(err.Error()), Remedy: gone.Remedy, Err: err}
	}
	if !known {
		return gone
	}
	d.warn("%s: the image is fetched again from its registry", c.Name)
	return nil
}
