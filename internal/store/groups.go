package store

import (
	"context"
	"fmt"
	"time"
)

// Group is a label query under a name.
type Group struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	// Query is one of [ParseLabels].
	Query     string    `json:"query"`
	CreatedAt time.Time `json:"created_at"`
}

// NewGroup saves a query under a name.
func (s *Store) NewGroup(ctx context.Context, name, query string, now time.Time) (Group, error) {
	if err := checkGroup(name, query); err != nil {
		return Group{}, err
	}
	g := Group{ID: newID(), Name: name, Query: query, CreatedAt: moment(now.UnixMilli())}
	err := s.inTx(ctx, func(c conn) error {
		n, err := c.exec(ctx, `INSERT INTO groups (id, name, query, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, g.ID, name, query, now.UnixMilli())
		if err == nil && n == 0 {
			err = ErrTaken
		}
		return err
	})
	if err != nil {
		return Group{}, fmt.Errorf("save the group %s: %w", name, err)
	}
	return g, nil
}

func checkGroup(name, query string) error {
	if err := checkName(name); err != nil {
		return err
	}
	_, err := ParseLabels(query)
	return err
}

// SetGroup gives the group of this ID another name and query.
func (s *Store) SetGroup(ctx context.Context, id int64, name, query string) error {
	if err := checkGroup(name, query); err != nil {
		return err
	}
	err := s.inTx(ctx, func(c conn) error {
		if err := c.one(ctx, []any{&id}, `SELECT id FROM groups WHERE id = $1`+c.forUpdate(), id); err != nil {
			return notFound(err, ErrNoGroup)
		}
		n, err := c.exec(ctx, `UPDATE groups SET name = $1, query = $2 WHERE id = $3 AND NOT EXISTS (SELECT 1 FROM groups AS g WHERE g.name = $1 AND g.id <> $3)`, name, query, id)
		if err == nil && n == 0 {
			err = ErrTaken
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("change the group %s: %w", name, err)
	}
	return nil
}

// Groups gives every group, by name.
func (s *Store) Groups(ctx context.Context) ([]Group, error) {
	list := []Group{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var g Group
		var created int64
		err := scan(&g.ID, &g.Name, &g.Query, &created)
		g.CreatedAt = moment(created)
		list = append(list, g)
		return err
	}, `SELECT id, name, query, created_at FROM groups ORDER BY name`)
	return list, err
}

// DeleteGroup forgets a group; its hosts stay.
func (s *Store) DeleteGroup(ctx context.Context, id int64) error {
	return s.delete(ctx, ErrNoGroup, `DELETE FROM groups WHERE id = $1`, id)
}
