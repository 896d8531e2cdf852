// Package brew is the source of Homebrew's formulae and casks, on macOS and on Linux. What is installed is read from the disk; what is on offer and what an
// upgrade does, brew says. brew is its prefix's owner's, and refuses to be root's: root runs it as that user, and nobody else does.
package brew

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Source is Homebrew. It implements source.Installer, source.Refresher, source.Lister and source.Holder.
type Source struct{}

// Name implements source.Source.
func (Source) Name() string { return "brew" }

// Present implements source.Source.
func (Source) Present(m *machine.Machine) bool { return len(installations(m)) > 0 }

// installation is one Homebrew; a Mac may have two, for either processor.
type installation struct {
	prefix string
	// arch is what its formulae are for, in Homebrew's words.
	arch string
}

func (i installation) program() string { return path.Join(i.prefix, "bin/brew") }

// prefixes are where Homebrew is (its documentation, Installation); elsewhere it is supported by nobody.
var prefixes = []installation{{"/opt/homebrew", "arm64"}, {"/usr/local", "x86_64"}, {"/home/linuxbrew/.linuxbrew", native()}}

func native() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}

func installations(m *machine.Machine) []installation {
	var list []installation
	for _, i := range prefixes {
		if _, err := m.Stat(i.program()); err == nil {
			list = append(list, i)
		}
	}
	return list
}

// caskArch stands where a formula has its architecture: a formula and a cask of one name are two, and casks are for whatever they are for.
const caskArch = "cask"

// noAdvisories is what is known of security here.
const noAdvisories = "Homebrew publishes no advisories"

// staleAfter is how old what is known may be: Homebrew changes by the hour.
const staleAfter = 7 * 24 * time.Hour

// Scan implements source.Source. brew is kept from fetching anything by itself.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	f := fleet.Finding{SecurityUnknown: noAdvisories}
	var problems []error
	for _, i := range installations(m) {
		offers, err := i.offers(ctx, m)
		problems = append(problems, err)
		for _, o := range offers {
			f.Updates = append(f.Updates, o.update)
		}
		asOf := i.asOf(ctx, m)
		if !asOf.IsZero() && (f.AsOf.IsZero() || asOf.Before(f.AsOf)) {
			f.AsOf = asOf
		}
	}
	if age := m.Now().Sub(f.AsOf); !f.AsOf.IsZero() && age > staleAfter {
		problems = append(problems, &fleet.Unknown{
			Because: fmt.Sprintf("what is on offer was last fetched %d days ago", int(age.Hours()/24)), Remedy: "redflag scan --refresh, as root or as Homebrew's owner",
		})
	}
	return f, errors.Join(problems...)
}

// offer is an update, and what brew calls it.
type offer struct {
	update fleet.Update
	full   string
	cask   bool
	// byHand says why RedFlag does not install it; empty where it does.
	byHand string
}

// offers asks a Homebrew for what is on offer, all of it, and says what an ordinary upgrade would leave out.
func (i installation) offers(ctx context.Context, m *machine.Machine) ([]offer, error) {
	out, err := i.ask(ctx, m, "outdated", "--json=v2", "--greedy")
	if err != nil {
		return nil, err
	}
	old, err := parseOutdated(out)
	if err != nil {
		return nil, unreadable("what brew says is on offer", err)
	}
	if len(old.formulae)+len(old.casks) == 0 {
		return nil, nil
	}
	out, err = i.ask(ctx, m, "info", "--json=v2", "--installed")
	if err != nil {
		return nil, err
	}
	known, err := parseInfo(out)
	if err != nil {
		return nil, unreadable("what brew says is installed", err)
	}
	var list []offer
	for _, e := range old.formulae {
		list = append(list, i.formula(e, known))
	}
	for _, e := range old.casks {
		list = append(list, cask(e, known))
	}
	return list, nil
}

func (i installation) formula(e entry, known catalogue) offer {
	at := slices.IndexFunc(known.formulae, func(f formula) bool { return f.FullName == e.Name || f.Name == e.Name })
	o := offer{full: e.Name, update: fleet.Update{Name: path.Base(e.Name), Arch: i.arch, From: e.from(), To: e.CurrentVersion, Origin: "homebrew/core"}}
	if at >= 0 {
		f := known.formulae[at]
		o.update.Summary, o.update.Origin = fleet.Plain(f.Description), fleet.Plain(f.Tap)
		if f.Disabled {
			o.byHand = "it is disabled in Homebrew"
		}
	}
	return o.blocked(e)
}

func cask(e entry, known catalogue) offer {
	at := slices.IndexFunc(known.casks, func(c caskInfo) bool { return c.FullToken == e.Name || c.Token == e.Name })
	o := offer{full: e.Name, cask: true, update: fleet.Update{Name: path.Base(e.Name), Arch: caskArch, From: e.from(), To: e.CurrentVersion, Origin: "homebrew/cask"}}
	if at < 0 {
		return o.blocked(e)
	}
	c := known.casks[at]
	o.update.Summary, o.update.Origin = fleet.Plain(c.Description), fleet.Plain(c.Tap)
	switch {
	case c.Disabled:
		o.byHand = "it is disabled in Homebrew"
	case c.installer():
		o.byHand = "its installer asks for an administrator's password: brew upgrade --cask " + e.Name
	case c.AutoUpdates:
		o.update.Blocked, o.update.BlockedBecause = fleet.KeptBack, "it updates itself; named, it is installed"
	case e.CurrentVersion == "latest":
		o.byHand = "it has no version, so nobody could tell what was done: brew upgrade --cask " + e.Name
	}
	return o.blocked(e)
}

// blocked marks what is pinned, and what a person must do.
func (o offer) blocked(e entry) offer {
	switch {
	case e.Pinned:
		o.update.Blocked, o.update.BlockedBecause = fleet.Held, "brew pin"
	case o.byHand != "":
		o.update.Blocked, o.update.BlockedBecause = fleet.KeptBack, o.byHand
	}
	return o
}

// asOf is when what is on offer was last fetched; zero where nobody can tell.
func (i installation) asOf(ctx context.Context, m *machine.Machine) time.Time {
	out, err := i.ask(ctx, m, "--cache")
	if err != nil {
		return time.Time{}
	}
	var newest time.Time
	api := path.Join(firstLine(out), "api")
	for _, dir := range []string{api, path.Join(api, "internal")} {
		entries, err := m.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && path.Ext(e.Name()) == ".json" && info.ModTime().After(newest) {
				newest = info.ModTime().UTC()
			}
		}
	}
	return newest
}
