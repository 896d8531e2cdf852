package store

import (
	"context"
	"fmt"
	"time"
)

// Point is how the fleet was at a time.
type Point struct {
	At    time.Time `json:"at"`
	Hosts int       `json:"hosts"`
	// HostsUnknown and HostsSecurity count hosts by their state.
	HostsUnknown  int `json:"hosts_unknown"`
	HostsSecurity int `json:"hosts_security"`
	// Updates and Security count what was pending, on all hosts together; Images are the image updates among them.
	Updates  int `json:"updates"`
	Security int `json:"security"`
	Images   int `json:"images"`
	// Installed counts what was installed since the first point. What was installed between two points is their difference.
	Installed int `json:"installed"`
}

const pointColumns = `at, hosts, hosts_unknown, hosts_security, updates, security, images, installed`

func (p *Point) scan(scan func(...any) error) error {
	var at int64
	err := scan(&at, &p.Hosts, &p.HostsUnknown, &p.HostsSecurity, &p.Updates, &p.Security, &p.Images, &p.Installed)
	p.At = moment(at)
	return err
}

// Trend gives how the fleet was since a time, the oldest point first.
func (s *Store) Trend(ctx context.Context, since time.Time) ([]Point, error) {
	list := []Point{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var p Point
		err := p.scan(scan)
		list = append(list, p)
		return err
	}, `SELECT `+pointColumns+` FROM trend WHERE at >= $1 ORDER BY at`, millis(since))
	if err != nil {
		return nil, fmt.Errorf("list how the fleet was: %w", err)
	}
	return list, nil
}

// settled is after how long every report of a time has been saved, so that none is left out of a count.
const settled = time.Minute

// SaveTrend notes how the fleet is now. Hosts that were not seen since stale are unknown.
func (s *Store) SaveTrend(ctx context.Context, now, stale time.Time) error {
	sum, err := s.Summary(ctx, now, stale)
	if err != nil {
		return err
	}
	err = s.inTx(ctx, func(c conn) error {
		var last Point
		if err := c.all(ctx, last.scan, `SELECT `+pointColumns+` FROM trend ORDER BY at DESC LIMIT 1`); err != nil {
			return err
		}
		var installed int
		if !last.At.IsZero() {
			if err := c.one(ctx, []any{&installed}, `SELECT COUNT(*) FROM history WHERE gone_at > $1 AND gone_at <= $2 AND how = $3`,
				last.At.Add(-settled).UnixMilli(), now.Add(-settled).UnixMilli(), string(Installed)); err != nil {
				return err
			}
		}
		_, err := c.exec(ctx, `INSERT INTO trend (`+pointColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
			now.UnixMilli(), sum.Hosts, sum.States[HostUnknown], sum.States[HostSecurity], sum.Updates, sum.Security, sum.Images["update"], last.Installed+installed)
		return err
	})
	if err != nil {
		return fmt.Errorf("note how the fleet is: %w", err)
	}
	return nil
}

// thinning keeps the last point of each span, once the points are so old. A year and a half is some 1,500 points.
var thinning = []struct{ age, span time.Duration }{
	{7 * 24 * time.Hour, 6 * time.Hour},
	{60 * 24 * time.Hour, 24 * time.Hour},
}

// thinTrend deletes points that are older than they are kept, and those between others.
func (s *Store) thinTrend(ctx context.Context, keep time.Duration, now time.Time) error {
	return s.inTx(ctx, func(c conn) error {
		if _, err := c.exec(ctx, `DELETE FROM trend WHERE at < $1`, now.Add(-keep).UnixMilli()); err != nil {
			return err
		}
		for _, t := range thinning {
			before := now.Add(-t.age).UnixMilli()
			if _, err := c.exec(ctx, `DELETE FROM trend WHERE at < $1 AND at NOT IN (SELECT MAX(at) FROM trend WHERE at < $1 GROUP BY at / $2)`, before, t.span.Milliseconds()); err != nil {
				return err
			}
		}
		return nil
	})
}
