package server

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// flushEvery is how often check-ins are written down. A server that dies forgets so much of when hosts were last seen, and nothing
	// that they said.
	flushEvery = 5 * time.Second
	// lookEvery is how often orders are looked for that another process gave. Where there is LISTEN they come at once.
	lookEvery = 2 * time.Second
	// listenAgain is how long to wait after the connection that listens was lost.
	listenAgain = 3 * time.Second
)

// Run does what goes on beside the requests, until ctx ends: it writes check-ins down, wakes hosts, tells what has changed, and
// keeps house.
func (s *Server) Run(ctx context.Context) error {
	var work sync.WaitGroup
	work.Go(func() {
		s.every(ctx, flushEvery, "check-ins are not written down yet, and will be tried again", s.known.flush)
	})
	work.Go(func() { s.every(ctx, lookEvery, "orders cannot be looked for", s.orders.refresh) })
	work.Go(func() { s.every(ctx, tidyEvery, "keeping house failed, and will be tried again", s.tidy) })
	work.Go(func() { s.every(ctx, tidyImagesEvery, "", s.tidyImages) })
	work.Go(func() { s.every(ctx, tidyEvery, "how the fleet is cannot be noted", s.noteTrend) })
	work.Go(func() { s.every(ctx, silentEvery, "hosts that have gone silent cannot be looked for", s.noteSilent) })
	work.Go(func() {
		s.every(ctx, syncEvery, "what is known of vulnerabilities cannot be brought up to date, and will be tried again", s.syncFeeds)
	})
	work.Go(func() {
		s.every(ctx, fetchEvery, "feeds of advisories cannot be fetched, and will be tried again", s.fetchFeeds)
	})
	work.Go(func() { s.tellChanges(ctx) })
	work.Go(func() { s.listen(ctx) })
	<-ctx.Done()
	work.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushEvery)
	defer cancel()
	return errors.Join(s.known.flush(last), s.feeds.end(), context.Cause(ctx))
}

// tidyImages keeps the answers of registries within their bounds.
func (s *Server) tidyImages(context.Context) error {
	if s.cfg.Images != nil {
		s.cfg.Images.Tidy()
	}
	return nil
}

// Stop lets the requests that wait return, so that a server can end without cutting one off. It may be called once.
func (s *Server) Stop() {
	close(s.stopping)
	s.changes.end()
}

// every does a piece of work now and then. What fails is said once, until it works again.
func (s *Server) every(ctx context.Context, pause time.Duration, complaint string, work func(context.Context) error) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	failing := false
	for {
		err := work(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			s.cfg.Log.Error(complaint, "err", err)
		}
		failing = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// listen hears what other processes tell, and looks for itself whenever it begins to.
func (s *Server) listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.cfg.Store.Listen(ctx, func() { _ = s.orders.refresh(ctx) }, s.heard)
		if ctx.Err() != nil {
			return
		}
		s.cfg.Log.Warn("not connected to the other processes; changes there are noticed later", "err", err)
		select {
		case <-time.After(listenAgain):
		case <-ctx.Done():
		}
	}
}
