// Package job is work on this machine that was approved: plans that are carried out one at a time, each written down before it is acted on, and
// told truthfully afterwards, whatever was killed when. A job is a folder: what was approved, its state, the log of what the tools said, and
// what an undo needs.
package job

import (
	"cmp"
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

// Kind is what a job does.
type Kind string

// Kinds of a job.
const (
	ToInstall Kind = ""        // carries its plan out
	ToRepair  Kind = "repair"  // lets the package manager finish what was interrupted
	ToHold    Kind = "hold"    // keeps updates of packages from being installed
	ToUnhold  Kind = "unhold"  // lets them be installed again
	ToRestart Kind = "restart" // restarts services
	ToReboot  Kind = "reboot"  // reboots the machine
)

// State is how far a job is.
type State string

// States of a job.
const (
	Approved   State = "approved"    // it will begin
	Held       State = "held"        // it waits for another job to end
	Fetching   State = "fetching"    // it downloads; it can be cancelled
	Running    State = "running"     // it changes the machine; it is not interrupted any more
	Rebooting  State = "rebooting"   // all else is done, and the machine was told to reboot
	Succeeded  State = "succeeded"   // all that was planned is done
	Failed     State = "failed"      // it is not, or not all of it: see Because and Outcome
	RolledBack State = "rolled back" // it failed, and what it had changed was put back
	Cancelled  State = "cancelled"   // it was ended before it changed anything
	Expired    State = "expired"     // it could not begin in time
	Unknown    State = "unknown"     // what became of it cannot be told
)

// Ended says whether nothing more will happen.
func (s State) Ended() bool {
	switch s {
	case Approved, Held, Fetching, Running, Rebooting:
		return false
	}
	return true
}

// Job is what was approved: a plan, or something else that changes the machine.
type Job struct {
	ID    ID    `json:"id"`
	Kind  Kind  `json:"kind,omitempty"`
	State State `json:"state"`
	// Because and Remedy say why it did not succeed.
	Because string     `json:"because"`
	Remedy  string     `json:"remedy"`
	Plan    fleet.Plan `json:"plan"`
	// Digest is what was approved: it is the plan's.
	Digest string `json:"digest"`
	// After is what is done once the plan has been carried out, if that succeeded.
	After fleet.After `json:"after"`
	// Names are the packages of a hold, and the services of a restart: where there are none, all that run replaced files.
	Names []string `json:"names,omitempty"`
	// IfNeeded leaves a machine alone that needs no reboot.
	IfNeeded bool `json:"if_needed,omitempty"`
	// ExpiresAt is when it must have begun; the zero time is never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// Undoes is the job that this one takes back; empty for all others.
	Undoes ID `json:"undoes,omitempty"`
	// Order is the server's that it carries out; empty for one that was begun on the host.
	Order     string    `json:"order,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	ChangedAt time.Time `json:"changed_at"`
	// PID is the process that is at it, while it is.
	PID int `json:"pid,omitempty"`
	// Boot is the one in which the machine was told to reboot, and Uptime how old it was then, in seconds.
	Boot   string  `json:"boot,omitempty"`
	Uptime float64 `json:"uptime,omitempty"`
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
	list, err := List(m)
	if err != nil {
		return j, err
	}
	now := m.Now().UTC()
	j.ID, j.State, j.CreatedAt, j.Digest = newID(now, list), Approved, now, j.Plan.Digest()
	if err := machine.MakeFolder(m.Path(j.ID.dir())); err != nil {
		return j, fmt.Errorf("write the job down: %w", err)
	}
	if err := j.save(m); err != nil {
		return j, errors.Join(fmt.Errorf("write the job down: %w", err), os.RemoveAll(m.Path(j.ID.dir())))
	}
	return j, forget(m, list)
}

const idTime = "20060102-150405"

// newID gives an ID that comes after all others, also where the clock has gone back.
func newID(now time.Time, list []Job) ID {
	if len(list) > 0 {
		if last, err := time.Parse(idTime, string(list[0].ID)[:len(idTime)]); err == nil && !now.After(last.Add(time.Second)) {
			now = last.Add(time.Second)
		}
	}
	return ID(now.Format(idTime+"-") + strings.ToLower(rand.Text()[:4]))
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

// forget deletes the oldest of the jobs that have ended, where there are too many.
func forget(m *machine.Machine, list []Job) error {
	for _, j := range list[min(len(list), maxJobs-1):] {
		if j.State.Ended() {
			if err := os.RemoveAll(m.Path(j.ID.dir())); err != nil {
				return fmt.Errorf("forget the job %s: %w", j.ID, err)
			}
		}
	}
	return nil
}

// end writes down what became of a job.
func (j *Job) end(m *machine.Machine, o *fleet.Outcome, state State, err error) error {
	j.PID, j.Outcome, j.State = 0, o, state
	if err != nil {
		j.Because, j.Remedy = fleet.Explain(err)
	}
	if o != nil {
		j.Because, j.Remedy = cmp.Or(j.Because, o.Because), cmp.Or(j.Remedy, o.Remedy)
	}
	if state == Succeeded {
		j.Because, j.Remedy = "", "" // what it waited for
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
