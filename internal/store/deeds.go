package store

import (
	"context"
	"fmt"
	"time"

	"redflag/internal/fleet"
)

// Deed is something that a person or a program did.
type Deed struct {
	At time.Time `json:"at"`
	// Who is a person's name, or "key NAME".
	Who     string `json:"who"`
	Address string `json:"address"`
	// What is the deed, as the API calls it; About is on what, and how.
	What  string `json:"what"`
	About string `json:"about"`

	id int64
}

// maxAbout bounds what is kept of one deed, in bytes.
const maxAbout = 2000

// Note keeps a deed.
func (s *Store) Note(ctx context.Context, d Deed) error {
	about := fleet.Plain(d.About)
	if len(about) > maxAbout {
		about = fleet.Plain(about[:maxAbout]) + "…"
	}
	err := s.inTx(ctx, func(c conn) error {
		_, err := c.exec(ctx, `INSERT INTO deeds (id, at, who, address, what, about) VALUES ($1, $2, $3, $4, $5, $6)`,
			newID(), d.At.UnixMilli(), fleet.Plain(d.Who), d.Address, d.What, about)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep who did what: %w", err)
	}
	return nil
}

// DeedFilter chooses deeds; what is empty chooses all.
type DeedFilter struct {
	Who  string
	Text string // in what was done, or on what
}

// Deeds gives a page of who did what, the newest first.
func (s *Store) Deeds(ctx context.Context, f DeedFilter, p Page) (deeds []Deed, next string, err error) {
	key, err := p.key("nn")
	if err != nil {
		return nil, "", err
	}
	l := &list{}
	if f.Who != "" {
		l.add("who = ?", f.Who)
	}
	l.text("what || ' ' || about", f.Text)
	rows := []Deed{}
	if err := s.reader().all(ctx, func(scan func(...any) error) error {
		var d Deed
		var at int64
		err := scan(&d.id, &at, &d.Who, &d.Address, &d.What, &d.About)
		d.At = moment(at)
		rows = append(rows, d)
		return err
	}, `SELECT id, at, who, address, what, about FROM deeds`+l.page(p, key, true, "at", "id"), l.args...); err != nil {
		return nil, "", fmt.Errorf("list who did what: %w", err)
	}
	deeds, more := cut(p, rows)
	if more {
		last := deeds[len(deeds)-1]
		next = cursor(millis(last.At), last.id)
	}
	return deeds, next, nil
}
