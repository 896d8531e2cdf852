package server

import (
	"context"
	"time"
)

// missedCheckIns is after how many that did not come it is not known any more how a host is.
const missedCheckIns = 3

// Stale gives after how long without a check-in it is not known any more how a host is; interval is that between check-ins, 0 the default.
func Stale(interval time.Duration) time.Duration {
	if interval == 0 {
		interval = DefaultInterval
	}
	return missedCheckIns * interval
}

// silentEvery is how often it is looked for hosts that have gone silent: that no request says.
const silentEvery = 5 * time.Second

// silence notes the hosts that have become unknown since it was last looked, because they were not heard of for so long.
type silence struct{ until time.Time }

func (s *Server) noteSilent(ctx context.Context) error {
	until := s.cfg.Now().Add(-Stale(s.cfg.Interval))
	since := s.silence.until
	if since.IsZero() {
		since = until.Add(-2 * flushEvery) // who was seen then may not be written down yet
	}
	ids, err := s.cfg.Store.LastSeenBetween(ctx, since, until)
	if err != nil {
		return err
	}
	for _, id := range ids {
		s.changes.note(TopicHosts, id)
	}
	s.silence.until = until.Add(-2 * flushEvery) // again, because what is written down is late by so much
	return nil
}
