package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"redflag/internal/fleet"
)

// Host is a host as the fleet knows it.
type Host struct {
	ID         fleet.HostID `json:"id"`
	Facts      fleet.Host   `json:"facts"`
	Agent      string       `json:"agent"`
	Address    string       `json:"address"`
	EnrolledAt time.Time    `json:"enrolled_at"`
	// ReportedAt is when it last said that something had changed; absent when it never did. SeenAt is when it last checked in.
	ReportedAt time.Time `json:"reported_at,omitzero"`
	SeenAt     time.Time `json:"seen_at"`
	// Clone says why two machines seem to use this host's identity; empty when they do not.
	Clone string `json:"clone,omitempty"`
	Totals
	Labels map[string]string `json:"labels,omitempty"`
}

// Totals are the numbers that pages show of a host.
type Totals struct {
	Updates  int `json:"updates"`
	Security int `json:"security"`
	Blocked  int `json:"blocked"`
	// Unconfirmed counts updates that later scans could neither confirm nor rule out.
	Unconfirmed int `json:"unconfirmed"`
	// Unknown counts the sources that could not say all.
	Unknown    int `json:"unknown_sources"`
	Packages   int `json:"packages"`
	Containers int `json:"containers"`
}

// hostColumns are what scanHost reads.
const hostColumns = `id, facts, agent, address, enrolled_at, reported_at, seen_at, clone, updates, security, blocked, unconfirmed, unknown, packages, containers`

func scanHost(scan func(...any) error) (Host, error) {
	var h Host
	var facts string
	var enrolled, reported, seen int64
	if err := scan(&h.ID, &facts, &h.Agent, &h.Address, &enrolled, &reported, &seen, &h.Clone,
		&h.Updates, &h.Security, &h.Blocked, &h.Unconfirmed, &h.Unknown, &h.Packages, &h.Containers); err != nil {
		return h, err
	}
	h.EnrolledAt, h.ReportedAt, h.SeenAt = moment(enrolled), moment(reported), moment(seen)
	return h, json.Unmarshal([]byte(facts), &h.Facts)
}

// Host gives one host.
func (s *Store) Host(ctx context.Context, id fleet.HostID) (Host, error) {
	var h Host
	err := s.reader().all(ctx, func(scan func(...any) error) (err error) {
		h, err = scanHost(scan)
		return err
	}, `SELECT `+hostColumns+` FROM hosts WHERE id = $1`, id)
	if err == nil && h.ID != id {
		err = ErrNoHost
	}
	return h, err
}

// CountHosts says how many hosts the fleet has.
func (s *Store) CountHosts(ctx context.Context) (n int, err error) {
	err = s.reader().one(ctx, []any{&n}, `SELECT COUNT(*) FROM hosts`)
	return n, err
}

// Findings gives what is known of a host's sources, as its agent has them.
func (s *Store) Findings(ctx context.Context, id fleet.HostID) ([]fleet.Finding, error) {
	findings := []fleet.Finding{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var f fleet.Finding
		var notes string
		var scanned, asOf int64
		if err := scan(&f.Source, &f.State, &f.Because, &f.Remedy, &f.SecurityUnknown, &notes, &scanned, &asOf); err != nil {
			return err
		}
		if notes != "" {
			if err := json.Unmarshal([]byte(notes), &f.Notes); err != nil {
				return err
			}
		}
		f.ScannedAt, f.AsOf = moment(scanned), moment(asOf)
		findings = append(findings, f)
		return nil
	}, `SELECT source, state, because, remedy, security_unknown, notes, scanned_at, as_of FROM findings WHERE host_id = $1 ORDER BY source`, id)
	if err != nil {
		return nil, err
	}
	for i := range findings {
		f := &findings[i]
		if f.Updates, err = bodies[fleet.Update](ctx, s.reader(),
			`SELECT body FROM updates WHERE host_id = $1 AND source = $2 ORDER BY name, arch, kind, level, platform`, id, f.Source); err != nil {
			return nil, err
		}
		if f.Checks, err = bodies[fleet.Check](ctx, s.reader(),
			`SELECT body FROM checks WHERE host_id = $1 AND source = $2 ORDER BY name, platform`, id, f.Source); err != nil {
			return nil, err
		}
	}
	return findings, nil
}

// bodies reads values that are kept as JSON.
func bodies[T any](ctx context.Context, c conn, query string, args ...any) ([]T, error) {
	list := []T{}
	err := c.all(ctx, func(scan func(...any) error) error {
		var v T
		err := scanJSON(scan, &v)
		list = append(list, v)
		return err
	}, query, args...)
	return list, err
}

// scanJSON reads a row of one column that is JSON.
func scanJSON(scan func(...any) error, v any) error {
	var body string
	if err := scan(&body); err != nil {
		return err
	}
	return json.Unmarshal([]byte(body), v)
}

// Containers gives every container of a host, in order.
func (s *Store) Containers(ctx context.Context, id fleet.HostID) ([]fleet.Container, error) {
	return bodies[fleet.Container](ctx, s.reader(), `SELECT body FROM containers WHERE host_id = $1 ORDER BY source, name`, id)
}

// notFound turns an empty answer into the kind of error that callers know.
func notFound(err, kind error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return kind
	}
	return err
}
