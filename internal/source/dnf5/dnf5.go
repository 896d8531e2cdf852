// Package dnf5 is the source of packages of Fedora from 41 on, and of others that have dnf 5. What a solver must decide comes from dnf: as a table while
// nothing is changed, and as a stored transaction that is carried out as it stands. What is installed, what advisories say and what a transaction did is
// read by package rpm.
package dnf5

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source/rpm"
)

// Source is dnf 5. It implements source.Installer, source.Refresher, source.Lister, source.Holder and source.Repairer.
type Source struct {
	rpm.Recorder
	// LockWait is how long an installation waits for another program that is at work on the packages; 0 means five minutes.
	LockWait time.Duration
}

// Name implements source.Source.
func (Source) Name() string { return "dnf5" }

// Present implements source.Source: the machine has dnf 5 and a database of packages.
func (Source) Present(m *machine.Machine) bool {
	return rpm.HasDatabase(m) && rpm.HasProgram(m, "dnf5")
}

// Packages implements source.Lister.
func (s Source) Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	return rpm.Packages(ctx, m, s.Name())
}

const (
	// askLimit bounds how long dnf may think: it takes some seconds for a desktop on a small machine.
	askLimit = 5 * time.Minute
	// refreshLimit bounds a whole refresh: the first one of all of Fedora takes minutes on a slow line.
	refreshLimit = 15 * time.Minute
)

// run runs a command that changes nothing.
func run(ctx context.Context, m *machine.Machine, words ...string) (machine.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	result, err := m.Run(ctx, machine.Command{Name: "dnf5", Args: words})
	if err != nil {
		return result, noAnswer(err.Error(), err)
	}
	return result, nil
}

func noAnswer(why string, err error) error {
	return &fleet.Unknown{Because: "dnf5 cannot be asked: " + fleet.Plain(why), Remedy: "see what `dnf5 upgrade --assumeno` says", Err: err}
}

// refusals are what dnf 5 says in the C locale where it does not do what it is told. The first that fits explains it.
var refusals = []rpm.Reason{
	{Pattern: regexp.MustCompile(`(?i)(?:superuser|root) privileges|Permission denied`), Because: "dnf5 lets only root do this", Remedy: "sudo redflag"},
	{Pattern: regexp.MustCompile(`Another transaction is in progress`), Because: "another program is at work on the packages", Remedy: "wait until it has ended, and try again"},
	{Pattern: regexp.MustCompile(`No match for argument: (\S+)`), Because: "$1 is nowhere: it is not on offer any more", Remedy: "plan again; a repository that still has it would do"},
	{Pattern: regexp.MustCompile(`Failed to download metadata[^\n]* "?([^\s"]+)"?`), Because: "the repository $1 cannot be refreshed", Remedy: "check the network and the proxy, or correct or disable that repository"},
	{Pattern: regexp.MustCompile(`(?i)Cache-only enabled but no cache for repository "([^"]*)"`), Because: "nothing was fetched yet from the repository $1", Remedy: "sudo redflag scan --refresh"},
	{Pattern: regexp.MustCompile(`(?s)Failed to resolve the transaction:\n(.*?)(?:\nYou can try|\z)`), Because: "dnf5 finds no solution: $1", Remedy: "see what `dnf5 upgrade --assumeno` says"},
}

// refusal explains why dnf gave no answer.
func refusal(r machine.Result) error {
	said := string(r.Stderr) + "\n" + string(r.Stdout)
	if err := rpm.Explain(said, refusals...); err != nil {
		return err
	}
	return noAnswer(fmt.Sprintf("it ended with code %d: %s", r.Code, oneLine(said)), nil)
}

func oneLine(text string) string { return fleet.Plain(strings.Join(strings.Fields(text), " ")) }

// tab separates what dnf is asked for: it does not expand \t, and does expand \n.
const tab = "\t"

// fields are what dnf is asked of every update.
var fields = strings.Join([]string{"%{name}", "%{epoch}", "%{version}", "%{release}", "%{arch}", "%{repoid}", "%{downloadsize}", "%{sourcerpm}", "%{vendor}", "%{summary}"}, tab) + `\n`

