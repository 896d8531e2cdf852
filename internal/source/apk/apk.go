// Package apk is the source of Alpine Linux's packages and of those who follow it, by apk-tools 2 and 3. Its own reader looks at the database of what is
// installed, at the world file and at the indexes; which updates are on offer, and what an upgrade does, apk itself says. An upgrade leaves the world file as
// it is: to name a version to `apk add` would pin it there and keep later updates away.
package apk

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Source is apk. It implements source.Installer, source.Refresher, source.Lister, source.Holder and source.Repairer.
type Source struct{}

// Name implements source.Source.
func (Source) Name() string { return "apk" }

// Present implements source.Source.
func (Source) Present(m *machine.Machine) bool { return databaseFile(m) != "" }

// Packages implements source.Lister. Without an index that names a package, nobody knows whether it is Alpine's own: then it has no ecosystem.
func (s Source) Packages(_ context.Context, m *machine.Machine) ([]fleet.Package, error) {
	installed, err := readInstalled(m)
	if err != nil {
		return nil, err
	}
	offers, _, _ := readIndexes(m) // a scan tells what cannot be read
	known := newOrigins(offers)
	list := make([]fleet.Package, 0, len(installed))
	for _, p := range installed {
		one := fleet.Package{
			Source: s.Name(), Name: p.name, Version: p.version, Arch: fleet.Plain(p.arch), Ecosystem: known.ecosystem(p.name, p.origin, p.version),
		}
		if p.origin != "" && p.origin != p.name {
			one.From = fleet.Plain(p.origin)
		}
		list = append(list, one)
	}
	return list, nil
}

// noAdvisories is what is known of security here: Alpine publishes it elsewhere, by source packages.
const noAdvisories = "Alpine's repositories carry no advisories"

// staleAfter is how old what is known may be: Alpine's stable releases get updates several times a week.
const staleAfter = 7 * 24 * time.Hour

// Scan implements source.Source. It needs no root, no lock and no network.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	installed, err := readInstalled(m)
	if err != nil {
		return fleet.Finding{}, err
	}
	w, err := readWorld(m)
	problems := []error{err}
	offers, asOf, err := readIndexes(m)
	problems = append(problems, err)
	f := fleet.Finding{AsOf: asOf, SecurityUnknown: noAdvisories}
	list, err := listUpgradable(ctx, m, installed)
	if err != nil {
		return f, errors.Join(append(problems, err)...)
	}
	known := newOrigins(offers)
	for _, u := range list {
		f.Updates = append(f.Updates, describe(u, known))
	}
	problems = append(problems, block(ctx, m, f.Updates, w))
	if age := m.Now().Sub(asOf); !asOf.IsZero() && age > staleAfter {
		problems = append(problems, &fleet.Unknown{
			Because: fmt.Sprintf("what is on offer was last fetched %d days ago", int(age.Hours()/24)), Remedy: "sudo redflag scan --refresh",
		})
	}
	return f, errors.Join(problems...)
}

// upgradable is an installed package and the version that is on offer.
type upgradable struct {
	from *pkg
	to   string
	arch string
}

func describe(u upgradable, known origins) fleet.Update {
	one := fleet.Update{Name: u.from.name, Arch: fleet.Plain(u.arch), From: u.from.version, To: u.to, Summary: fleet.Plain(u.from.summary), Build: known.build(u.from, u.to)}
	offers := known.offers[u.from.name]
	at := slices.IndexFunc(offers, func(p *pkg) bool { return p.version == u.to })
	if at >= 0 {
		one.Size, one.Summary, one.Origin = offers[at].download, fleet.Plain(offers[at].summary), fleet.Plain(offers[at].from)
	}
	return one
}

// block marks what apk would leave out of an upgrade, and says why where the world file has it.
func block(ctx context.Context, m *machine.Machine, updates []fleet.Update, w world) error {
	planned, err := simulate(ctx, m, nil)
	var refused *refusal
	if errors.As(err, &refused) {
		for i := range updates {
			updates[i].Blocked, updates[i].BlockedBecause = fleet.KeptBack, refused.because
		}
		return nil
	}
	if err != nil {
		return err
	}
	for i, u := range updates {
		comes := slices.ContainsFunc(planned, func(c fleet.Change) bool { return c.Name == u.Name && c.To == u.To })
		switch pin := w.pin(u.Name); {
		case comes:
		case pin != "":
			updates[i].Blocked, updates[i].BlockedBecause = fleet.Pinned, pin+" in "+worldFile
		default:
			updates[i].Blocked, updates[i].BlockedBecause = fleet.KeptBack, "apk leaves it out of an upgrade: something that is installed needs the older version"
		}
	}
	return nil
}

// listUpgradable asks apk which newer versions its repositories have.
func listUpgradable(ctx context.Context, m *machine.Machine, installed []*pkg) ([]upgradable, error) {
	result, err := m.Run(ctx, machine.Command{Name: "apk", Args: append(slices.Clone(options), "list", "--upgradable")})
	if errors.Is(err, machine.ErrNotInstalled) {
		return nil, &fleet.Unknown{Because: "which updates there are is not known: apk is not there", Remedy: "install apk-tools again", Err: err}
	}
	if err != nil {
		return nil, err
	}
	if result.Code != 0 {
		return nil, explain(result, "apk list").unknown()
	}
	return parseUpgradable(result.Stdout, installed)
}

// upgradableFrom comes before the name and version of what is installed, in a line of `apk list --upgradable`.
const upgradableFrom = "[upgradable from: "

// parseUpgradable reads: demo-app-2.1-r1 x86_64 {demo-app} (MIT) [upgradable from: demo-app-2.0-r3].
func parseUpgradable(out []byte, installed []*pkg) ([]upgradable, error) {
	by := map[string]*pkg{}
	for _, p := range installed {
		by[p.name+"-"+p.version] = p
	}
	var list []upgradable
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		before, after, found := strings.Cut(line, upgradableFrom)
		fields := strings.Fields(before)
		if !found || len(fields) < 2 {
			return nil, unreadable("what apk says is on offer", fmt.Errorf("%q", fleet.Plain(line)))
		}
		from := by[strings.TrimSuffix(after, "]")]
		if from == nil {
			return nil, unreadable("what apk says is on offer", fmt.Errorf("%q is of no installed package", fleet.Plain(line)))
		}
		to, named := strings.CutPrefix(fields[0], from.name+"-")
		if !named || !versionText.MatchString(to) {
			return nil, unreadable("what apk says is on offer", fmt.Errorf("%q is no version of %s", fleet.Plain(fields[0]), from.name))
		}
		list = append(list, upgradable{from, to, fields[1]})
	}
	return list, nil
}

// options are what every call of apk gets. Without the age apk would fetch indexes that are older than four hours on its own, and what is done would not be
// what was planned; it is in minutes.
var options = []string{"--cache-max-age", "5256000"}

func unreadable(what string, err error) error {
	return &fleet.Unknown{Because: fmt.Sprintf("%s cannot be read: %s", what, fleet.Plain(err.Error())), Remedy: "see what `apk fix --simulate` and `apk list --upgradable` say", Err: err}
}

// base is the name of an index file without what tells its form.
func base(file string) string { return strings.TrimSuffix(path.Base(file), ".tar.gz") }
