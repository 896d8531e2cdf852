// Package zypper is the source of packages of SUSE Linux Enterprise and openSUSE. What a solver must decide comes from zypper, in its XML; what is
// installed, what advisories say and what a transaction did is read by package rpm.
package zypper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source/rpm"
)

// Source is zypper. It implements source.Installer, source.Refresher, source.Lister, source.Holder and source.Repairer.
type Source struct {
	rpm.Recorder
	// LockWait is how long an installation waits for another program that is at work on the packages; 0 means five minutes.
	LockWait time.Duration
}

// Name implements source.Source.
func (Source) Name() string { return "zypper" }

// Present implements source.Source: the machine has zypper and a database of packages.
func (Source) Present(m *machine.Machine) bool {
	return rpm.HasDatabase(m) && rpm.HasProgram(m, "zypper")
}

// Packages implements source.Lister.
func (s Source) Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	return rpm.Packages(ctx, m, s.Name())
}

const (
	// askLimit bounds how long zypper may think: it takes some seconds for a desktop on a small machine.
	askLimit = 5 * time.Minute
	// rawCache is where zypper keeps what it has fetched of repositories.
	rawCache = "/var/cache/zypp/raw"
	// maxExplained bounds for how many packages zypper is asked why they are kept back: each costs a run of the solver.
	maxExplained = 20
)

// ask runs a command that changes nothing, and reads its answer.
func (s Source) ask(ctx context.Context, m *machine.Machine, words ...string) (stream, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	result, err := m.Run(ctx, machine.Command{Name: "zypper", Args: append([]string{"--non-interactive", "--xmlout", "--no-refresh"}, words...)})
	if err != nil {
		return stream{}, noAnswer(err.Error(), err)
	}
	said, err := parseStream(result.Stdout)
	if err != nil {
		return said, noAnswer(err.Error(), err)
	}
	return said, s.refusal(result.Code, said)
}

// Exit codes of zypper (zypper(8)) that an answer comes with all the same.
const (
	codeUpdates  = 100
	codeSecurity = 101
	codeReboot   = 102
	codeRestart  = 103
	codeNotFound = 104
	codeSkipped  = 106
	codeNoRepos  = 6
)

var errNoRepository = &fleet.Unknown{Because: "no repository is enabled", Remedy: "enable those of the distribution: zypper repos shows them"}

// refusal says why zypper gave no answer; nil where it did.
func (s Source) refusal(code int, said stream) error {
	switch code {
	case codeNotFound:
		if len(said.Found) == 0 && said.complaint() == "" {
			return nil // a search that found nothing
		}
	case 0, codeUpdates, codeSecurity, codeReboot, codeRestart:
		return nil
	case codeNoRepos:
		return errNoRepository
	case codeSkipped:
		return &fleet.Unknown{Because: "zypper goes on without some repositories: " + said.complaint(), Remedy: "sudo redflag scan --refresh says which"}
	}
	text := said.complaint()
	if err := rpm.Explain(text, refusals...); err != nil {
		return err
	}
	if text == "" {
		text = "it says nothing"
	}
	return noAnswer(fmt.Sprintf("%s (code %d)", text, code), nil)
}

func noAnswer(why string, err error) error {
	return &fleet.Unknown{Because: "zypper cannot be asked: " + fleet.Plain(why), Remedy: "see what `zypper update --dry-run` says", Err: err}
}

// Scan implements source.Source. It needs no root and no network: it looks at what was fetched last.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	installed, err := rpm.Installed(ctx, m)
	if err != nil {
		return fleet.Finding{}, err
	}
	offers, err := s.ask(ctx, m, "list-updates", "--all")
	if err != nil {
		return fleet.Finding{}, err
	}
	if offers.Updates == nil {
		return fleet.Finding{}, noAnswer("it gives no list of updates", nil)
	}
	repositories, missing := s.repositories(ctx, m)
	advisories, asOf, problem := rpm.ReadAdvisories(ctx, m, repositories)
	newest := rpm.Newest(installed)
	f := fleet.Finding{AsOf: asOf, Updates: offers.offered(newest)}
	hidden, err := s.hidden(ctx, m, newest)
	problem = errors.Join(problem, missing, err)
	for _, u := range hidden {
		same := slices.IndexFunc(f.Updates, func(o fleet.Update) bool { return o.Name == u.Name && o.Arch == u.Arch })
		if same < 0 {
			f.Updates = append(f.Updates, u)
		} else {
			f.Updates[same].Blocked, f.Updates[same].BlockedBecause = u.Blocked, u.BlockedBecause
		}
	}
	rpm.Judge(m, &f, installed, advisories, nil)
	err = s.keptBack(ctx, m, &f)
	return f, errors.Join(problem, err, rpm.Stale(asOf, m.Now()))
}

// repositories gives those that are enabled and were fetched; what was not is an error.
func (s Source) repositories(ctx context.Context, m *machine.Machine) ([]rpm.Repository, error) {
	said, err := s.ask(ctx, m, "repos")
	if err != nil {
		return nil, err
	}
	var list []rpm.Repository
	var missing []string
	for _, r := range said.Repositories {
		dir := path.Join(rawCache, path.Base("/"+r.Alias))
		_, err := m.Stat(dir)
		switch {
		case r.Enabled != "1":
		case err != nil:
			missing = append(missing, fleet.Plain(r.Alias))
		default:
			list = append(list, rpm.Repository{ID: r.Alias, Dir: dir})
		}
	}
	switch {
	case len(missing) > 0:
		return list, &fleet.Unknown{Because: "nothing was fetched yet from the repositories " + strings.Join(missing, ", "), Remedy: "sudo redflag scan --refresh"}
	case len(list) == 0:
		return list, errNoRepository
	}
	return list, nil
}

