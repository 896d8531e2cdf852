package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Rollout is one request over one host or many, with a job on each.
type Rollout struct {
	ID        RolloutID   `json:"id"`
	Work      Work        `json:"work"`
	After     fleet.After `json:"after"`
	CreatedAt time.Time   `json:"created_at"`
	CreatedBy string      `json:"created_by"`
	// Hosts counts its jobs, and Jobs does so by their states.
	Hosts int              `json:"hosts"`
	Jobs  map[JobState]int `json:"jobs"`
	// Life is for how long each step of it is good: to come for it, to approve it, to begin it.
	Life time.Duration `json:"-"`
}

// Delivery is an order on its way to a host, signed.
type Delivery struct {
	Order  wire.Order
	Signed wire.SignedOrder
}

// MaxRollout bounds the hosts of one rollout: so many plans can be compared in one answer.
const MaxRollout = 1000

// ErrManyHosts: more than one rollout can have.
var ErrManyHosts = fmt.Errorf("a rollout has at most %d hosts: make several", MaxRollout)

// NewRolloutID makes a rollout's ID.
func NewRolloutID() RolloutID { return RolloutID(newID()) }

// NewRollout keeps a rollout, with a job on each of the hosts that the orders are for: all of it or nothing. A host that is given too much already
// gets a job that has failed.
func (s *Store) NewRollout(ctx context.Context, r Rollout, orders []Delivery, now time.Time) error {
	work, err1 := json.Marshal(r.Work)
	after, err2 := json.Marshal(r.After)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	orders = slices.SortedFunc(slices.Values(orders), func(a, b Delivery) int { return cmp.Compare(a.Order.Host, b.Order.Host) })
	err := s.inTx(ctx, func(c conn) error {
		if err := allThere(ctx, c, orders); err != nil {
			return err
		}
		if _, err := c.exec(ctx, `INSERT INTO rollouts (id, work, after, life, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)`,
			int64(r.ID), string(work), string(after), r.Life.Milliseconds(), now.UnixMilli(), r.CreatedBy); err != nil {
			return err
		}
		for _, d := range orders {
			if err := insertJob(ctx, c, r, d, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep a rollout: %w", err)
	}
	return nil
}

// allThere refuses hosts that are not in the fleet, and keeps the others from leaving it meanwhile.
func allThere(ctx context.Context, c conn, orders []Delivery) error {
	if len(orders) == 0 {
		return ErrNoHost
	}
	var ids []int64
	for _, d := range orders {
		ids = append(ids, int64(d.Order.Host))
	}
	n := 0
	err := c.all(ctx, func(scan func(...any) error) error {
		n++
		var id int64
		return scan(&id)
	}, `SELECT id FROM hosts WHERE id IN (`+numbers(ids)+`) ORDER BY id`+c.forUpdate())
	if err == nil && n != len(ids) {
		err = ErrNoHost
	}
	return err
}

// insertJob keeps a job and its first order, of a host that is locked.
func insertJob(ctx context.Context, c conn, r Rollout, d Delivery, now time.Time) error {
	id, o := JobID(newID()), d.Order
	state, because := JobPlanning, ""
	plan, work, approved, by := int64(o.ID), int64(0), int64(0), ""
	if !r.Work.Planned() {
		state, plan, work, approved, by = JobApproved, 0, int64(o.ID), now.UnixMilli(), r.CreatedBy
	}
	body, err := json.Marshal(d.Signed)
	if err != nil {
		return err
	}
	err = insertOrder(ctx, c, newOrder{order: o, body: body, by: r.CreatedBy, job: id}, now)
	if errors.Is(err, ErrManyOrders) {
		state, because, plan, work, err = JobFailed, ErrManyOrders.Error(), 0, 0, nil
	}
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `INSERT INTO jobs (id, rollout_id, host_id, state, because, remedy, plan_order, work_order, cancel_order, plans, changes, approval, approved_at, approved_by, cancelled_by,
			step, percent, next_line, lines, bytes, heard_at, created_at, changed_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, '', $6, $7, 0, '', 0, '', $8, $9, '', '', -1, 0, 0, 0, 0, $10, $10, $11)`,
		int64(id), int64(r.ID), o.Host, string(state), because, plan, work, approved, by, now.UnixMilli(), millis(o.ExpiresAt))
	return err
}

// ErrNoRollout: there is no such rollout.
var ErrNoRollout = errors.New("no such rollout")

const rolloutColumns = `id, work, after, life, created_at, created_by`

func scanRollout(scan func(...any) error) (Rollout, error) {
	r := Rollout{Jobs: map[JobState]int{}}
	var work, after string
	var life, created int64
	if err := scan(&r.ID, &work, &after, &life, &created, &r.CreatedBy); err != nil {
		return r, err
	}
	r.CreatedAt, r.Life = moment(created), time.Duration(life)*time.Millisecond
	return r, errors.Join(json.Unmarshal([]byte(work), &r.Work), json.Unmarshal([]byte(after), &r.After))
}

// Rollouts gives a page of rollouts, the newest first.
func (s *Store) Rollouts(ctx context.Context, p Page) (rollouts []Rollout, next string, err error) {
	key, err := p.key("nn")
	if err != nil {
		return nil, "", err
	}
	l, rows := &list{}, []Rollout{}
	if err := s.reader().all(ctx, func(scan func(...any) error) error {
		r, err := scanRollout(scan)
		rows = append(rows, r)
		return err
	}, `SELECT `+rolloutColumns+` FROM rollouts`+l.page(p, key, true, "created_at", "id"), l.args...); err != nil {
		return nil, "", fmt.Errorf("list rollouts: %w", err)
	}
	rollouts, more := cut(p, rows)
	if more {
		last := rollouts[len(rollouts)-1]
		next = cursor(millis(last.CreatedAt), int64(last.ID))
	}
	return rollouts, next, countJobs(ctx, s.reader(), rollouts)
}

// Rollout gives one rollout.
func (s *Store) Rollout(ctx context.Context, id RolloutID) (Rollout, error) {
	return oneRollout(ctx, s.reader(), id)
}

func oneRollout(ctx context.Context, c conn, id RolloutID) (Rollout, error) {
	var one []Rollout
	err := c.all(ctx, func(scan func(...any) error) error {
		r, err := scanRollout(scan)
		one = append(one, r)
		return err
	}, `SELECT `+rolloutColumns+` FROM rollouts WHERE id = $1`, int64(id))
	switch {
	case err != nil:
		return Rollout{}, err
	case len(one) == 0:
		return Rollout{}, ErrNoRollout
	}
	return one[0], countJobs(ctx, c, one)
}

// countJobs counts the jobs of rollouts by their states.
func countJobs(ctx context.Context, c conn, rollouts []Rollout) error {
	if len(rollouts) == 0 {
		return nil
	}
	var ids []int64
	at := map[RolloutID]int{}
	for i, r := range rollouts {
		ids, at[r.ID] = append(ids, int64(r.ID)), i
	}
	return c.all(ctx, func(scan func(...any) error) error {
		var id RolloutID
		var state JobState
		var n int
		err := scan(&id, &state, &n)
		if r := at[id]; err == nil {
			rollouts[r].Hosts += n
			rollouts[r].Jobs[state] = n
		}
		return err
	}, `SELECT rollout_id, state, COUNT(*) FROM jobs WHERE rollout_id IN (`+numbers(ids)+`) GROUP BY rollout_id, state`)
}

// PlannedJob is a job with its plans.
type PlannedJob struct {
	Job
	Plans []fleet.Plan
}

// EachPlanned gives the jobs of a rollout whose plans wait for an approval, with their plans, in the order of their IDs; and where there are none, those that had plans.
func (s *Store) EachPlanned(ctx context.Context, id RolloutID, each func(PlannedJob) error) error {
	return s.snapshot(ctx, func(c conn) error {
		jobs, err := jobsOf(ctx, c, id, JobPlanned)
		if err == nil && len(jobs) == 0 {
			jobs, err = jobsOf(ctx, c, id, "")
		}
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if len(j.planDigests) == 0 {
				continue
			}
			plans, err := plansOf(ctx, c, j.PlanOrder)
			if err == nil {
				err = each(PlannedJob{j, plans})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// jobsOf gives the jobs of a rollout in a state, or in any, in the order of their IDs.
func jobsOf(ctx context.Context, c conn, id RolloutID, state JobState) ([]Job, error) {
	l := JobFilter{Rollout: id}.list()
	if state != "" {
		l.add("j.state = ?", string(state))
	}
	var jobs []Job
	err := c.all(ctx, func(scan func(...any) error) error {
		j, err := scanJob(scan)
		jobs = append(jobs, j)
		return err
	}, `SELECT `+jobColumns+fromJobs+l.where()+` ORDER BY j.id`, l.args...)
	return jobs, err
}
