package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// JobID names a job, and RolloutID a rollout, for ever.
type (
	JobID     int64
	RolloutID int64
)

// Job is what was asked of one host, and how far it is.
type Job struct {
	ID       JobID        `json:"id"`
	Rollout  RolloutID    `json:"rollout"`
	Host     fleet.HostID `json:"host"`
	HostName string       `json:"host_name"`
	Work     Work         `json:"work"`
	State    JobState     `json:"state" enum:"planning,planned,approved,waiting,running,succeeded,failed,rolled back,cancelled,expired,unknown"`
	// Because says why it is in its state, where there is something to say, and Remedy what a person can do about it.
	Because string `json:"because"`
	Remedy  string `json:"remedy"`
	// Cancelling: the host was asked to end it, and has not answered yet.
	Cancelling bool `json:"cancelling"`
	// Digest is what an approval is of: it is there when plans are.
	Digest string `json:"digest"`
	// Changes counts those of its plans.
	Changes int `json:"changes"`
	// Step says in a few words what is being done, and Percent how far it is; -1 where that is not known.
	Step    string `json:"step"`
	Percent int    `json:"percent"`
	// Lines is how many lines of what the tools said are kept.
	Lines       int       `json:"lines"`
	CreatedAt   time.Time `json:"created_at"`
	CreatedBy   string    `json:"created_by"`
	ApprovedAt  time.Time `json:"approved_at,omitzero"`
	ApprovedBy  string    `json:"approved_by"`
	CancelledBy string    `json:"cancelled_by"`
	// ChangedAt is when it came into its state, and HeardAt when the host last said something of it.
	ChangedAt time.Time `json:"changed_at"`
	HeardAt   time.Time `json:"heard_at,omitzero"`
	// ExpiresAt is until when it may be approved, and then until when the host may begin it.
	ExpiresAt time.Time `json:"expires_at"`
	// PlanOrder and WorkOrder are the orders that the host was sent; absent where there is none.
	PlanOrder wire.OrderID `json:"plan_order,omitempty"`
	WorkOrder wire.OrderID `json:"work_order,omitempty"`

	approval    string
	planDigests []string
	cancelOrder wire.OrderID
}

// WholeJob is a job with its plans, and what became of them.
type WholeJob struct {
	Job
	After fleet.After  `json:"after"`
	Plans []fleet.Plan `json:"plans"`
	// Outcomes are what the host did: one for each plan that it has begun.
	Outcomes []wire.Job `json:"outcomes"`
}

// JobState is how far a job is.
type JobState string

// States of a job.
const (
	JobPlanning   JobState = "planning"    // the host is asked what it would do
	JobPlanned    JobState = "planned"     // its plans wait for an approval
	JobApproved   JobState = "approved"    // the order is signed, and the host has not taken it
	JobWaiting    JobState = "waiting"     // the host has it, and waits: for its policy's hours, or for another job
	JobRunning    JobState = "running"     // the host is at it
	JobSucceeded  JobState = "succeeded"   // all of it is done
	JobFailed     JobState = "failed"      // it is not, or not all of it
	JobRolledBack JobState = "rolled back" // it failed, and what it had changed was put back
	JobCancelled  JobState = "cancelled"   // it was ended before it changed anything
	JobExpired    JobState = "expired"     // nobody approved it, or the host did not begin it, in time
	JobUnknown    JobState = "unknown"     // it was begun, and the host has not said what became of it
)

// openStates are those from which a job goes on.
var openStates = [...]JobState{JobPlanning, JobPlanned, JobApproved, JobWaiting, JobRunning}

// badStates are those of a job that did not succeed, and was not cancelled.
var badStates = [...]JobState{JobFailed, JobRolledBack, JobExpired, JobUnknown}

// Ended says whether nothing more is to come; of an unknown one, something may.
func (s JobState) Ended() bool {
	for _, open := range openStates {
		if s == open {
			return false
		}
	}
	return true
}

// quoted writes states as a statement has them.
func quoted(states ...JobState) string {
	var names []string
	for _, s := range states {
		names = append(names, "'"+string(s)+"'")
	}
	return strings.Join(names, ", ")
}

// ErrNoJob: there is no such job.
var ErrNoJob = errors.New("no such job")

const jobColumns = `j.id, j.rollout_id, j.host_id, h.name, r.work, j.state, j.because, j.remedy, j.plan_order, j.work_order, j.cancel_order, j.plans, j.changes, j.approval, j.approved_at, j.approved_by,
	j.cancelled_by, j.step, j.percent, j.lines, j.heard_at, j.created_at, r.created_by, j.changed_at, j.expires_at`

const fromJobs = ` FROM jobs AS j JOIN hosts AS h ON h.id = j.host_id JOIN rollouts AS r ON r.id = j.rollout_id`

func scanJob(scan func(...any) error) (Job, error) {
	var j Job
	var work, plans string
	var plan, install, cancel, approved, heard, created, changed, expires int64
	if err := scan(&j.ID, &j.Rollout, &j.Host, &j.HostName, &work, &j.State, &j.Because, &j.Remedy, &plan, &install, &cancel, &plans, &j.Changes, &j.approval, &approved, &j.ApprovedBy,
		&j.CancelledBy, &j.Step, &j.Percent, &j.Lines, &heard, &created, &j.CreatedBy, &changed, &expires); err != nil {
		return j, err
	}
	j.PlanOrder, j.WorkOrder, j.cancelOrder = wire.OrderID(plan), wire.OrderID(install), wire.OrderID(cancel)
	j.ApprovedAt, j.HeardAt, j.CreatedAt, j.ChangedAt, j.ExpiresAt = moment(approved), moment(heard), moment(created), moment(changed), moment(expires)
	j.Cancelling = cancel != 0 && !j.State.Ended()
	if j.planDigests = strings.Fields(plans); len(j.planDigests) > 0 {
		j.Digest = ApprovalDigest([]Approvable{{j.ID, j.planDigests}})
	}
	return j, json.Unmarshal([]byte(work), &j.Work)
}

