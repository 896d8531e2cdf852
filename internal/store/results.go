package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Result notes what became of an order, as its host says, and what that means for the job whose delivery it is. An order that has ended stays as it is: a
// result that comes late or twice changes nothing. One that was given up as lost may yet turn up.
func (s *Store) Result(ctx context.Context, id fleet.HostID, r wire.Result, now time.Time) error {
	if err := s.inTx(ctx, func(c conn) error { return settle(ctx, c, id, r, now) }); err != nil {
		return fmt.Errorf("note the result of an order: %w", err)
	}
	return nil
}

// settle brings an order into another state, and with it its job. A job is locked before its orders, by everybody.
func settle(ctx context.Context, c conn, id fleet.HostID, r wire.Result, now time.Time) error {
	var job JobID
	if err := c.one(ctx, []any{&job}, `SELECT job_id FROM orders WHERE id = $1 AND host_id = $2`, int64(r.Order), id); err != nil {
		return notFound(err, ErrNoOrder)
	}
	if job != 0 {
		if err := lockJobs(ctx, c, Scope{Job: job}); err != nil {
			return err
		}
	}
	var state wire.State
	if err := c.one(ctx, []any{&state}, `SELECT state FROM orders WHERE id = $1 AND host_id = $2`+c.forUpdate(), int64(r.Order), id); err != nil {
		return notFound(err, ErrNoOrder)
	}
	if !follows(state, r.State) {
		return nil
	}
	if _, err := c.exec(ctx, `UPDATE orders SET state = $1, because = $2, changed_at = $3 WHERE id = $4 AND state = $5`,
		string(r.State), r.Because, now.UnixMilli(), int64(r.Order), string(state)); err != nil {
		return err
	}
	if job == 0 {
		return nil
	}
	return moveJob(ctx, c, job, r, now)
}

// follows says whether a host may bring an order from one state to another.
func follows(from, to wire.State) bool {
	switch from {
	case wire.Waiting, wire.Held:
		return to != wire.Waiting
	case wire.Running, wire.Lost:
		return to.Ended() && to != from
	}
	return false
}

// moveJob does for a job what a result of one of its orders means.
func moveJob(ctx context.Context, c conn, id JobID, r wire.Result, now time.Time) error {
	j, _, err := oneJob(ctx, c, id)
	if err != nil {
		return err
	}
	switch r.Order {
	case j.PlanOrder:
		return planResult(ctx, c, j, r, now)
	case j.WorkOrder:
		return workResult(ctx, c, j, r, now)
	case j.cancelOrder:
		return cancelResult(ctx, c, j, r, now)
	}
	return nil
}

// ended are the states into which the end of an order brings its job.
var ended = map[wire.State]JobState{
	wire.Succeeded: JobSucceeded, wire.Failed: JobFailed, wire.RolledBack: JobRolledBack, wire.Cancelled: JobCancelled, wire.Expired: JobExpired, wire.Lost: JobUnknown,
}

// planResult takes over what a host would do.
func planResult(ctx context.Context, c conn, j Job, r wire.Result, now time.Time) error {
	if !r.State.Ended() || j.State != JobPlanning && j.State != JobUnknown {
		return nil
	}
	state, because, remedy := ended[r.State], r.Because, r.Remedy
	if r.State != wire.Succeeded {
		return setState(ctx, c, j, state, because, remedy, now)
	}
	answer, err := acceptPlans(ctx, c, j.Host, r.Answer)
	if err != nil {
		return setState(ctx, c, j, JobFailed, err.Error(), "", now)
	}
	if err := saveAnswer(ctx, c, r.Order, answer); err != nil {
		return err
	}
	var digests, notes []string
	changes := 0
	for _, p := range answer.Plans {
		if len(p.Changes) > 0 {
			digests, changes = append(digests, p.Digest()), changes+len(p.Changes)
		} else {
			notes = append(notes, p.Warnings...)
		}
	}
	state = JobPlanned
	if changes == 0 {
		state, because = JobSucceeded, strings.Join(append([]string{"there is nothing to change"}, notes...), "; ")
	}
	if _, err := c.exec(ctx, `UPDATE jobs SET plans = $1, changes = $2 WHERE id = $3`, strings.Join(digests, " "), changes, int64(j.ID)); err != nil {
		return err
	}
	return setState(ctx, c, j, state, because, remedy, now)
}

