package store

import (
	"errors"
	"fmt"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Work is what is asked of hosts: exactly one of the pointers is set. To install and to undo are planned first, and wait for an approval of
// the plans; who asks for the others approves them by that.
type Work struct {
	Install *Selected     `json:"install,omitempty"`
	Undo    *Undo         `json:"undo,omitempty"`
	Hold    *wire.Hold    `json:"hold,omitempty"`
	Restart *wire.Restart `json:"restart,omitempty"`
	Reboot  *wire.Reboot  `json:"reboot,omitempty"`
	Repair  *wire.Repair  `json:"repair,omitempty"`
}

// Selected says which of the pending updates are meant: exactly one of its fields is set.
type Selected struct {
	All      bool     `json:"all,omitempty" doc:"Every update that an ordinary upgrade would install."`
	Security bool     `json:"security,omitempty" doc:"Those for security."`
	Names    []string `json:"names,omitempty" maxItems:"500" doc:"Packages, images or containers, by name."`
}

// Undo says what is to be taken back: one job, or all of a rollout that have changed something.
type Undo struct {
	Job     JobID     `json:"job,omitempty" doc:"The job that is taken back."`
	Rollout RolloutID `json:"rollout,omitempty" doc:"Or the rollout all of whose jobs are."`
}

// ErrWork: what is asked for is nothing that can be asked.
var ErrWork = errors.New("this cannot be asked of hosts")

// Bounds of the names in one request.
const (
	maxWorkNames = 500
	maxWorkName  = 300 // the reference of an image: a repository has up to 255
)

// Planned says whether the work waits for an approval of what hosts have planned.
func (w Work) Planned() bool { return w.Install != nil || w.Undo != nil }

// Check says whether the work can be asked for.
func (w Work) Check() error {
	n := 0
	for _, set := range []bool{w.Install != nil, w.Undo != nil, w.Hold != nil, w.Restart != nil, w.Reboot != nil, w.Repair != nil} {
		if set {
			n++
		}
	}
	switch {
	case n != 1:
		return fmt.Errorf("%w: name one of install, undo, hold, restart, reboot and repair", ErrWork)
	case w.Install != nil:
		return w.Install.check()
	case w.Undo != nil && (w.Undo.Job == 0) == (w.Undo.Rollout == 0):
		return fmt.Errorf("%w: undo takes back a job, or a rollout, and not both", ErrWork)
	case w.Hold != nil && len(w.Hold.Names) == 0:
		return fmt.Errorf("%w: hold needs the names of packages", ErrWork)
	case w.Hold != nil:
		return checkNames(w.Hold.Names)
	case w.Restart != nil:
		return checkNames(w.Restart.Names)
	}
	return nil
}

func (s Selected) check() error {
	n := 0
	for _, set := range []bool{s.All, s.Security, len(s.Names) > 0} {
		if set {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("%w: choose one: all, security, or names", ErrWork)
	}
	return checkNames(s.Names)
}

// checkNames refuses what is nobody's name: the hosts do so too, but it is told sooner here.
func checkNames(names []string) error {
	if len(names) > maxWorkNames {
		return fmt.Errorf("%w: over %d names", ErrWork, maxWorkNames)
	}
	for _, n := range names {
		if n == "" || len(n) > maxWorkName || n != fleet.Plain(n) || strings.HasPrefix(n, "-") || strings.Contains(n, " ") {
			return fmt.Errorf("%w: %q is no name", ErrWork, fleet.Plain(n))
		}
	}
	return nil
}

// String says what is asked for, for those who read who did what.
func (w Work) String() string {
	switch {
	case w.Install != nil:
		return "install " + w.Install.String()
	case w.Undo != nil && w.Undo.Job != 0:
		return fmt.Sprintf("undo job %d", w.Undo.Job)
	case w.Undo != nil:
		return fmt.Sprintf("undo rollout %d", w.Undo.Rollout)
	case w.Hold != nil && w.Hold.Hold:
		return "hold " + strings.Join(w.Hold.Names, ", ")
	case w.Hold != nil:
		return "unhold " + strings.Join(w.Hold.Names, ", ")
	case w.Restart != nil && len(w.Restart.Names) > 0:
		return "restart " + strings.Join(w.Restart.Names, ", ")
	case w.Restart != nil:
		return "restart services that need it"
	case w.Reboot != nil && w.Reboot.IfNeeded:
		return "reboot if needed"
	case w.Reboot != nil:
		return "reboot"
	}
	return "repair"
}

// String says what is selected.
func (s Selected) String() string {
	switch {
	case s.All:
		return "all updates"
	case s.Security:
		return "security updates"
	}
	return strings.Join(s.Names, ", ")
}

// Order gives the order by which a host begins the work; undoes is the order that is taken back there.
func (w Work) Order(undoes wire.OrderID) wire.Order {
	switch {
	case w.Install != nil:
		return wire.Order{Plan: &wire.Planning{Selection: fleet.Selection{All: w.Install.All, Security: w.Install.Security, Names: w.Install.Names}}}
	case w.Undo != nil:
		return wire.Order{Plan: &wire.Planning{Undo: undoes}}
	}
	return wire.Order{Hold: w.Hold, Restart: w.Restart, Reboot: w.Reboot, Repair: w.Repair}
}
