package chocolatey

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Plan implements source.Planner: Chocolatey says with --noop what it would upgrade. What a package's own script does beyond that, it does not know.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	switch {
	case sel.Security:
		return p, &fleet.Unknown{Because: "which updates are for security is not known: " + noAdvisories, Remedy: "choose updates by their names, or all"}
	case sel.Mend:
		return p, &fleet.Unknown{Because: "Chocolatey has nothing that mends what was interrupted", Remedy: "install the package again: choco install NAME --force"}
	case len(sel.Back) > 0:
		return s.planBack(ctx, m, p)
	}
	installed, err := list(ctx, m)
	if err != nil {
		return p, err
	}
	names := []string{"all"}
	if !sel.All {
		if names, err = s.named(ctx, m, sel); err != nil {
			return p, err
		}
	}
	if p.Changes, err = simulate(ctx, m, names, installed); err != nil {
		return p, err
	}
	for _, c := range p.Changes {
		if c.Name == "chocolatey" {
			p.Warnings = append(p.Warnings, "Chocolatey itself is upgraded: its configuration may be changed by that")
		}
	}
	p.Reboot.Because = append(p.Reboot.Because, "Chocolatey says only afterwards whether it needs one")
	return p, source.GuardRemovals(p, func(c fleet.Change) bool { return protected.MatchString(c.Name) }, "do this by hand")
}

// protected are packages by which a machine is reached or updated.
var protected = regexp.MustCompile(`^(chocolatey|openssh|docker-desktop|docker-engine|redflag|redflag-agent)$`)

// named gives the packages that a selection of names means.
func (s Source) named(ctx context.Context, m *machine.Machine, sel fleet.Selection) ([]string, error) {
	f, err := s.Scan(ctx, m)
	if err != nil && len(f.Updates) == 0 {
		return nil, err
	}
	meant, err := source.Meant(f.Updates, sel)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, u := range meant {
		names = append(names, u.Name)
	}
	return names, nil
}

// simulate has Chocolatey say what an upgrade would do: a line of four fields for what is upgraded, one of three for what is not.
func simulate(ctx context.Context, m *machine.Machine, names []string, installed map[string]string) ([]fleet.Change, error) {
	r, err := ask(ctx, m, append(append([]string{"upgrade"}, names...), "--noop", "--limit-output", "--yes", "--no-progress", "--ignore-unfound")...)
	if err != nil {
		return nil, err
	}
	rows, strange := parse(r.Stdout, 3, 4)
	if r.Code != done && r.Code != enhanced {
		return nil, failed("choco upgrade --noop", r.Code, strange)
	}
	changes := []fleet.Change{}
	for _, row := range rows {
		if len(row) < 4 || row[1] == row[2] || row[3] == "true" {
			continue
		}
		changes = append(changes, fleet.Change{Action: fleet.Upgrade, Name: row[0], From: row[1], To: row[2]})
	}
	for _, name := range names {
		if name != "all" && !slices.ContainsFunc(changes, func(c fleet.Change) bool { return c.Name == name }) {
			return nil, &fleet.Unknown{Because: fmt.Sprintf("Chocolatey would not upgrade %s now (it has %s)", name, installed[name]), Remedy: "see what `choco upgrade " + name + " --noop` says"}
		}
	}
	slices.SortFunc(changes, fleet.CompareChanges)
	return changes, nil
}

// planBack plans the way back: to older versions, as far as feeds have them still, and without what was new.
func (s Source) planBack(ctx context.Context, m *machine.Machine, p fleet.Plan) (fleet.Plan, error) {
	installed, err := list(ctx, m)
	if err != nil {
		return p, err
	}
	for _, c := range p.Selection.Back {
		if !packageID.MatchString(c.Name) || c.To != "" && !versionText.MatchString(c.To) {
			return p, &fleet.Unknown{Because: fmt.Sprintf("%q is no package of Chocolatey's", fleet.Plain(c.Name)), Remedy: "see what the job to undo has done"}
		}
		if installed[c.Name] != c.From {
			return p, &fleet.Unknown{Because: fmt.Sprintf("%s is not %s any more, as the job left it", c.Name, c.From), Remedy: "see what is: choco list"}
		}
		action := fleet.Downgrade
		if c.To == "" {
			action = fleet.Remove
		}
		p.Changes = append(p.Changes, fleet.Change{Action: action, Name: c.Name, From: c.From, To: c.To})
	}
	slices.SortFunc(p.Changes, fleet.CompareChanges)
	p.Warnings = append(p.Warnings, "an installer may leave settings of the newer version behind")
	return p, source.GuardRemovals(p, func(c fleet.Change) bool { return protected.MatchString(c.Name) }, "do this by hand")
}

// Undo implements source.Installer.
func (Source) Undo(_ *machine.Machine, _ fleet.Plan, o fleet.Outcome, _ source.Work) (fleet.Selection, error) {
	var back []fleet.Change
	for _, c := range o.Done {
		if c.To == "" {
			return fleet.Selection{}, &fleet.Unknown{Because: c.Name + " was removed, and with it what it was configured to", Remedy: "choco install " + c.Name + " --version " + c.From}
		}
		back = append(back, fleet.Change{Name: c.Name, From: c.To, To: c.From})
	}
	if len(back) == 0 {
		return fleet.Selection{}, &fleet.Unknown{Because: "nothing was changed, so there is nothing to take back"}
	}
	return fleet.Selection{Back: back}, nil
}
