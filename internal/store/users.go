package store

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"redflag/internal/access"
	"redflag/internal/fleet"
)

// User is a person who may sign in.
type User struct {
	ID   int64       `json:"id"`
	Name string      `json:"name"`
	Role access.Role `json:"role"`
	// HasPassword: without one, a link signs in.
	HasPassword bool `json:"has_password"`
	// HasTOTP: a code is asked for beside the password.
	HasTOTP bool `json:"has_totp"`
	// Passkeys is how many there are.
	Passkeys  int       `json:"passkeys"`
	CreatedAt time.Time `json:"created_at"`
}

// Kinds of refusal about people and what they make.
var (
	ErrNoUser    = errors.New("no such user")
	ErrNoKey     = errors.New("no such API key")
	ErrNoGroup   = errors.New("no such group")
	ErrNoToken   = errors.New("no such token")
	ErrTaken     = errors.New("the name is taken")
	ErrName      = errors.New("a name has 1 to 64 characters, and no spaces at its ends")
	ErrLastAdmin = errors.New("it is the last administrator: make another one first")
)

// maxUserName bounds the names of users, keys and groups, in characters.
const maxUserName = 64

func checkName(name string) error {
	if name == "" || utf8.RuneCountInString(name) > maxUserName || name != fleet.Plain(name) {
		return ErrName
	}
	return nil
}

const userColumns = `id, name, role, password, created_at, (SELECT COUNT(*) FROM totp WHERE user_id = users.id AND step >= 0),
	(SELECT COUNT(*) FROM passkeys WHERE user_id = users.id)`

func scanUser(scan func(...any) error) (u User, hash string, err error) {
	var created, codes int64
	err = scan(&u.ID, &u.Name, &u.Role, &hash, &created, &codes, &u.Passkeys)
	u.HasPassword, u.HasTOTP, u.CreatedAt = hash != "", codes > 0, moment(created)
	return u, hash, err
}

// NewUser adds a person. The hash is that of a password; empty for one who comes by a link.
func (s *Store) NewUser(ctx context.Context, name string, role access.Role, hash string, now time.Time) (User, error) {
	if err := checkName(name); err != nil {
		return User{}, err
	}
	u := User{ID: newID(), Name: name, Role: role, HasPassword: hash != "", CreatedAt: moment(now.UnixMilli())}
	err := s.inTx(ctx, func(c conn) error {
		n, err := c.exec(ctx, `INSERT INTO users (id, name, password, role, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			u.ID, name, hash, string(role), now.UnixMilli())
		if err == nil && n == 0 {
			err = ErrTaken
		}
		return err
	})
	if err != nil {
		return User{}, fmt.Errorf("add the user %s: %w", name, err)
	}
	return u, nil
}

// Users gives everybody, by name.
func (s *Store) Users(ctx context.Context) ([]User, error) {
	list := []User{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		u, _, err := scanUser(scan)
		list = append(list, u)
		return err
	}, `SELECT `+userColumns+` FROM users ORDER BY name`)
	return list, err
}

// UserByName gives a user and the hash of the password.
func (s *Store) UserByName(ctx context.Context, name string) (u User, hash string, err error) {
	return oneUser(ctx, s.reader(), `SELECT `+userColumns+` FROM users WHERE name = $1`, name)
}

// User gives a user by ID.
func (s *Store) User(ctx context.Context, id int64) (User, error) {
	u, _, err := oneUser(ctx, s.reader(), `SELECT `+userColumns+` FROM users WHERE id = $1`, id)
	return u, err
}

func oneUser(ctx context.Context, c conn, query string, args ...any) (u User, hash string, err error) {
	err = ErrNoUser
	queryErr := c.all(ctx, func(scan func(...any) error) error {
		u, hash, err = scanUser(scan)
		return err
	}, query, args...)
	if queryErr != nil {
		err = queryErr
	}
	return u, hash, err
}

// SetPassword gives a user another password, and ends every login of his.
func (s *Store) SetPassword(ctx context.Context, id int64, hash string) error {
	return s.changeUser(ctx, id, func(c conn) error {
		if _, err := c.exec(ctx, `DELETE FROM logins WHERE user_id = $1`, id); err != nil {
			return err
		}
		_, err := c.exec(ctx, `UPDATE users SET password = $1 WHERE id = $2`, hash, id)
		return err
	})
}

// SetRole makes a user something else. The last administrator stays one.
func (s *Store) SetRole(ctx context.Context, id int64, role access.Role) error {
	return s.changeUser(ctx, id, func(c conn) error {
		if _, err := c.exec(ctx, `UPDATE users SET role = $1 WHERE id = $2`, string(role), id); err != nil {
			return err
		}
		return someAdmin(ctx, c)
	})
}

// DeleteUser takes a user out, with every login. The last administrator stays.
func (s *Store) DeleteUser(ctx context.Context, id int64) error {
	return s.changeUser(ctx, id, func(c conn) error {
		if _, err := c.exec(ctx, `DELETE FROM logins WHERE user_id = $1`, id); err != nil {
			return err
		}
		for _, t := range []string{"totp WHERE user_id", "passkeys WHERE user_id", "users WHERE id"} {
			if _, err := c.exec(ctx, `DELETE FROM `+t+` = $1`, id); err != nil {
				return err
			}
		}
		return someAdmin(ctx, c)
	})
}

// lockUser keeps a user as it is until the transaction ends.
func lockUser(ctx context.Context, c conn, id int64) error {
	return notFound(c.one(ctx, []any{&id}, `SELECT id FROM users WHERE id = $1`+c.forUpdate(), id), ErrNoUser)
}

// changeUser changes one user. All such changes wait for each other: two must not each leave the other as the last administrator.
func (s *Store) changeUser(ctx context.Context, id int64, change func(conn) error) error {
	err := s.inTx(ctx, func(c conn) error {
		found := false
		if err := c.all(ctx, func(scan func(...any) error) error {
			var each int64
			err := scan(&each)
			found = found || each == id
			return err
		}, `SELECT id FROM users ORDER BY id`+c.forUpdate()); err != nil {
			return err
		}
		if !found {
			return ErrNoUser
		}
		return change(c)
	})
	if err != nil {
		return fmt.Errorf("change a user: %w", err)
	}
	return nil
}

func someAdmin(ctx context.Context, c conn) error {
	var n int
	if err := c.one(ctx, []any{&n}, `SELECT COUNT(*) FROM users WHERE role = $1`, string(access.Admin)); err != nil {
		return err
	}
	if n == 0 {
		return ErrLastAdmin
	}
	return nil
}
