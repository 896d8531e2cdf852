package server

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
)

// tidyEvery is how often what has run out is looked for; one process on a database does it.
const tidyEvery = time.Minute

// tidy ends orders that nobody came for, and deletes what is older than it is kept.
func (s *Server) tidy(ctx context.Context) error {
	now := s.cfg.Now()
	ours, err := s.cfg.Store.Lease(ctx, "tidy", s.name, now, now.Add(3*tidyEvery))
	if err != nil || !ours {
		return err
	}
	hosts, err := s.cfg.Store.ExpireOrders(ctx, now)
	for _, id := range hosts {
		s.changes.note(TopicOrders, id)
		s.changes.note(TopicJobs, id)
	}
	err = errors.Join(err, s.cfg.Store.Tidy(ctx, s.cfg.Keep, now), s.cfg.Store.TidyFeeds(ctx, now))
	// Each turn is a holder of its own, so that none gets this lease before it has run out.
	due, leaseErr := s.cfg.Store.Lease(ctx, "tidy packages", rand.Text(), now, now.Add(tidyPackagesEvery))
	if due {
		err = errors.Join(err, s.cfg.Store.TidyPackages(ctx))
	}
	return errors.Join(err, leaseErr)
}

// tidyPackagesEvery is how often packages that no host has are looked for, which reads all of them.
const tidyPackagesEvery = time.Hour

// DefaultKeep is how long history is kept: a year, and a month to compare it with.
const DefaultKeep = 400 * 24 * time.Hour

// trendEvery is how often it is noted how the fleet is.
const trendEvery = 15 * time.Minute

// noteTrend notes how the fleet is, unless it was noted lately, here or in another process.
func (s *Server) noteTrend(ctx context.Context) error {
	now := s.cfg.Now()
	due, err := s.cfg.Store.Lease(ctx, "trend", rand.Text(), now, now.Add(trendEvery))
	if err != nil || !due {
		return err
	}
	if err := s.cfg.Store.SaveTrend(ctx, now, now.Add(-Stale(s.cfg.Interval))); err != nil {
		return err
	}
	s.Note(TopicTrend)
	return nil
}
