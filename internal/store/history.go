package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"redflag/internal/fleet"
)

// Gone is an update that was on offer and is not any more.
type Gone struct {
	Host      fleet.HostID `json:"host"`
	HostName  string       `json:"host_name"`
	Update    fleet.Update `json:"update"`
	FirstSeen time.Time    `json:"first_seen"`
	GoneAt    time.Time    `json:"gone_at"`
	How       How          `json:"how"`

	id int64
}

// History gives a page of what left, the newest first: of one host, or of all where the ID is 0.
func (s *Store) History(ctx context.Context, id fleet.HostID, p Page) (gone []Gone, next string, err error) {
	key, err := p.key("nn")
	if err != nil {
		return nil, "", err
	}
	l := &list{}
	if id != 0 {
		l.add("g.host_id = ?", id)
	}
	rows := []Gone{}
	if err := s.reader().all(ctx, func(scan func(...any) error) error {
		var g Gone
		var body string
		var first, at int64
		if err := scan(&g.Host, &g.HostName, &body, &first, &at, &g.How, &g.id); err != nil {
			return err
		}
		g.FirstSeen, g.GoneAt = moment(first), moment(at)
		err := json.Unmarshal([]byte(body), &g.Update)
		rows = append(rows, g)
		return err
	}, `SELECT g.host_id, h.name, g.body, g.first_seen, g.gone_at, g.how, g.id FROM history AS g JOIN hosts AS h ON h.id = g.host_id`+
		l.page(p, key, true, "g.gone_at", "g.id"), l.args...); err != nil {
		return nil, "", fmt.Errorf("list history: %w", err)
	}
	gone, more := cut(p, rows)
	if more {
		last := gone[len(gone)-1]
		next = cursor(millis(last.GoneAt), last.id)
	}
	return gone, next, nil
}
