// Package winget is the source of Windows programs that the Windows Package Manager knows. Its program prints nothing that is made for programs to read: there
// is no JSON to ask it for. So the PowerShell module Microsoft.WinGet.Client is asked where it is installed, and prints JSON; where it is not, the table that
// winget prints for people is read by its columns, and what that cuts off is unknown rather than wrong.
package winget

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Source is winget. It implements source.Installer, source.Refresher, source.Lister and source.Holder.
type Source struct{}

var _ source.Installer = Source{}

// Name implements source.Source.
func (Source) Name() string { return "winget" }

// apps is where programs of the Store lie. Only administrators may list it; for everybody else winget is in the user's own search path.
const apps = "/Program Files/WindowsApps"

// Present implements source.Source.
func (Source) Present(m *machine.Machine) bool {
	_, err := find(m)
	return err == nil
}

// alias is what winget is called where the folder of programs may not be listed.
const alias = "winget.exe"

// find gives the newest winget. The system's own account, under which services run, has no alias for it.
func find(m *machine.Machine) (string, error) {
	entries, err := m.ReadDir(apps)
	if errors.Is(err, fs.ErrPermission) {
		return alias, nil
	}
	if err != nil {
		return "", err
	}
	newest, program := "", ""
	for _, e := range entries {
		found := installer.FindStringSubmatch(e.Name())
		if found == nil {
			continue
		}
		file := path.Join(apps, e.Name(), "winget.exe")
		if _, err := m.Stat(file); err == nil && (program == "" || compare(found[1], newest) > 0) {
			newest, program = found[1], m.Path(file)
		}
	}
	if program == "" {
		return "", fs.ErrNotExist
	}
	return program, nil
}

// installer is the folder of the App Installer, with its version.
var installer = regexp.MustCompile(`^Microsoft\.DesktopAppInstaller_([0-9.]+)_[a-z0-9]+__8wekyb3d8bbwe$`)

// compare compares versions of numbers.
func compare(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if c := cmp.Compare(part(x, i), part(y, i)); c != 0 {
			return c
		}
	}
	return 0
}

func part(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.Atoi(parts[i])
	if err != nil {
		return 0
	}
	return n
}

const (
	// askLimit bounds a question: winget fetches its index when it is old.
	askLimit = 10 * time.Minute
	// noAdvisories is what is known of security.
	noAdvisories = "winget's sources carry no advisories"
)

//go:embed list.ps1
var listScript string

// row is a package that is installed, and the newest that its source has.
type row struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	Available string `json:"available"`
	// Compared says how Version is to Available in winget's own order: Lesser, Equal, Greater or Unknown.
	Compared string `json:"compared"`
	Update   bool   `json:"update"`
	Source   string `json:"source"`
}

// Packages implements source.Lister.
func (s Source) Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	installed, err := versions(ctx, m)
	if err != nil {
		return nil, err
	}
	all := make([]fleet.Package, 0, len(installed))
	for id, version := range installed {
		all = append(all, fleet.Package{Source: s.Name(), Name: id, Version: version})
	}
	fleet.SortPackages(all)
	return all, nil
}

// Scan implements source.Source.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	f := fleet.Finding{SecurityUnknown: noAdvisories}
	pinned, pinError := pins(ctx, m)
	rows, err := ask(ctx, m)
	var doubt error
	switch {
	case errors.Is(err, errNoModule):
		rows, doubt, err = listed(ctx, m)
	case err == nil:
		rows = slices.DeleteFunc(rows, func(r row) bool { return !r.outdated() })
	}
	if err != nil {
		return f, errors.Join(err, pinError)
	}
	for _, r := range rows {
		u, err := r.update(pinned)
		if err != nil {
			doubt = errors.Join(doubt, err)
			continue
		}
		f.Updates = append(f.Updates, u)
	}
	f.AsOf = m.Now().UTC()
	return f, errors.Join(doubt, pinError)
}

// outdated says whether a package has an update. The module leaves pinned ones out of what it says is updatable, so that the order of versions decides.
func (r row) outdated() bool {
	return r.Update || r.Available != "" && (r.Compared == "Lesser" || r.Compared == "Unknown" || strings.EqualFold(r.Version, "Unknown"))
}

var (
	packageID = regexp.MustCompile(`^[A-Za-z0-9_][^\s\\/:*?"<>|…]{0,127}$`)
	// versionText is any of those that winget allows, which is nearly all; no option and no quotes.
	versionText = regexp.MustCompile(`^[A-Za-z0-9][^\s\\/:*?"<>|…]{0,127}$`)
	sourceName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

// update gives a package's update. One of which winget does not know what is installed is told, and not installed with all others.
func (r row) update(pinned map[string]bool) (fleet.Update, error) {
	if !packageID.MatchString(r.ID) || r.ID != fleet.Plain(r.ID) || !versionText.MatchString(r.Available) || r.Available != fleet.Plain(r.Available) || !sourceName.MatchString(r.Source) {
		return fleet.Update{}, unreadable(fmt.Sprintf("%s %s of %s", r.ID, r.Available, r.Source))
	}
	u := fleet.Update{Name: r.ID, From: fleet.Plain(r.Version), To: r.Available, Origin: r.Source, Summary: fleet.Plain(r.Name)}
	switch {
	case pinned[strings.ToLower(r.ID)]:
		u.Blocked, u.BlockedBecause = fleet.Held, "it is pinned: winget pin list"
	case !knownVersion.MatchString(u.From) || r.Compared == "Unknown":
		u.Blocked, u.BlockedBecause = fleet.KeptBack, "winget cannot tell which version is installed: choose it by its name"
	}
	return u, nil
}

// knownVersion is one that has a number in it; winget says Unknown, in the language of Windows, where it cannot tell.
var knownVersion = regexp.MustCompile(`[0-9]`)

// Refresh implements source.Refresher.
func (Source) Refresh(ctx context.Context, m *machine.Machine) error {
	r, err := run(ctx, m, "source", "update", "--disable-interactivity")
	if err != nil {
		return err
	}
	if r.Code != 0 {
		because, remedy := explain(r.Code)
		return &fleet.Unknown{Because: "winget's sources could not be fetched: " + because, Remedy: remedy}
	}
	return nil
}

// run runs winget.
func run(ctx context.Context, m *machine.Machine, words ...string) (machine.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	program, err := find(m)
	if err != nil {
		return machine.Result{}, &fleet.Unknown{Because: "winget is not there any more", Remedy: "install the App Installer again", Err: err}
	}
	r, err := m.Run(ctx, machine.Command{Name: program, Args: words})
	if err != nil {
		return r, &fleet.Unknown{Because: "winget cannot be asked: " + fleet.Plain(err.Error()), Remedy: "see whether it works: winget --info", Err: err}
	}
	return r, nil
}

func unreadable(what string) error {
	return &fleet.Unknown{
		Because: fmt.Sprintf("what winget says cannot be read: %q", fleet.Plain(what)),
		Remedy:  "install the module, which says it in full: Install-Module Microsoft.WinGet.Client -Scope AllUsers",
	}
}
