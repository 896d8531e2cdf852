package store

import (
	"context"
	"fmt"

	"redflag/internal/fleet"
)

// OfferGroup is what is pending, for all that has something in common.
type OfferGroup struct {
	// Name is what they have in common: the package's name, the source's, the label's value.
	Name string `json:"name"`
	// Source is set in groups by package.
	Source string `json:"source,omitempty"`
	// Updates counts what is pending on all hosts together; Security and Blocked are parts of it.
	Updates  int `json:"updates"`
	Security int `json:"security"`
	Blocked  int `json:"blocked"`
	// Hosts counts the hosts, where that is known: in groups by label.
	Hosts int `json:"hosts,omitempty"`
}

// GroupBy says what updates of a group have in common.
type GroupBy string

// What updates are grouped by.
const (
	ByPackage GroupBy = "package"
	BySource  GroupBy = "source"
	ByLabel   GroupBy = "label"
)

// OfferGroups gives a page of what is pending in groups, by name. Label is the name of the label to group by; hosts without it are a group
// of an empty name.
func (s *Store) OfferGroups(ctx context.Context, by GroupBy, label string, p Page) (groups []OfferGroup, next string, err error) {
	kinds, columns := "s", []string{"name"}
	if by == ByPackage {
		kinds, columns = "ss", []string{"name", "source"}
	}
	key, err := p.key(kinds)
	if err != nil {
		return nil, "", err
	}
	l := &list{}
	const sums = `SUM(hosts) AS updates, SUM(CASE WHEN security = 1 THEN hosts ELSE 0 END) AS security, SUM(blocked) AS blocked, 0 AS hosts`
	var from string
	switch by {
	case ByPackage:
		from = `SELECT name, source, ` + sums + ` FROM offers GROUP BY name, source`
	case BySource:
		from = `SELECT source AS name, '' AS source, ` + sums + ` FROM offers GROUP BY source`
	case ByLabel:
		from = `SELECT COALESCE(l.value, '') AS name, '' AS source, SUM(h.updates) AS updates, SUM(h.security) AS security, SUM(h.blocked) AS blocked, COUNT(*) AS hosts
			FROM hosts AS h LEFT JOIN labels AS l ON l.host_id = h.id AND l.name = ` + argument(&l.args, label) + ` GROUP BY COALESCE(l.value, '')`
	default:
		return nil, "", fmt.Errorf("%w: updates are not grouped by %q", ErrPage, fleet.Plain(string(by)))
	}
	rows := []OfferGroup{}
	if err := s.reader().all(ctx, func(scan func(...any) error) error {
		var g OfferGroup
		err := scan(&g.Name, &g.Source, &g.Updates, &g.Security, &g.Blocked, &g.Hosts)
		rows = append(rows, g)
		return err
	}, `SELECT name, source, updates, security, blocked, hosts FROM (`+from+`) AS g`+l.page(p, key, false, columns...), l.args...); err != nil {
		return nil, "", fmt.Errorf("group updates: %w", err)
	}
	groups, more := cut(p, rows)
	if more {
		last := groups[len(groups)-1]
		keys := []any{last.Name, last.Source}
		next = cursor(keys[:len(columns)]...)
	}
	return groups, next, nil
}
