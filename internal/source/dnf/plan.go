package dnf

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/source/rpm"
)

// Plan implements source.Planner: dnf itself says what it would do, through our plugin, and does nothing.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	if program(m) == "" {
		return p, errYum
	}
	if err := rpm.Changeable(m); err != nil {
		return p, err
	}
	installed, err := rpm.Installed(ctx, m)
	if err != nil {
		return p, err
	}
	q, err := s.wanted(ctx, m, sel)
	if err != nil || !q.All && len(q.Want)+len(q.Back) == 0 {
		return p, err
	}
	q.Mode = "plan"
	said, err := s.ask(ctx, m, q, "-C")
	if err != nil {
		return p, err
	}
	if len(said.Duplicates) > 0 {
		return p, &fleet.Unknown{
			Because: "an installation was interrupted: two versions are installed of " + strings.Join(said.Duplicates, ", "), Remedy: "let it be finished first: redflag repair",
		}
	}
	s.fill(&p, installed, said.Transaction)
	advisories, _, err := rpm.ReadAdvisories(ctx, m, said.repositories())
	if err != nil {
		p.Warnings = append(p.Warnings, "which of these are for security is not known")
	}
	rpm.Foresee(ctx, m, &p, installed, advisories, "/var/cache/dnf")
	return p, rpm.Guard(m, p, "dnf upgrade --assumeno")
}

// fill makes a plan of a transaction.
func (s Source) fill(p *fleet.Plan, installed []rpm.Package, transaction []offered) {
	var out, in []rpm.Package
	for _, t := range transaction {
		if t.Way == "in" {
			in = append(in, t.plain())
			p.Download += t.Download
			p.Disk += t.Size
			continue
		}
		out = append(out, t.plain())
		p.Disk -= t.Size
		if t.Action == "Obsoleted" {
			p.Warnings = append(p.Warnings, fleet.Plain(t.Name)+" is removed because another package replaces it")
		}
	}
	p.Changes = rpm.Differences(installed, rpm.After(installed, out, in))
	for i, c := range p.Changes {
		for _, t := range transaction {
			one := t.plain()
			switch {
			case one.Name != c.Name || one.Arch != c.Arch:
			case t.Way == "in" && one.EVR == c.To:
				p.Changes[i].Automatic, p.Changes[i].Origin = t.Automatic, fleet.Plain(t.Repo)
			case t.Way == "out" && c.To == "" && one.EVR == c.From:
				p.Changes[i].Automatic = t.Automatic
			}
		}
	}
}

// wanted makes a request of a selection.
func (s Source) wanted(ctx context.Context, m *machine.Machine, sel fleet.Selection) (request, error) {
	q := request{All: sel.All}
	for _, c := range sel.Back {
		w, err := back(m, c)
		if err != nil {
			return q, err
		}
		q.Back = append(q.Back, w)
	}
	if !sel.Security && len(sel.Names) == 0 {
		return q, nil
	}
	finding, err := s.Scan(ctx, m)
	if err != nil && len(finding.Updates) == 0 {
		return q, err // what is on offer is not known at all
	}
	meant, err := source.Meant(finding.Updates, sel)
	for _, u := range meant {
		q.Want = append(q.Want, want(rpm.Package{Name: u.Name, EVR: u.To, Arch: u.Arch}))
	}
	return q, err
}

// back is one change of an undo.
func back(m *machine.Machine, c fleet.Change) (wanted, error) {
	p := rpm.Package{Name: c.Name, EVR: c.To, Arch: c.Arch}
	if c.To == "" {
		p.EVR = c.From
	}
	if err := p.Valid(); err != nil {
		return wanted{}, err
	}
	w := want(p)
	w.Action, w.File, w.Automatic = "install", source.Kept(m, rpm.Kept(p)), c.Automatic
	if c.To == "" {
		w.Action, w.File = "remove", ""
	}
	return w, nil
}

// apply is the request to carry a plan out: what was selected, and what may become of it.
func (s Source) apply(ctx context.Context, m *machine.Machine, p fleet.Plan) (request, error) {
	q := request{Mode: "apply", All: p.Selection.All}
	for _, c := range p.Selection.Back {
		w, err := back(m, c)
		if err != nil {
			return q, err
		}
		q.Back = append(q.Back, w)
	}
	if !q.All && len(q.Back) == 0 {
		for _, c := range p.Changes {
			// What is new because another needs it comes by itself, and stays known as that. An upgrade stays what it was.
			if c.To != "" && (c.From != "" || !c.Automatic) {
				q.Want = append(q.Want, want(rpm.Package{Name: c.Name, EVR: c.To, Arch: c.Arch}))
			}
		}
	}
	installed, err := rpm.Installed(ctx, m)
	if err != nil {
		return q, err
	}
	out, in := rpm.Transaction(installed, p.Changes)
	for way, list := range map[string][]rpm.Package{"out": out, "in": in} {
		for _, one := range list {
			if err := one.Valid(); err != nil {
				return q, fmt.Errorf("the plan cannot be carried out: %w", err)
			}
			w := want(one)
			w.Way = way
			q.Approved = append(q.Approved, w)
		}
	}
	slices.SortFunc(q.Approved, func(a, b wanted) int { return strings.Compare(a.Way+a.Name+a.Arch, b.Way+b.Name+b.Arch) })
	return q, nil
}