// JobFilter chooses jobs; what is empty chooses all.
type JobFilter struct {
	// State is one of the states; failed chooses all that did not succeed (failed, rolled back, expired, unknown), and open those that have not ended.
	State   string
	Host    fleet.HostID
	Rollout RolloutID
}

// FilterOpen is the filter of jobs that have not ended.
const FilterOpen = "open"

func (f JobFilter) list() *list {
	l := &list{}
	switch f.State {
	case "":
	case FilterOpen:
		l.add("j.state IN (" + quoted(openStates[:]...) + ")")
	case string(JobFailed):
		l.add("j.state IN (" + quoted(badStates[:]...) + ")")
	default:
		l.add("j.state = ?", f.State)
	}
	if f.Host != 0 {
		l.add("j.host_id = ?", f.Host)
	}
	if f.Rollout != 0 {
		l.add("j.rollout_id = ?", int64(f.Rollout))
	}
	return l
}

// Jobs gives a page of jobs, by when they last came into a state, the newest first.
func (s *Store) Jobs(ctx context.Context, f JobFilter, p Page) (jobs []Job, next string, err error) {
	key, err := p.key("nn")
	if err != nil {
		return nil, "", err
	}
	l := f.list()
	rows, err := s.readJobs(ctx, l.page(p, key, true, "j.changed_at", "j.id"), l.args)
	jobs, more := cut(p, rows)
	if more {
		last := jobs[len(jobs)-1]
		next = cursor(millis(last.ChangedAt), int64(last.ID))
	}
	return jobs, next, err
}

// RolloutJobs gives a page of a rollout's jobs, by the names of their hosts.
func (s *Store) RolloutJobs(ctx context.Context, f JobFilter, p Page) (jobs []Job, next string, err error) {
	key, err := p.key("sn")
	if err != nil {
		return nil, "", err
	}
	l := f.list()
	rows, err := s.readJobs(ctx, l.page(p, key, false, "h.name", "j.id"), l.args)
	jobs, more := cut(p, rows)
	if more {
		last := jobs[len(jobs)-1]
		next = cursor(last.HostName, int64(last.ID))
	}
	return jobs, next, err
}

func (s *Store) readJobs(ctx context.Context, tail string, args []any) ([]Job, error) {
	rows := []Job{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		j, err := scanJob(scan)
		rows = append(rows, j)
		return err
	}, `SELECT `+jobColumns+fromJobs+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return rows, nil
}

// Job gives one job, whole.
func (s *Store) Job(ctx context.Context, id JobID) (WholeJob, error) {
	w := WholeJob{Plans: []fleet.Plan{}, Outcomes: []wire.Job{}}
	err := s.snapshot(ctx, func(c conn) error {
		var err error
		if w.Job, w.After, err = oneJob(ctx, c, id); err != nil {
			return err
		}
		if w.Plans, err = plansOf(ctx, c, w.PlanOrder); err != nil {
			return err
		}
		answer, err := answerOf(ctx, c, w.WorkOrder)
		if answer != nil {
			w.Outcomes = answer.Jobs
		}
		return err
	})
	return w, err
}

func oneJob(ctx context.Context, c conn, id JobID) (j Job, after fleet.After, err error) {
	found := false
	err = c.all(ctx, func(scan func(...any) error) error {
		found = true
		var text string
		if j, err = scanJob(func(into ...any) error { return scan(append(into, &text)...) }); err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &after)
	}, `SELECT `+jobColumns+`, r.after`+fromJobs+` WHERE j.id = $1`, int64(id))
	if err == nil && !found {
		err = ErrNoJob
	}
	return j, after, err
}

// answerOf gives what a host said of an order; nil where it has said nothing.
func answerOf(ctx context.Context, c conn, id wire.OrderID) (*wire.Answer, error) {
	if id == 0 {
		return nil, nil
	}
	var body string
	if err := c.one(ctx, []any{&body}, `SELECT body FROM answers WHERE order_id = $1`, int64(id)); err != nil {
		return nil, notFound(err, nil)
	}
	a := &wire.Answer{Plans: []fleet.Plan{}, Jobs: []wire.Job{}}
	return a, json.Unmarshal([]byte(body), a)
}

// plansOf gives the plans that an order to plan was answered with: those that change something.
func plansOf(ctx context.Context, c conn, id wire.OrderID) ([]fleet.Plan, error) {
	plans := []fleet.Plan{}
	answer, err := answerOf(ctx, c, id)
	if answer == nil || err != nil {
		return plans, err
	}
	for _, p := range answer.Plans {
		if len(p.Changes) > 0 {
			plans = append(plans, p)
		}
	}
	return plans, nil
}

// Approvable is the job as an approval is of it.
func (j Job) Approvable() Approvable { return Approvable{j.ID, j.planDigests} }