// hidden gives the updates that zypper does not list: those that locks hide, and those of a package that is installed for another architecture too, of which it
// names one. Some releases leave out what is locked, and others do not.
func (s Source) hidden(ctx context.Context, m *machine.Machine, newest map[string]rpm.Package) ([]fleet.Update, error) {
	said, err := s.ask(ctx, m, "locks")
	if err != nil {
		return nil, err
	}
	var locks []string
	for _, l := range said.Locks {
		if l.Name != "" && !strings.HasPrefix(l.Name, "-") {
			locks = append(locks, l.Name)
		}
	}
	locked, err := s.search(ctx, m, newest, locks)
	for i := range locked {
		locked[i].Blocked, locked[i].BlockedBecause = fleet.Held, "a lock of zypper's"
	}
	others, err2 := s.search(ctx, m, newest, twofold(newest))
	for _, u := range others {
		if !slices.ContainsFunc(locked, func(o fleet.Update) bool { return o.Name == u.Name && o.Arch == u.Arch }) {
			u.Blocked, u.BlockedBecause = fleet.KeptBack, "it is installed for two architectures, of which zypper leaves one out"
			locked = append(locked, u)
		}
	}
	return locked, errors.Join(err, err2)
}

// twofold names the packages that are installed for two architectures, sorted.
func twofold(newest map[string]rpm.Package) []string {
	arch, twice := map[string]string{}, []string{}
	for _, p := range newest {
		if other, seen := arch[p.Name]; seen && other != p.Arch && p.Valid() == nil {
			twice = append(twice, p.Name)
		}
		arch[p.Name] = p.Arch
	}
	slices.Sort(twice)
	return slices.Compact(twice)
}

// search gives what is newer of some packages, whatever zypper would do with it.
func (s Source) search(ctx context.Context, m *machine.Machine, newest map[string]rpm.Package, names []string) ([]fleet.Update, error) {
	if len(names) == 0 {
		return nil, nil
	}
	found, err := s.ask(ctx, m, append([]string{"search", "-s", "-t", "package", "--match-exact"}, names...)...)
	if err != nil {
		return nil, err
	}
	best := map[string]fleet.Update{}
	for _, one := range found.Found {
		p := rpm.Package{Name: fleet.Plain(one.Name), EVR: fleet.Plain(one.Edition), Arch: fleet.Plain(one.Arch)}
		old, there := newest[p.Key()]
		if one.Kind != "package" || !there || !rpm.Newer(p.EVR, old.EVR) || best[p.Key()].To != "" && !rpm.Newer(p.EVR, best[p.Key()].To) {
			continue
		}
		best[p.Key()] = fleet.Update{Source: s.Name(), Name: p.Name, Arch: p.Arch, From: old.EVR, To: p.EVR, Origin: fleet.Plain(one.Repository)}
	}
	return slices.Collect(maps.Values(best)), nil
}

// keptBack marks what zypper would not install: what it lists only when it is asked for everything that is newer (zypper(8), list-updates --all). Why, it tells
// only root.
func (s Source) keptBack(ctx context.Context, m *machine.Machine, f *fleet.Finding) error {
	if len(f.Updates) == 0 {
		return nil
	}
	said, err := s.ask(ctx, m, "list-updates")
	if err != nil || said.Updates == nil {
		because, remedy := fleet.Explain(err)
		return &fleet.Unknown{Because: "which updates would be kept back is not known: " + because, Remedy: remedy, Err: err}
	}
	asked := 0
	for i, u := range f.Updates {
		installable := slices.ContainsFunc(said.Updates.List, func(o xmlUpdate) bool { return o.Name == u.Name && o.Arch == u.Arch && o.Edition == u.To })
		if u.Blocked != "" || installable {
			continue
		}
		f.Updates[i].Blocked = fleet.KeptBack
		if asked++; asked <= maxExplained {
			f.Updates[i].BlockedBecause = s.whyNot(ctx, m, u)
		}
	}
	return nil
}

// whyNot has zypper say why one update cannot be installed. Where it could be, by itself, an update of everything leaves it for another reason: another
// vendor, a lower priority.
func (s Source) whyNot(ctx context.Context, m *machine.Machine, u fleet.Update) string {
	p := rpm.Package{Name: u.Name, EVR: u.To, Arch: u.Arch}
	if p.Valid() != nil || !rpm.Root(m) {
		return ""
	}
	said, err := s.ask(ctx, m, "install", "--dry-run", "--details", word(p))
	if err == nil {
		return "an update of everything would not choose it: another vendor, or a lower priority"
	}
	if text := said.complaint(); text != "" {
		return text
	}
	because, _ := fleet.Explain(err)
	return because
}

// upgrade are the words for all that an ordinary upgrade would do: on a rolling release that is a distribution upgrade.
func upgrade(m *machine.Machine, options ...string) []string {
	command := "update"
	if rolling(m) {
		command = "dup"
	}
	return append([]string{command}, options...)
}

func rolling(m *machine.Machine) bool {
	id := m.OSRelease()["ID"]
	return id == "opensuse-tumbleweed" || id == "opensuse-slowroll"
}

// word names a version of a package to zypper.
func word(p rpm.Package) string { return p.Name + "." + p.Arch + "=" + p.EVR }
