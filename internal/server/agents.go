package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// request is one at the agents' door, its body read whole.
type request struct {
	body     []byte
	encoding string
	address  string // of who is at the other end of the connection, without its port
	host     fleet.HostID
	created  time.Time // by the host's clock; it is signed
	http     *http.Request
}

// unpack reads the message of a request.
func (r request) unpack(message any) error {
	return wire.Unpack(r.body, r.encoding, wire.MaxReport, message)
}

// answer is what a route gives: a message, or nil for none.
type route func(ctx context.Context, r request, now time.Time) (answer any, err error)

// asGuest is a route for who is not in the fleet yet. Failures are counted, so that a whole site can join behind one address.
func (s *Server) asGuest(do route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := s.cfg.Now()
		from := s.site(r)
		if wait := max(s.guests.wait(from, now), s.newcomer.take(from, now)); wait > 0 {
			s.refuse(w, r, errTooMany{wait})
			return
		}
		req, err := s.readRequest(w, r)
		if err != nil {
			s.guests.take(from, now)
			s.refuse(w, r, err)
			return
		}
		s.serve(w, r, func(ctx context.Context, r request, now time.Time) (any, error) {
			answer, err := do(ctx, r, now)
			if err != nil {
				s.guests.take(from, now)
			}
			return answer, err
		}, req, now)
	})
}

// asHost is a route for hosts of the fleet.
func (s *Server) asHost(do route) http.Handler { return s.asHostWithin(s.hosts, do) }

// asHostWithin is a route for hosts of the fleet that has a rate of its own.
func (s *Server) asHostWithin(rate *limiter, do route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := s.cfg.Now()
		req, err := s.readRequest(w, r)
		if err == nil {
			err = s.identify(&req, now)
		}
		if err != nil {
			// Whoever cannot say who he is, is counted by his address.
			if wait := s.guests.take(s.site(r), now); wait > 0 {
				err = errTooMany{wait}
			}
			s.refuse(w, r, err)
			return
		}
		if wait := rate.takeSome(req.host.String(), 1+len(req.body)/turnBytes, now); wait > 0 {
			s.refuse(w, r, errTooMany{wait})
			return
		}
		s.serve(w, r, do, req, now)
	})
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, do route, req request, now time.Time) {
	answer, err := do(r.Context(), req, now)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // who asked is gone
}

// bodyPatience is for 4 MB over a slow line; who sends a byte a second is not waited for.
const bodyPatience = time.Minute

func (s *Server) readRequest(w http.ResponseWriter, r *http.Request) (request, error) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyPatience)) // not every ResponseWriter of a test can
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxBody))
	_ = rc.SetReadDeadline(time.Time{}) // the connection waits for orders, and for the next request
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return request{}, fmt.Errorf("%w: over %d bytes", errTooLarge, wire.MaxBody)
	case err != nil:
		return request{}, fmt.Errorf("%w: %w", errBody, err)
	}
	return request{body: body, encoding: r.Header.Get("Content-Encoding"), address: s.address(r), http: r}, nil
}

// identify says which host a request is of, by its signature.
func (s *Server) identify(r *request, now time.Time) error {
	signed, err := wire.ReadSignature(r.http, r.body)
	if err != nil {
		return err
	}
	id, err := fleet.ParseHostID(signed.KeyID)
	if err != nil {
		return wire.ErrUnsigned
	}
	key, err := s.known.key(r.http.Context(), id, now)
	if err != nil {
		return err
	}
	err = signed.Verify(key, &s.nonces, now)
	if errors.Is(err, wire.ErrSignature) {
		// The host may have enrolled again at another process.
		fresh, readErr := s.known.readAgain(r.http.Context(), id, now)
		if readErr != nil {
			return readErr
		}
		err = signed.Verify(fresh.Key, &s.nonces, now)
	}
	r.host, r.created = id, signed.Created
	return err
}

// enroll takes a host into the fleet. It proves that it has the key that it brings.
func (s *Server) enroll(ctx context.Context, r request, now time.Time) (any, error) {
	var e wire.Enroll
	if err := r.unpack(&e); err != nil {
		return nil, err
	}
	if err := e.Check(); err != nil {
		return nil, err
	}
	signed, err := wire.ReadSignature(r.http, r.body)
	if err == nil {
		err = signed.Verify(e.Key, &s.nonces, now)
	}
	if err != nil {
		return nil, err
	}
	id, err := s.cfg.Store.Enroll(ctx, e, r.address, now)
	if err != nil {
		return nil, err
	}
	s.known.drop(id)
	s.changes.note(TopicHosts, id)
	s.cfg.Log.Info("a host has enrolled", "host", id.String(), "name", e.Host.Name, "address", r.address)
	return wire.Enrolled{Level: wire.Level, Host: id, Server: s.cfg.public(), Interval: int(s.cfg.Interval / time.Second)}, nil
}

// checkIn hears that a host is there, and asks for what is not known of it.
func (s *Server) checkIn(ctx context.Context, r request, now time.Time) (any, error) {
	var c wire.CheckIn
	if err := r.unpack(&c); err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	if err := s.known.session(ctx, r.host, store.Session{Name: c.Session, At: r.created, Address: r.address}, now); err != nil {
		return nil, err
	}
	s.known.note(r.host, store.Seen{At: now, Scanned: c.Scanned, AsOf: c.AsOf})
	send, err := s.known.missing(ctx, r.host, c, now)
	if err != nil || len(send) == 0 {
		return nil, err
	}
	return wire.CheckedIn{Send: send}, nil
}

// report saves what has changed on a host.
func (s *Server) report(ctx context.Context, r request, now time.Time) (any, error) {
	var report wire.Report
	if err := r.unpack(&report); err != nil {
		return nil, err
	}
	if err := report.Check(); err != nil {
		return nil, err
	}
	send, err := s.cfg.Store.SaveReport(ctx, r.host, report, r.address, now)
	if err != nil {
		return nil, err
	}
	s.known.drop(r.host)
	s.exposure.Outdated()
	s.changes.note(TopicHosts, r.host)
	return wire.Reported{Send: send}, nil
}
