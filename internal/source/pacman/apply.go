package pacman

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Files of a job.
const (
	beforeFile  = "before.json" // what was installed before
	codeFile    = "code.json"   // pacman's exit code
	databases   = "sync"        // the folder with pacman's own databases, as they were
	keptAllFile = "kept.json"   // it is there when that folder is whole
	hookFolder  = "hooks"       // the folder with the hook that holds pacman to the plan
	vetoFile    = "veto"
	wantedFile  = "wanted" // names of packages, as pacman gives them to the hook
	sumsFile    = "sums"   // the databases that the plan was made from
	thereFile   = "there"  // what the plan takes to be installed
)

// Fetch implements source.Installer. What is fetched goes into pacman's cache.
func (s Source) Fetch(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) error {
	look, err := s.look(m)
	if err != nil {
		return err
	}
	look.keep(m, p, w)
	if len(p.Selection.Back) > 0 {
		return nil // it is all here, or there would be no plan
	}
	if look.offers, err = readOffers(m, look.conf); err != nil {
		return err
	}
	args := append([]string{"-Suw", "--noconfirm", "--noprogressbar", "--color", "never", "--logfile", "/dev/null"}, look.database()...)
	c := machine.Command{Name: "pacman", Args: append(args, sandbox(m, look.conf)...)}
	fmt.Fprintf(w.Log, "\n# %s %s\n", c.Name, strings.Join(c.Args, " "))
	code, err := m.Follow(ctx, c, w.Log)
	if err != nil || code == 0 {
		return err
	}
	return s.failed(m, w, "the packages could not be fetched")
}

// failed gives the reason that is in the log's last run.
func (Source) failed(m *machine.Machine, w source.Work, otherwise string) error {
	said, err := w.LastRun(m)
	if err != nil {
		return err
	}
	var r *refusal
	if errors.As(explain(said, otherwise), &r) {
		return &fleet.Unknown{Because: r.because, Remedy: r.remedy, Err: r}
	}
	return errors.New(otherwise)
}

// Apply implements source.Installer. Pacman's own databases become those that the plan was made from, and if nothing comes of it they are put back.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	look, err := s.look(m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if err := s.await(ctx, m, look.conf); err != nil {
		return fleet.Outcome{}, err
	}
	if err := w.Write(m, beforeFile, look.snapshot(m)); err != nil {
		return fleet.Outcome{}, err
	}
	if len(p.Selection.Back) == 0 {
		if err := look.bring(m, w); err != nil {
			return fleet.Outcome{}, errors.Join(err, look.putBack(m, w))
		}
	}
	if err := look.hold(m, p, w); err != nil {
		return fleet.Outcome{}, errors.Join(err, look.putBack(m, w))
	}
	code, err := s.carry(m, look, p, w)
	if err := errors.Join(err, w.Write(m, codeFile, code)); err != nil {
		return fleet.Outcome{}, errors.Join(err, look.putBack(m, w))
	}
	return s.Settle(ctx, m, p, w)
}

// carry runs pacman.
func (s Source) carry(m *machine.Machine, look *world, p fleet.Plan, w source.Work) (code int, err error) {
	options := []string{"--noconfirm", "--noprogressbar", "--color", "never"}
	for _, dir := range look.conf.hookDirs {
		options = append(options, "--hookdir", dir)
	}
	options = append(options, "--hookdir", path.Join(w.Dir, hookFolder))
	if len(p.Selection.Back) > 0 {
		return s.carryBack(m, look, p, w, options)
	}
	return w.Carry(m, machine.Command{Name: "pacman", Args: append([]string{"-Su"}, options...)})
}

// bring makes pacman's databases those that the plan was made from.
func (w *world) bring(m *machine.Machine, work source.Work) error {
	var err error
	if w.offers, err = readOffers(m, w.conf); err != nil || w.offers.dir == w.conf.dbPath {
		return err
	}
	kept := path.Join(work.Dir, databases)
	if err := errors.Join(os.MkdirAll(m.Path(kept), 0o700), os.MkdirAll(m.Path(w.conf.sync()), 0o755)); err != nil {
		return err
	}
	for _, r := range w.conf.repos {
		if _, err := m.Stat(path.Join(w.conf.sync(), r.name+".db")); err != nil {
			continue // it was never fetched
		}
		if err := copyDatabase(m, w.conf.sync(), kept, r.name); err != nil {
			return err
		}
	}
	if err := work.Write(m, keptAllFile, true); err != nil { // on the disk before one is replaced
		return err
	}
	for _, r := range w.conf.repos {
		if err := copyDatabase(m, path.Join(w.offers.dir, "sync"), w.conf.sync(), r.name); err != nil {
			return err
		}
	}
	return nil
}

