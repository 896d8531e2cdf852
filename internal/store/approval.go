package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Approvable is a job whose plans can be approved, by their digests.
type Approvable struct {
	Job   JobID
	Plans []string
}

// ApprovalDigest is what an approval is of: these jobs with these plans, and no others. That of one job is the same wherever it is approved.
func ApprovalDigest(jobs []Approvable) string {
	h := sha256.New()
	fmt.Fprint(h, "redflag approval 1\n")
	for _, j := range slices.SortedFunc(slices.Values(jobs), func(a, b Approvable) int { return cmp.Compare(a.Job, b.Job) }) {
		fmt.Fprintf(h, "%d %q\n", j.Job, j.Plans)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// digestOf gives the digest of jobs; empty for none.
func digestOf(jobs []Job) string {
	if len(jobs) == 0 {
		return ""
	}
	var list []Approvable
	for _, j := range jobs {
		list = append(list, Approvable{j.ID, j.planDigests})
	}
	return ApprovalDigest(list)
}

// ErrOtherPlan: what is approved is not what is planned.
var ErrOtherPlan = errors.New("this is not what is planned now: look at it again, and approve what is there")

// Scope is what an approval or a cancellation is of: a job, or all of a rollout.
type Scope struct {
	Job     JobID
	Rollout RolloutID
}

// Jobs gives the jobs of a scope, in the order of their IDs.
func (sc Scope) jobs(ctx context.Context, c conn) ([]Job, error) {
	if sc.Job != 0 {
		j, _, err := oneJob(ctx, c, sc.Job)
		return []Job{j}, err
	}
	jobs, err := jobsOf(ctx, c, sc.Rollout, "")
	if err == nil && len(jobs) == 0 {
		_, err = oneRollout(ctx, c, sc.Rollout)
	}
	return jobs, err
}

// inState gives the jobs that are in a state.
func inState(jobs []Job, state JobState) []Job {
	return slices.DeleteFunc(slices.Clone(jobs), func(j Job) bool { return j.State != state })
}

// Planned gives the digest of what is planned now in a scope, and the jobs.
func (s *Store) Planned(ctx context.Context, sc Scope) (digest string, jobs []Job, err error) {
	jobs, err = sc.jobs(ctx, s.reader())
	jobs = inState(jobs, JobPlanned)
	return digestOf(jobs), jobs, err
}

// Approve has exactly the plans of a digest carried out, each once. Who approves the same again changes nothing and is given the same jobs; a digest of
// anything but what is planned now is ErrOtherPlan, and approves nothing. Sign makes the order of one job; it is called before the transaction.
func (s *Store) Approve(ctx context.Context, sc Scope, digest, by string, now time.Time, sign func(PlannedJob, fleet.After, time.Time, wire.OrderID) (Delivery, error)) ([]Job, error) {
	before, err := s.approvedBefore(ctx, sc, digest)
	if err != nil || len(before) > 0 {
		return before, err
	}
	ready, err := s.prepare(ctx, sc, digest, now, sign)
	if err == nil {
		err = s.inTx(ctx, func(c conn) error { return approveAll(ctx, c, sc, digest, by, ready, now) })
	}
	if err != nil && !errors.Is(err, ErrOtherPlan) {
		return nil, fmt.Errorf("approve plans: %w", err)
	}
	done, readErr := s.approvedBefore(ctx, sc, digest)
	if len(done) > 0 || readErr != nil {
		return done, readErr // also where somebody else has done the same meanwhile
	}
	return nil, err
}

// approvedBefore gives the jobs that were approved by a digest.
func (s *Store) approvedBefore(ctx context.Context, sc Scope, digest string) ([]Job, error) {
	jobs, err := sc.jobs(ctx, s.reader())
	return slices.DeleteFunc(jobs, func(j Job) bool { return j.approval != digest || digest == "" }), err
}

// prepare signs the orders of what is planned, if it is what the digest is of.
func (s *Store) prepare(ctx context.Context, sc Scope, digest string, now time.Time, sign func(PlannedJob, fleet.After, time.Time, wire.OrderID) (Delivery, error)) (map[JobID]Delivery, error) {
	ready := map[JobID]Delivery{}
	err := s.snapshot(ctx, func(c conn) error {
		jobs, err := sc.jobs(ctx, c)
		if jobs = inState(jobs, JobPlanned); err != nil || len(jobs) == 0 || digestOf(jobs) != digest {
			return cmp.Or(err, ErrOtherPlan)
		}
		r, err := oneRollout(ctx, c, jobs[0].Rollout)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			plans, err := plansOf(ctx, c, j.PlanOrder)
			if err != nil {
				return err
			}
			if !slices.Equal(digestsOf(plans), j.planDigests) {
				return ErrOtherPlan
			}
			undoes, err := undoneBy(ctx, c, r.Work, j)
			if err != nil {
				return err
			}
			if ready[j.ID], err = sign(PlannedJob{j, plans}, r.After, now.Add(r.Life), undoes); err != nil {
				return err
			}
		}
		return nil
	})
	return ready, err
}

func digestsOf(plans []fleet.Plan) []string {
	var list []string
	for _, p := range plans {
		list = append(list, p.Digest())
	}
	return list
}

// undoneBy gives the order that a job takes back; 0 for all but undos.
func undoneBy(ctx context.Context, c conn, w Work, j Job) (wire.OrderID, error) {
	if w.Undo == nil {
		return 0, nil
	}
	signed, err := bodies[wire.SignedOrder](ctx, c, `SELECT body FROM orders WHERE id = $1`, int64(j.PlanOrder))
	if err != nil || len(signed) == 0 {
		return 0, cmp.Or(err, ErrNoOrder)
	}
	var o wire.Order
	if err := json.Unmarshal(signed[0].Order, &o); err != nil || o.Plan == nil {
		return 0, cmp.Or(err, ErrNoOrder)
	}
	return o.Plan.Undo, nil
}

// approveAll gives the orders, if what is planned is still what the digest is of.
func approveAll(ctx context.Context, c conn, sc Scope, digest, by string, ready map[JobID]Delivery, now time.Time) error {
	if err := lockJobs(ctx, c, sc); err != nil {
		return err
	}
	jobs, err := sc.jobs(ctx, c)
	if jobs = inState(jobs, JobPlanned); err != nil || digestOf(jobs) != digest || len(jobs) != len(ready) {
		return cmp.Or(err, ErrOtherPlan)
	}
	for _, j := range jobs {
		d := ready[j.ID]
		body, err := json.Marshal(d.Signed)
		if err != nil {
			return err
		}
		if err := insertOrder(ctx, c, newOrder{order: d.Order, body: body, by: by, job: j.ID}, now); err != nil {
			return err
		}
		if _, err := c.exec(ctx, `UPDATE jobs SET state = $1, work_order = $2, approval = $3, approved_at = $4, approved_by = $5, changed_at = $4, expires_at = $6, because = '', remedy = '' WHERE id = $7 AND state = $8`,
			string(JobApproved), int64(d.Order.ID), digest, now.UnixMilli(), by, millis(d.Order.ExpiresAt), int64(j.ID), string(JobPlanned)); err != nil {
			return err
		}
	}
	return nil
}

// lockJobs keeps others from the jobs of a scope, in the order of their IDs: whoever locks a job does so before its orders.
func lockJobs(ctx context.Context, c conn, sc Scope) error {
	if c.d != postgres {
		return nil // there is one writer
	}
	each := func(scan func(...any) error) error {
		var id int64
		return scan(&id)
	}
	if sc.Job != 0 {
		return c.all(ctx, each, `SELECT id FROM jobs WHERE id = $1 FOR UPDATE`, int64(sc.Job))
	}
	return c.all(ctx, each, `SELECT id FROM jobs WHERE rollout_id = $1 ORDER BY id FOR UPDATE`, int64(sc.Rollout))
}

// Undoable gives the hosts on which something can be taken back, each with the order that did it: a job that was begun and has ended, and was not put back already.
func (s *Store) Undoable(ctx context.Context, u Undo) (map[fleet.HostID]wire.OrderID, error) {
	jobs, err := Scope(u).jobs(ctx, s.reader())
	if err != nil {
		return nil, err
	}
	hosts := map[fleet.HostID]wire.OrderID{}
	for _, j := range jobs {
		changed := j.State == JobSucceeded || j.State == JobFailed || j.State == JobUnknown
		if j.Work.Planned() && j.WorkOrder != 0 && changed {
			hosts[j.Host] = j.WorkOrder
		}
	}
	if len(hosts) == 0 {
		return nil, ErrNothingToUndo
	}
	return hosts, nil
}

// ErrNothingToUndo: there is nothing that could be taken back.
var ErrNothingToUndo = errors.New("there is nothing to undo: nothing was installed by it, or it has not ended")
