// Package zypper is the source of packages of SUSE Linux Enterprise and openSUSE. What a solver must decide comes from zypper, in its XML; what is
// installed, what advisories say and what a transaction did is read by package rpm.
package zypper

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
	"redflag/internal/source/rpm"
)

// Source is zypper. It implements source.Installer, source.Refresher, source.Lister, source.Holder and source.Repairer.
type Source struct {
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
	codeSkipped  = 106
	codeNoRepos  = 6
)

var errNoRepository = &fleet.Unknown{Because: "no repository is enabled", Remedy: "enable those of the distribution: zypper repos shows them"}

// refusal says why zypper gave no answer; nil where it did.
func (s Source) refusal(code int, said stream) error {
	switch code {
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
	locked, err := s.locked(ctx, m, newest)
	problem = errors.Join(problem, missing, err)
	for _, u := range locked {
		same := slices.IndexFunc(f.Updates, func(o fleet.Update) bool { return o.Name == u.Name && o.Arch == u.Arch })
		if same < 0 { // some releases leave out what is locked, others do not
			f.Updates = append(f.Updates, u)
		} else {
			f.Updates[same].Blocked, f.Updates[same].BlockedBecause = u.Blocked, u.BlockedBecause
		}
	}
	rpm.Judge(&f, advisories)
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

// locked gives the updates that locks hide.
func (s Source) locked(ctx context.Context, m *machine.Machine, newest map[string]string) ([]fleet.Update, error) {
	said, err := s.ask(ctx, m, "locks")
	if err != nil || len(said.Locks) == 0 {
		return nil, err
	}
	words := []string{"search", "-s", "-t", "package", "--match-exact"}
	plain := len(words)
	for _, l := range said.Locks {
		if l.Name != "" && !strings.HasPrefix(l.Name, "-") {
			words = append(words, l.Name)
		}
	}
	if len(words) == plain {
		return nil, nil
	}
	found, err := s.ask(ctx, m, words...)
	if err != nil {
		return nil, err
	}
	best := map[string]fleet.Update{}
	for _, one := range found.Found {
		p := rpm.Package{Name: fleet.Plain(one.Name), EVR: fleet.Plain(one.Edition), Arch: fleet.Plain(one.Arch)}
		from, there := newest[p.Key()]
		if one.Kind != "package" || !there || !rpm.Newer(p.EVR, from) || best[p.Key()].To != "" && !rpm.Newer(p.EVR, best[p.Key()].To) {
			continue
		}
		best[p.Key()] = fleet.Update{
			Source: s.Name(), Name: p.Name, Arch: p.Arch, From: from, To: p.EVR, Origin: fleet.Plain(one.Repository), Blocked: fleet.Held, BlockedBecause: "a lock of zypper's",
		}
	}
	var list []fleet.Update
	for _, u := range best {
		list = append(list, u)
	}
	return list, nil
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

// maxRelease bounds os-release.
const maxRelease = 1 << 20

func rolling(m *machine.Machine) bool {
	data, err := m.ReadFile("/etc/os-release", maxRelease)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		id, found := strings.CutPrefix(strings.TrimSpace(line), "ID=")
		if id = strings.Trim(id, `"'`); found && (id == "opensuse-tumbleweed" || id == "opensuse-slowroll") {
			return true
		}
	}
	return false
}

// word names a version of a package to zypper.
func word(p rpm.Package) string { return p.Name + "." + p.Arch + "=" + p.EVR }
