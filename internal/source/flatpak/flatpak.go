// Package flatpak is the source of Flatpak's applications and runtimes: those of the system, and those of its users. What is installed is read from the disk,
// by the commits that are deployed. What remotes have on offer only flatpak can say, and it says it to nobody but who has fetched it: so a refresh asks, and
// writes the answer down for every scan after it, which needs neither flatpak nor a network nor root. An update is one ref and one commit; exactly that commit
// is installed, or none.
package flatpak

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Source is Flatpak. It implements source.Installer, source.Refresher, source.Lister and source.Holder.
type Source struct {
	// StateDir is where somebody who is not root keeps what remotes have answered; empty keeps nothing.
	StateDir string
}

// Name implements source.Source.
func (Source) Name() string { return "flatpak" }

// Present implements source.Source: something was installed. The program alone is on many machines on which nobody uses it.
func (Source) Present(m *machine.Machine) bool {
	return slices.ContainsFunc(installations(m), func(i installation) bool {
		for _, kind := range kinds {
			if _, err := m.Stat(path.Join(i.dir, kind)); err == nil {
				return true
			}
		}
		return false
	})
}

// Packages implements source.Lister. Versions are commits, which alone say what is installed.
func (s Source) Packages(_ context.Context, m *machine.Machine) ([]fleet.Package, error) {
	var list []fleet.Package
	for _, i := range installations(m) {
		there, err := i.deployed(m)
		if err != nil {
			return nil, err
		}
		for r, commit := range there {
			list = append(list, fleet.Package{Source: s.Name(), Name: i.name(r), Arch: r.arch, Version: algorithm + commit})
		}
	}
	fleet.SortPackages(list)
	return list, nil
}

const (
	// noAdvisories is what is known of security here.
	noAdvisories = "Flatpak's remotes publish no advisories"
	// staleAfter is how old what is known may be: Flathub gets new versions every hour.
	staleAfter = 7 * 24 * time.Hour
)

// Scan implements source.Source.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	f := fleet.Finding{SecurityUnknown: noAdvisories}
	list, err := s.offered(ctx, m)
	for _, o := range list {
		if o.Offer.EndOfLife != "" {
			f.Notes = append(f.Notes, o.in.name(o.ref)+" is at the end of its life: "+o.Offer.EndOfLife)
		}
		if o.pending() {
			f.Updates = append(f.Updates, o.update())
		}
	}
	slices.Sort(f.Notes)
	f.AsOf = oldest(s.answers(m))
	if age := m.Now().Sub(f.AsOf); !f.AsOf.IsZero() && age > staleAfter {
		err = errors.Join(err, &fleet.Unknown{
			Because: fmt.Sprintf("what is on offer was last asked for %d days ago", int(age.Hours()/24)), Remedy: "sudo redflag scan --refresh",
		})
	}
	return f, err
}

// one is a ref that is installed, and what is known of it.
type one struct {
	in     installation
	ref    ref
	commit string
	Offer  offer
	mask   string // the pattern that keeps it as it is; empty where none does
}

// pending says whether its remote has another commit.
func (o one) pending() bool { return o.Offer.To != "" && o.Offer.To != o.commit }

// update gives the form that people see.
func (o one) update() fleet.Update {
	u := fleet.Update{
		Name: o.in.name(o.ref), Arch: o.ref.arch, From: algorithm + o.commit, To: algorithm + o.Offer.To, Origin: o.Offer.Origin, Size: o.Offer.Download, Summary: o.summary(),
	}
	switch {
	case o.mask != "":
		u.Blocked, u.BlockedBecause = fleet.Held, "masked by "+o.mask
	case o.Offer.Rebase != "":
		u.Blocked, u.BlockedBecause = fleet.KeptBack, "its remote replaces it by "+o.Offer.Rebase+", which is for a person to decide: flatpak update "+o.ref.id
	case o.Offer.Lacks != "":
		u.Blocked, u.BlockedBecause = fleet.KeptBack, o.Offer.Lacks
	}
	return u
}

// summary is its maker's name for it, and between which versions it goes, where those have names.
func (o one) summary() string {
	if o.Offer.ToVersion == "" {
		return o.Offer.Title
	}
	return strings.TrimPrefix(o.Offer.Title+": "+cmp.Or(o.Offer.Version, "?")+" → "+o.Offer.ToVersion, ": ")
}

// offered gives everything that is installed with what is known of it, sorted by name. What could not be learnt is the error.
func (s Source) offered(ctx context.Context, m *machine.Machine) ([]one, error) {
	var list []one
	var problems []error
	for _, i := range installations(m) {
		there, err := i.deployed(m)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		a, err := s.answer(m, i)
		if err != nil && len(there) > 0 {
			problems = append(problems, err)
		}
		masks, err := i.masks(ctx, m)
		problems = append(problems, err)
		for r, commit := range there {
			o := one{i, r, commit, a.Refs[r.String()], covering(masks, r)}
			if err != nil {
				o.Offer.Lacks = "whether a mask keeps it as it is is not known"
			}
			list = append(list, o)
		}
		for _, because := range a.Failed {
			problems = append(problems, &fleet.Unknown{Because: because, Remedy: "see what `flatpak remote-ls --updates` says, and look again: sudo redflag scan --refresh"})
		}
	}
	slices.SortFunc(list, func(a, b one) int {
		return cmp.Or(cmp.Compare(a.in.name(a.ref), b.in.name(b.ref)), cmp.Compare(a.ref.arch, b.ref.arch))
	})
	return list, errors.Join(problems...)
}

// oldest is the age of what is known: that of the oldest answer.
func oldest(answers []answer) time.Time {
	var at time.Time
	for _, a := range answers {
		if !a.Asked.IsZero() && (at.IsZero() || a.Asked.Before(at)) {
			at = a.Asked
		}
	}
	return at
}

// root says whether we are who may change every installation.
func root() bool { return os.Geteuid() == 0 }

// unreadable is what is told of an installation that cannot be read.
func unreadable(i installation, err error) error {
	return &fleet.Unknown{Because: fmt.Sprintf("what is installed in %s cannot be read: %s", fleet.Plain(i.dir), fleet.Plain(err.Error())), Remedy: "see what `flatpak repair` says", Err: err}
}
