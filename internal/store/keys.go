package store

import (
	"context"
	"fmt"
	"time"

	"redflag/internal/access"
)

// Key lets a program use the API. Its secret is shown once, when it is made; only a hash of it is kept.
type Key struct {
	ID        int64        `json:"id"`
	Name      string       `json:"name"`
	Scope     access.Scope `json:"scope"`
	CreatedAt time.Time    `json:"created_at"`
	CreatedBy string       `json:"created_by"`
	// UsedAt is when it was last used, to the minute; absent when it never was.
	UsedAt time.Time `json:"used_at,omitzero"`
	// ExpiresAt is absent for one that does not expire.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// keyPrefix is what API keys begin with, so that people and scanners of leaked secrets know them.
const keyPrefix = "rf_key_"

// NewKey makes a key and gives its secret.
func (s *Store) NewKey(ctx context.Context, k Key, now time.Time) (Key, string, error) {
	if err := checkName(k.Name); err != nil {
		return k, "", err
	}
	secret := access.NewSecret(keyPrefix)
	k.ID, k.CreatedAt, k.UsedAt = newID(), moment(now.UnixMilli()), time.Time{}
	err := s.inTx(ctx, func(c conn) error {
		_, err := c.exec(ctx, `INSERT INTO api_keys (id, hash, name, scope, created_at, created_by, used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $7)`,
			k.ID, hashSecret(secret), k.Name, string(k.Scope), now.UnixMilli(), k.CreatedBy, millis(k.ExpiresAt))
		return err
	})
	if err != nil {
		return k, "", fmt.Errorf("make an API key: %w", err)
	}
	return k, secret, nil
}

const keyColumns = `id, name, scope, created_at, created_by, used_at, expires_at`

func (s *Store) keys(ctx context.Context, query string, args ...any) ([]Key, error) {
	list := []Key{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var k Key
		var created, used, expires int64
		err := scan(&k.ID, &k.Name, &k.Scope, &created, &k.CreatedBy, &used, &expires)
		k.CreatedAt, k.UsedAt, k.ExpiresAt = moment(created), moment(used), moment(expires)
		list = append(list, k)
		return err
	}, query, args...)
	return list, err
}

// Keys gives every API key, by name.
func (s *Store) Keys(ctx context.Context) ([]Key, error) {
	return s.keys(ctx, `SELECT `+keyColumns+` FROM api_keys ORDER BY name, id`)
}

// KeyBySecret gives the key that a program shows.
func (s *Store) KeyBySecret(ctx context.Context, secret string, now time.Time) (Key, error) {
	list, err := s.keys(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE hash = $1 AND (expires_at = 0 OR expires_at > $2)`, hashSecret(secret), now.UnixMilli())
	if err != nil {
		return Key{}, err
	}
	if len(list) == 0 {
		return Key{}, ErrNoKey
	}
	if now.Sub(list[0].UsedAt) < seenEvery {
		return list[0], nil
	}
	return list[0], s.inTx(ctx, func(c conn) error {
		_, err := c.exec(ctx, `UPDATE api_keys SET used_at = $1 WHERE id = $2`, now.UnixMilli(), list[0].ID)
		return err
	})
}

// DeleteKey takes a key out of use.
func (s *Store) DeleteKey(ctx context.Context, id int64) error {
	return s.delete(ctx, ErrNoKey, `DELETE FROM api_keys WHERE id = $1`, id)
}
