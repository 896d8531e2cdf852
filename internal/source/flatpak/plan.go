package flatpak

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Plan implements source.Planner: for each ref the commit that its remote had when it was asked, and the runtimes that new versions need besides.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	if sel.Security {
		return p, &fleet.Unknown{Because: "which updates are for security is not known: " + noAdvisories, Remedy: "choose updates by their names, or all"}
	}
	list, err := s.offered(ctx, m)
	if len(sel.Back) > 0 {
		return p, planBack(&p, list)
	}
	meant, err := chosen(list, sel, err)
	if err != nil {
		return p, err
	}
	for _, o := range meant {
		p.Changes = append(p.Changes, fleet.Change{
			Action: fleet.Upgrade, Name: o.in.name(o.ref), Arch: o.ref.arch, From: algorithm + o.commit, To: algorithm + o.Offer.To, Origin: o.Offer.Origin,
			Automatic: len(sel.Names) > 0 && !meansIt(sel.Names, o),
		})
		p.Download += o.Offer.Download
	}
	if err := needed(ctx, m, &p, list, meant); err != nil {
		return p, err
	}
	slices.SortFunc(p.Changes, fleet.CompareChanges)
	p.Free, _, _ = m.Space(systemDir) // 0 is not known
	p.Reboot = fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}}
	p.Restart = running(m, meant)
	return p, nil
}

