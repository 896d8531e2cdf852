package store

import (
	"context"
	"fmt"
	"time"

	"redflag/internal/fleet"
)

// Forget takes a host and all that is known of it out of the fleet.
func (s *Store) Forget(ctx context.Context, id fleet.HostID) error {
	err := s.inTx(ctx, func(c conn) error {
		h, err := lockHost(ctx, c, id)
		if err != nil {
			return err
		}
		w := newSaving(c, s, id, h, time.Time{})
		if err := w.leave(ctx); err != nil {
			return err
		}
		for _, query := range []string{
			`DELETE FROM job_lines WHERE job_id IN (SELECT id FROM jobs WHERE host_id = $1)`,
			`DELETE FROM jobs WHERE host_id = $1`, // before its orders, as everybody locks them
			`DELETE FROM answers WHERE order_id IN (SELECT id FROM orders WHERE host_id = $1)`,
		} {
			if _, err := c.exec(ctx, query, id); err != nil {
				return err
			}
		}
		for _, table := range []string{"updates", "findings", "checks", "containers", "history", "labels", "orders"} {
			if _, err := c.exec(ctx, `DELETE FROM `+table+` WHERE host_id = $1`, id); err != nil {
				return err
			}
		}
		if _, err := c.exec(ctx, `DELETE FROM host_packages WHERE shelf IN (`+numbers(everyShelf())+`) AND host_id = $1`, id); err != nil {
			return err
		}
		if _, err = c.exec(ctx, `DELETE FROM hosts WHERE id = $1`, id); err != nil {
			return err
		}
		if err := w.countOffers(ctx); err != nil {
			return err
		}
		return w.countImages(ctx)
	})
	if err != nil {
		return fmt.Errorf("forget %s: %w", id, err)
	}
	return nil
}

// leave takes the host out of the fleet's counters.
func (w *saving) leave(ctx context.Context) error {
	if err := w.c.all(ctx, func(scan func(...any) error) error {
		var u fleet.Update
		if err := scanJSON(scan, &u); err != nil {
			return err
		}
		w.count(u, -1)
		return nil
	}, `SELECT body FROM updates WHERE host_id = $1`, w.id); err != nil {
		return err
	}
	return w.c.all(ctx, func(scan func(...any) error) error {
		var k imageKey
		err := scan(&k.name, &k.platform, &k.answer)
		w.images[k]--
		return err
	}, `SELECT name, platform, answer FROM checks WHERE host_id = $1`, w.id)
}
