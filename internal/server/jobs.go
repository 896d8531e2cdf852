package server

import (
	"context"
	"errors"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// jobLife is how long each step of a job may take, where nobody says otherwise: a host that is away comes for it, a person approves it, the host begins it.
const jobLife = 24 * time.Hour

// MaxLife bounds that: what was approved a month ago, nobody expects any more.
const MaxLife = 31 * 24 * time.Hour

// Asked is what is asked of hosts.
type Asked struct {
	Work  store.Work
	After fleet.After
	// Hosts are those that are meant; none where the work is to undo, which is for the hosts of what is undone.
	Hosts []fleet.HostID
	// Names are what is meant on each host, where that differs from one to the next; the work has them all.
	Names map[fleet.HostID][]string
	// Life is for how long each step of it is good; 0 is a day.
	Life time.Duration
	By   string
}

// ErrNoHosts: there is no host that it could be asked of.
var ErrNoHosts = errors.New("there is no host that this could be asked of")

// Begin asks work of hosts: it makes a rollout with a job on each of them. What is planned first waits for an approval then.
func (s *Server) Begin(ctx context.Context, a Asked) (store.RolloutID, error) {
	if err := a.Work.Check(); err != nil {
		return 0, err
	}
	now := s.cfg.Now()
	r := store.Rollout{ID: store.NewRolloutID(), Work: a.Work, After: a.After, CreatedBy: a.By, Life: a.Life}
	if r.Life <= 0 {
		r.Life = jobLife
	}
	undoes, err := s.targets(ctx, a)
	switch {
	case err != nil:
		return 0, err
	case len(undoes) == 0:
		return 0, ErrNoHosts
	case len(undoes) > store.MaxRollout:
		return 0, store.ErrManyHosts
	}
	var orders []store.Delivery
	for id, order := range undoes {
		work := a.Work
		if names := a.Names[id]; names != nil {
			work.Install = &store.Selected{Names: names}
		}
		d, err := s.signed(id, work.Order(order), now.Add(r.Life))
		if err != nil {
			return 0, err
		}
		orders = append(orders, d)
	}
	if err := s.cfg.Store.NewRollout(ctx, r, orders, now); err != nil {
		return 0, err
	}
	for id := range undoes {
		s.worked(id)
	}
	return r.ID, nil
}

// targets gives the hosts that are meant, each with the order that is taken back there.
func (s *Server) targets(ctx context.Context, a Asked) (map[fleet.HostID]wire.OrderID, error) {
	if a.Work.Undo != nil {
		return s.cfg.Store.Undoable(ctx, *a.Work.Undo)
	}
	hosts := map[fleet.HostID]wire.OrderID{}
	for _, id := range a.Hosts {
		hosts[id] = 0
	}
	return hosts, nil
}

// signed makes an order, signed.
func (s *Server) signed(id fleet.HostID, o wire.Order, expires time.Time) (store.Delivery, error) {
	o.ID, o.Host, o.ExpiresAt = store.NewOrderID(), id, expires.UTC().Truncate(time.Second)
	signed, err := o.Sign(s.cfg.OrderKey)
	return store.Delivery{Order: o, Signed: signed}, err
}

// Approve has exactly the plans of a digest carried out, each once: a second time it changes nothing, and gives the same jobs.
func (s *Server) Approve(ctx context.Context, sc store.Scope, digest, by string) ([]store.Job, error) {
	jobs, err := s.cfg.Store.Approve(ctx, sc, digest, by, s.cfg.Now(), func(j store.PlannedJob, after fleet.After, expires time.Time, undoes wire.OrderID) (store.Delivery, error) {
		return s.signed(j.Host, wire.Order{Install: &wire.Install{Plans: j.Plans, After: after, Undoes: undoes}}, expires)
	})
	for _, j := range jobs {
		s.worked(j.Host)
	}
	return jobs, err
}

// Cancel ends jobs that have not begun, and asks the hosts that have theirs already to end them if they can.
func (s *Server) Cancel(ctx context.Context, sc store.Scope, by string) (store.Cancelled, error) {
	now := s.cfg.Now()
	done, err := s.cfg.Store.Cancel(ctx, sc, by, now, func(j store.Job) (store.Delivery, error) {
		return s.signed(j.Host, wire.Order{Cancel: &wire.Cancel{Order: j.WorkOrder}}, now.Add(orderLife))
	})
	for _, list := range [][]store.Job{done.Stopped, done.Asked, done.Running} {
		for _, j := range list {
			s.worked(j.Host)
		}
	}
	return done, err
}

// worked tells that a host's jobs have changed, and wakes it.
func (s *Server) worked(id fleet.HostID) {
	s.ordered(id)
	s.changes.note(TopicJobs, id)
}

// progress keeps what the tools on a host say while an order is carried out.
func (s *Server) progress(ctx context.Context, r request, now time.Time) (any, error) {
	var p wire.Progress
	if err := r.unpack(&p); err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := s.speaks(ctx, r, p.Session, now); err != nil {
		return nil, err
	}
	next, err := s.cfg.Store.Progress(ctx, r.host, p, now)
	if err != nil {
		return nil, err
	}
	s.changes.note(TopicJobs, r.host)
	return wire.Progressed{Next: next}, nil
}
