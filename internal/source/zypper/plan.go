package zypper

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

// Plan implements source.Planner: zypper itself says what it would do, and does nothing.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	if err := rpm.Changeable(m); err != nil {
		return p, err
	}
	installed, err := rpm.Installed(ctx, m)
	if err != nil {
		return p, err
	}
	if err := rpm.Whole(installed, rpm.Beside(m)); err != nil {
		return p, err
	}
	words, err := s.wanted(ctx, m, sel)
	if err != nil || words == nil {
		return p, err
	}
	said, err := s.dryRun(ctx, m, words)
	if err != nil {
		return p, err
	}
	p.Changes = said.changes(installed)
	if err := paired(p.Changes, installed); err != nil {
		return p, err
	}
	if said.Summary != nil {
		p.Download, p.Disk = number(said.Summary.Download), number(said.Summary.Disk)
	}
	for i, c := range p.Changes {
		if c.To != "" {
			p.Changes[i].Origin = said.origin(c)
			back := slices.ContainsFunc(sel.Back, func(b fleet.Change) bool { return b.Name == c.Name && b.Arch == c.Arch && b.Automatic })
			p.Changes[i].Automatic = back || !sel.All && c.From == "" && !named(words, c)
		}
	}
	s.judge(ctx, m, &p, installed, said)
	return p, rpm.Guard(m, p, "zypper update --dry-run")
}

// paired refuses to change a package in one of the architectures that it is installed for, and not in the other: zypper then takes the other one away, without a word of
// that in its summary (1.14.42). SUSE's own libraries for two architectures have names of their own (-32bit).
func paired(changes []fleet.Change, installed []rpm.Package) error {
	for _, c := range changes {
		for _, p := range installed {
			other := c.To != "" && p.Name == c.Name && p.Arch != c.Arch && p.Arch != "noarch" && c.Arch != "noarch"
			if other && !slices.ContainsFunc(changes, func(o fleet.Change) bool { return o.Name == p.Name && o.Arch == p.Arch }) {
				return &fleet.Unknown{
					Because: fmt.Sprintf("%s is installed for %s too, which zypper would take away without saying so", c.Name+"."+c.Arch, p.Arch),
					Remedy:  "remove one of them first: rpm -e " + p.String(),
				}
			}
		}
	}
	return nil
}

// named says whether a change was asked for by name.
func named(words []string, c fleet.Change) bool {
	for _, w := range words {
		if strings.HasPrefix(w, c.Name+"."+c.Arch+"=") {
			return true
		}
	}
	return false
}

// judge notes what the plan will ask of the machine.
func (s Source) judge(ctx context.Context, m *machine.Machine, p *fleet.Plan, installed []rpm.Package, said stream) {
	repositories, err := s.repositories(ctx, m)
	advisories, _, err2 := rpm.ReadAdvisories(ctx, m, repositories)
	if err != nil || err2 != nil {
		p.Warnings = append(p.Warnings, "which of these are for security is not known")
	}
	rpm.Foresee(ctx, m, p, installed, advisories, "/var/cache/zypp")
	if said.Summary != nil && said.Summary.Reboot != "" && said.Summary.Reboot != "0" && p.Reboot.Needed != fleet.Needed {
		p.Reboot = fleet.Reboot{Needed: fleet.Needed, Because: []string{"zypper says so"}}
	}
}

// dryRun has zypper say what the words would do.
func (s Source) dryRun(ctx context.Context, m *machine.Machine, words []string) (stream, error) {
	said, err := s.ask(ctx, m, append([]string{words[0], "--dry-run", "--details"}, words[1:]...)...)
	if err != nil {
		return said, err
	}
	if said.Summary == nil && !said.nothing() {
		return said, noAnswer("it gives no summary of what it would do", nil)
	}
	return said, nil
}

// nothing says whether zypper has nothing to do.
func (s stream) nothing() bool {
	for _, m := range s.Messages {
		if strings.Contains(m.Text, "Nothing to do") {
			return true
		}
	}
	return false
}

// wanted gives the words that mean a selection; nil where nothing is to be done.
func (s Source) wanted(ctx context.Context, m *machine.Machine, sel fleet.Selection) ([]string, error) {
	switch {
	case sel.All:
		return upgrade(m), nil
	case len(sel.Back) > 0:
		return back(m, sel.Back)
	}
	finding, err := s.Scan(ctx, m)
	if err != nil && len(finding.Updates) == 0 {
		return nil, err // what is on offer is not known at all
	}
	meant, err := source.Meant(finding.Updates, sel)
	if err != nil || len(meant) == 0 {
		return nil, err
	}
	words := []string{"install"}
	for _, u := range meant {
		p := rpm.Package{Name: u.Name, EVR: u.To, Arch: u.Arch}
		if err := p.Valid(); err != nil {
			return nil, err
		}
		words = append(words, word(p))
	}
	return words, nil
}

// back gives the words that go back to versions: those that were kept here by their files, others by what repositories have.
func back(m *machine.Machine, changes []fleet.Change) ([]string, error) {
	words := []string{"install", "--oldpackage", "--allow-unsigned-rpm"}
	for _, c := range changes {
		p := rpm.Package{Name: c.Name, EVR: c.To, Arch: c.Arch}
		if c.To == "" {
			p.EVR = c.From
		}
		if err := p.Valid(); err != nil {
			return nil, err
		}
		file := source.Kept(m, rpm.Kept(p))
		switch {
		case c.To == "":
			words = append(words, "!"+word(p))
		case file != "":
			words = append(words, file)
		default:
			words = append(words, word(p))
		}
	}
	return words, nil
}

// words are those of a plan that was approved: what was selected, or each change by its version.
func (s Source) words(m *machine.Machine, p fleet.Plan) ([]string, error) {
	switch {
	case p.Selection.All:
		return upgrade(m), nil
	case len(p.Selection.Back) > 0:
		return back(m, p.Selection.Back)
	}
	words := []string{"install"}
	for _, c := range p.Changes {
		one := rpm.Package{Name: c.Name, EVR: c.To, Arch: c.Arch}
		if c.To == "" || c.From == "" && c.Automatic {
			continue // it comes, or goes, by itself
		}
		if err := one.Valid(); err != nil {
			return nil, fmt.Errorf("the plan cannot be carried out: %w", err)
		}
		words = append(words, word(one))
	}
	return words, nil
}
