// Package pkg is the source of FreeBSD's packages: ports, and from FreeBSD 15 on, where it was installed so, the base system itself. What is installed, what is on
// offer and what an upgrade does, pkg itself says; which of its packages have known flaws, `pkg audit` says by FreeBSD's VuXML. pkg takes no versions: a plan is
// made again right before it is carried out, by the same catalogues.
package pkg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Source is FreeBSD's pkg. It implements source.Installer, source.Refresher, source.Lister, source.Holder and source.Repairer.
type Source struct{}

// Name implements source.Source.
func (Source) Name() string { return "pkg" }

// database is what pkg knows of the machine.
const database = "/var/db/pkg/local.sqlite"

// Present implements source.Source.
func (Source) Present(m *machine.Machine) bool {
	_, err := m.Stat(database)
	return err == nil
}

// Packages implements source.Lister.
func (s Source) Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	installed, err := query(ctx, m)
	if err != nil {
		return nil, err
	}
	list := make([]fleet.Package, 0, len(installed))
	for _, p := range installed {
		list = append(list, fleet.Package{Source: s.Name(), Name: p.name, Version: p.version, Arch: p.arch})
	}
	return list, nil
}

// staleAfter is how old what is known may be: the quarterly packages get their mends within days.
const staleAfter = 7 * 24 * time.Hour

// Scan implements source.Source. It needs no root and no network: pkg is kept from fetching its catalogues by itself.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	installed, err := query(ctx, m)
	if err != nil {
		return fleet.Finding{}, err
	}
	asOf, err := catalogues(m)
	problems := []error{err}
	f := fleet.Finding{AsOf: asOf}
	newer, err := compare(ctx, m, installed)
	if err != nil {
		return f, errors.Join(append(problems, err)...)
	}
	planned, err := simulate(ctx, m, nil)
	problems = append(problems, err)
	f.Updates = updates(installed, newer, planned, err == nil)
	problems = append(problems, describe(ctx, m, f.Updates))
	f.SecurityUnknown = advise(ctx, m, f.Updates)
	if age := m.Now().Sub(asOf); !asOf.IsZero() && age > staleAfter {
		problems = append(problems, &fleet.Unknown{
			Because: fmt.Sprintf("what is on offer was last fetched %d days ago", int(age.Hours()/24)), Remedy: "sudo redflag scan --refresh",
		})
	}
	return f, errors.Join(problems...)
}

// updates puts together what catalogues have newer, and what an upgrade would do: its word on the version counts, and what it leaves out is blocked. Where pkg
// renews itself first, nobody knows yet what it would leave out.
func updates(installed []installedPackage, newer map[string]string, t transaction, planned bool) []fleet.Update {
	var list []fleet.Update
	for _, p := range installed {
		u := fleet.Update{Name: p.name, Arch: p.arch, From: p.version, To: newer[p.name], Summary: p.summary}
		at := slices.IndexFunc(t.changes, func(c fleet.Change) bool { return c.Name == p.name && c.Action == fleet.Upgrade })
		if at >= 0 {
			u.To, u.Origin = t.changes[at].To, t.changes[at].Origin
		}
		switch {
		case u.To == "":
			continue
		case p.locked:
			u.Blocked, u.BlockedBecause = fleet.Held, "pkg lock"
		case at < 0 && planned && !t.first:
			u.Blocked, u.BlockedBecause = fleet.KeptBack, "pkg leaves it out of an upgrade: something that is installed needs the older version, or another repository counts"
		}
		list = append(list, u)
	}
	return list
}
