package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// ErrNoHost: there is no such host in the fleet.
var ErrNoHost = errors.New("no such host")

// SaveReport saves what a host says has changed, in one transaction: all of it or nothing. A report that is not newer than the
// newest one saved changes nothing, and one of a session that was not begun, or has ended, is refused with ErrLate. What it gives names the parts that could not be used, because they change what is not here.
func (s *Store) SaveReport(ctx context.Context, id fleet.HostID, r wire.Report, address string, now time.Time) (send []string, err error) {
	learnt, tidied := map[fleet.Package]int64{}, ""
	err = s.inTx(ctx, func(c conn) error {
		h, err := lockHost(ctx, c, id)
		if err != nil {
			return err
		}
		if r.Session != h.session {
			return ErrLate
		}
		if r.Sequence <= h.sequence {
			return nil
		}
		w := newSaving(c, s, id, h, now)
		w.digests, w.learnt = r.Digests, learnt
		if err := w.report(ctx, r); err != nil {
			return err
		}
		send, tidied = w.send, w.tidied
		return w.finish(ctx, r, address)
	})
	if err != nil {
		return nil, fmt.Errorf("save the report of %s: %w", id, err)
	}
	s.dictionary.learn(learnt, tidied)
	return send, nil
}

// knownHost is what saving needs of a host's row.
type knownHost struct {
	session  string
	began    time.Time
	sessions []string
	address  string
	sequence int64
	digests  wire.Digests
}

// lockHost reads a host's row and keeps other processes from it until the transaction ends.
func lockHost(ctx context.Context, c conn, id fleet.HostID) (knownHost, error) {
	var h knownHost
	var began int64
	var sessions, digests string
	err := c.one(ctx, []any{&h.session, &began, &sessions, &h.address, &h.sequence, &digests},
		`SELECT session, began_at, sessions, address, sequence, digests FROM hosts WHERE id = $1`+c.forUpdate(), id)
	if err != nil {
		return h, notFound(err, ErrNoHost)
	}
	h.began = moment(began)
	return h, errors.Join(json.Unmarshal([]byte(sessions), &h.sessions), json.Unmarshal([]byte(digests), &h.digests))
}

// saving is one report on its way into the tables.
type saving struct {
	c       conn
	store   *Store
	id      fleet.HostID
	now     time.Time
	host    knownHost
	digests wire.Digests
	send    []string
	learnt  map[fleet.Package]int64 // of the dictionary, as of tidied
	tidied  string
	offers  map[int64]*tally
	images  map[imageKey]int
}

func newSaving(c conn, s *Store, id fleet.HostID, h knownHost, now time.Time) *saving {
	return &saving{c: c, store: s, id: id, host: h, now: now, offers: map[int64]*tally{}, images: map[imageKey]int{}}
}

// Names of the parts of a host.
const (
	partHost       = "host"
	partPackages   = "packages"
	partContainers = "containers"
	partFinding    = "finding/" // and the source
)

func (w *saving) report(ctx context.Context, r wire.Report) error {
	if w.host.digests == nil {
		w.host.digests = wire.Digests{}
	}
	// What is installed comes first: by it is told how an update left.
	if r.Packages != nil {
		if err := w.packages(ctx, *r.Packages); err != nil {
			return fmt.Errorf("packages: %w", err)
		}
	}
	if r.Containers != nil {
		if err := w.containers(ctx, r.Containers.All); err != nil {
			return fmt.Errorf("containers: %w", err)
		}
		w.known(partContainers)
	}
	for _, f := range r.Findings {
		if err := w.finding(ctx, f); err != nil {
			return fmt.Errorf("finding of %s: %w", fleet.Plain(f.Source), err)
		}
		w.known(partFinding + f.Source)
	}
	for _, source := range r.Absent {
		if err := w.absent(ctx, source); err != nil {
			return fmt.Errorf("end of %s: %w", fleet.Plain(source), err)
		}
	}
	if r.Host != nil {
		if err := w.facts(ctx, *r.Host); err != nil {
			return fmt.Errorf("facts: %w", err)
		}
		w.known(partHost)
	}
	return nil
}

// known takes over the digest of a part that was saved.
func (w *saving) known(part string) {
	if d, ok := w.digests[part]; ok {
		w.host.digests[part] = d
	}
}

func (w *saving) facts(ctx context.Context, h fleet.Host) error {
	body, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = w.c.exec(ctx, `UPDATE hosts SET name = $1, facts = $2, reboot = $3, restart = $4 WHERE id = $5`,
		h.Name, string(body), string(h.Reboot.Needed), string(h.Restart.Needed), w.id)
	return err
}

// finish brings the host's row up to date: what is known of it now, and its counters. The fleet's counters come last, because
// other reports wait for those rows.
func (w *saving) finish(ctx context.Context, r wire.Report, address string) error {
	if err := w.row(ctx, r, address); err != nil {
		return err
	}
	if err := w.countOffers(ctx); err != nil {
		return fmt.Errorf("count offers: %w", err)
	}
	if err := w.countImages(ctx); err != nil {
		return fmt.Errorf("count images: %w", err)
	}
	return nil
}

func (w *saving) row(ctx context.Context, r wire.Report, address string) error {
	digests, err := json.Marshal(w.host.digests)
	if err != nil {
		return err
	}
	now := w.now.UnixMilli()
	_, err = w.c.exec(ctx, `UPDATE hosts SET sequence = $1, digests = $2, reported_at = $3, seen_at = $4, address = $5,
		agent = CASE WHEN $6 = '' THEN agent ELSE $6 END,
		updates = f.updates, security = f.security, blocked = f.blocked, unconfirmed = f.unconfirmed, unknown = f.unknown
		FROM (SELECT COALESCE(SUM(updates), 0) AS updates, COALESCE(SUM(security), 0) AS security, COALESCE(SUM(blocked), 0) AS blocked,
			COALESCE(SUM(unconfirmed), 0) AS unconfirmed, COALESCE(SUM(CASE WHEN state = 'ok' THEN 0 ELSE 1 END), 0) AS unknown
			FROM findings WHERE host_id = $7) AS f
		WHERE id = $7`,
		r.Sequence, string(digests), now, now, address, r.Agent, w.id)
	return err
}
