package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"redflag/internal/access"
)

// TOTP is the second factor of a person: a secret that an authenticator makes codes of (RFC 6238).
type TOTP struct {
	Secret string
	// Step is the newest that a code was used of; -1 while the person has not shown one.
	Step int64
}

// On says whether it is asked for: a person who has not shown a code may not have kept the secret.
func (t TOTP) On() bool { return t.Step >= 0 }

// TOTP gives a person's, which is empty where there is none.
func (s *Store) TOTP(ctx context.Context, user int64) (TOTP, error) {
	t := TOTP{Step: -1}
	err := s.reader().one(ctx, []any{&t.Secret, &t.Step}, `SELECT secret, step FROM totp WHERE user_id = $1`, user)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return t, err
}

// ErrHasTOTP: the person has a second factor that is in use.
var ErrHasTOTP = errors.New("there is a second factor already: take it out of use first")

// OfferTOTP keeps a secret that is not asked for until a code of it was shown.
func (s *Store) OfferTOTP(ctx context.Context, user int64, secret string) error {
	return s.inTx(ctx, func(c conn) error {
		if err := lockUser(ctx, c, user); err != nil {
			return err
		}
		n, err := c.exec(ctx, `INSERT INTO totp (user_id, secret, step) VALUES ($1, $2, -1)
			ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret WHERE totp.step < 0`, user, secret)
		if err == nil && n == 0 {
			err = ErrHasTOTP
		}
		return err
	})
}

// ErrStep: a code of this step, or of a later one, was used already.
var ErrStep = errors.New("the code was used already: wait for the next one")

// UseTOTP notes that a code was used. Each is good once: of two who use it at the same time one gets in.
func (s *Store) UseTOTP(ctx context.Context, user, step int64) error {
	return s.inTx(ctx, func(c conn) error {
		n, err := c.exec(ctx, `UPDATE totp SET step = $1 WHERE user_id = $2 AND step < $1`, step, user)
		if err == nil && n == 0 {
			err = ErrStep
		}
		return err
	})
}

// ErrNoTOTP: the person has no second factor.
var ErrNoTOTP = errors.New("there is no second factor")

// DeleteTOTP takes a second factor out of use.
func (s *Store) DeleteTOTP(ctx context.Context, user int64) error {
	return s.delete(ctx, ErrNoTOTP, `DELETE FROM totp WHERE user_id = $1`, user)
}

// Passkey is a key that an authenticator signs in with.
type Passkey struct {
	// ID is the authenticator's, base64url.
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	// UsedAt is absent for one that was never used.
	UsedAt time.Time `json:"used_at,omitzero"`

	User       int64  `json:"-"`
	Credential []byte `json:"-"`
}

const (
	passkeyColumns = `id, user_id, name, credential, created_at, used_at`
	// maxPasskeys bounds those of one person.
	maxPasskeys = 20
)

// ErrManyPasskeys: more than one person has use for.
var ErrManyPasskeys = fmt.Errorf("there are %d passkeys already: remove one first", maxPasskeys)

// NewPasskey adds a passkey to a person.
func (s *Store) NewPasskey(ctx context.Context, p Passkey, now time.Time) error {
	if err := checkName(p.Name); err != nil {
		return err
	}
	return s.inTx(ctx, func(c conn) error {
		if err := lockUser(ctx, c, p.User); err != nil {
			return err
		}
		var n int64
		if err := c.one(ctx, []any{&n}, `SELECT COUNT(*) FROM passkeys WHERE user_id = $1`, p.User); err != nil {
			return err
		}
		if n >= maxPasskeys {
			return ErrManyPasskeys
		}
		n, err := c.exec(ctx, `INSERT INTO passkeys (`+passkeyColumns+`) VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT DO NOTHING`, p.ID, p.User, p.Name, string(p.Credential), now.UnixMilli())
		if err == nil && n == 0 {
			err = ErrTaken
		}
		return err
	})
}

func (s *Store) passkeys(ctx context.Context, query string, args ...any) ([]Passkey, error) {
	list := []Passkey{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var p Passkey
		var credential string
		var created, used int64
		err := scan(&p.ID, &p.User, &p.Name, &credential, &created, &used)
		p.Credential, p.CreatedAt, p.UsedAt = []byte(credential), moment(created), moment(used)
		list = append(list, p)
		return err
	}, query, args...)
	return list, err
}

// Passkeys gives those of a person, the oldest first.
func (s *Store) Passkeys(ctx context.Context, user int64) ([]Passkey, error) {
	return s.passkeys(ctx, `SELECT `+passkeyColumns+` FROM passkeys WHERE user_id = $1 ORDER BY created_at, id`, user)
}

// UsePasskey notes that a passkey was used, and what the authenticator counts.
func (s *Store) UsePasskey(ctx context.Context, id string, credential []byte, now time.Time) error {
	return s.inTx(ctx, func(c conn) error {
		n, err := c.exec(ctx, `UPDATE passkeys SET credential = $1, used_at = $2 WHERE id = $3`, string(credential), now.UnixMilli(), id)
		if err == nil && n == 0 {
			err = ErrNoPasskey
		}
		return err
	})
}

// ErrNoPasskey: there is no such passkey of this person.
var ErrNoPasskey = errors.New("no such passkey")

// DeletePasskey takes a passkey of a person out of use.
func (s *Store) DeletePasskey(ctx context.Context, user int64, id string) error {
	return s.delete(ctx, ErrNoPasskey, `DELETE FROM passkeys WHERE id = $1 AND user_id = $2`, id, user)
}

// maxChallenges bounds those that nobody has answered: who asks for more makes the oldest void.
const maxChallenges = 1000

// NewChallenge keeps a challenge until it is answered or has run out, and gives the name that its answer comes with.
func (s *Store) NewChallenge(ctx context.Context, body []byte, expires time.Time) (string, error) {
	secret := access.NewSecret("")
	return secret, s.inTx(ctx, func(c conn) error {
		if _, err := c.exec(ctx, `DELETE FROM challenges WHERE hash IN (SELECT hash FROM challenges ORDER BY expires_at DESC, hash LIMIT $1 OFFSET $2)`,
			tidyBatch, maxChallenges-1); err != nil {
			return err
		}
		_, err := c.exec(ctx, `INSERT INTO challenges (hash, body, expires_at) VALUES ($1, $2, $3)`, hashSecret(secret), string(body), expires.UnixMilli())
		return err
	})
}

// ErrNoChallenge: it was answered, or has run out.
var ErrNoChallenge = errors.New("it took too long, or was answered already: begin again")

// TakeChallenge gives a challenge, once.
func (s *Store) TakeChallenge(ctx context.Context, secret string, now time.Time) ([]byte, error) {
	var body string
	err := s.inTx(ctx, func(c conn) error {
		hash := hashSecret(secret)
		if err := c.one(ctx, []any{&body}, `SELECT body FROM challenges WHERE hash = $1 AND expires_at > $2`, hash, now.UnixMilli()); err != nil {
			return notFound(err, ErrNoChallenge)
		}
		n, err := c.exec(ctx, `DELETE FROM challenges WHERE hash = $1`, hash)
		if err == nil && n == 0 {
			err = ErrNoChallenge
		}
		return err
	})
	return []byte(body), err
}
