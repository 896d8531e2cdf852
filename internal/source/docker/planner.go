package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// labelUpdate steers what is done with a container: redflag.update=off leaves it alone.
const labelUpdate = "redflag.update"

// Plan implements source.Planner: each container that runs an older image than its tag means is made anew, from exactly the content that
// the tag has now, and with it those that live in its network, process or IPC space. Newer tags are not a plan's: the tag is a person's
// choice. Images carry no word of what is for security.
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
	d := &drafting{ctx: ctx, plan: &p, engines: engines}
	if len(sel.Back) > 0 {
		return p, d.back(sel.Back)
	}
	finding, err := s.Scan(ctx, m)
	if err != nil && len(finding.Updates) == 0 {
		return p, err
	}
	if err := d.forward(finding.Updates, sel); err != nil {
		return p, err
	}
	return p, d.dependants()
}

// drafting is a plan that is being made.
type drafting struct {
	ctx     context.Context //nolint:containedctx // it lives as long as one call
	plan    *fleet.Plan
	engines []*engine
}

// forward adds the containers of the updates that are selected.
func (d *drafting) forward(updates []fleet.Update, sel fleet.Selection) error {
	found := map[string]bool{}
	for _, u := range updates {
		if u.ImageUpdate == nil || u.Kind == fleet.Version || !u.StaleSince.IsZero() {
			continue
		}
		for _, name := range u.Containers {
			chosen := sel.All || slices.Contains(sel.Names, u.Name) || slices.Contains(sel.Names, name)
			if !chosen {
				continue
			}
			found[u.Name], found[name] = true, true
			if err := d.add(name, u); err != nil {
				return err
			}
		}
		if len(d.plan.Changes) > 0 && found[u.Name] {
			d.plan.Download += u.Size
		}
	}
	for _, name := range sel.Names {
		if !found[name] {
			return &fleet.Unknown{Because: fmt.Sprintf("no update of %q is on offer", fleet.Plain(name)), Remedy: "redflag list shows what is"}
		}
	}
	slices.SortFunc(d.plan.Changes, fleet.CompareChanges)
	return nil
}

// add plans one container, unless it is not ours to change: then it says so.
func (d *drafting) add(name string, u fleet.Update) error {
	_, c, err := d.find(name)
	if err != nil {
		return err
	}
	if why := handsOff(c); why != "" {
		d.plan.Warnings = append(d.plan.Warnings, name+" is left as it is: "+why)
		return nil
	}
	d.plan.Changes = append(d.plan.Changes, fleet.Change{
		Action: fleet.Recreated, Name: name, Arch: u.Platform, Image: u.Name, From: u.From, To: u.To, Origin: u.Origin,
	})
	for _, change := range u.Changes {
		if change.What == "volumes" && change.From != "" {
			d.plan.Warnings = append(d.plan.Warnings, fmt.Sprintf("%s: the newer image keeps its data elsewhere (%s, until now %s): see its notes before the update", name, change.To, change.From))
		}
	}
	if len(u.Changes) > 0 {
		d.plan.Warnings = append(d.plan.Warnings, name+" runs otherwise in the newer image: redflag show "+u.Name)
	}
	if u.Note != "" {
		d.plan.Warnings = append(d.plan.Warnings, name+": "+u.Note)
	}
	return nil
}

// handsOff says why a container is not made anew here; empty where it may be.
func handsOff(c container.InspectResponse) string {
	if c.Config == nil || c.HostConfig == nil {
		return "the engine does not say how it was made"
	}
	if owner := ownerOf(running{name: strings.TrimPrefix(c.Name, "/"), labels: c.Config.Labels}); owner != "" {
		return owner
	}
	if strings.EqualFold(c.Config.Labels[labelUpdate], "off") {
		return "its label " + labelUpdate + " says off"
	}
	return ""
}

// find inspects the container of a name.
func (d *drafting) find(name string) (*engine, container.InspectResponse, error) {
	for _, e := range d.engines {
		r, err := e.api.ContainerInspect(d.ctx, name, client.ContainerInspectOptions{})
		if err == nil && strings.TrimPrefix(r.Container.Name, "/") == name {
			return e, r.Container, nil
		}
	}
	return nil, container.InspectResponse{}, &fleet.Unknown{Because: fmt.Sprintf("there is no container %q any more", fleet.Plain(name)), Remedy: "scan again"}
}

// dependants adds the containers that live in another one's space: with that one they would lose their network.
func (d *drafting) dependants() error {
	for _, e := range d.engines {
		r, err := e.api.ContainerList(d.ctx, client.ContainerListOptions{All: true})
		if err != nil {
			return err
		}
		for grown := true; grown; { // a chain of them
			grown = false
			for _, c := range r.Items {
				name := nameOf(c)
				if d.planned(name) {
					continue
				}
				_, full, err := d.find(name)
				if err != nil {
					continue // it went
				}
				on := d.leansOn(full)
				if on == "" {
					continue
				}
				if why := handsOff(full); why != "" {
					d.plan.Warnings = append(d.plan.Warnings, name+" shares the network of "+on+" and would lose it; it is left as it is: "+why)
					continue
				}
				at := fleet.Plain(full.Image)
				d.plan.Changes = append(d.plan.Changes, fleet.Change{Action: fleet.Recreated, Name: name, Image: fleet.Plain(full.Config.Image), From: at, To: at, Automatic: true})
				grown = true
			}
		}
	}
	return nil
}

func (d *drafting) planned(name string) bool {
	return slices.ContainsFunc(d.plan.Changes, func(c fleet.Change) bool { return c.Name == name })
}

// leansOn names the planned container in whose space another one lives; empty where there is none.
func (d *drafting) leansOn(c container.InspectResponse) string {
	for _, mode := range []string{string(c.HostConfig.NetworkMode), string(c.HostConfig.PidMode), string(c.HostConfig.IpcMode)} {
		id, shares := strings.CutPrefix(mode, "container:")
		if !shares {
			continue
		}
		if _, host, err := d.find(id); err == nil && d.planned(strings.TrimPrefix(host.Name, "/")) {
			return strings.TrimPrefix(host.Name, "/")
		}
		for _, e := range d.engines {
			if r, err := e.api.ContainerInspect(d.ctx, id, client.ContainerInspectOptions{}); err == nil && d.planned(strings.TrimPrefix(r.Container.Name, "/")) {
				return strings.TrimPrefix(r.Container.Name, "/")
			}
		}
	}
	return ""
}

// back adds the way back to images that were run before.
func (d *drafting) back(changes []fleet.Change) error {
	for _, c := range changes {
		_, now, err := d.find(c.Name)
		if err != nil {
			return err
		}
		if why := handsOff(now); why != "" {
			return &fleet.Unknown{Because: c.Name + " is not changed here: " + why}
		}
		d.plan.Changes = append(d.plan.Changes, fleet.Change{Action: fleet.Recreated, Name: c.Name, Arch: c.Arch, Image: c.Image, From: c.From, To: c.To, Automatic: c.Automatic})
	}
	d.plan.Warnings = append(d.plan.Warnings, "only the containers go back; data that the newer program has converted stay as they are")
	slices.SortFunc(d.plan.Changes, fleet.CompareChanges)
	return nil
}
