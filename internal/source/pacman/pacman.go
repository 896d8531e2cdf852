// Package pacman is the source of Arch Linux's packages and of those who follow it. Its own reader looks at pacman's database of what is installed and
// at the repositories' databases, and pacman itself, which says what a full upgrade would install, has the last word. There is no other plan here than a
// full upgrade, because Arch supports no partial ones; and none other is carried out than the approved one, which a hook of ours holds pacman to. What is
// on offer is fetched into databases of our own, as checkupdates(8) does: pacman's own ones change only together with the packages.
package pacman

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/version"
)

// Source is pacman. It implements source.Installer, source.Refresher, source.Lister, source.Holder and source.Repairer.
type Source struct {
	// LockWait is how long an installation waits for another program that is at work on the packages; 0 means five minutes.
	LockWait time.Duration
}

// Name implements source.Source.
func (Source) Name() string { return "pacman" }

// Present implements source.Source: pacman is configured, and has installed something. On Debian it may be there as a tool.
func (Source) Present(m *machine.Machine) bool {
	if _, err := m.Stat(confFile); err != nil {
		return false
	}
	c, err := readConfig(m)
	if err != nil {
		return true
	}
	entries, err := m.ReadDir(c.local())
	return err == nil && slices.ContainsFunc(entries, fs.DirEntry.IsDir) || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// Packages implements source.Lister.
func (s Source) Packages(_ context.Context, m *machine.Machine) ([]fleet.Package, error) {
	w, err := s.look(m)
	if err != nil {
		return nil, err
	}
	own := w.own(m)
	list := make([]fleet.Package, 0, len(w.installed))
	for _, p := range w.installed {
		one := fleet.Package{Source: s.Name(), Name: p.name, Version: p.version, Arch: fleet.Plain(p.arch)}
		if own != nil && own(p) {
			one.Ecosystem = ecosystem
		}
		if p.base != "" && p.base != p.name {
			one.From = fleet.Plain(p.base)
		}
		list = append(list, one)
	}
	return list, nil
}

// world is what our reader sees of a machine.
type world struct {
	conf      *config
	installed []*pkg
	offers    *offers
}

// look reads what is installed.
func (Source) look(m *machine.Machine) (*world, error) {
	c, err := readConfig(m)
	if err != nil {
		return nil, err
	}
	w := &world{conf: c}
	w.installed, err = readLocal(m, c)
	return w, err
}

// staleAfter is how old what is known may be: Arch's repositories change every day.
const staleAfter = 7 * 24 * time.Hour

// Scan implements source.Source. It needs no root, no lock and no network.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	w, err := s.look(m)
	if w == nil || w.installed == nil {
		return fleet.Finding{}, err
	}
	problems := []error{err}
	w.offers, err = readOffers(m, w.conf)
	problems = append(problems, err)
	f := fleet.Finding{AsOf: w.offers.asOf, SecurityUnknown: noAdvisories, Updates: w.updates()}
	w.name(m, f.Updates)
	if age := m.Now().Sub(w.offers.asOf); !w.offers.asOf.IsZero() && age > staleAfter {
		problems = append(problems, &fleet.Unknown{
			Because: fmt.Sprintf("what is on offer was last fetched %d days ago", int(age.Hours()/24)), Remedy: "sudo redflag scan --refresh",
		})
	}
	if len(w.offers.databases) == len(w.conf.repos) {
		problems = append(problems, w.confirm(ctx, m, f.Updates))
	}
	return f, errors.Join(problems...)
}

// noAdvisories is what is known of security here.
const noAdvisories = "Arch's repositories publish no advisories"

// updates gives what is on offer, what is held among it.
func (w *world) updates() []fleet.Update {
	list := []fleet.Update{}
	for _, p := range w.installed {
		to, replacers := w.offers.offered(p)
		if to != nil && version.ComparePacman(to.version, p.version) > 0 {
			list = append(list, w.update(p, to, fleet.Plain(to.summary)))
		}
		for _, r := range replacers {
			if !slices.ContainsFunc(list, func(u fleet.Update) bool { return u.Name == r.name }) {
				list = append(list, w.update(p, r, "replaces "+p.name+": "+fleet.Plain(r.summary)))
			}
		}
	}
	return list
}

func (w *world) update(from, to *pkg, summary string) fleet.Update {
	u := fleet.Update{
		Name: to.name, Arch: fleet.Plain(to.arch), From: from.version, To: to.version, Origin: fleet.Plain(to.repo), Size: to.download, Summary: summary,
	}
	for _, p := range []*pkg{from, to} {
		if setting, file := w.conf.holds(p); setting != "" {
			u.Blocked, u.BlockedBecause = fleet.Held, fleet.Plain(setting)+" in "+fleet.Plain(file)
		}
	}
	return u
}

// confirm holds the updates against what pacman would do. Where it cannot upgrade at all, none of them can be had; what it would do otherwise than we
// found makes the answer unknown.
func (w *world) confirm(ctx context.Context, m *machine.Machine, updates []fleet.Update) error {
	planned, _, err := w.upgrade(ctx, m)
	var refused *refusal
	if errors.As(err, &refused) {
		for i := range updates {
			if updates[i].Blocked == "" {
				updates[i].Blocked, updates[i].BlockedBecause = fleet.KeptBack, "pacman upgrades all or nothing, and "+refused.because
			}
		}
		return nil
	}
	if errors.Is(err, machine.ErrNotInstalled) {
		return &fleet.Unknown{Because: "whether these updates can be installed is not known: pacman is not there", Remedy: "install pacman again", Err: err}
	}
	if err != nil {
		return err
	}
	var missed, unplanned []string
	for _, p := range planned {
		if has := find(w.installed, p.name) != nil; has && !slices.ContainsFunc(updates, func(u fleet.Update) bool { return u.Name == p.name && u.To == p.version && u.Blocked == "" }) {
			missed = append(missed, p.name+" "+p.version)
		}
	}
	for _, u := range updates {
		if u.Blocked == "" && !slices.ContainsFunc(planned, func(p *pkg) bool { return u.Name == p.name && u.To == p.version }) {
			unplanned = append(unplanned, u.Name+" "+u.To)
		}
	}
	if len(missed)+len(unplanned) == 0 {
		return nil
	}
	return &fleet.Unknown{
		Because: fmt.Sprintf("pacman sees other updates than were found in its databases: it would also upgrade [%s] and would not [%s]", strings.Join(missed, ", "), strings.Join(unplanned, ", ")),
		Remedy:  "report it, with the output of `redflag doctor` and of `pacman -Su --print`",
	}
}
