package apt

import (
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
	"redflag/internal/source"
	versions "redflag/internal/version"
)

// calmly makes maintainer scripts and what hooks into apt ask nobody and restart nothing.
var calmly = []string{
	"DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true", "DEBIAN_PRIORITY=critical", "UCF_FORCE_CONFFOLD=1",
	"NEEDRESTART_MODE=l", "NEEDRESTART_SUSPEND=1", "APT_LISTCHANGES_FRONTEND=none", "APT_LISTBUGS_FRONTEND=none",
}

// Files of a job.
const (
	planFile   = "plan.json"   // what the hook holds apt to
	beforeFile = "before.json" // the database before
	statusFile = "status"      // what apt says of its progress
	codeFile   = "code"        // apt's exit code
)

// command is apt-get with all that an unattended run needs. More are options that come before the words.
func (s Source) command(dir string, words []string, more ...string) machine.Command {
	args := slices.Concat(unattended, []string{"-o", fmt.Sprintf("DPkg::Lock::Timeout=%d", int(s.patience()/time.Second))}, settled(words))
	args = append(append(args, hookOption(s.Hook, path.Join(dir, planFile))...), more...)
	return machine.Command{Name: "apt-get", Args: append(args, words...), Env: calmly}
}

// words are those of a plan that was approved: what was selected, or each change by its version. A selection of everything is given to apt
// as that, so that no package is taken for one that a person chose.
func (s Source) words(m *machine.Machine, p fleet.Plan) ([]string, error) {
	switch {
	case p.Selection.All:
		return []string{"dist-upgrade"}, nil
	case p.Selection.Mend:
		return []string{mendWord, "install"}, nil
	}
	words := back(m, p.Changes)
	return words, checkWords(words)
}

// Fetch implements source.Installer.
func (s Source) Fetch(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) error {
	words, err := s.words(m, p)
	if err != nil {
		return err
	}
	if err := w.Write(m, planFile, p); err != nil {
		return err
	}
	if err := s.enough(m, p); err != nil {
		return err
	}
	if err := s.awaitLocks(ctx, m, w); err != nil {
		return err
	}
	s.keepAll(ctx, m, p, w)
	code, err := s.run(ctx, m, w, s.command(w.Dir, words, "--download-only"))
	if err == nil && code != 0 {
		err = s.complaint(m, w, "the packages could not be fetched")
	}
	return err
}

// run runs a command into the job's log, with its progress beside it.
func (s Source) run(ctx context.Context, m *machine.Machine, w source.Work, c machine.Command) (int, error) {
	status, err := os.OpenFile(m.Path(path.Join(w.Dir, statusFile)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return -1, err
	}
	defer status.Close()
	fmt.Fprintf(w.Log, "\n# %s %s\n", c.Name, strings.Join(withoutSettings(c.Args), " "))
	if ctx.Done() != nil {
		return m.Follow(ctx, c, w.Log, status)
	}
	cmd, err := m.Begin(c, w.Log, append([]*os.File{status}, w.Held...)...)
	if err != nil {
		return -1, err
	}
	return machine.Code(ctx, cmd, cmd.Run())
}

// withoutSettings leaves out of a command line what is the same for all jobs.
func withoutSettings(args []string) []string {
	var list []string
	for i := 0; i < len(args); i++ {
		if args[i] == "-o" {
			i++
			continue
		}
		list = append(list, args[i])
	}
	return list
}

// Apply implements source.Installer. What was fetched is in apt's cache. (With --no-download apt 2.6 fails over archives on a disk, which it does
// not copy there.)
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	words, err := s.words(m, p)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if err := s.awaitLocks(ctx, m, w); err != nil {
		return fleet.Outcome{}, err
	}
	before, err := s.snapshot(ctx, m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if err := errors.Join(w.Write(m, planFile, p), w.Write(m, beforeFile, before)); err != nil {
		return fleet.Outcome{}, err
	}
	code, err := s.run(ctx, m, w, s.command(w.Dir, words))
	if err != nil {
		return fleet.Outcome{}, err
	}
	if err := w.Write(m, codeFile, code); err != nil {
		return fleet.Outcome{}, err
	}
	return s.Settle(ctx, m, p, w)
}

// Settle implements source.Installer: the truth is in the database.
func (s Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	var before snapshot
	o, begun, err := w.Before(m, p, beforeFile, &before)
	if !begun {
		return o, err
	}
	db, err := s.database(m)
	if err != nil {
		return o, err
	}
	o.Done = before.differences(newSnapshot(db))
	now := newSnapshot(db)
	for _, c := range p.Changes {
		if c.From == c.To && now.Versions[c.Name+":"+c.Arch] == c.To && s.ended(m, w) == 0 {
			o.Done = append(o.Done, c) // another build of the same version: apt alone can say that it came
		}
		if !slices.ContainsFunc(o.Done, func(d fleet.Change) bool { return d.Name == c.Name && d.Arch == c.Arch && d.To == c.To }) {
			o.Missing = append(o.Missing, c)
		}
	}
	o.HalfDone = append(o.HalfDone, db.interrupted()...)
	s.restoreMarks(ctx, m, before, o.Done, p)
	o.ConfigFiles = append(o.ConfigFiles, reviews(ctx, m, o.Done, before.At)...)
	o.Because, o.Remedy = s.reason(m, w, o)
	return o, nil
}

// snapshot is what the database said before.
type snapshot struct {
	At       time.Time         `json:"at"`
	Versions map[string]string `json:"versions"` // by name:arch
	Auto     []string          `json:"auto"`     // what was installed because another needed it
}

func newSnapshot(db *Database) snapshot {
	s := snapshot{Versions: map[string]string{}}
	for _, p := range db.Packages {
		if p.Installed() {
			s.Versions[p.Name+":"+p.Arch] = p.Version
		}
	}
	return s
}

func (s Source) database(m *machine.Machine) (*Database, error) {
	set, err := readSettings(m)
	if err != nil {
		return nil, err
	}
	db, err := ReadDatabase(m, set.status)
	if err != nil {
		return nil, unreadable(set.status, err)
	}
	return db, nil
}

func (s Source) snapshot(ctx context.Context, m *machine.Machine) (snapshot, error) {
	db, err := s.database(m)
	if err != nil {
		return snapshot{}, err
	}
	snap := newSnapshot(db)
	snap.At = m.Now().UTC()
	result, err := m.Run(ctx, machine.Command{Name: "apt-mark", Args: []string{"showauto"}})
	if err != nil {
		return snap, err
	}
	snap.Auto = strings.Fields(string(result.Stdout))
	return snap, nil
}

// differences gives what has changed since.
func (s snapshot) differences(now snapshot) []fleet.Change {
	list := []fleet.Change{}
	add := func(key, from, to string) {
		name, arch, _ := strings.Cut(key, ":")
		c := fleet.Change{Action: source.ActionOf(from, to, versions.CompareDebian), Name: name, Arch: arch, From: from, To: to}
		c.Automatic = slices.Contains(s.Auto, name) || slices.Contains(s.Auto, key)
		list = append(list, c)
	}
	for key, to := range now.Versions {
		if from := s.Versions[key]; from != to {
			add(key, from, to)
		}
	}
	for key, from := range s.Versions {
		if _, there := now.Versions[key]; !there {
			add(key, from, "")
		}
	}
	slices.SortFunc(list, fleet.CompareChanges)
	return list
}
