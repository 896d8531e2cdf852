package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/fleet"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// mortal is the server as an agent sees it that is killed at a step: just before it speaks, or just after, when the server has heard it and
// it has not heard the answer. What it has on disk is all that is left of it.
type mortal struct {
	Server
	mu     *sync.Mutex
	steps  int // left
	before bool
	kill   context.CancelFunc
}

// never is a step that no agent comes to.
const never = 1000

// step passes a call on, unless it is the last.
func step[T any](m *mortal, call func() (T, error)) (T, error) {
	m.mu.Lock() // an order is carried out beside what it is told of
	defer m.mu.Unlock()
	m.steps--
	var none T
	if m.steps < 0 || m.steps == 0 && m.before {
		m.kill()
		return none, context.Canceled
	}
	got, err := call()
	if m.steps == 0 {
		m.kill()
		return none, context.Canceled
	}
	return got, err
}

// CheckIn implements Server.
func (m *mortal) CheckIn(ctx context.Context, in wire.CheckIn) ([]string, error) {
	return step(m, func() ([]string, error) { return m.Server.CheckIn(ctx, in) })
}

// Report implements Server.
func (m *mortal) Report(ctx context.Context, r wire.Report) ([]string, error) {
	return step(m, func() ([]string, error) { return m.Server.Report(ctx, r) })
}

// Orders implements Server.
func (m *mortal) Orders(ctx context.Context, w wire.Wait) ([]wire.SignedOrder, error) {
	w.Seconds = 0
	return step(m, func() ([]wire.SignedOrder, error) { return m.Server.Orders(ctx, w) })
}

// Result implements Server.
func (m *mortal) Result(ctx context.Context, r wire.Result) error {
	_, err := step(m, func() (struct{}, error) { return struct{}{}, m.Server.Result(ctx, r) })
	return err
}

// live is what Run does, without its pauses: a round, what was begun before, what was not told, and new orders.
func (w *world) live(ctx context.Context, orderKey ed25519.PublicKey, server Server, looks *[]wire.Scan) error {
	a := New(server, OpenState(w.dir), func(_ context.Context, opt wire.Scan) (View, error) {
		*looks = append(*looks, opt)
		return w.view, nil
	}, slog.New(slog.DiscardHandler))
	a.host, a.orderKey, a.journal = w.id, orderKey, openJournal(w.dir)
	defer a.orders.Wait()
	for _, do := range []func(context.Context) error{
		func(ctx context.Context) error { return a.Round(ctx, wire.Scan{}) },
		func(ctx context.Context) error { a.resume(ctx); a.orders.Wait(); return ctx.Err() },
		a.tell, a.nextOrders,
		func(ctx context.Context) error { a.orders.Wait(); return ctx.Err() },
		a.tell,
	} {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

func TestAnAgentThatIsKilledBetweenAnyTwoStepsFinishesWhatItBegan(t *testing.T) {
	for steps := 1; ; steps++ {
		survived := 0
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d %t", steps, before), func(t *testing.T) {
				if killedAt(t, steps, before) {
					survived++
				}
			})
		}
		if survived == 2 {
			if steps < 8 { // check in twice, report, fetch orders, tell, look and check in, tell
				t.Errorf("an agent's life has only %d steps", steps)
			}
			return
		}
	}
}

// killedAt kills an agent at a step, starts it again, and holds the server to what the host has. It says whether the agent was done before.
func killedAt(t *testing.T, steps int, before bool) (survived bool) {
	w := newWorld(t)
	key := w.orderKey.Public().(ed25519.PublicKey)
	apt := fleet.Finding{Source: "apt", State: fleet.OK, Updates: []fleet.Update{{Source: "apt", Name: "curl", From: "1", To: "2"}}, Checks: []fleet.Check{}}
	w.view = View{Host: fleet.Host{Name: "web1"}, Findings: []fleet.Finding{apt}, Packages: []fleet.Package{{Source: "apt", Name: "curl", Version: "1"}}, Containers: []fleet.Container{}}
	var looks []wire.Scan
	if err := w.live(t.Context(), key, &mortal{w.client, new(sync.Mutex), never, false, nil}, &looks); err != nil {
		t.Fatal(err)
	}
	order, err := w.server.Scan(t.Context(), w.id, wire.Scan{Refresh: true}, "test")
	if err != nil {
		t.Fatal(err)
	}
	w.view.Packages[0].Version = "2"
	w.view.Findings[0].Updates = []fleet.Update{}
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	looks = nil
	err = w.live(ctx, key, &mortal{w.client, new(sync.Mutex), steps, before, kill}, &looks)
	if survived = err == nil; !survived && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.live(t.Context(), key, &mortal{w.client, new(sync.Mutex), never, false, nil}, &looks); err != nil {
			t.Fatal(err)
		}
	}
	o, err := w.store.OneOrder(t.Context(), order)
	if err != nil || o.State != wire.Succeeded {
		t.Errorf("the order is %+v, %v", o, err)
	}
	refreshed := 0
	for _, l := range looks {
		if l.Refresh {
			refreshed++
		}
	}
	if refreshed < 1 || refreshed > 2 { // to look twice does no harm; what does must be looked up in the journal
		t.Errorf("it was done %d times", refreshed)
	}
	packages, err := w.store.Packages(t.Context(), w.id)
	if diff := cmp.Diff(w.view.Packages, packages); err != nil || diff != "" {
		t.Errorf("packages (-host +store): %v\n%s", err, diff)
	}
	if gone, _, err := w.store.History(t.Context(), w.id, store.Page{}); err != nil || len(gone) != 1 {
		t.Errorf("history: %v, %v", gone, err)
	}
	return survived
}
