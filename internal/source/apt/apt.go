// Package apt is the source of Debian's packages and of those who follow Debian. Its own reader looks at dpkg's status with its journal, at
// the enabled indexes and their release files, at pins, holds and Ubuntu's phasing, and finds the updates that `apt list --upgradable` finds, in a fraction
// of the time, without root, without a lock and without reading a word that was meant for people. What only a solver can tell, which updates are
// kept back, apt says itself: its JSON hook calls this program back with the plan of a full upgrade and is stopped there (see [Hook]). Both
// answers are kept under a fingerprint of the files that they come from, so that an unchanged machine costs one look at those files.
package apt

import (
	"context"
	"errors"
	"path"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Source is apt. It implements source.Source and source.Refresher.
//
// Its updates are what `apt list --upgradable` lists, those on hold and deferred by phasing among them. A newer version that a preference (a pin) keeps from being
// the candidate is not on offer to apt and is in no list: the block [fleet.Pinned] is never apt's.
type Source struct {
	// Hook is the command that apt is to run as its hook: this program and the words after which it calls [Hook] with the word that
	// follows. Empty asks apt nothing, and then no update is called kept back.
	Hook []string
	// LockWait is how long an installation waits for another program that is at work on the packages; 0 means five minutes.
	LockWait time.Duration
	// StateDir is where the last answer is kept; empty keeps none. It need not exist, or be writable.
	StateDir string
}

// Name implements source.Source.
func (Source) Name() string { return "apt" }

// Present implements source.Source: the machine has dpkg's folder and apt's.
func (Source) Present(m *machine.Machine) bool {
	s := settings{conf: newConfig()}
	return isDir(m, path.Dir(s.statusFile())) && isDir(m, s.conf.path("Dir::Etc"))
}

// Scan implements source.Source. The finding's AsOf is when apt last found the enabled suites on their archives, of the one for which
// that is longest ago.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	set, err := readSettings(m)
	problems := []error{err}
	before, err := takePrint(m, set)
	problems = append(problems, err)
	known := s.recall(before)
	if known == nil {
		known = &answer{Print: before, Survey: look(ctx, m, set)}
	}
	fresh := known.Plan == nil && s.asksApt(m)
	if fresh {
		known.Plan, err = ask(ctx, m, s.Hook)
		problems = append(problems, err)
	}
	if err := ctx.Err(); err != nil {
		return fleet.Finding{}, err
	}
	if fresh || !known.kept {
		s.keep(m, set, known)
	}
	state := condition{survey: known.Survey, asked: attempted(m, set), now: m.Now().UTC()}
	state.look(m)
	problems = append(problems, known.Survey.problems...)
	problems = append(problems, known.unseen())
	problems = append(problems, state.unknowns(set, len(s.Hook) > 0 && known.Plan != nil)...)
	return fleet.Finding{AsOf: state.asOf(), Updates: known.updates()}, errors.Join(problems...)
}

// asksApt says whether there is an apt to ask. It is asked even where our reader finds no update: an apt that refuses to work, over a list
// or a configuration that our reader takes in its stride, makes the answer unknown.
func (s Source) asksApt(m *machine.Machine) bool {
	if len(s.Hook) == 0 {
		return false
	}
	_, err := m.Stat("/usr/bin/apt-get")
	return err == nil
}