// chosen gives what a selection means. What could not be learnt of others is no reason not to install what is known.
func chosen(list []one, sel fleet.Selection, unknown error) ([]one, error) {
	var updates []fleet.Update
	for _, o := range list {
		if o.pending() {
			updates = append(updates, o.update())
		}
	}
	if len(updates) == 0 && unknown != nil {
		return nil, unknown
	}
	if !sel.All {
		meant, err := source.Meant(updates, sel)
		if err != nil {
			return nil, err
		}
		for _, u := range meant {
			if u.Blocked != "" {
				return nil, &fleet.Unknown{Because: u.Name + " cannot be updated: " + u.BlockedBecause, Remedy: "do this by hand"}
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(list), func(o one) bool {
		return !o.pending() || o.update().Blocked != "" || !sel.All && !meansIt(sel.Names, o) && !extends(list, sel.Names, o)
	}), nil
}

// meansIt says whether one of the names is that of a ref.
func meansIt(names []string, o one) bool {
	name := o.in.name(o.ref)
	return slices.Contains(names, name) || slices.Contains(names, name+":"+o.ref.arch) || slices.Contains(names, name+"."+o.ref.arch)
}

// extends says whether a ref is an extension of what is named: its translations, its plugins. They are made together.
func extends(list []one, names []string, o one) bool {
	return slices.ContainsFunc(list, func(a one) bool {
		return meansIt(names, a) && a.in == o.in && a.ref.arch == o.ref.arch && a.ref.branch == o.ref.branch && strings.HasPrefix(o.ref.id, a.ref.id+".")
	})
}

// needed adds the runtimes, with what comes with them, that the new versions need and that are not there.
func needed(ctx context.Context, m *machine.Machine, p *fleet.Plan, list, meant []one) error {
	for _, o := range meant {
		r, ok := parseRef("runtime/" + o.Offer.Runtime)
		there := slices.ContainsFunc(list, func(h one) bool { return h.ref == r && (h.in == o.in || h.in.option != "--user") })
		if !ok || there {
			continue
		}
		refs, err := o.in.wouldInstall(ctx, m, o.Offer.Origin, r)
		if err != nil {
			return err
		}
		for _, n := range refs {
			c := fleet.Change{Action: fleet.Install, Name: o.in.name(n.ref), Arch: n.ref.arch, Origin: o.Offer.Origin, Automatic: true}
			if slices.ContainsFunc(p.Changes, func(x fleet.Change) bool { return x.Name == c.Name && x.Arch == c.Arch }) {
				continue
			}
			commit, err := o.in.commit(ctx, m, o.Offer.Origin, n.ref.String())
			if err != nil {
				return err
			}
			c.To = algorithm + commit
			p.Download += n.download
			p.Changes = append(p.Changes, c)
		}
	}
	return nil
}

// coming is a ref that flatpak would install, and the bytes that it would fetch at most.
type coming struct {
	ref      ref
	download int64
}

// wouldInstall has flatpak say what comes with a runtime. Where nobody can answer it, it lists what it would do, asks, and takes that for a no.
func (i installation) wouldInstall(ctx context.Context, m *machine.Machine, remote string, r ref) ([]coming, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	result, err := m.Run(ctx, i.command("install", remote, r.String()))
	if err != nil {
		return nil, &fleet.Unknown{Because: "flatpak cannot be asked: " + fleet.Plain(err.Error()), Remedy: "see what `flatpak install " + r.String() + "` says", Err: err}
	}
	list, err := parseSteps(result.Stdout, r.arch)
	if err == nil && !slices.ContainsFunc(list, func(c coming) bool { return c.ref == r }) {
		err = fmt.Errorf("%w: it does not name %s", errTable, r)
	}
	if err != nil {
		because, remedy := explain(string(result.Stderr), err.Error())
		return nil, &fleet.Unknown{Because: fmt.Sprintf("what would come with %s is not known: %s", r, because), Remedy: remedy, Err: err}
	}
	return list, nil
}

// step is a line of what flatpak would do:  1.⇥ ⇥org.demo.Platform⇥2⇥i⇥demo⇥< 207 bytes. A sign of what is partial or of another architecture may stand after it.
var step = regexp.MustCompile(`^\s*\d+\.\t[^\t]*\t([^\t]+)\t([^\t]+)\t([a-z])\t([^\t]+)\t([^\t]*)`)

// parseSteps reads what flatpak would install. Whatever else it would do is a reason to do nothing.
func parseSteps(out []byte, arch string) ([]coming, error) {
	var list []coming
	for line := range strings.Lines(string(out)) {
		found := step.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if found == nil {
			continue
		}
		r, ok := parseRef("runtime/" + strings.TrimSpace(found[1]) + "/" + arch + "/" + strings.TrimSpace(found[2]))
		if !ok || found[3] != "i" {
			return nil, fmt.Errorf("%w: %q", errTable, fleet.Plain(line))
		}
		text, _, _ := strings.Cut(strings.TrimLeft(found[5], "< "), " (")
		list = append(list, coming{r, parseSize(text)})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: it lists nothing", errTable)
	}
	return list, nil
}

// planBack plans the way back to commits that were there before. Whether a remote still has them is seen when they are fetched.
func planBack(p *fleet.Plan, list []one) error {
	var errs []error
	for _, back := range p.Selection.Back {
		at := slices.IndexFunc(list, func(o one) bool { return o.in.name(o.ref) == back.Name && o.ref.arch == back.Arch })
		switch {
		case at < 0 && back.To == "":
			continue // it is gone already
		case at < 0:
			errs = append(errs, &fleet.Unknown{Because: fleet.Plain(back.Name) + " is not installed any more", Remedy: "install it by hand: flatpak install"})
			continue
		case back.To == algorithm+list[at].commit:
			continue
		case back.To != "" && !isCommit(back.To):
			errs = append(errs, &fleet.Unknown{Because: fmt.Sprintf("%q is no commit", fleet.Plain(back.To))})
			continue
		}
		o := list[at]
		c := fleet.Change{Action: fleet.Downgrade, Name: back.Name, Arch: back.Arch, From: algorithm + o.commit, To: back.To, Origin: o.Offer.Origin}
		if back.To == "" {
			c.Action, c.Origin = fleet.Remove, ""
		}
		p.Changes = append(p.Changes, c)
	}
	slices.SortFunc(p.Changes, fleet.CompareChanges)
	p.Reboot = fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}}
	return errors.Join(errs...)
}
