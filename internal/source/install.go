package source

import (
	"context"
	"os"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Planner is a source that can say exactly what would be done. It changes nothing.
type Planner interface {
	Source
	// Plan gives the transaction for a selection. What is selected and cannot be done is a *fleet.Unknown that says why; a plan without changes
	// is one for which there is nothing to do.
	Plan(ctx context.Context, m *machine.Machine, s fleet.Selection) (fleet.Plan, error)
}

// LogFile is the name of a job's log in its folder.
const LogFile = "log"

// Work is where a plan is carried out.
type Work struct {
	// Dir is a folder of this job alone, on the machine that it is carried out on. What is kept for an undo lies in it.
	Dir string
	// Log gets what the tools say: the file LogFile in Dir, so that a tool goes on writing if we are gone. It is nil where nothing is run.
	Log *os.File
	// Held are files that children must keep open: the job's lock, which is free only when everybody is done.
	Held []*os.File
}

// Installer is a source that can carry out a plan, and nothing but that plan.
type Installer interface {
	Planner
	// Fetch downloads what the plan needs, and puts aside what an undo would need. It changes nothing that is in use, and may be cancelled.
	Fetch(ctx context.Context, m *machine.Machine, p fleet.Plan, w Work) error
	// Apply carries the plan out. It is not interrupted: the context carries no end. What became of it is the outcome, by what is there before
	// and after; an error says that nothing was begun.
	Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w Work) (fleet.Outcome, error)
	// Settle says what became of a plan whose Apply did not come to its end, once nobody is at it any more.
	Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w Work) (fleet.Outcome, error)
	// Undo gives the selection that goes back to what was there before a job.
	Undo(m *machine.Machine, p fleet.Plan, o fleet.Outcome, w Work) (fleet.Selection, error)
}

// Holder is a source that can keep updates of a package from being installed.
type Holder interface {
	// Held names the packages whose updates are kept from being installed.
	Held(m *machine.Machine) ([]string, error)
	Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error
}

// Repairer is a source that can finish what was interrupted.
type Repairer interface {
	Source
	// Unfinished names what was left in the middle.
	Unfinished(m *machine.Machine) ([]string, error)
	Repair(ctx context.Context, m *machine.Machine, w Work) (fleet.Outcome, error)
}
