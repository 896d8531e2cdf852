package store

import (
	"context"
	"fmt"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Summary is the fleet in numbers.
type Summary struct {
	Hosts  int               `json:"hosts"`
	States map[HostState]int `json:"states"`
	Totals
	// Reboot and Restart count the hosts by whether they need one.
	Reboot  map[fleet.Need]int `json:"reboot"`
	Restart map[fleet.Need]int `json:"restart"`
	// Silent counts the hosts that were not heard of for so long that it is not known any more how they are.
	Silent int `json:"silent"`
	// Clones counts the hosts whose identity two machines seem to use.
	Clones int `json:"clones"`
	// Images counts the images on hosts by their answer.
	Images map[fleet.Answer]int `json:"images"`
	// SecurityAge counts the security updates that are pending on hosts, by how long the first host has had each on offer.
	SecurityAge Age `json:"security_age"`
	// Orders counts the orders that are no job's: those that have not ended, and what has failed lately.
	Orders OrderCount `json:"orders"`
	// Jobs counts the jobs that have not ended, and what has failed lately.
	Jobs JobCount `json:"jobs"`
}

// Age counts things by how long they are there.
type Age struct {
	Day   int `json:"day"`   // less than a day
	Week  int `json:"week"`  // a day and more, less than a week
	Month int `json:"month"` // a week and more, less than 30 days
	Older int `json:"older"` // 30 days and more
}

// OrderCount counts orders.
type OrderCount struct {
	Waiting int `json:"waiting"`
	Running int `json:"running"`
	// Failed counts those that failed, expired or were lost within a day.
	Failed int `json:"failed"`
}

// Summary counts the fleet as it is now. Hosts that were not seen since stale are unknown.
func (s *Store) Summary(ctx context.Context, now, stale time.Time) (Summary, error) {
	sum := Summary{States: map[HostState]int{}, Reboot: map[fleet.Need]int{}, Restart: map[fleet.Need]int{}, Images: map[fleet.Answer]int{}}
	for _, state := range []HostState{HostUnknown, HostSecurity, HostOutdated, HostCurrent} {
		sum.States[state] = 0
	}
	err := s.snapshot(ctx, func(c conn) error {
		if err := sum.countHosts(ctx, c); err != nil {
			return err
		}
		if err := sum.countStale(ctx, c, stale); err != nil {
			return err
		}
		if err := sum.SecurityAge.count(ctx, c, now); err != nil {
			return err
		}
		if err := sum.Orders.count(ctx, c, now); err != nil {
			return err
		}
		if err := sum.Jobs.count(ctx, c, now); err != nil {
			return err
		}
		return c.all(ctx, func(scan func(...any) error) error {
			var answer fleet.Answer
			var n int
			err := scan(&answer, &n)
			sum.Images[answer] += n
			return err
		}, `SELECT answer, hosts FROM images`)
	})
	if err != nil {
		return sum, fmt.Errorf("count the fleet: %w", err)
	}
	return sum, nil
}

// countHosts counts from an index that has all the counters.
func (sum *Summary) countHosts(ctx context.Context, c conn) error {
	return c.all(ctx, func(scan func(...any) error) error {
		var state HostState
		var reboot, restart fleet.Need
		var n, clones int
		var t Totals
		if err := scan(&state, &reboot, &restart, &n, &clones, &t.Updates, &t.Security, &t.Blocked, &t.Unconfirmed, &t.Unknown, &t.Packages, &t.Containers); err != nil {
			return err
		}
		sum.Hosts += n
		sum.States[state] += n
		sum.Reboot[reboot] += n
		sum.Restart[restart] += n
		sum.Clones += clones
		sum.Totals.add(t)
		return nil
	}, `SELECT CASE WHEN `+unknownHost+` THEN 'unknown' ELSE `+stateOfHost+` END, reboot, restart, COUNT(*), SUM(CASE WHEN clone <> '' THEN 1 ELSE 0 END),
			SUM(updates), SUM(security), SUM(blocked), SUM(unconfirmed), SUM(unknown), SUM(packages), SUM(containers)
		FROM hosts GROUP BY 1, 2, 3`)
}

func (t *Totals) add(o Totals) {
	t.Updates += o.Updates
	t.Security += o.Security
	t.Blocked += o.Blocked
	t.Unconfirmed += o.Unconfirmed
	t.Unknown += o.Unknown
	t.Packages += o.Packages
	t.Containers += o.Containers
}

// countStale makes unknown what was counted by the word of hosts that were not seen for long.
func (sum *Summary) countStale(ctx context.Context, c conn, stale time.Time) error {
	if err := c.one(ctx, []any{&sum.Silent}, `SELECT COUNT(*) FROM hosts WHERE seen_at < $1`, millis(stale)); err != nil {
		return err
	}
	return c.all(ctx, func(scan func(...any) error) error {
		var state HostState
		var n int
		if err := scan(&state, &n); err != nil {
			return err
		}
		sum.States[state] -= n
		sum.States[HostUnknown] += n
		return nil
	}, `SELECT `+stateOfHost+`, COUNT(*) FROM hosts WHERE seen_at < $1 AND NOT `+unknownHost+` GROUP BY 1`, millis(stale))
}

// count counts from the fleet's updates, of which there are far fewer than a fleet has pending.
func (a *Age) count(ctx context.Context, c conn, now time.Time) error {
	const day = 24 * time.Hour
	before := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	return c.one(ctx, []any{&a.Day, &a.Week, &a.Month, &a.Older}, `SELECT
			COALESCE(SUM(CASE WHEN first_seen > $1 THEN hosts ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN first_seen <= $1 AND first_seen > $2 THEN hosts ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN first_seen <= $2 AND first_seen > $3 THEN hosts ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN first_seen <= $3 THEN hosts ELSE 0 END), 0)
		FROM offers WHERE security = 1`, before(day), before(7*day), before(30*day))
}

// JobCount counts jobs.
type JobCount struct {
	Planning int `json:"planning"`
	// Planned counts those that wait for an approval.
	Planned int `json:"planned"`
	// Waiting counts those that are approved, and were not begun.
	Waiting int `json:"waiting"`
	Running int `json:"running"`
	// Failed counts those that failed, were rolled back, expired or became unknown within a day.
	Failed int `json:"failed"`
}

func (j *JobCount) count(ctx context.Context, c conn, now time.Time) error {
	return c.all(ctx, func(scan func(...any) error) error {
		var state JobState
		var n int
		err := scan(&state, &n)
		switch state {
		case JobPlanning:
			j.Planning += n
		case JobPlanned:
			j.Planned += n
		case JobApproved, JobWaiting:
			j.Waiting += n
		case JobRunning:
			j.Running += n
		default:
			j.Failed += n
		}
		return err
	}, `SELECT state, COUNT(*) FROM jobs WHERE state IN (`+quoted(openStates[:]...)+`) OR state IN (`+quoted(badStates[:]...)+`) AND changed_at > $1 GROUP BY state`, now.Add(-24*time.Hour).UnixMilli())
}

func (w *OrderCount) count(ctx context.Context, c conn, now time.Time) error {
	return c.all(ctx, func(scan func(...any) error) error {
		var state wire.State
		var n int
		err := scan(&state, &n)
		switch state {
		case wire.Waiting:
			w.Waiting += n
		case wire.Held, wire.Running:
			w.Running += n
		default:
			w.Failed += n
		}
		return err
	}, `SELECT state, COUNT(*) FROM orders WHERE job_id = 0 AND (state IN ($1, $2, $3) OR state IN ($4, $5, $6) AND changed_at > $7) GROUP BY state`,
		string(wire.Waiting), string(wire.Held), string(wire.Running), string(wire.Failed), string(wire.Expired), string(wire.Lost), now.Add(-24*time.Hour).UnixMilli())
}
