package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"redflag/internal/fleet"
)

// Refusals of a session.
var (
	// ErrClone: two machines speak with one key. Both were alive after the other had begun.
	ErrClone = errors.New("another machine speaks with this host's identity")
	// ErrLate: the session has ended, and what it says was said before the next one began.
	ErrLate = errors.New("the session has ended: the agent was started anew since")
)

// Session is one run of an agent, as it says so itself.
type Session struct {
	Name string
	// At is when the request was made, by the host's clock.
	At      time.Time
	Address string
}

// keptSessions is how many of a host's sessions are remembered, to know one that comes back.
const keptSessions = 8

// Session says whether a session may speak for a host. One that is new takes over from the one before it, as an agent that was
// started anew does. One that comes back after it was followed is a second machine, a copy of the first: it is refused with
// ErrClone and noted with the host, so that people can see it. Only one of the two can speak at any time.
func (s *Store) Session(ctx context.Context, id fleet.HostID, session Session) error {
	var refusal error
	err := s.inTx(ctx, func(c conn) error {
		h, err := lockHost(ctx, c, id)
		if err != nil {
			return err
		}
		refusal, err = takeSession(ctx, c, id, h, session)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin a session of %s: %w", id, err)
	}
	return refusal
}

func takeSession(ctx context.Context, c conn, id fleet.HostID, h knownHost, session Session) (refusal, err error) {
	switch {
	case session.Name == h.session:
		return nil, nil
	case !slices.Contains(h.sessions, session.Name):
		return nil, beginSession(ctx, c, id, h, session)
	case !session.At.After(h.began):
		return ErrLate, nil
	}
	_, err = c.exec(ctx, `UPDATE hosts SET clone = $1 WHERE id = $2`,
		fmt.Sprintf("two machines use this host's identity: one at %s, and since %s one at %s", session.Address, h.began.Format(time.DateTime), h.address), id)
	return ErrClone, err
}

func beginSession(ctx context.Context, c conn, id fleet.HostID, h knownHost, session Session) error {
	before := h.sessions
	if h.session != "" {
		before = append([]string{h.session}, before...)
	}
	names, err := json.Marshal(before[:min(len(before), keptSessions)])
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `UPDATE hosts SET session = $1, began_at = $2, sessions = $3, sequence = 0, address = $4 WHERE id = $5`,
		session.Name, session.At.UnixMilli(), string(names), session.Address, id)
	return err
}
