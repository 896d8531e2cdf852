package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// AnySeats lets a token enrol any number of hosts.
const AnySeats = -1

// Token lets hosts join. Its secret is shown once, when it is made; only a hash of it is kept.
type Token struct {
	ID int64 `json:"id"`
	// Seats is how many hosts may still join with it; AnySeats for any number.
	Seats     int               `json:"seats"`
	Labels    map[string]string `json:"labels"`
	CreatedAt time.Time         `json:"created_at"`
	CreatedBy string            `json:"created_by"`
	ExpiresAt time.Time         `json:"expires_at"`
}

// NewToken makes a token and gives its secret.
func (s *Store) NewToken(ctx context.Context, t Token) (Token, string, error) {
	if err := CheckLabels(t.Labels); err != nil {
		return t, "", err
	}
	secret := rand.Text()
	t.ID = newID()
	labels, err := json.Marshal(t.Labels)
	if err != nil {
		return t, "", err
	}
	err = s.inTx(ctx, func(c conn) error {
		_, err := c.exec(ctx, `INSERT INTO tokens (id, hash, seats, labels, created_at, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			t.ID, hashSecret(secret), t.Seats, string(labels), millis(t.CreatedAt), t.CreatedBy, millis(t.ExpiresAt))
		return err
	})
	if err != nil {
		return t, "", fmt.Errorf("make a token: %w", err)
	}
	return t, secret, nil
}

// Tokens gives every token that is kept, the newest first.
func (s *Store) Tokens(ctx context.Context) ([]Token, error) {
	list := []Token{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var t Token
		var labels string
		var created, expires int64
		if err := scan(&t.ID, &t.Seats, &labels, &created, &t.CreatedBy, &expires); err != nil {
			return err
		}
		t.CreatedAt, t.ExpiresAt = moment(created), moment(expires)
		err := json.Unmarshal([]byte(labels), &t.Labels)
		list = append(list, t)
		return err
	}, `SELECT id, seats, labels, created_at, created_by, expires_at FROM tokens ORDER BY created_at DESC, id`)
	return list, err
}

// DeleteToken takes a token out of use; the hosts that joined with it stay.
func (s *Store) DeleteToken(ctx context.Context, id int64) error {
	return s.delete(ctx, ErrNoToken, `DELETE FROM tokens WHERE id = $1`, id)
}

// hashSecret is enough for secrets of 128 random bits, which nobody can guess.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// heldToken is a token that an enrolment uses.
type heldToken struct {
	id     int64
	labels map[string]string
}

func findToken(ctx context.Context, c conn, secret string, now time.Time) (heldToken, error) {
	var t heldToken
	var labels string
	err := c.one(ctx, []any{&t.id, &labels}, `SELECT id, labels FROM tokens WHERE hash = $1 AND expires_at > $2`, hashSecret(secret), now.UnixMilli())
	if err != nil {
		return t, notFound(err, ErrToken)
	}
	return t, json.Unmarshal([]byte(labels), &t.labels)
}

// takeSeat takes one seat. The guard is in the statement, so seats hold whoever else enrols at the time.
func (t heldToken) takeSeat(ctx context.Context, c conn) error {
	n, err := c.exec(ctx, `UPDATE tokens SET seats = seats - CASE WHEN seats = -1 THEN 0 ELSE 1 END WHERE id = $1 AND seats <> 0`, t.id)
	if err == nil && n == 0 {
		return ErrSeats
	}
	return err
}