// Scan implements source.Source. It needs no network: it looks at what was fetched last.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	installed, err := rpm.Installed(ctx, m)
	if err != nil {
		return fleet.Finding{}, err
	}
	newest := rpm.Newest(installed)
	updates, behind, err := s.offers(ctx, m, newest)
	if err != nil {
		return fleet.Finding{}, err
	}
	hidden, behindHidden, err := s.offers(ctx, m, newest, "--setopt=disable_excludes=*")
	if err != nil {
		return fleet.Finding{}, err
	}
	maps.Copy(behind, behindHidden)
	for _, u := range hidden {
		if !slices.ContainsFunc(updates, func(o fleet.Update) bool { return o.Name == u.Name && o.Arch == u.Arch }) {
			u.Blocked, u.BlockedBecause = fleet.Held, "excludepkgs, or a version lock"
			updates = append(updates, u)
		}
	}
	repositories, problem := s.repositories(ctx, m)
	advisories, asOf, unread := rpm.ReadAdvisories(ctx, m, repositories)
	f := fleet.Finding{AsOf: asOf, Updates: updates}
	rpm.Judge(m, &f, installed, advisories, behind)
	err = s.keptBack(ctx, m, &f)
	return f, errors.Join(problem, unread, err, rpm.Stale(asOf, m.Now()))
}

// offers gives the updates on offer, and what is behind them.
func (s Source) offers(ctx context.Context, m *machine.Machine, newest map[string]rpm.Package, options ...string) ([]fleet.Update, map[rpm.Package]rpm.Offer, error) {
	result, err := run(ctx, m, append(append([]string{"-q", "-C"}, options...), "repoquery", "--upgrades", "--latest-limit=1", "--queryformat", fields)...)
	if err != nil {
		return nil, nil, err
	}
	if result.Code != 0 {
		return nil, nil, refusal(result)
	}
	list, behind, err := parseOffers(result.Stdout, newest)
	if err != nil {
		return nil, nil, noAnswer(err.Error(), err)
	}
	return list, behind, nil
}

// parseOffers reads the answer to fields.
func parseOffers(out []byte, newest map[string]rpm.Package) ([]fleet.Update, map[rpm.Package]rpm.Offer, error) {
	list, behind := []fleet.Update{}, map[rpm.Package]rpm.Offer{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\n")
		f := strings.SplitN(line, tab, 10)
		if strings.TrimSpace(line) == "" {
			continue
		}
		if len(f) != 10 || f[0] == "" || f[2] == "" || f[3] == "" {
			return nil, nil, fmt.Errorf("it says %q", fleet.Plain(line))
		}
		p := rpm.Package{Name: fleet.Plain(f[0]), EVR: fleet.Plain(rpm.EVR(f[1], f[2], f[3])), Arch: fleet.Plain(f[4])}
		list = append(list, fleet.Update{
			Source: "dnf5", Name: p.Name, Arch: p.Arch, From: rpm.Before(newest, p), To: p.EVR, Origin: fleet.Plain(f[5]), Size: number(f[6]), Summary: fleet.Plain(f[9]),
		})
		behind[p] = rpm.Offer{Source: f[7], Vendor: f[8]}
	}
	return list, behind, nil
}

// cacheDir is where dnf 5 keeps what it has fetched: a folder for each repository, whose name ends in a hash.
const cacheDir = "/var/cache/libdnf5"

