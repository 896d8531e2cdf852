package agent

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/wire"
)

// Run looks and reports until ctx ends, and does what the server asks. It fails only where going on has no sense: the host is not in
// the fleet any more.
func (a *Agent) Run(ctx context.Context, id Identity) error {
	a.host, a.orderKey, a.journal = id.Host, ed25519.PublicKey(id.OrderKey), openJournal(a.state.dir)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	first := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() { cancel(a.rounds(ctx, id, first)) })
	work.Go(func() {
		select {
		case <-first: // orders are for a host that has begun its session
			cancel(a.takeOrders(ctx))
		case <-ctx.Done():
		}
	})
	work.Wait()
	a.orders.Wait()
	return context.Cause(ctx)
}

// rounds checks in again and again. After the first time that works it closes first.
func (a *Agent) rounds(ctx context.Context, id Identity, first chan<- struct{}) error {
	interval := time.Duration(id.Interval) * time.Second
	if interval < shortestInterval {
		interval = shortestInterval
	}
	if a.state.base != "" && !a.Prompt && !a.journal.awaited() {
		sleep(ctx, splay(id.Host, min(interval, longestSplay)))
	}
	failures := 0
	for ctx.Err() == nil {
		err := a.Round(ctx, wire.Scan{})
		debug.FreeOSMemory() // a look takes ten times the memory of waiting for the next
		if ctx.Err() != nil {
			break
		}
		a.note(err)
		switch {
		case err == nil:
			if first != nil {
				close(first)
				first = nil
			}
			failures = 0
		case isOver(err):
			return advise(err)
		default:
			failures++
			a.log.Warn("the round failed, and will be tried again", "err", advise(err), "failures", failures)
		}
		sleep(ctx, Wait(interval, failures, err, rand.Float64))
	}
	return ctx.Err()
}

const (
	// shortestInterval keeps a server from being asked without a pause, whatever it said.
	shortestInterval = 10 * time.Second
	// longestSplay is over how long hosts spread that were all started at once, after a power cut.
	longestSplay = time.Minute
)

// splay gives each host its own delay.
func splay(id fleet.HostID, within time.Duration) time.Duration {
	h := fnv.New64a()
	_ = binary.Write(h, binary.BigEndian, int64(id)) // a hash takes all
	return time.Duration(h.Sum64() % uint64(within))
}

// isOver says whether a refusal ends the agent's work here.
func isOver(err error) bool {
	var r *wire.Refusal
	return errors.As(err, &r) && r.Code == wire.CodeForgotten
}

// takeOrders waits for orders and does them.
func (a *Agent) takeOrders(ctx context.Context) error {
	failures := 0
	a.resume(ctx)
	for ctx.Err() == nil {
		err := a.tell(ctx)
		if err == nil {
			err = a.nextOrders(ctx)
		}
		switch {
		case ctx.Err() != nil:
		case err == nil:
			failures = 0
		case isOver(err):
			return advise(err)
		default:
			failures++
			a.log.Debug("waiting for orders failed", "err", err)
			sleep(ctx, Wait(orderPause, failures, err, rand.Float64))
		}
	}
	return ctx.Err()
}

// orderPause is how long to wait after a wait for orders that failed, before it is doubled.
const orderPause = 5 * time.Second

// nextOrders waits once. An answer that comes at once and brings nothing that can be done must not be asked for again at once.
func (a *Agent) nextOrders(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, wire.LongestWait+dialPatience)
	defer cancel()
	list, err := a.server.Orders(waiting, wire.Wait{Level: wire.Level, Session: a.session, Seconds: int(wire.LongestWait / time.Second)})
	if err != nil || len(list) == 0 {
		return err
	}
	if err := a.obey(ctx, list); err != nil {
		return err
	}
	sleep(ctx, time.Second)
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Status is what the agent last noted of itself.
type Status struct {
	// At is when the last round ended, and SucceededAt when one last succeeded.
	At          time.Time `json:"at"`
	SucceededAt time.Time `json:"succeeded_at,omitzero"`
	// Because and Remedy say why the last round failed; empty when it did not.
	Because string `json:"because"`
	Remedy  string `json:"remedy"`
}

const (
	statusFile = "status.json"
	maxStatus  = 64 << 10
)

// LoadStatus reads it; the zero Status where there is none yet.
func LoadStatus(dir string) Status {
	var s Status
	if data, err := readFile(filepath.Join(dir, statusFile), maxStatus); err == nil && json.Unmarshal(data, &s) != nil {
		return Status{}
	}
	return s
}

// note writes down how a round ended, for `redflag agent status`.
func (a *Agent) note(err error) {
	s := LoadStatus(a.state.dir)
	s.At, s.Because, s.Remedy = now(), "", ""
	if err == nil {
		s.SucceededAt = s.At
	} else {
		s.Because, s.Remedy = fleet.Explain(advise(err))
	}
	data, err := json.Marshal(s)
	if err == nil {
		err = machine.WriteFile(filepath.Join(a.state.dir, statusFile), data, 0o600)
	}
	if err != nil {
		a.log.Warn("the agent's status is not written down", "err", err)
	}
}
