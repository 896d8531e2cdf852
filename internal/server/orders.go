package server

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// orders wakes the hosts that wait for something to do. What is to be done are rows: a wake-up that is lost costs time and nothing else.
type orders struct {
	store *store.Store

	mu      sync.Mutex
	open    map[fleet.HostID]bool          // hosts that have orders to fetch
	waiting map[fleet.HostID]chan struct{} // closed to wake a host's request
}

func newOrders(s *store.Store) *orders {
	return &orders{store: s, open: map[fleet.HostID]bool{}, waiting: map[fleet.HostID]chan struct{}{}}
}

// wake lets a host's waiting request return.
func (o *orders) wake(id fleet.HostID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open[id] = true
	o.release(id)
}

func (o *orders) release(id fleet.HostID) {
	if ch, ok := o.waiting[id]; ok {
		close(ch)
		delete(o.waiting, id)
	}
}

// refresh asks the store which hosts have orders, which another process or a command may have given, and wakes them.
func (o *orders) refresh(ctx context.Context) error {
	open, err := o.store.WaitingHosts(ctx)
	if err != nil {
		return fmt.Errorf("look for orders: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = open
	for id := range open {
		o.release(id)
	}
	return nil
}

// take says whether a host may have orders, and where not gives what is closed when it may. Whoever takes looks, and says with
// [orders.wake] when some are still there: an order that is given meanwhile is not overlooked.
func (o *orders) take(id fleet.HostID) (bool, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open[id] {
		delete(o.open, id)
		return true, nil
	}
	ch, ok := o.waiting[id]
	if !ok {
		ch = make(chan struct{})
		o.waiting[id] = ch
	}
	return false, ch
}

// gone forgets that a host's request waits, unless another one of the same host does.
func (o *orders) gone(id fleet.HostID, ch <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting[id] == ch {
		delete(o.waiting, id)
	}
}

// Waiting says how many hosts wait for orders here.
func (s *Server) Waiting() int {
	s.orders.mu.Lock()
	defer s.orders.mu.Unlock()
	return len(s.orders.waiting)
}

// waitForOrders gives a host its orders, and keeps it waiting while there are none.
func (s *Server) waitForOrders(ctx context.Context, r request, now time.Time) (any, error) {
	var w wire.Wait
	if err := r.unpack(&w); err != nil {
		return nil, err
	}
	if err := s.speaks(ctx, r, w.Session, now); err != nil {
		return nil, err
	}
	patience := min(time.Duration(max(w.Seconds, 0))*time.Second, wire.LongestWait)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		some, woken := s.orders.take(r.host)
		if some {
			list, err := s.cfg.Store.WaitingOrders(ctx, r.host, s.cfg.Now())
			if err != nil || len(list) > 0 {
				s.orders.wake(r.host)
				return wire.Orders{Orders: list}, err
			}
			continue
		}
		select {
		case <-woken:
		case <-timer.C:
			s.orders.gone(r.host, woken)
			return nil, nil
		case <-s.stopping:
			return nil, nil
		case <-ctx.Done():
			s.orders.gone(r.host, woken)
			return nil, ctx.Err()
		}
	}
}

// speaks refuses a session that is not the host's: two machines must not fetch one machine's orders, or say what it does.
func (s *Server) speaks(ctx context.Context, r request, session string, now time.Time) error {
	h, err := s.known.get(ctx, r.host, now)
	if err == nil && h.Session != session {
		h, err = s.known.readAgain(ctx, r.host, now)
	}
	if err == nil && h.Session != session {
		return store.ErrLate
	}
	return err
}

// result notes what became of an order.
func (s *Server) result(ctx context.Context, r request, now time.Time) (any, error) {
	var result wire.Result
	if err := r.unpack(&result); err != nil {
		return nil, err
	}
	if err := result.Check(); err != nil {
		return nil, err
	}
	if err := s.cfg.Store.Result(ctx, r.host, result, now); err != nil {
		return nil, err
	}
	s.changes.note(TopicOrders, r.host)
	s.changes.note(TopicJobs, r.host)
	return nil, nil
}

// leave takes a host out of the fleet, at its own wish.
func (s *Server) leave(ctx context.Context, r request, _ time.Time) (any, error) {
	if err := s.Forget(ctx, r.host); err != nil {
		return nil, err
	}
	s.cfg.Log.Info("a host has left", "host", r.host.String(), "address", r.address)
	return nil, nil
}

// Forget takes a host out of the fleet, with all that is known of it.
func (s *Server) Forget(ctx context.Context, id fleet.HostID) error {
	if err := s.cfg.Store.Forget(ctx, id); err != nil {
		return err
	}
	s.known.drop(id)
	s.NoteHost(id)
	return nil
}

// orderLife is how long a host that is away may take to come for an order to scan. A day later nobody waits for it any more.
const orderLife = 24 * time.Hour

// Scan asks a host to look at itself now.
func (s *Server) Scan(ctx context.Context, id fleet.HostID, scan wire.Scan, by string) (wire.OrderID, error) {
	now := s.cfg.Now()
	o := wire.Order{ID: store.NewOrderID(), Host: id, ExpiresAt: now.Add(orderLife).UTC().Truncate(time.Second), Scan: &scan}
	signed, err := o.Sign(s.cfg.OrderKey)
	if err != nil {
		return 0, err
	}
	if err := s.cfg.Store.Order(ctx, id, o, signed, by, now); err != nil {
		return 0, err
	}
	s.ordered(id)
	return o.ID, nil
}

// public gives the public half of the key that signs orders.
func (c Config) public() ed25519.PublicKey {
	key, _ := c.OrderKey.Public().(ed25519.PublicKey)
	return key
}

// ordered wakes a host that has something to do.
func (s *Server) ordered(id fleet.HostID) {
	s.orders.wake(id)
	s.changes.note(TopicOrders, id)
}