// maxPlans bounds the plans of one job, as JSON: the order that carries them out is a third longer, and an agent reads 4 MiB. A distribution upgrade
// has 700 KB.
const maxPlans = 2 << 20

// acceptPlans holds plans to what a host can have planned. They are believed of that host alone, and go back to no other.
func acceptPlans(ctx context.Context, c conn, id fleet.HostID, a *wire.Answer) (*wire.Answer, error) {
	if a == nil {
		return nil, fmt.Errorf("the host has planned, and sent no plan")
	}
	kept := &wire.Answer{Plans: a.Plans, Jobs: []wire.Job{}}
	body, err := json.Marshal(kept.Plans)
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxPlans:
		return nil, fmt.Errorf("the host's plan is larger than can be approved: %d bytes, and at most %d; choose fewer updates at once", len(body), maxPlans)
	}
	sources := []string{}
	if err := c.all(ctx, func(scan func(...any) error) error {
		var source string
		err := scan(&source)
		sources = append(sources, source)
		return err
	}, `SELECT source FROM findings WHERE host_id = $1`, id); err != nil {
		return nil, err
	}
	for _, p := range kept.Plans {
		i := slices.Index(sources, p.Source)
		if i < 0 {
			return nil, fmt.Errorf("the host has sent a plan of %q, which is no source that it has, or twice", fleet.Plain(p.Source))
		}
		sources = slices.Delete(sources, i, i+1)
	}
	return kept, nil
}

// workResult takes over how far a host is with its work, or what became of it.
func workResult(ctx context.Context, c conn, j Job, r wire.Result, now time.Time) error {
	from, to := []JobState{JobApproved, JobWaiting, JobRunning, JobUnknown}, ended[r.State]
	switch r.State {
	case wire.Held:
		from, to = []JobState{JobApproved, JobWaiting}, JobWaiting
	case wire.Running:
		from, to = []JobState{JobApproved, JobWaiting}, JobRunning
	}
	if !slices.Contains(from, j.State) {
		return nil
	}
	if r.Answer != nil {
		if err := saveAnswer(ctx, c, r.Order, &wire.Answer{Plans: []fleet.Plan{}, Jobs: r.Answer.Jobs}); err != nil {
			return err
		}
	}
	return setState(ctx, c, j, to, r.Because, r.Remedy, now)
}

// cancelResult takes over whether a host has ended an order that it had not begun. One that it has not taken is not given to it again, whatever it says.
func cancelResult(ctx context.Context, c conn, j Job, r wire.Result, now time.Time) error {
	switch {
	case !r.State.Ended() || j.State.Ended():
		return nil
	case r.State != wire.Succeeded && r.State != wire.Cancelled:
		_, err := c.exec(ctx, `UPDATE jobs SET cancel_order = CASE WHEN state = $1 THEN cancel_order ELSE 0 END, because = $2, remedy = $3 WHERE id = $4 AND cancel_order = $5`,
			string(JobApproved), "it could not be cancelled: "+r.Because, r.Remedy, int64(j.ID), int64(r.Order))
		return err
	case j.State == JobRunning:
		return nil // its own result says how it has ended
	}
	because := "cancelled by " + j.CancelledBy
	if _, err := c.exec(ctx, `UPDATE orders SET state = $1, because = $2, changed_at = $3 WHERE id = $4 AND state IN ($5, $6)`,
		string(wire.Cancelled), because, now.UnixMilli(), int64(j.WorkOrder), string(wire.Waiting), string(wire.Held)); err != nil {
		return err
	}
	return setState(ctx, c, j, JobCancelled, because, "", now)
}

// setState brings a job from the state that it was read in into another, unless somebody else has done so since.
func setState(ctx context.Context, c conn, j Job, to JobState, because, remedy string, now time.Time) error {
	_, err := c.exec(ctx, `UPDATE jobs SET state = $1, because = $2, remedy = $3, changed_at = $4, heard_at = $4 WHERE id = $5 AND state = $6`,
		string(to), because, remedy, now.UnixMilli(), int64(j.ID), string(j.State))
	return err
}

func saveAnswer(ctx context.Context, c conn, id wire.OrderID, a *wire.Answer) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `INSERT INTO answers (order_id, body) VALUES ($1, $2) ON CONFLICT (order_id) DO UPDATE SET body = excluded.body`, int64(id), string(body))
	return err
}
