// Package job is work on this machine that was approved: plans that are carried out one at a time, each written down before it is acted on, and
// told truthfully afterwards, whatever was killed when. A job is a folder: what was approved, its state, the log of what the tools said, and
// what an undo needs.
package job

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// ID names a job: when it was made, and a few letters. It sorts by time.
type ID string

// State is how far a job is.
type State string

// States of a job.
const (
	Approved   State = "approved"    // it will begin
	Fetching   State = "fetching"    // it downloads; it can be cancelled
	Running    State = "running"     // it changes the machine; it is not interrupted any more
	Succeeded  State = "succeeded"   // all that was planned is done
	Failed     State = "failed"      // it is not, or not all of it: see Because and Outcome
	RolledBack State = "rolled back" // it failed, and what it had changed was put back
	Cancelled  State = "cancelled"   // it was ended before it changed anything
	Unknown    State = "unknown"     // what became of it cannot be told
)

// Ended says whether nothing more will happen.
func (s State) Ended() bool { return s != Approved && s != Fetching && s != Running }

// Job is a plan that was approved.
type Job struct {
	ID    ID    `json:"id"`
	State State `json:"state"`
	// Because and Remedy say why it did not succeed.
	Because string     `json:"because"`
	Remedy  string     `json:"remedy"`
	Plan    fleet.Plan `json:"plan"`
	// Digest is what was approved: it is the plan's.
	Digest string `json:"digest"`
	// After is what is done once the plan has been carried out, if that succeeded.
	After fleet.After `json:"after"`
	// Undoes is the job that this one takes back; empty for all others.
	Undoes ID `json:"undoes,omitempty"`
	// Order is the server's that it carries out; empty for one that was begun on the host.
	Order     string    `json:"order,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	ChangedAt time.Time `json:"changed_at"`
	// PID is the process that is at it, while it is.
	PID int `json:"pid,omitempty"`
	// Outcome is set once it has ended, unless nothing was begun.
	Outcome *fleet.Outcome `json:"outcome,omitempty"`
}

// Dir is where jobs lie on a machine.
const Dir = "/var/lib/redflag/jobs"

const (
	jobFile = "job.json"
	// maxJob bounds what is read of one.
	maxJob = 64 << 20
	// maxJobs bounds how many are kept; the oldest go first.
	maxJobs = 200
)

// Kinds of refusal.
var (
	ErrNoJob = errors.New("no such job")
	ErrBusy  = errors.New("another job is at work on this machine")
)

// New writes an approved job down: its plan, and who approved it.
func New(m *machine.Machine, j Job) (Job, error) {
	now := m.Now().UTC()
	j.ID, j.State, j.CreatedAt = ID(now.Format("20060102-150405-")+strings.ToLower(rand.Text()[:4])), Approved, now
	j.Digest = j.Plan.Digest()
	if err := os.MkdirAll(m.Path(j.ID.dir()), 0o700); err != nil {
		return j, fmt.Errorf("write the job down: %w", err)
	}
	if err := forget(m); err != nil {
		return j, err
	}
	return j, j.save(m)
}

func (id ID) dir() string { return path.Join(Dir, string(id)) }

// Log is where a job's log is on the machine.
func (id ID) Log() string { return path.Join(id.dir(), source.LogFile) }

// save puts the job's state in place of the one before.
func (j *Job) save(m *machine.Machine) error {
	j.ChangedAt = m.Now().UTC()
	data, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	return machine.WriteFile(m.Path(path.Join(j.ID.dir(), jobFile)), append(data, '\n'), 0o600)
}

var jobID = regexp.MustCompile(`^[0-9]{8}-[0-9]{6}-[a-z0-9]{4}$`)

// Get gives a job, by its ID or the end of it.
func Get(m *machine.Machine, id ID) (Job, error) {
	if jobID.MatchString(string(id)) {
		return read(m, id)
	}
	list, err := List(m)
	if err != nil {
		return Job{}, err
	}
	for _, j := range list {
		if id != "" && strings.HasSuffix(string(j.ID), string(id)) {
			return j, nil
		}
	}
	return Job{}, fmt.Errorf("%w: %q", ErrNoJob, fleet.Plain(string(id)))
}

func read(m *machine.Machine, id ID) (Job, error) {
	data, err := m.ReadFile(path.Join(id.dir(), jobFile), maxJob)
	if errors.Is(err, os.ErrNotExist) {
		return Job{}, fmt.Errorf("%w: %s", ErrNoJob, id)
	}
	if err != nil {
		return Job{}, err
	}
	var j Job
	if err := json.Unmarshal(data, &j); err != nil {
		return Job{}, fmt.Errorf("read the job %s: %w", id, err)
	}
	if j.Digest != j.Plan.Digest() {
		return j, fmt.Errorf("read the job %s: its plan is not the one that was approved", id)
	}
	return j, nil
}

// List gives all jobs, the newest first. One that cannot be read is left out: the folder has nothing but what we wrote.
func List(m *machine.Machine) ([]Job, error) {
	entries, err := m.ReadDir(Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	var list []Job
	for _, e := range entries {
		if !jobID.MatchString(e.Name()) {
			continue
		}
		if j, err := read(m, ID(e.Name())); err == nil {
			list = append(list, j)
		}
	}
	slices.SortFunc(list, func(a, b Job) int { return cmp.Compare(b.ID, a.ID) })
	return list, nil
}

// forget deletes the oldest jobs that have ended, where there are too many.
func forget(m *machine.Machine) error {
	list, err := List(m)
	if err != nil || len(list) <= maxJobs {
		return err
	}
	for _, j := range list[maxJobs:] {
		if j.State.Ended() {
			if err := os.RemoveAll(m.Path(j.ID.dir())); err != nil {
				return err
			}
		}
	}
	return nil
}

// end writes down what became of a job.
func (j *Job) end(ctx context.Context, m *machine.Machine, o *fleet.Outcome, state State, err error) error {
	j.PID, j.Outcome, j.State = 0, o, state
	if err != nil {
		j.Because, j.Remedy = fleet.Explain(err)
	}
	if o != nil {
		j.Because, j.Remedy = cmp.Or(j.Because, o.Because), cmp.Or(j.Remedy, o.Remedy)
		h := machine.Facts(ctx, m)
		o.Reboot, o.Restart = h.Reboot, h.Restart
	}
	return j.save(m)
}

// stateOf says what an outcome comes to.
func stateOf(o fleet.Outcome) State {
	switch {
	case o.Succeeded():
		return Succeeded
	case o.RolledBack:
		return RolledBack
	case len(o.Done) == 0 && len(o.HalfDone) == 0 && o.Because == "":
		return Unknown
	}
	return Failed
}
