package pacman

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/version"
)

// Plan implements source.Planner: what pacman's full upgrade would do, and nothing else. The way back is the one plan of another kind.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	w, err := s.look(m)
	if err != nil {
		return p, err
	}
	if there, holder := locked(m, w.conf); there && holder == "" {
		return p, interrupted(w.conf)
	}
	if len(sel.Back) > 0 {
		return w.planBack(ctx, m, p)
	}
	if w.offers, err = readOffers(m, w.conf); err != nil {
		return p, err
	}
	if err := w.whole(sel); err != nil {
		return p, err
	}
	in, out, err := w.upgrade(ctx, m)
	if err != nil {
		return p, planned(err)
	}
	p.Changes = w.changes(in, out)
	for _, o := range out {
		p.Warnings = append(p.Warnings, o.name+" is removed because another package replaces it")
	}
	p.Warnings = append(p.Warnings, w.forever(m, p.Changes)...)
	w.measure(ctx, m, &p, in)
	return p, guard(p, in)
}

// upgrade gives what would come and go in a full upgrade, or why pacman does not make one.
func (w *world) upgrade(ctx context.Context, m *machine.Machine) (in, out []*pkg, err error) {
	if in, err = w.ask(ctx, m, upgrade...); err != nil {
		return nil, nil, err
	}
	for _, q := range in {
		w.complete(q)
	}
	out = w.replaced(in)
	return in, out, w.conflicts(in, out)
}

// conflicts refuses what cannot be installed together. With --print pacman does not look at that, and would ask a person when it is at it.
func (w *world) conflicts(in, out []*pkg) error {
	all := w.after(in, out)
	there := newIndex(all)
	comes := newIndex(in)
	for _, p := range all {
		for _, text := range p.conflicts {
			with := there
			if !slices.Contains(in, p) {
				with = comes // what is installed stands together already
			}
			d := parseDependency(text)
			for _, q := range with[d.name] {
				if q != p && q.name != p.name && d.isMet(q) {
					return &refusal{
						fmt.Sprintf("%s and %s cannot be installed together, and which of them goes is for a person to decide", p.name, q.name), "decide it by hand: sudo pacman -Syu",
					}
				}
			}
		}
	}
	return nil
}

// planned gives what pacman said of a plan the form that people see.
func planned(err error) error {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r.unknown()
	case errors.Is(err, machine.ErrNotInstalled):
		return &fleet.Unknown{Because: "pacman cannot be asked: it is not there", Remedy: "install pacman again", Err: err}
	}
	return &fleet.Unknown{Because: "pacman cannot be asked: " + fleet.Plain(err.Error()), Remedy: "see what `pacman -Su --print` says", Err: err}
}

// whole refuses a selection that is not of all updates: Arch tests its packages together and nowhere else.
func (w *world) whole(sel fleet.Selection) error {
	const partial = "only all updates together can be installed: Arch supports no partial upgrades"
	switch {
	case sel.All:
		return nil
	case sel.Security:
		return &fleet.Unknown{Because: "which updates are for security is not known (" + noAdvisories + "), and " + partial, Remedy: "choose all updates"}
	}
	open, chosen := map[string]bool{}, map[string]bool{}
	for _, u := range w.updates() {
		open[u.Name] = u.Blocked == ""
	}
	for _, name := range sel.Names {
		bare, _, _ := strings.Cut(name, ":")
		if !open[bare] {
			return &fleet.Unknown{Because: fmt.Sprintf("no update of %q can be installed", fleet.Plain(name)), Remedy: "redflag list shows what is on offer, and what is held"}
		}
		chosen[bare] = true
	}
	for name := range open {
		if open[name] && !chosen[name] {
			return &fleet.Unknown{Because: partial, Remedy: "choose all updates, and hold what must stay as it is: redflag hold NAME"}
		}
	}
	return nil
}

// complete fills in what the database says of a package that pacman has named.
func (w *world) complete(p *pkg) {
	for _, d := range w.offers.databases {
		if q := d.packages[p.name]; q != nil && d.repo.name == p.repo && q.version == p.version {
			download := p.download // 0 where it is in the cache already
			*p = *q
			p.download = download
		}
	}
}

// replaced gives what goes because of what comes. With --noconfirm pacman answers yes to what replaces, and no to every removal over a conflict, which
// ends a transaction: so this is all of it.
func (w *world) replaced(in []*pkg) []*pkg {
	var out []*pkg
	for _, p := range w.installed {
		if setting, _ := w.conf.holds(p); setting != "" {
			continue
		}
		_, replacers := w.offers.offered(p)
		comes := func(q *pkg) bool {
			setting, _ := w.conf.holds(q)
			return setting == "" && slices.ContainsFunc(in, func(i *pkg) bool { return i.name == q.name && i.version == q.version })
		}
		if slices.ContainsFunc(replacers, comes) {
			out = append(out, p)
		}
	}
	return out
}

// changes gives what a transaction does. What is new, and replaces nothing, comes because something needs it.
func (w *world) changes(in, out []*pkg) []fleet.Change {
	list := []fleet.Change{}
	for _, p := range out {
		list = append(list, fleet.Change{Action: fleet.Remove, Name: p.name, Arch: fleet.Plain(p.arch), From: p.version, Automatic: p.automatic})
	}
	for _, p := range in {
		c := fleet.Change{Action: fleet.Install, Name: p.name, Arch: fleet.Plain(p.arch), To: p.version, Origin: fleet.Plain(p.repo), Automatic: true}
		if old := find(w.installed, p.name); old != nil {
			c.From, c.Action, c.Automatic = old.version, source.ActionOf(old.version, p.version, version.ComparePacman), old.automatic
		} else if slices.ContainsFunc(out, func(o *pkg) bool { return replaces(p, o) }) {
			c.Automatic = false
		}
		list = append(list, c)
	}
	slices.SortFunc(list, fleet.CompareChanges)
	return list
}

func replaces(p, old *pkg) bool {
	return slices.ContainsFunc(p.replaces, func(text string) bool { return parseDependency(text).isNamed(old) })
}

// forever names what could not be undone: the version that is there now is in no cache.
func (w *world) forever(m *machine.Machine, changes []fleet.Change) []string {
	var names []string
	for _, c := range changes {
		if c.From != "" && w.kept(m, c.Name, c.From, c.Arch) == "" && w.cached(m, c.Name, c.From, c.Arch) == "" {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of these cannot be undone, because what is installed now is not in pacman's cache: %s", len(names), strings.Join(names, ", "))}
}

// after is what is installed when a transaction is done.
func (w *world) after(in, out []*pkg) []*pkg {
	var list []*pkg
	gone := func(p *pkg) bool {
		named := func(o *pkg) bool { return o.name == p.name }
		return slices.ContainsFunc(in, named) || slices.ContainsFunc(out, named)
	}
	for _, p := range w.installed {
		if !gone(p) {
			list = append(list, p)
		}
	}
	list = append(list, in...)
	slices.SortFunc(list, func(a, b *pkg) int { return cmp.Compare(a.name, b.name) })
	return list
}
