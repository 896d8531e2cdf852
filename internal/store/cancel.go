package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"redflag/internal/wire"
)

// Cancelled is what became of the wish to end jobs.
type Cancelled struct {
	// Stopped have ended now: no host has begun them, and none will. Asked are with their hosts, which were asked to end them, and do so if they have not
	// begun to change anything. Running have begun: of those too it was asked, but what changes a host is not interrupted, and ends by itself.
	Stopped, Asked, Running []Job
}

// Cancel ends the jobs of a scope that have not begun. Where the host has the order already, it is sent the order of ask.
func (s *Store) Cancel(ctx context.Context, sc Scope, by string, now time.Time, ask func(Job) (Delivery, error)) (Cancelled, error) {
	var done Cancelled
	err := s.inTx(ctx, func(c conn) error {
		done = Cancelled{Stopped: []Job{}, Asked: []Job{}, Running: []Job{}}
		if err := lockJobs(ctx, c, sc); err != nil {
			return err
		}
		jobs, err := sc.jobs(ctx, c)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if err := done.cancel(ctx, c, j, by, now, ask); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return done, fmt.Errorf("cancel jobs: %w", err)
	}
	return done, nil
}

func (d *Cancelled) cancel(ctx context.Context, c conn, j Job, by string, now time.Time, ask func(Job) (Delivery, error)) error {
	stopped := j.State == JobPlanning || j.State == JobPlanned
	if j.State == JobPlanning || j.State == JobApproved {
		// An order that no host was given is the server's own to take back.
		n, err := c.exec(ctx, `UPDATE orders SET state = $1, because = $2, changed_at = $3 WHERE id IN ($4, $5) AND state = $6 AND given_at = 0`,
			string(wire.Cancelled), "cancelled by "+by, now.UnixMilli(), int64(j.PlanOrder), int64(j.WorkOrder), string(wire.Waiting))
		if err != nil {
			return err
		}
		stopped = stopped || n > 0
	}
	switch {
	case stopped:
		j.State, j.CancelledBy, j.Because = JobCancelled, by, "cancelled by "+by
		d.Stopped = append(d.Stopped, j)
		_, err := c.exec(ctx, `UPDATE jobs SET state = $1, because = $2, cancelled_by = $3, changed_at = $4 WHERE id = $5 AND state IN (`+quoted(JobPlanning, JobPlanned, JobApproved)+`)`,
			string(JobCancelled), j.Because, by, now.UnixMilli(), int64(j.ID))
		return err
	case j.State.Ended():
		return nil
	case j.State == JobRunning:
		d.Running = append(d.Running, j)
	default:
		d.Asked = append(d.Asked, j)
	}
	if j.cancelOrder != 0 {
		return nil
	}
	return askToCancel(ctx, c, j, by, now, ask)
}

// askToCancel sends the order that ends another one.
func askToCancel(ctx context.Context, c conn, j Job, by string, now time.Time, ask func(Job) (Delivery, error)) error {
	order, err := ask(j)
	if err != nil {
		return err
	}
	body, err := json.Marshal(order.Signed)
	if err != nil {
		return err
	}
	if err := insertOrder(ctx, c, newOrder{order: order.Order, body: body, by: by, job: j.ID}, now); err != nil {
		return err
	}
	_, err = c.exec(ctx, `UPDATE jobs SET cancel_order = $1, cancelled_by = $2 WHERE id = $3 AND cancel_order = 0`, int64(order.Order.ID), by, int64(j.ID))
	return err
}
