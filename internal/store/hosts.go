package store

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Refusals of an enrolment.
var (
	// ErrToken: no such token, or it has expired.
	ErrToken = errors.New("the enrolment token is not known, or has expired")
	// ErrSeats: the token was used as often as it may be.
	ErrSeats = errors.New("the enrolment token has no seats left")
)

// Enroll takes a host into the fleet, on a token's seat. A machine that is here already stays the same host, with its history, and
// gets its new key; it takes no seat. The old key opens nothing from then on.
func (s *Store) Enroll(ctx context.Context, e wire.Enroll, address string, now time.Time) (fleet.HostID, error) {
	var id fleet.HostID
	err := s.inTx(ctx, func(c conn) error {
		token, err := findToken(ctx, c, e.Token, now)
		if err != nil {
			return err
		}
		if e.Machine != "" {
			err := c.one(ctx, []any{&id}, `SELECT id FROM hosts WHERE machine = $1`+c.forUpdate(), e.Machine)
			if err == nil {
				return rekey(ctx, c, id, e)
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		if err := token.takeSeat(ctx, c); err != nil {
			return err
		}
		id = newHostID()
		if err := insertHost(ctx, c, id, e, address, now); err != nil {
			return err
		}
		return setLabels(ctx, c, id, token.labels)
	})
	if err != nil {
		return 0, fmt.Errorf("enrol %s: %w", fleet.Plain(e.Host.Name), err)
	}
	return id, nil
}

// rekey gives a known host its new key. What it said before is kept until it reports; its sequence begins anew with its memory.
func rekey(ctx context.Context, c conn, id fleet.HostID, e wire.Enroll) error {
	_, err := c.exec(ctx, `UPDATE hosts SET public_key = $1, agent = $2, digests = '{}', session = '', began_at = 0, sessions = '[]', sequence = 0, clone = ''
		WHERE id = $3`,
		base64.StdEncoding.EncodeToString(e.Key), e.Agent, id)
	return err
}

func insertHost(ctx context.Context, c conn, id fleet.HostID, e wire.Enroll, address string, now time.Time) error {
	facts, err := json.Marshal(e.Host)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `INSERT INTO hosts (id, name, machine, public_key, agent, address, facts, digests, session, began_at, sessions, sequence, clone, enrolled_at, reported_at, seen_at,
			updates, security, blocked, unconfirmed, unknown, packages, containers, reboot, restart)
		VALUES ($1, $2, $3, $4, $5, $6, $7, '{}', '', 0, '[]', 0, '', $8, 0, $8, 0, 0, 0, 0, 0, 0, 0, $9, $10)`,
		id, e.Host.Name, e.Machine, base64.StdEncoding.EncodeToString(e.Key), e.Agent, address, string(facts), now.UnixMilli(),
		string(e.Host.Reboot.Needed), string(e.Host.Restart.Needed))
	return err
}

// Known is what the agents' door needs of a host.
type Known struct {
	Key     ed25519.PublicKey
	Session string
	Digests wire.Digests
}

// Known gives a host's public key, and the digests of what is known of it.
func (s *Store) Known(ctx context.Context, id fleet.HostID) (Known, error) {
	var k Known
	var key, digests string
	if err := s.reader().one(ctx, []any{&key, &k.Session, &digests}, `SELECT public_key, session, digests FROM hosts WHERE id = $1`, id); err != nil {
		return Known{}, notFound(err, ErrNoHost)
	}
	var err error
	if k.Key, err = base64.StdEncoding.DecodeString(key); err != nil {
		return Known{}, fmt.Errorf("the key of %s: %w", id, err)
	}
	return k, json.Unmarshal([]byte(digests), &k.Digests)
}

// Seen is what a check-in says beside that nothing has changed.
type Seen struct {
	At time.Time
	// Scanned and AsOf are when each source was last looked at, and how old its knowledge is, in unix seconds.
	Scanned, AsOf map[string]int64
}

// Seen notes check-ins, many at once.
func (s *Store) Seen(ctx context.Context, hosts map[fleet.HostID]Seen) error {
	err := s.inTx(ctx, func(c conn) error {
		for _, id := range slices.Sorted(maps.Keys(hosts)) { // in one order, so that two processes do not wait for each other
			h := hosts[id]
			if _, err := c.exec(ctx, `UPDATE hosts SET seen_at = $1 WHERE id = $2 AND seen_at < $1`, h.At.UnixMilli(), id); err != nil {
				return err
			}
			for source, scanned := range h.Scanned {
				if _, err := c.exec(ctx, `UPDATE findings SET scanned_at = $1, as_of = $2 WHERE host_id = $3 AND source = $4 AND scanned_at < $1`,
					scanned*1000, h.AsOf[source]*1000, id, source); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note %d check-ins: %w", len(hosts), err)
	}
	return nil
}

func setLabels(ctx context.Context, c conn, id fleet.HostID, labels map[string]string) error {
	for name, value := range labels {
		if _, err := c.exec(ctx, `INSERT INTO labels (host_id, name, value) VALUES ($1, $2, $3)
			ON CONFLICT (host_id, name) DO UPDATE SET value = excluded.value`, id, name, value); err != nil {
			return err
		}
	}
	return nil
}
