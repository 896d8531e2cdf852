package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// lostAfter is how long nothing may be heard of an order that was begun before it is given up.
const lostAfter = time.Hour

// overdue is an order of which nothing more is waited for.
type overdue struct {
	host   fleet.HostID
	result wire.Result
}

// ExpireOrders ends the orders that no host fetched in time and the plans that nobody approved, and gives up those that were begun and of which nothing was
// heard. It gives the hosts whose jobs have changed.
func (s *Store) ExpireOrders(ctx context.Context, now time.Time) ([]fleet.HostID, error) {
	var late []overdue
	silent := now.Add(-lostAfter).UnixMilli()
	for _, kind := range []struct {
		state          wire.State
		because, query string
		args           []any
	}{
		{wire.Expired, "the host did not come for it in time", `SELECT id, host_id FROM orders WHERE state = $1 AND expires_at <= $2 AND given_at = 0`, []any{string(wire.Waiting), now.UnixMilli()}},
		{wire.Lost, "the host was given it, and has not said what became of it", `SELECT id, host_id FROM orders WHERE state = $1 AND expires_at <= $2 AND given_at > 0`, []any{string(wire.Waiting), now.UnixMilli()}},
		{wire.Lost, "the host took it, and has not said what became of it", `SELECT o.id, o.host_id FROM orders AS o WHERE o.state IN ($1, $2) AND o.expires_at <= $3
			AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = o.job_id AND j.heard_at > $3)`, []any{string(wire.Running), string(wire.Held), silent}},
		{wire.Lost, "the host began it, and has not been heard of since", `SELECT o.id, o.host_id FROM orders AS o JOIN hosts AS h ON h.id = o.host_id WHERE o.state = $1 AND o.changed_at <= $2 AND h.seen_at <= $2
			AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = o.job_id AND j.heard_at > $2)`, []any{string(wire.Running), silent}},
	} {
		if err := s.reader().all(ctx, func(scan func(...any) error) error {
			o := overdue{result: wire.Result{State: kind.state, Because: kind.because}}
			var id int64
			err := scan(&id, &o.host)
			o.result.Order = wire.OrderID(id)
			late = append(late, o)
			return err
		}, kind.query, kind.args...); err != nil {
			return nil, fmt.Errorf("look for orders that have run out: %w", err)
		}
	}
	changed := map[fleet.HostID]bool{}
	for some := range slices.Chunk(late, batch) {
		if err := s.inTx(ctx, func(c conn) error { return giveUp(ctx, c, some, now) }); err != nil {
			return nil, fmt.Errorf("end orders that have run out: %w", err)
		}
		for _, o := range some {
			changed[o.host] = true
		}
	}
	hosts, err := s.expirePlans(ctx, now)
	for id := range changed {
		hosts = append(hosts, id)
	}
	return hosts, err
}

func giveUp(ctx context.Context, c conn, late []overdue, now time.Time) error {
	for _, o := range late {
		if err := settle(ctx, c, o.host, o.result, now); err != nil && !isGone(err) {
			return err
		}
	}
	return nil
}

// isGone says that a host was forgotten meanwhile.
func isGone(err error) bool { return errors.Is(err, ErrNoOrder) || errors.Is(err, ErrNoJob) }

// expirePlans ends the jobs whose plans nobody approved in time.
func (s *Store) expirePlans(ctx context.Context, now time.Time) (hosts []fleet.HostID, err error) {
	err = s.inTx(ctx, func(c conn) error {
		hosts = nil
		if err := c.all(ctx, func(scan func(...any) error) error {
			var id fleet.HostID
			err := scan(&id)
			hosts = append(hosts, id)
			return err
		}, `SELECT host_id FROM jobs WHERE state = $1 AND expires_at <= $2`, string(JobPlanned), now.UnixMilli()); err != nil || len(hosts) == 0 {
			return err
		}
		_, err := c.exec(ctx, `UPDATE jobs SET state = $1, because = 'nobody approved it in time', changed_at = $2 WHERE state = $3 AND expires_at <= $2`,
			string(JobExpired), now.UnixMilli(), string(JobPlanned))
		return err
	})
	return hosts, err
}
