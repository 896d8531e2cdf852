package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"time"

	"redflag/internal/fleet"
)

const (
	// maxHistory bounds the history, and who did what: a million updates that left are 600 MB.
	maxHistory = 1_000_000
	// tidyBatch is how many rows are deleted in one transaction, so that no report waits long.
	tidyBatch = 5_000
	// keepOrders is how long an order or a job that has ended is kept, with its lines.
	keepOrders = 90 * 24 * time.Hour
	// maxJobs bounds the jobs that are kept: a fleet of 1,000 hosts that is patched every day for 90 days has 90,000.
	maxJobs = 100_000
	// keepTokens is how long a token that has expired is still listed.
	keepTokens = 30 * 24 * time.Hour
)

// Tidy deletes what is older than it is kept, the oldest first. It keeps the file bounded:
// SQLite uses the space again.
func (s *Store) Tidy(ctx context.Context, keep time.Duration, now time.Time) error {
	if err := s.tidyJobs(ctx, now); err != nil {
		return fmt.Errorf("tidy jobs: %w", err)
	}
	for _, t := range []struct {
		what, query string
		args        []any
	}{
		{"history", `DELETE FROM history WHERE id IN (SELECT id FROM history WHERE gone_at < $1 ORDER BY gone_at LIMIT $2)`, []any{now.Add(-keep).UnixMilli(), tidyBatch}},
		{"history", `DELETE FROM history WHERE id IN (SELECT id FROM history ORDER BY gone_at DESC, id DESC LIMIT $1 OFFSET $2)`, []any{tidyBatch, maxHistory}},
		{"rollouts", `DELETE FROM rollouts WHERE id IN (SELECT id FROM rollouts AS r WHERE created_at < $1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE rollout_id = r.id) ORDER BY created_at LIMIT $2)`, []any{now.Add(-time.Hour).UnixMilli(), tidyBatch}},
		{"orders", `DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE changed_at < $1 AND state NOT IN ('waiting', 'held', 'running') AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = job_id) ORDER BY changed_at LIMIT $2)`, []any{now.Add(-keepOrders).UnixMilli(), tidyBatch}},
		{"answers", `DELETE FROM answers WHERE order_id IN (SELECT order_id FROM answers AS a WHERE NOT EXISTS (SELECT 1 FROM orders WHERE id = a.order_id) LIMIT $1)`, []any{tidyBatch}},
		{"tokens", `DELETE FROM tokens WHERE expires_at < $1`, []any{now.Add(-keepTokens).UnixMilli()}},
		{"logins", `DELETE FROM logins WHERE expires_at < $1`, []any{now.UnixMilli()}},
		{"challenges", `DELETE FROM challenges WHERE expires_at < $1`, []any{now.UnixMilli()}},
		{"deeds", `DELETE FROM deeds WHERE id IN (SELECT id FROM deeds WHERE at < $1 ORDER BY at LIMIT $2)`, []any{now.Add(-keep).UnixMilli(), tidyBatch}},
		{"deeds", `DELETE FROM deeds WHERE id IN (SELECT id FROM deeds ORDER BY at DESC, id DESC LIMIT $1 OFFSET $2)`, []any{tidyBatch, maxHistory}},
	} {
		if err := s.deleteAll(ctx, t.query, t.args); err != nil {
			return fmt.Errorf("tidy %s: %w", t.what, err)
		}
	}
	if err := s.thinTrend(ctx, keep, now); err != nil {
		return fmt.Errorf("tidy how the fleet was: %w", err)
	}
	return nil
}

// packagesLock is held by whoever deletes packages, and shared by whoever gives some to a host.
const packagesLock = 0x72656467

// TidyPackages deletes the packages that no host has any more, shelf by shelf, so that no report waits long.
func (s *Store) TidyPackages(ctx context.Context) error {
	lie, err := s.allPackages(ctx)
	if err != nil {
		return fmt.Errorf("tidy packages: %w", err)
	}
	for n, ids := range lie {
		if err := s.inTx(ctx, func(c conn) error { return tidyShelf(ctx, c, n, ids) }); err != nil {
			return fmt.Errorf("tidy packages: %w", err)
		}
	}
	s.dictionary.forget()
	return nil
}

// allPackages gives the IDs of every package by shelf.
func (s *Store) allPackages(ctx context.Context) (map[int64]shelf, error) {
	lie := map[int64]shelf{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var id int64
		var p fleet.Package
		err := scan(&id, &p.Name, &p.From)
		n := shelfOf(p)
		if lie[n] == nil {
			lie[n] = shelf{}
		}
		lie[n][id] = true
		return err
	}, `SELECT id, name, source_package FROM packages`)
	return lie, err
}

// tidyShelf deletes those of the packages on a shelf that no host has. Who gives one to a host waits until it is done, and learns of it by the
// setting.
func tidyShelf(ctx context.Context, c conn, n int64, unused shelf) error {
	if c.d == postgres {
		if _, err := c.exec(ctx, `SELECT pg_advisory_xact_lock($1)`, packagesLock); err != nil {
			return err
		}
	}
	if err := c.all(ctx, func(scan func(...any) error) error {
		var text string
		if err := scan(&text); err != nil {
			return err
		}
		used, err := parseShelf(text)
		for id := range used {
			delete(unused, id)
		}
		return err
	}, `SELECT packages FROM host_packages WHERE shelf = $1`, n); err != nil || len(unused) == 0 {
		return err
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(unused)), batch) {
		if _, err := c.exec(ctx, `DELETE FROM packages WHERE id IN (`+numbers(ids)+`)`); err != nil {
			return err
		}
	}
	return saveSetting(ctx, c, tidied, []byte(rand.Text()))
}

// deleteAll repeats a statement that deletes at most tidyBatch rows, until there are no more.
func (s *Store) deleteAll(ctx context.Context, query string, args []any) error {
	for {
		var n int64
		err := s.inTx(ctx, func(c conn) (err error) {
			n, err = c.exec(ctx, query, args...)
			return err
		})
		if err != nil || n < tidyBatch {
			return err
		}
	}
}
