package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// Setting gives what all processes on this database share under a name. Where there is nothing yet it makes it, once: of two
// processes that begin at the same time both get the same.
func (s *Store) Setting(ctx context.Context, name string, create func() ([]byte, error)) ([]byte, error) {
	var value []byte
	err := s.inTx(ctx, func(c conn) error {
		var err error
		if value, err = readSetting(ctx, c, name); !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		made, err := create()
		if err != nil {
			return err
		}
		if _, err := c.exec(ctx, `INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, base64.StdEncoding.EncodeToString(made)); err != nil {
			return err
		}
		value, err = readSetting(ctx, c, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the setting %s: %w", name, err)
	}
	return value, nil
}

func readSetting(ctx context.Context, c conn, name string) ([]byte, error) {
	var text string
	if err := c.one(ctx, []any{&text}, `SELECT value FROM settings WHERE name = $1`, name); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(text)
}

// SaveSetting puts a value in place of the one before.
func (s *Store) SaveSetting(ctx context.Context, name string, value []byte) error {
	if err := s.inTx(ctx, func(c conn) error { return saveSetting(ctx, c, name, value) }); err != nil {
		return fmt.Errorf("keep the setting %s: %w", name, err)
	}
	return nil
}

func saveSetting(ctx context.Context, c conn, name string, value []byte) error {
	_, err := c.exec(ctx, `INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
		name, base64.StdEncoding.EncodeToString(value))
	return err
}

// Lease says whether this holder may do a piece of work until a time, because no other holds it. A holder may renew its own.
func (s *Store) Lease(ctx context.Context, name, holder string, now, until time.Time) (bool, error) {
	var n int64
	err := s.inTx(ctx, func(c conn) (err error) {
		n, err = c.exec(ctx, `INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE leases.until <= $4 OR leases.holder = excluded.holder`,
			name, holder, until.UnixMilli(), now.UnixMilli())
		return err
	})
	return n > 0, err
}
