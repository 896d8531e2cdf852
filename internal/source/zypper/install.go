package zypper

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/source/rpm"
)

// lockWait is how long an installation waits for another program that is at work on the packages.
const lockWait = 5 * time.Minute

// cache is where zypper keeps packages.
var cache = []string{filepath.Join("var", "cache", "zypp", "packages", "*"), filepath.Join("var", "cache", "zypp", "packages", "*", "*")}

// command is zypper with all that an unattended run needs. Without refreshing, so that what is known is what was planned with.
func (s Source) command(words ...string) machine.Command {
	wait := s.LockWait
	if wait == 0 {
		wait = lockWait
	}
	return machine.Command{
		Name: "zypper", Args: append([]string{"--non-interactive", "--no-refresh"}, words...), Env: []string{fmt.Sprintf("ZYPP_LOCK_TIMEOUT=%d", int(wait/time.Second))},
	}
}

// Fetch implements source.Installer. What is fetched stays in zypper's cache.
func (s Source) Fetch(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) error {
	words, err := s.words(m, p)
	if err != nil {
		return err
	}
	s.keep(ctx, m, p, w)
	code, err := follow(ctx, m, w, s.command(append([]string{words[0], "--download-only"}, words[1:]...)...))
	if err != nil || code == 0 {
		return err
	}
	return complaint(m, w, fmt.Sprintf("the packages could not be fetched (code %d)", code))
}

func follow(ctx context.Context, m *machine.Machine, w source.Work, c machine.Command) (int, error) {
	fmt.Fprintf(w.Log, "\n# %s %s\n", c.Name, strings.Join(c.Args, " "))
	return m.Follow(ctx, c, w.Log)
}

// complaint gives the reason that is in the log's last run.
func complaint(m *machine.Machine, w source.Work, otherwise string) error {
	log, err := w.LastRun(m)
	if err != nil {
		return err
	}
	if err := rpm.Explain(log, refusals...); err != nil {
		return err
	}
	return &fleet.Unknown{Because: otherwise, Remedy: "see the log"}
}

// Apply implements source.Installer. zypper has no hook that could stop it: what it would do is asked once more at the last moment, with the same words
// and without refreshing, and what it has done is read from the database.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	words, err := s.words(m, p)
	if err != nil {
		return fleet.Outcome{}, err
	}
	installed, err := rpm.Remember(ctx, m, p, w)
	if err != nil {
		return fleet.Outcome{}, err
	}
	o := fleet.NewOutcome()
	said, err := s.dryRun(ctx, m, words)
	if err != nil {
		o.Missing = p.Changes
		o.Because, o.Remedy = fleet.Explain(err)
		return o, nil
	}
	now := p
	if now.Changes = said.changes(installed); now.Digest() != p.Digest() {
		o.Missing, o.Remedy = p.Changes, "plan again, and approve what is planned now"
		o.Because = "it is not the plan that was approved: " + strings.Join(p.Differences(now), "; ")
		return o, nil
	}
	marked, err := automatic(m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if err := w.Write(m, marksFile, marked); err != nil {
		return fleet.Outcome{}, err
	}
	if err := rpm.Carry(m, w, s.command(words...)); err != nil {
		return fleet.Outcome{}, err
	}
	return s.Settle(ctx, m, p, w)
}

// Settle implements source.Installer.
func (s Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	o, err := rpm.Settle(ctx, m, p, w, rpm.Beside(m), refusals...)
	restoreMarks(m, p, o, w)
	return o, err
}

// Undo implements source.Installer. What had come because another needed it comes back as that.
func (s Source) Undo(m *machine.Machine, _ fleet.Plan, o fleet.Outcome, w source.Work) (fleet.Selection, error) {
	sel, err := rpm.Undo(o)
	var marked []string
	if w.Read(m, marksFile, &marked) == nil {
		for i, c := range sel.Back {
			sel.Back[i].Automatic = c.To != "" && slices.Contains(marked, c.Name)
		}
	}
	return sel, err
}

// keep puts aside what a plan replaces: from zypper's cache, or from the repositories. What is nowhere cannot be kept, and the log says so: then that
// change cannot be undone.
func (s Source) keep(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) {
	cached := func(one rpm.Package) bool {
		return rpm.KeepCached(m, one, cache[0]) || rpm.KeepCached(m, one, cache[1])
	}
	for _, one := range rpm.Replaced(p) {
		if cached(one) {
			continue
		}
		code, err := follow(ctx, m, w, s.command("download", word(one)))
		if ctx.Err() != nil {
			return
		}
		if err != nil || code != 0 || !cached(one) {
			fmt.Fprintf(w.Log, "%s cannot be kept for an undo: no repository has it any more\n", one)
		}
	}
	source.PruneKept(m, nil)
}

// Repair implements source.Repairer: what an interrupted installation left in two versions is removed in its older one.
func (s Source) Repair(ctx context.Context, m *machine.Machine, w source.Work) (fleet.Outcome, error) {
	p := fleet.NewPlan(s.Name(), fleet.Selection{}, m.Now())
	return rpm.Repair(ctx, m, p, w, rpm.Beside(m))
}

// Hold implements source.Holder, by zypper's locks.
func (s Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	command := "addlock"
	if !hold {
		command = "removelock"
	}
	if err := rpm.Holdable(ctx, m, names, hold); err != nil {
		return err
	}
	_, err := s.ask(ctx, m, append([]string{command}, names...)...)
	return err
}

// lockName is a line of zypper's locks (locks(5)).
var lockName = regexp.MustCompile(`(?m)^solvable_name:[ \t]*(\S+)`)

// Held implements source.Holder: what locks name.
func (Source) Held(m *machine.Machine) ([]string, error) {
	return rpm.Locked(m, "/etc/zypp/locks", lockName)
}

// Unfinished implements source.Repairer.
func (Source) Unfinished(m *machine.Machine) ([]string, error) { return rpm.Unfinished(m) }
