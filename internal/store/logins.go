package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"redflag/internal/access"
	"redflag/internal/fleet"
)

// Login is a person who is signed in with one browser.
type Login struct {
	ID     int64 `json:"id"`
	UserID int64 `json:"user"`
	// Browser is what it calls itself.
	Browser   string    `json:"browser"`
	Address   string    `json:"address"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// ErrNoLogin: nobody is signed in with this secret (any more).
var ErrNoLogin = errors.New("not signed in")

// seenEvery is how often it is noted that a login or a key was used: not at each request.
const seenEvery = time.Minute

// maxLogins bounds what one user has of logins, and of links: who signs in once more, as a script may each minute, is signed out where it
// was longest ago.
const maxLogins = 50

// NewLogin signs a user in and gives the secret, of which only a hash is kept.
func (s *Store) NewLogin(ctx context.Context, user int64, browser, address string, now, expires time.Time) (Login, string, error) {
	return s.insertLogin(ctx, Login{UserID: user, Browser: fleet.Plain(browser), Address: address, ExpiresAt: expires}, false, now)
}

// NewLink makes a secret that signs a user in once.
func (s *Store) NewLink(ctx context.Context, user int64, now, expires time.Time) (string, error) {
	_, secret, err := s.insertLogin(ctx, Login{UserID: user, ExpiresAt: expires}, true, now)
	return secret, err
}

func (s *Store) insertLogin(ctx context.Context, l Login, once bool, now time.Time) (Login, string, error) {
	secret := access.NewSecret("")
	err := s.inTx(ctx, func(c conn) (err error) {
		l, err = newLogin(ctx, c, l, secret, once, now)
		return err
	})
	if err != nil {
		return Login{}, "", fmt.Errorf("sign in: %w", err)
	}
	return l, secret, nil
}

// newLogin writes a login of a user who is there until the transaction ends.
func newLogin(ctx context.Context, c conn, l Login, secret string, once bool, now time.Time) (Login, error) {
	if err := lockUser(ctx, c, l.UserID); err != nil {
		return l, err
	}
	if _, err := c.exec(ctx, `DELETE FROM logins WHERE id IN (SELECT id FROM logins WHERE user_id = $1 AND once = $2 ORDER BY seen_at DESC, id LIMIT $3 OFFSET $4)`,
		l.UserID, number(once), tidyBatch, maxLogins-1); err != nil {
		return l, err
	}
	l.ID, l.CreatedAt, l.SeenAt = newID(), moment(now.UnixMilli()), moment(now.UnixMilli())
	_, err := c.exec(ctx, `INSERT INTO logins (id, hash, user_id, agent, address, created_at, seen_at, expires_at, once) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8)`,
		l.ID, hashSecret(secret), l.UserID, l.Browser, l.Address, now.UnixMilli(), millis(l.ExpiresAt), number(once))
	return l, err
}

// UseLink signs in with a link, which is gone then: of two who use it at the same time one gets in.
func (s *Store) UseLink(ctx context.Context, link, browser, address string, now, expires time.Time) (Login, string, error) {
	secret := access.NewSecret("")
	var l Login
	err := s.inTx(ctx, func(c conn) error {
		hash := hashSecret(link)
		err := c.one(ctx, []any{&l.UserID}, `SELECT user_id FROM logins WHERE hash = $1 AND once = 1 AND expires_at > $2`, hash, now.UnixMilli())
		if err != nil {
			return notFound(err, ErrNoLogin)
		}
		if err := lockUser(ctx, c, l.UserID); err != nil { // before the logins, as all do
			return err
		}
		n, err := c.exec(ctx, `DELETE FROM logins WHERE hash = $1 AND once = 1`, hash)
		if err == nil && n == 0 {
			err = ErrNoLogin
		}
		if err != nil {
			return err
		}
		l.Browser, l.Address, l.ExpiresAt = fleet.Plain(browser), address, expires
		l, err = newLogin(ctx, c, l, secret, false, now)
		return err
	})
	if err != nil {
		return Login{}, "", fmt.Errorf("sign in with the link: %w", err)
	}
	return l, secret, nil
}

const loginColumns = `id, user_id, agent, address, created_at, seen_at, expires_at`

func scanLogin(scan func(...any) error) (Login, error) {
	var l Login
	var created, seen, expires int64
	err := scan(&l.ID, &l.UserID, &l.Browser, &l.Address, &created, &seen, &expires)
	l.CreatedAt, l.SeenAt, l.ExpiresAt = moment(created), moment(seen), moment(expires)
	return l, err
}

// Login says who is signed in with a secret.
func (s *Store) Login(ctx context.Context, secret string, now time.Time) (Login, User, error) {
	list, err := s.logins(ctx, `SELECT `+loginColumns+` FROM logins WHERE hash = $1 AND once = 0 AND expires_at > $2`, hashSecret(secret), now.UnixMilli())
	if err != nil {
		return Login{}, User{}, err
	}
	if len(list) == 0 {
		return Login{}, User{}, ErrNoLogin
	}
	l := list[0]
	u, err := s.User(ctx, l.UserID)
	if errors.Is(err, ErrNoUser) {
		err = ErrNoLogin
	}
	if err == nil && now.Sub(l.SeenAt) >= seenEvery {
		err = s.inTx(ctx, func(c conn) error {
			_, err := c.exec(ctx, `UPDATE logins SET seen_at = $1 WHERE id = $2`, now.UnixMilli(), l.ID)
			return err
		})
	}
	return l, u, err
}

// Logins gives those of a user, the newest first.
func (s *Store) Logins(ctx context.Context, user int64) ([]Login, error) {
	return s.logins(ctx, `SELECT `+loginColumns+` FROM logins WHERE user_id = $1 AND once = 0 ORDER BY created_at DESC, id`, user)
}

func (s *Store) logins(ctx context.Context, query string, args ...any) ([]Login, error) {
	list := []Login{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		l, err := scanLogin(scan)
		list = append(list, l)
		return err
	}, query, args...)
	return list, err
}

// EndLogin signs a user out of one browser.
func (s *Store) EndLogin(ctx context.Context, user, id int64) error {
	return s.delete(ctx, ErrNoLogin, `DELETE FROM logins WHERE id = $1 AND user_id = $2`, id, user)
}

// delete runs a statement that deletes something, which must be there.
func (s *Store) delete(ctx context.Context, missing error, query string, args ...any) error {
	return s.inTx(ctx, func(c conn) error {
		n, err := c.exec(ctx, query, args...)
		if err == nil && n == 0 {
			err = missing
		}
		return err
	})
}
