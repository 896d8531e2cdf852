// Package server is the fleet's server. It has two doors: the agents', where hosts say what they have and fetch their orders,
// each request signed by a key that only that host has; and the people's. What an agent says is foreign: it is bounded, cleaned
// and believed of that host alone. What is answered is saved.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"redflag/internal/store"
	"redflag/internal/wire"
)

// Config is what a server is made with.
type Config struct {
	Store *store.Store
	// OrderKey is the public half of the key that signs orders.
	OrderKey []byte
	// Interval is how long agents wait between check-ins.
	Interval time.Duration
	// Log gets what an operator should know; nil means none.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// DefaultInterval is how long agents wait between check-ins.
const DefaultInterval = 5 * time.Minute

// Server answers agents and people. It is safe for many goroutines.
type Server struct {
	cfg    Config
	known  *known
	nonces wire.Nonces
	guests *limiter // of addresses that nobody vouches for yet
	hosts  *limiter // of hosts
}

// New makes a server. It serves as soon as its handlers do, and [Server.Run] must run beside them.
func New(cfg Config) *Server {
	if cfg.Interval == 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server{
		cfg: cfg, known: newKnown(cfg.Store),
		guests: newLimiter(guestRate, guestBurst), hosts: newLimiter(hostRate, hostBurst),
	}
}

// Agents is the agents' door.
func (s *Server) Agents() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+wire.PathEnroll, s.asGuest(s.enroll))
	mux.Handle("POST "+wire.PathCheckIn, s.asHost(s.checkIn))
	mux.Handle("POST "+wire.PathReport, s.asHost(s.report))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, errNoRoute) })
	return mux
}

// flushEvery is how often check-ins are written down. A server that dies forgets so much of when hosts were last seen, and nothing
// that they said.
const flushEvery = 5 * time.Second

// Run writes check-ins down until ctx ends, and once more then.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := s.known.flush(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Log.Error("check-ins are not written down yet, and will be tried again", "err", err)
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushEvery)
			defer cancel()
			return errors.Join(s.known.flush(last), context.Cause(ctx))
		}
	}
}
