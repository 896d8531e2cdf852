package brew

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// batch is what one call of brew upgrades: formulae or casks of an installation, by their full names.
type batch struct {
	in    installation
	cask  bool
	names []string
}

func (b batch) words(more ...string) []string {
	kind := "--formula"
	if b.cask {
		kind = "--cask"
	}
	return append(append(append([]string{"upgrade"}, more...), kind), b.names...)
}

// Plan implements source.Planner: brew says what it would do, and does nothing.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p, _, err := s.plan(ctx, m, sel)
	return p, err
}

// errNoWayBack: there is no older version to be had.
var errNoWayBack = &fleet.Unknown{
	Because: "Homebrew cannot go back: it has the newest version alone", Remedy: "where the older version is still there (brew info NAME), link it by hand; else restore it from a backup",
}

// plan gives the calls of brew that carry a plan out, too.
func (s Source) plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, []batch, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	p.Restart.Because = "which programs run what is replaced is not known: brew services list shows its services"
	switch {
	case sel.Mend:
		return p, nil, nil
	case len(sel.Back) > 0:
		return p, nil, errNoWayBack
	case sel.Security:
		return p, nil, &fleet.Unknown{Because: "which updates are for security is not known: " + noAdvisories, Remedy: "choose updates by their names, or all"}
	}
	batches, err := s.batches(ctx, m, sel)
	if err != nil {
		return p, nil, err
	}
	installed, err := cellar(m)
	if err != nil {
		return p, nil, err
	}
	for _, b := range batches {
		if err := b.add(ctx, m, &p, installed); err != nil {
			return p, nil, err
		}
	}
	for _, i := range installations(m) {
		p.Free = source.Free(m, i.prefix)
	}
	if !slices.ContainsFunc(p.Changes, func(c fleet.Change) bool { return c.Arch == caskArch }) {
		p.Reboot = fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}}
	}
	slices.SortFunc(p.Changes, fleet.CompareChanges)
	return p, batches, nil
}

// batches gives what a selection means: all that is not blocked, or what is named, if RedFlag installs such.
func (Source) batches(ctx context.Context, m *machine.Machine, sel fleet.Selection) ([]batch, error) {
	var list []batch
	var updates []fleet.Update
	var problems []error
	offered := map[installation][]offer{}
	for _, i := range installations(m) {
		offers, err := i.offers(ctx, m)
		problems, offered[i] = append(problems, err), offers
		for _, o := range offers {
			updates = append(updates, o.update)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	meant, err := source.Meant(updates, sel)
	if err != nil {
		return nil, err
	}
	for _, i := range installations(m) {
		formulae, casks := batch{in: i}, batch{in: i, cask: true}
		for _, o := range offered[i] {
			named := slices.ContainsFunc(meant, func(u fleet.Update) bool { return u.Name == o.update.Name && u.Arch == o.update.Arch })
			switch {
			case named && o.byHand != "":
				return nil, &fleet.Unknown{Because: o.update.Name + " is not installed by RedFlag: " + o.byHand, Remedy: "do it by hand"}
			case !named && (!sel.All || o.update.Blocked != ""):
			case o.cask:
				casks.names = append(casks.names, o.full)
			default:
				formulae.names = append(formulae.names, o.full)
			}
		}
		for _, b := range []batch{formulae, casks} {
			if len(b.names) > 0 {
				list = append(list, b)
			}
		}
	}
	return list, nil
}

// add puts into a plan what brew would do with a batch: everything of it, and what comes with it.
func (b batch) add(ctx context.Context, m *machine.Machine, p *fleet.Plan, installed map[key][]string) error {
	r, err := b.in.run(ctx, m, askLimit, b.words("--dry-run")...)
	if err != nil {
		return err
	}
	if r.Code != 0 {
		return explain(r, "brew upgrade --dry-run").unknown()
	}
	d, err := parseDryRun(r.Stdout)
	if err != nil {
		return unreadable("what brew says that it would do", err)
	}
	for _, name := range b.names {
		if !slices.ContainsFunc(d.steps, func(s step) bool { return path.Base(s.name) == path.Base(name) }) {
			return &fleet.Unknown{Because: "brew leaves " + name + " out of an upgrade: " + explain(r, "it").because, Remedy: "see what `brew upgrade --dry-run " + name + "` says"}
		}
	}
	arch := b.in.arch
	if b.cask {
		arch = caskArch
	}
	for _, s := range d.steps {
		c := fleet.Change{Action: fleet.Upgrade, Name: path.Base(s.name), Arch: arch, From: s.from, To: s.to}
		if old := installed[key{c.Name, arch}]; c.From == "" && len(old) > 0 {
			c.From = old[len(old)-1]
		}
		if c.From == "" {
			c.Action, c.Automatic = fleet.Install, true
		}
		c.Automatic = c.Automatic || !slices.ContainsFunc(b.names, func(n string) bool { return path.Base(n) == c.Name })
		if !slices.ContainsFunc(p.Changes, func(o fleet.Change) bool { return same(o, c) }) {
			p.Changes = append(p.Changes, c)
		}
	}
	if len(d.built) > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("built here from source, which takes long: %s", strings.Join(d.built, ", ")))
	}
	return nil
}