// repositories gives those that are enabled and were fetched; what was not is an error.
func (s Source) repositories(ctx context.Context, m *machine.Machine) ([]rpm.Repository, error) {
	result, err := run(ctx, m, "-q", "repo", "list", "--enabled", "--json")
	if err != nil {
		return nil, err
	}
	ids, err := parseRepositories(result.Stdout)
	switch {
	case result.Code != 0:
		return nil, refusal(result)
	case err != nil:
		return nil, noAnswer(err.Error(), err)
	case len(ids) == 0:
		return nil, &fleet.Unknown{Because: "no repository is enabled", Remedy: "enable those of the distribution: dnf5 repo list --all shows them"}
	}
	var list []rpm.Repository
	var missing []string
	for _, id := range ids {
		found, err := filepath.Glob(filepath.Join(m.Path(cacheDir), id+"-"+strings.Repeat("[0-9a-f]", 16)))
		if err != nil || len(found) == 0 {
			missing = append(missing, fleet.Plain(id))
			continue
		}
		list = append(list, rpm.Repository{ID: id, Dir: cacheDir + "/" + filepath.Base(found[0])})
	}
	if len(missing) > 0 {
		return list, &fleet.Unknown{Because: "nothing was fetched yet from the repositories " + strings.Join(missing, ", "), Remedy: "sudo redflag scan --refresh"}
	}
	return list, nil
}

// repositoryID is what one may be called (dnf5.conf(5)): nothing that is a pattern.
var repositoryID = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)

// parseRepositories reads the list of repositories.
func parseRepositories(data []byte) ([]string, error) {
	var said []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(data, &said); err != nil {
		return nil, fmt.Errorf("read its list of repositories: %w", err)
	}
	var ids []string
	for _, r := range said {
		if !repositoryID.MatchString(r.ID) {
			return nil, fmt.Errorf("read its list of repositories: one is called %q", fleet.Plain(r.ID))
		}
		ids = append(ids, r.ID)
	}
	return ids, nil
}

// keptBack has dnf solve a full upgrade, and marks what it would not install.
func (s Source) keptBack(ctx context.Context, m *machine.Machine, f *fleet.Finding) error {
	if len(f.Updates) == 0 {
		return nil
	}
	t, err := s.assume(ctx, m, "upgrade")
	if err != nil {
		because, remedy := fleet.Explain(err)
		return &fleet.Unknown{Because: "which updates would be kept back is not known: " + because, Remedy: remedy, Err: err}
	}
	for i, u := range f.Updates {
		if u.Blocked == "" && !slices.ContainsFunc(t.in, func(p row) bool { return p.Name == u.Name && p.Arch == u.Arch && p.EVR == u.To }) {
			f.Updates[i].Blocked, f.Updates[i].BlockedBecause = fleet.KeptBack, t.why(u.Name)
		}
	}
	return nil
}

// Refresh implements source.Refresher. A repository that does not answer is a *fleet.Unknown, also where the configuration lets dnf go on without it.
func (Source) Refresh(ctx context.Context, m *machine.Machine) error {
	if !rpm.Root(m) {
		return &fleet.Unknown{Because: "only root may refresh dnf5's metadata", Remedy: "sudo redflag scan --refresh"}
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	result, err := m.Run(ctx, machine.Command{Name: "dnf5", Args: []string{
		"--setopt=skip_if_unavailable=0", "--setopt=*.skip_if_unavailable=0", "--refresh", "makecache",
	}})
	if err != nil {
		return noAnswer(err.Error(), err)
	}
	if result.Code != 0 {
		return refusal(result)
	}
	return nil
}

// Hold implements source.Holder, by dnf's version locks.
func (s Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	word := "add"
	if !hold {
		word = "delete"
	}
	if err := rpm.Holdable(ctx, m, names, hold); err != nil {
		return err
	}
	result, err := run(ctx, m, append([]string{"-C", "versionlock", word}, names...)...)
	if err == nil && result.Code != 0 {
		err = refusal(result)
	}
	return err
}

// lockName is a line of dnf 5's version locks (dnf5-versionlock(8)).
var lockName = regexp.MustCompile(`(?m)^[ \t]*name[ \t]*=[ \t]*"([^"\n]+)"`)

// Held implements source.Holder: what version locks name.
func (Source) Held(m *machine.Machine) ([]string, error) {
	return rpm.Locked(m, "/etc/dnf/versionlock.toml", lockName)
}

// Unfinished implements source.Repairer.
func (Source) Unfinished(m *machine.Machine) ([]string, error) { return rpm.Unfinished(m) }
