// Package windowsupdate is the source of what Microsoft publishes for Windows, by the Windows Update Agent (WUA) and its COM interface. It is asked by small
// PowerShell scripts that print JSON, and not from within this program: a fault of COM, or of an update's handler, ends a child and not the agent, an
// installation goes on if we are gone, and all that lies above COM runs in tests as it does on Windows. An update is its UpdateID and revision, which is
// the version that a plan names; its name is that of its article (KB5031455), because that is what people know it by.
package windowsupdate

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Source is Windows Update. It implements source.Installer, source.Refresher, source.Lister and source.Holder.
type Source struct{}

// Name implements source.Source.
func (Source) Name() string { return "windowsupdate" }

// agentFile is the library that has the interface.
const agentFile = "/Windows/System32/wuapi.dll"

// Present implements source.Source.
func (Source) Present(m *machine.Machine) bool {
	_, err := m.Stat(agentFile)
	return err == nil
}

// The scripts. Each begins with common.ps1.
var (
	//go:embed common.ps1
	common string
	//go:embed search.ps1
	searchScript string
	//go:embed fetch.ps1
	fetchScript string
	//go:embed install.ps1
	installScript string
	//go:embed hide.ps1
	hideScript string
)

const (
	// lookLimit bounds a question that Windows answers from what it knows: a minute on an old machine with thousands of updates behind it.
	lookLimit = 10 * time.Minute
	// searchLimit bounds a search at Microsoft, or at the company's server: over half an hour was seen where that one is slow.
	searchLimit = 90 * time.Minute
	// staleAfter is how old what is known may be. Windows searches by itself every 22 hours.
	staleAfter = 3 * 24 * time.Hour
)

// searchedFile has when we have searched last, which Windows notes only of its own searches.
const searchedFile = "/var/lib/redflag/windowsupdate-searched"

// Refresh implements source.Refresher: Windows searches where it gets its updates from.
func (s Source) Refresh(ctx context.Context, m *machine.Machine) error {
	if _, err := ask(ctx, m, searchLimit, "pending", "online"); err != nil {
		return err
	}
	if err := machine.WriteFile(m.Path(searchedFile), []byte(m.Now().UTC().Format(time.RFC3339)), 0o644); err != nil {
		return &fleet.Unknown{
			Because: "when Windows was searched for updates could not be noted: " + fleet.Plain(err.Error()), Remedy: "run it as an administrator", Err: err,
		}
	}
	return nil
}

// Scan implements source.Source. It asks for what Windows knows already, without the network and without rights.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	r, err := ask(ctx, m, lookLimit, "pending", "offline")
	if err != nil {
		return fleet.Finding{}, err
	}
	f := fleet.Finding{AsOf: asOf(m, r)}
	problems := []error{r.doubts(), stale(m, f.AsOf)}
	names := r.names()
	for i, u := range r.Updates {
		if u.Installed {
			continue
		}
		if !u.valid() {
			problems = append(problems, unreadable(fmt.Errorf("an update has the identity %q", fleet.Plain(u.ID))))
			continue
		}
		f.Updates = append(f.Updates, u.update(names[i], r.origin()))
	}
	return f, errors.Join(problems...)
}

// asOf is when was searched last, by Windows itself or by us; zero where nobody says.
func asOf(m *machine.Machine, r reply) time.Time {
	latest := time.Time{}
	text, err := m.ReadFile(searchedFile, maxSearched)
	if err != nil {
		text = nil // we have not searched, or may not know
	}
	for _, t := range []string{r.Searched, strings.TrimSpace(string(text))} {
		at, err := time.Parse(time.RFC3339, t)
		if err == nil && at.After(latest) && !at.After(m.Now().Add(time.Hour)) {
			latest = at.UTC()
		}
	}
	if latest.Year() < firstYear {
		return time.Time{}
	}
	return latest
}

const (
	// maxSearched bounds the file of one time.
	maxSearched = 100
	// firstYear: Windows says 1899 or 1601 for never.
	firstYear = 2000
)

func stale(m *machine.Machine, at time.Time) error {
	const remedy = "redflag scan --refresh, as an administrator"
	if at.IsZero() {
		return &fleet.Unknown{Because: "Windows does not say that it has ever searched for updates, so there may be more", Remedy: remedy}
	}
	if age := m.Now().Sub(at); age > staleAfter {
		return &fleet.Unknown{Because: fmt.Sprintf("Windows last searched for updates %d days ago", int(age.Hours()/24)), Remedy: remedy}
	}
	return nil
}

// Packages implements source.Lister: the updates that are installed, and can be named.
func (s Source) Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	r, err := ask(ctx, m, lookLimit, "installed", "offline")
	if err != nil {
		return nil, err
	}
	if err := r.doubts(); err != nil {
		return nil, err
	}
	names := r.names()
	list := []fleet.Package{}
	for i, u := range r.Updates {
		if !u.valid() {
			return nil, unreadable(fmt.Errorf("an update has the identity %q", fleet.Plain(u.ID)))
		}
		list = append(list, fleet.Package{Source: s.Name(), Name: names[i], Version: u.key()})
	}
	return list, nil
}

// update gives an update that is on offer.
func (u update) update(name, origin string) fleet.Update {
	one := fleet.Update{Name: name, To: u.key(), Origin: origin, Size: max(0, int64(u.Size)), Summary: fleet.Plain(u.Title), Security: u.security()}
	one.Blocked, one.BlockedBecause = u.blocked()
	id := name
	if kbs := u.articles(); len(kbs) > 0 {
		id = kbs[0]
	}
	cves := u.flaws()
	if one.Security || len(cves) > 0 {
		one.Notices = []fleet.Notice{{ID: id, By: "Microsoft", Security: one.Security, Severity: fleet.Severity(u.Severity), CVEs: cves, FixedIn: one.To, Reboot: u.Reboot == rebootAlways}}
	}
	return one
}

// blocked says why an ordinary installation of everything leaves an update out. By its name it can be had all the same, unless it is hidden.
func (u update) blocked() (block fleet.Block, because string) {
	switch {
	case u.Hidden:
		return fleet.Held, "it is hidden in Windows Update"
	case slices.Contains(u.Categories, upgrades):
		return fleet.KeptBack, "it is another release of Windows: choose it by its name"
	case u.Type == driver || slices.Contains(u.Categories, drivers) || slices.Contains(u.Categories, driverSets):
		return fleet.KeptBack, "it is a driver: choose it by its name"
	case u.Optional:
		return fleet.KeptBack, "it is optional: choose it by its name"
	case u.Input:
		return fleet.KeptBack, "its installation may ask a person at the screen: install it there, or choose it by its name"
	}
	return "", ""
}

// find gives the update of a name; people write kb5031455 too.
func find(updates []fleet.Update, name string) *fleet.Update {
	for i := range updates {
		if strings.EqualFold(updates[i].Name, name) {
			return &updates[i]
		}
	}
	return nil
}

var _ source.Installer = Source{}
