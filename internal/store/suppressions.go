package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// Suppression is somebody's decision that a vulnerability does not count, for a while.
type Suppression struct {
	// Suppression is its own number.
	Suppression int64 `json:"suppression"`
	// ID is the CVE, or an advisory's name.
	ID string `json:"id"`
	// Package is a package, or a source package, that it is limited to; empty means all.
	Package string `json:"package,omitempty"`
	// Group is the group whose hosts it is limited to; 0 means all. GroupName is empty where there is no such group any more: then it holds nowhere.
	Group     int64  `json:"group,omitempty"`
	GroupName string `json:"group_name,omitempty"`
	// Status is not_affected (it cannot be reached there) or accepted (it can, and that is borne), as in VEX.
	Status string `json:"status" enum:"not_affected,accepted"`
	Owner  string `json:"owner"`
	Reason string `json:"reason"`
	// Until is the last day on which it holds, in UTC; Expired says that it has passed.
	Until     time.Time `json:"until"`
	Expired   bool      `json:"expired"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`

	// Query is that of the group.
	Query string `json:"-"`
}

// Errors of suppressions.
var (
	ErrNoSuppression = errors.New("no such suppression")
	ErrSuppression   = errors.New("a suppression needs a vulnerability, an owner, a reason, a status (not_affected or accepted) and a last day that is still to come, such as 2027-01-31")
	// ErrManySuppressions: more than anybody can answer for.
	ErrManySuppressions = fmt.Errorf("there are %d suppressions: delete some", maxSuppressions)
)

// Bounds of suppressions.
const (
	maxSuppressions = 10_000
	maxFlawName     = 400
	maxReason       = 1000
)

// Holds says whether it holds at a moment: until the end of its last day.
func (s Suppression) Holds(now time.Time) bool {
	return now.Before(s.Until.AddDate(0, 0, 1)) && (s.Group == 0 || s.GroupName != "")
}

// NewSuppression keeps a decision.
func (s *Store) NewSuppression(ctx context.Context, n Suppression, now time.Time) (Suppression, error) {
	for _, text := range []*string{&n.ID, &n.Package, &n.Owner, &n.Reason} {
		*text = strings.TrimSpace(*text)
		if *text != fleet.Plain(*text) || len(*text) > maxReason {
			return Suppression{}, ErrSuppression
		}
	}
	n.Suppression, n.CreatedAt, n.Until = newID(), now.UTC().Truncate(time.Millisecond), n.Until.UTC()
	if n.ID == "" || len(n.ID) > maxFlawName || n.Owner == "" || n.Reason == "" || n.Status != "not_affected" && n.Status != "accepted" || !now.Before(n.Until.AddDate(0, 0, 1)) {
		return Suppression{}, ErrSuppression
	}
	err := s.inTx(ctx, func(c conn) error {
		var many int
		if err := c.one(ctx, []any{&many}, `SELECT COUNT(*) FROM suppressions`); err != nil {
			return err
		}
		if many >= maxSuppressions {
			return ErrManySuppressions
		}
		if n.Group != 0 {
			if err := c.one(ctx, []any{&n.GroupName, &n.Query}, `SELECT name, query FROM groups WHERE id = $1`, n.Group); err != nil {
				return notFound(err, ErrNoGroup)
			}
		}
		_, err := c.exec(ctx, `INSERT INTO suppressions (id, flaw, package, group_id, status, owner, reason, until, created_at, created_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			n.Suppression, n.ID, n.Package, n.Group, n.Status, n.Owner, n.Reason, millis(n.Until), millis(n.CreatedAt), n.CreatedBy)
		return err
	})
	if err != nil {
		return Suppression{}, fmt.Errorf("suppress %s: %w", fleet.Plain(n.ID), err)
	}
	return n, nil
}

const suppressionColumns = `s.id, s.flaw, s.package, s.group_id, COALESCE(g.name, ''), COALESCE(g.query, ''), s.status, s.owner, s.reason, s.until, s.created_at, s.created_by
	FROM suppressions AS s LEFT JOIN groups AS g ON g.id = s.group_id`

func scanSuppression(scan func(...any) error, now time.Time) (Suppression, error) {
	var s Suppression
	var until, created int64
	err := scan(&s.Suppression, &s.ID, &s.Package, &s.Group, &s.GroupName, &s.Query, &s.Status, &s.Owner, &s.Reason, &until, &created, &s.CreatedBy)
	s.Until, s.CreatedAt = moment(until), moment(created)
	s.Expired = !now.Before(s.Until.AddDate(0, 0, 1))
	return s, err
}

// Suppressions gives every suppression, by what it suppresses, also those that have run out.
func (s *Store) Suppressions(ctx context.Context, now time.Time) ([]Suppression, error) {
	list := []Suppression{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		one, err := scanSuppression(scan, now)
		list = append(list, one)
		return err
	}, `SELECT `+suppressionColumns+` ORDER BY s.flaw, s.created_at, s.id`)
	if err != nil {
		return nil, fmt.Errorf("list suppressions: %w", err)
	}
	return list, nil
}

// DeleteSuppression takes a decision back, and gives it.
func (s *Store) DeleteSuppression(ctx context.Context, id int64) (Suppression, error) {
	one, found := Suppression{}, false
	err := s.reader().all(ctx, func(scan func(...any) error) (err error) {
		found = true
		one, err = scanSuppression(scan, time.Time{})
		return err
	}, `SELECT `+suppressionColumns+` WHERE s.id = $1`, id)
	if err == nil && !found {
		err = ErrNoSuppression
	}
	if err != nil {
		return one, err
	}
	return one, s.delete(ctx, ErrNoSuppression, `DELETE FROM suppressions WHERE id = $1`, id)
}
