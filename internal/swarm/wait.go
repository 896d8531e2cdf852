package swarm

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"redflag/internal/wire"
)

// How long the swarm lets the server come to rest, before and while its memory is read. The server gives memory back by the minute.
const (
	settle  = 5 * time.Second
	waiting = 15 * time.Second
)

// wait holds one connection for each member open, as agents do that wait for orders, and says what each costs the server.
func (s *Swarm) wait(ctx context.Context) error {
	if s.cfg.Process == 0 {
		return nil
	}
	s.http.CloseIdleConnections()
	sleep(ctx, settle)
	before, err := s.cfg.Process.RSS()
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	var work sync.WaitGroup
	failed := make(chan error, len(s.members))
	for i, m := range s.members {
		if i%s.cfg.AtOnce == 0 {
			sleep(ctx, time.Second/100)
		}
		work.Go(func() {
			one := &http.Transport{DialContext: s.traffic.dial, DisableCompression: true}
			defer one.CloseIdleConnections()
			c := *m.client
			c.HTTP = s.from(m, one)
			if _, err := c.Orders(ctx, wire.Wait{Level: wire.Level, Session: m.heard.session, Seconds: int(wire.LongestWait / time.Second)}); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	sleep(ctx, waiting)
	after, err := s.cfg.Process.RSS()
	stop()
	work.Wait()
	if err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
	}
	fmt.Fprintf(s.cfg.Out, "memory with %d agents waiting: %.1f MiB, %.1f KiB for each\n", len(s.members), float64(after)/(1<<20), float64(after-before)/1024/float64(len(s.members)))
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