// putBack gives pacman its own databases again, where a job has changed nothing else: whoever installs a package next must not upgrade that one alone.
func (w *world) putBack(m *machine.Machine, work source.Work) error {
	kept := path.Join(work.Dir, databases)
	if _, err := m.Stat(path.Join(work.Dir, keptAllFile)); err != nil {
		return nil //nolint:nilerr // none was replaced
	}
	var problems []error
	for _, r := range w.conf.repos {
		if _, err := m.Stat(path.Join(kept, r.name+".db")); err == nil {
			problems = append(problems, copyDatabase(m, kept, w.conf.sync(), r.name))
			continue
		}
		for _, ending := range []string{".db", ".db.sig"} {
			if err := os.Remove(m.Path(path.Join(w.conf.sync(), r.name+ending))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				problems = append(problems, err)
			}
		}
	}
	return errors.Join(problems...)
}

// vetoMark begins what the hook says when it stops pacman.
const vetoMark = "redflag: "

// veto stops pacman before it has changed anything, where it is about to do something else than what was approved. It runs while pacman holds its lock, so
// that nobody can change the databases after it has looked.
const veto = `# Holds pacman to what was approved.
cd "${0%/*}" || exit 1
no() { echo "` + vetoMark + `what pacman is about to do is not what was approved: $1"; exit 1; }
while read -r name; do
	found=
	while read -r wanted; do
		[ "$name" = "$wanted" ] && found=1
	done <` + wantedFile + `
	[ "$found" ] || no "it would change $name"
	count=$((count + 1))
done
[ -e part ] || [ "$count" = "$(wc -l <` + wantedFile + `)" ] || no "it would change $count packages"
[ ! -s ` + sumsFile + ` ] || sha256sum --check --status ` + sumsFile + ` || no "what is on offer has changed"
while read -r dir; do
	[ -d "$dir" ] || [ -e part ] || no "$dir is not there any more"
done <` + thereFile + `
`

// hookText has pacman call the veto (alpm-hooks(5)).
const hookText = `[Trigger]
Type = Package
Operation = Install
Operation = Upgrade
Operation = Remove
Target = *

[Action]
Description = Comparing with what was approved...
When = PreTransaction
Exec = /bin/sh %s
NeedsTargets
AbortOnFail
`

// hold writes the hook that holds pacman to a plan.
func (w *world) hold(m *machine.Machine, p fleet.Plan, work source.Work) error {
	var names, there []string
	for _, c := range p.Changes {
		if !packageName.MatchString(c.Name) || c.From != "" && !versionText.MatchString(c.From) {
			return fmt.Errorf("%q is no name of a package", fleet.Plain(c.Name))
		}
		names = append(names, c.Name)
		if c.From != "" {
			there = append(there, path.Join(w.conf.local(), c.Name+"-"+c.From))
		}
	}
	slices.Sort(names)
	files := map[string]string{
		vetoFile: veto, wantedFile: lines(slices.Compact(names)), thereFile: lines(there), sumsFile: "",
		path.Join(hookFolder, "00-redflag.hook"): fmt.Sprintf(hookText, path.Join(work.Dir, vetoFile)),
	}
	if len(p.Selection.Back) > 0 {
		files["part"] = "" // the way back is several transactions, and each is a part of the plan
	} else {
		var sums []string
		for _, r := range w.conf.repos {
			file := path.Join(w.conf.sync(), r.name+".db")
			sum, err := sha256Of(m, file)
			if err != nil {
				return err
			}
			sums = append(sums, sum+"  "+file)
		}
		files[sumsFile] = lines(sums)
		if err := w.offering(m, p); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := machine.WriteFile(m.Path(path.Join(work.Dir, name)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// offering says whether pacman's own databases offer just the versions of a plan. The veto sees to it that they are still the same when pacman begins.
func (w *world) offering(m *machine.Machine, p fleet.Plan) error {
	for _, r := range w.conf.repos {
		list, _, err := readDatabase(m, path.Join(w.conf.sync(), r.name+".db"))
		if err != nil {
			return err
		}
		for _, c := range p.Changes {
			other := func(q *pkg) bool { return q.name == c.Name && q.version != c.To }
			if c.To != "" && c.Origin == r.name && slices.ContainsFunc(list, other) {
				return &fleet.Unknown{Because: c.Name + " " + c.To + " is not on offer any more", Remedy: "plan again, and approve what is planned now"}
			}
		}
	}
	return nil
}

func lines(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return strings.Join(list, "\n") + "\n"
}

func sha256Of(m *machine.Machine, file string) (string, error) {
	f, err := m.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
