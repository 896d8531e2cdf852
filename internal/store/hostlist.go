package store

import (
	"context"
	"fmt"
	"time"

	"redflag/internal/fleet"
)

// HostState is the answer to how a host is, in one word.
type HostState string

// States of a host, the worst first.
const (
	// HostUnknown: it is not known how the host is. See [Host.Because].
	HostUnknown  HostState = "unknown"
	HostSecurity HostState = "security" // security updates are pending
	HostOutdated HostState = "outdated" // updates are pending
	HostCurrent  HostState = "current"
)

// unknownHost and the others say the same as [Host.State].
const (
	unknownHost = `(reported_at = 0 OR unknown > 0 OR clone <> '')`
	stateOfHost = `CASE WHEN security > 0 THEN 'security' WHEN updates > 0 THEN 'outdated' ELSE 'current' END`
)

// State tells how a host is. One that was not seen since stale is unknown, whatever it last said.
func (h Host) State(stale time.Time) HostState {
	switch {
	case len(h.Because(stale)) > 0:
		return HostUnknown
	case h.Security > 0:
		return HostSecurity
	case h.Updates > 0:
		return HostOutdated
	}
	return HostCurrent
}

// Because says why it is not known how a host is; empty when it is.
func (h Host) Because(stale time.Time) []string {
	because := []string{}
	if h.Clone != "" {
		because = append(because, h.Clone)
	}
	switch {
	case h.ReportedAt.IsZero():
		because = append(because, "it has not reported yet")
	case h.SeenAt.Before(stale):
		because = append(because, "it was last seen at "+h.SeenAt.Format(time.RFC3339))
	}
	if h.Unknown == 1 {
		because = append(because, "one of its sources could not say all")
	} else if h.Unknown > 1 {
		because = append(because, fmt.Sprintf("%d of its sources could not say all", h.Unknown))
	}
	return because
}

// HostFilter chooses hosts; what is empty chooses all.
type HostFilter struct {
	Text   string // in the name
	State  HostState
	Labels LabelQuery
	// Reboot and Restart choose hosts that need one.
	Reboot, Restart fleet.Need
	// Only chooses these, unless it is nil.
	Only []fleet.HostID
	// Sort is name, seen, security or updates; name where it is empty.
	Sort string
	Desc bool
	// Stale is since when a host must have been seen for its state to be known.
	Stale time.Time
}

// hostSorts are the columns that hosts are sorted by, each with an index.
func hostSort(sort string) (column, kind string, err error) {
	switch sort {
	case "", "name":
		return "name", "sn", nil
	case "seen":
		return "seen_at", "nn", nil
	case "security", "updates":
		return sort, "nn", nil
	}
	return "", "", fmt.Errorf("%w: hosts are not sorted by %q", ErrPage, fleet.Plain(sort))
}

// Hosts gives a page of hosts, and the cursor of the next.
func (s *Store) Hosts(ctx context.Context, f HostFilter, p Page) (hosts []Host, next string, err error) {
	column, kinds, err := hostSort(f.Sort)
	if err != nil {
		return nil, "", err
	}
	key, err := p.key(kinds)
	if err != nil {
		return nil, "", err
	}
	l := f.list()
	query := `SELECT ` + hostColumns + ` FROM hosts` + l.page(p, key, f.Desc, column, "id")
	rows := []Host{}
	if err := s.reader().all(ctx, func(scan func(...any) error) error {
		h, err := scanHost(scan)
		rows = append(rows, h)
		return err
	}, query, l.args...); err != nil {
		return nil, "", fmt.Errorf("list hosts: %w", err)
	}
	hosts, more := cut(p, rows)
	if err := s.labelAll(ctx, hosts); err != nil {
		return nil, "", fmt.Errorf("list hosts: %w", err)
	}
	if more {
		next = hosts[len(hosts)-1].cursor(column)
	}
	return hosts, next, nil
}

func (h Host) cursor(column string) string {
	keys := map[string]any{"name": h.Facts.Name, "seen_at": millis(h.SeenAt), "security": h.Security, "updates": h.Updates}
	return cursor(keys[column], int64(h.ID))
}

// list gives the conditions of a filter.
func (f HostFilter) list() *list {
	l := &list{}
	l.text("name", f.Text)
	switch f.State {
	case "":
	case HostUnknown:
		l.add("("+unknownHost+" OR seen_at < ?)", millis(f.Stale))
	default:
		l.add("NOT "+unknownHost+" AND seen_at >= ? AND "+stateOfHost+" = ?", millis(f.Stale), string(f.State))
	}
	if f.Reboot != "" {
		l.add("reboot = ?", string(f.Reboot))
	}
	if f.Restart != "" {
		l.add("restart = ?", string(f.Restart))
	}
	if f.Only != nil {
		ids := make([]int64, 0, len(f.Only)+1)
		for _, id := range append(f.Only, 0) { // no host's, so that the list is never empty
			ids = append(ids, int64(id))
		}
		l.conditions = append(l.conditions, "id IN ("+numbers(ids)+")")
	}
	if len(f.Labels.terms) > 0 {
		l.conditions = append(l.conditions, f.Labels.where("hosts.id", &l.args))
	}
	return l
}

// labelAll reads the labels of a page of hosts.
func (s *Store) labelAll(ctx context.Context, hosts []Host) error {
	if len(hosts) == 0 {
		return nil
	}
	byID := map[fleet.HostID]map[string]string{}
	ids := make([]int64, len(hosts))
	for i := range hosts {
		hosts[i].Labels = map[string]string{}
		byID[hosts[i].ID], ids[i] = hosts[i].Labels, int64(hosts[i].ID)
	}
	return s.reader().all(ctx, func(scan func(...any) error) error {
		var id fleet.HostID
		var name, value string
		if err := scan(&id, &name, &value); err != nil {
			return err
		}
		byID[id][name] = value
		return nil
	}, `SELECT host_id, name, value FROM labels WHERE host_id IN (`+numbers(ids)+`)`)
}

// maxSilent bounds how many hosts are told at once to have gone silent; more than that are noticed as they are looked at.
const maxSilent = 500

// LastSeenBetween gives hosts that were last seen in a span of time, the end of which is not in it.
func (s *Store) LastSeenBetween(ctx context.Context, from, to time.Time) ([]fleet.HostID, error) {
	var ids []fleet.HostID
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var id fleet.HostID
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, fmt.Sprintf(`SELECT id FROM hosts WHERE seen_at >= $1 AND seen_at < $2 ORDER BY seen_at LIMIT %d`, maxSilent), from.UnixMilli(), to.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("list who has gone silent: %w", err)
	}
	return ids, nil
}
