// Package dnf is the source of packages of Fedora, of Red Hat's Enterprise Linux and of those who follow it, up to the releases that have dnf 5.
// What a solver must decide comes from dnf itself, as data: a plugin of ours (redflag.py), which dnf loads for the one command that we give it, says
// what is on offer and what would be done, and stops dnf when what it is about to do is not what was approved. What is installed, what advisories say
// and what a transaction did is read by package rpm.
package dnf

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source/rpm"
)

// Source is dnf 4, which is yum's name too from RHEL 8 on. It implements source.Installer, source.Refresher, source.Lister, source.Holder and source.Repairer.
type Source struct {
	rpm.Recorder
	// LockWait is how long an installation waits for another program that is at work on the packages; 0 means five minutes.
	LockWait time.Duration
}

// Name implements source.Source.
func (Source) Name() string { return "dnf" }

// Present implements source.Source: the machine has dnf 4, or the yum before it, and a database of packages. Where dnf 5 is, that is the machine's own.
func (Source) Present(m *machine.Machine) bool {
	if !rpm.HasDatabase(m) || rpm.HasProgram(m, "dnf5") {
		return false
	}
	return rpm.HasProgram(m, "dnf-3", "dnf", "yum")
}

// program is dnf 4's name here; empty where there is only yum 3.
func program(m *machine.Machine) string {
	for _, name := range []string{"dnf-3", "dnf"} {
		if rpm.HasProgram(m, name) {
			return name
		}
	}
	return ""
}

// errYum is the answer to yum 3, which RHEL 7 and CentOS 7 have.
var errYum = &fleet.Unknown{
	Because: "yum 3 is not supported: it belongs to releases that are at the end of their life", Remedy: "move this machine to a release that gets updates",
}

// Packages implements source.Lister.
func (s Source) Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	return rpm.Packages(ctx, m, s.Name())
}

// Scan implements source.Source. It needs no root and no network: it looks at what was fetched last.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	if program(m) == "" {
		return fleet.Finding{}, errYum
	}
	installed, err := rpm.Installed(ctx, m)
	if err != nil {
		return fleet.Finding{}, err
	}
	said, err := s.ask(ctx, m, request{Mode: "scan"}, "-C")
	if err != nil {
		return fleet.Finding{}, err
	}
	advisories, asOf, problem := rpm.ReadAdvisories(ctx, m, said.repositories())
	f := fleet.Finding{AsOf: asOf, Updates: said.all(rpm.Newest(installed))}
	rpm.Judge(m, &f, installed, advisories, said.offers())
	return f, errors.Join(problem, said.problems(), rpm.Stale(asOf, m.Now()))
}

// repositories are those that dnf took into account.
func (a answer) repositories() []rpm.Repository {
	var list []rpm.Repository
	for _, r := range a.Repos {
		list = append(list, rpm.Repository{ID: r.ID, Dir: r.Cache})
	}
	return list
}

// problems are what makes the answer less than whole.
func (a answer) problems() error {
	var problems []error
	if len(a.Missing) > 0 {
		problems = append(problems, &fleet.Unknown{
			Because: "nothing is known of the repositories " + fleet.Plain(strings.Join(a.Missing, ", ")) + ": dnf goes on without them", Remedy: "sudo redflag scan --refresh says why",
		})
	}
	if a.Unsolved != "" {
		problems = append(problems, &fleet.Unknown{
			Because: "which updates can be installed is not known, because dnf finds no solution: " + oneLine(a.Unsolved), Remedy: "see what `dnf upgrade --assumeno` says",
		})
	}
	if len(a.Repos) == 0 && len(a.Missing) == 0 {
		problems = append(problems, &fleet.Unknown{Because: "no repository is enabled", Remedy: "enable those of the distribution: dnf repolist --all shows them"})
	}
	return errors.Join(problems...)
}

// oneLine makes a sentence of dnf's list of problems.
func oneLine(text string) string {
	return fleet.Plain(strings.Join(strings.Fields(text), " "))
}

// all gives the updates, those that are blocked among them.
func (a answer) all(newest map[string]rpm.Package) []fleet.Update {
	list := []fleet.Update{}
	for _, p := range a.Updates {
		u := p.update(newest)
		if why, kept := a.KeptBack[p.Name+"."+p.Arch]; kept {
			u.Blocked, u.BlockedBecause = fleet.KeptBack, oneLine(why)
		}
		list = append(list, u)
	}
	for _, x := range a.Excluded {
		u := x.Package.update(newest)
		u.Blocked, u.BlockedBecause = fleet.Held, oneLine(x.Because)
		if u.BlockedBecause == "" {
			u.BlockedBecause = "a version lock"
		}
		list = append(list, u)
	}
	for _, o := range a.Obsoleting {
		if slices.ContainsFunc(list, func(u fleet.Update) bool { return u.Name == o.New.Name && u.Arch == o.New.Arch }) {
			continue
		}
		u := o.New.update(newest)
		u.From, u.Summary = o.Old.evr(), fleet.Plain("replaces "+o.Old.Name+": "+o.New.Summary)
		list = append(list, u)
	}
	return list
}

// offers gives what dnf says of the packages behind what is on offer.
func (a answer) offers() map[rpm.Package]rpm.Offer {
	offers := map[rpm.Package]rpm.Offer{}
	add := func(p offered) { offers[p.plain()] = rpm.Offer{Source: p.Source, Vendor: p.Vendor} }
	for _, p := range a.Updates {
		add(p)
	}
	for _, x := range a.Excluded {
		add(x.Package)
	}
	return offers
}

func (p offered) update(newest map[string]rpm.Package) fleet.Update {
	one := p.plain()
	return fleet.Update{
		Source: "dnf", Name: one.Name, Arch: one.Arch, From: rpm.Before(newest, one), To: one.EVR, Origin: fleet.Plain(p.Repo), Size: p.Download, Summary: fleet.Plain(p.Summary),
	}
}
