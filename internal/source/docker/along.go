package docker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
)

// seen is a container as an engine describes it.
type seen struct {
	engine *engine
	container.InspectResponse
	native
}

// look describes all containers of all engines, once for a plan.
func (d *drafting) look() error {
	if d.seen != nil {
		return nil
	}
	all := map[string][]seen{}
	for _, e := range d.engines {
		list, err := d.describeAll(e)
		if err != nil && !e.isOurs() {
			because, _ := fleet.Explain(err)
			d.warn("the containers of the user %d are left as they are: %s", e.owner, because)
			continue
		}
		if err != nil {
			return err
		}
		for _, c := range list {
			name := e.called(strings.TrimPrefix(c.Name, "/"))
			all[name] = append(all[name], c)
		}
	}
	d.seen = all
	return nil
}

// describeAll describes the containers of one engine.
func (d *drafting) describeAll(e *engine) ([]seen, error) {
	var list []container.Summary
	if err := e.ask(d.ctx, func(ctx context.Context) error {
		r, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true})
		list = r.Items
		return err
	}); err != nil {
		return nil, err
	}
	var described []seen
	for _, c := range list {
		var full container.InspectResponse
		var own native
		err := e.ask(d.ctx, func(ctx context.Context) (err error) {
			if full, err = e.byID(ctx, c.ID); err == nil {
				own, err = e.native(ctx, c.ID)
			}
			return err
		})
		if errdefs.IsNotFound(err) {
			continue // it went
		}
		if err != nil {
			return nil, err
		}
		full.Config, full.HostConfig = cmp.Or(full.Config, &container.Config{}), cmp.Or(full.HostConfig, &container.HostConfig{})
		described = append(described, seen{e, full, own})
	}
	return described, nil
}

// find gives the container of a name.
func (d *drafting) find(name string) (seen, error) {
	if err := d.look(); err != nil {
		return seen{}, err
	}
	switch list := d.seen[name]; len(list) {
	case 0:
		return seen{}, &fleet.Unknown{Because: fmt.Sprintf("there is no container %q any more", fleet.Plain(name)), Remedy: "scan again"}
	case 1:
		return list[0], nil
	}
	return seen{}, &fleet.Unknown{Because: fmt.Sprintf("two engines have a container %q, and which is meant is not clear", fleet.Plain(name)), Remedy: "rename one of them"}
}

func (d *drafting) planned(name string) bool {
	return slices.ContainsFunc(d.plan.Changes, func(c fleet.Change) bool { return c.Name == name })
}

// leansOn names the planned containers without which another one is lost.
func (d *drafting) leansOn(c seen) (names []string) {
	for _, l := range c.leans() {
		for name, list := range d.seen {
			same := func(o seen) bool {
				return o.engine == c.engine && (ownName(name) == l.other || len(l.other) >= shortID && strings.HasPrefix(o.ID, l.other))
			}
			if d.planned(name) && slices.ContainsFunc(list, same) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// dependants adds the containers that live in another one's space, or have its volumes: with that one they would lose their network, or not see what is new.
func (d *drafting) dependants() error {
	if err := d.look(); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(d.seen))
	for grown := true; grown; { // a chain of them
		grown = false
		for _, name := range names {
			for _, c := range d.seen[name] {
				on := d.leansOn(c)
				if len(on) == 0 || d.planned(name) {
					continue
				}
				if why := d.leave(c, true); why != "" {
					d.warn("%s lives in %s and may lose its network or its files; it is left as it is: %s", name, strings.Join(on, ", "), why)
					continue
				}
				at := fleet.Plain(c.Image)
				d.plan.Changes = append(d.plan.Changes, fleet.Change{Action: fleet.Recreated, Name: name, Image: fleet.Plain(c.Config.Image), From: at, To: at, Automatic: true})
				grown = true
			}
		}
	}
	for _, name := range d.restarts() {
		d.warn("%s is restarted afterwards, as its compose file says", name)
	}
	return nil
}

// restarts names the containers that Compose's depends_on restarts with a planned one, and that are not planned themselves.
func (d *drafting) restarts() (names []string) {
	for name, list := range d.seen {
		for _, c := range list {
			_, with := dependsOn(c.Config.Labels)
			if d.planned(name) || c.State == nil || !c.State.Running {
				continue
			}
			for _, service := range with {
				if d.plannedService(c, service) {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (d *drafting) plannedService(c seen, service string) bool {
	return len(d.ofService(c, service)) > 0
}

// ofService names the planned containers of a service of a container's project.
func (d *drafting) ofService(c seen, service string) (names []string) {
	for _, change := range d.plan.Changes {
		for _, o := range d.seen[change.Name] {
			if o.engine == c.engine && o.Config.Labels[labelProject] == c.Config.Labels[labelProject] && o.Config.Labels[labelService] == service {
				names = append(names, change.Name)
			}
		}
	}
	return names
}

// nodes gives the plan's containers with what their order goes by.
func (d *drafting) nodes() ([]node, error) {
	var list []node
	for _, change := range d.plan.Changes {
		c, err := d.find(change.Name)
		if err != nil {
			return nil, err
		}
		s, err := steer(c.Config.Labels)
		if err != nil {
			return nil, err
		}
		n := node{name: change.Name, order: s.order, needs: d.leansOn(c)}
		if isComposed(c.Config.Labels) {
			n.group = c.engine.host + " " + c.Config.Labels[labelProject]
		}
		needs, _ := dependsOn(c.Config.Labels)
		for _, service := range needs {
			n.needs = append(n.needs, d.ofService(c, service)...)
		}
		list = append(list, n)
	}
	return list, nil
}
