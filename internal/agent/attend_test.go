package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/helper"
	"redflag/internal/wire"
)

// scribe is a server as far as orders go: it keeps what it is told, and loses every third request, and every third answer.
type scribe struct {
	Server
	mu      sync.Mutex
	asked   int
	lossy   bool
	lines   []string
	results []wire.Result
}

// Progress implements Server: it appends what continues what it has.
func (s *scribe) Progress(_ context.Context, p wire.Progress) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.lossy && s.asked%3 == 1 {
		return 0, errLost
	}
	if have := len(s.lines) - p.From; have >= 0 && have < len(p.Lines) {
		s.lines = append(s.lines, p.Lines[have:]...)
	}
	if s.lossy && s.asked%3 == 2 {
		return 0, errLost
	}
	return len(s.lines), nil
}

// Result implements Server.
func (s *scribe) Result(_ context.Context, r wire.Result) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results = append(s.results, r)
	return nil
}

// CheckIn implements Server.
func (s *scribe) CheckIn(context.Context, wire.CheckIn) ([]string, error) { return nil, nil }

// got gives what was told last.
func (s *scribe) got() (wire.Result, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.results) == 0 {
		return wire.Result{}, len(s.lines)
	}
	return s.results[len(s.results)-1], len(s.lines)
}

// worker is who has root: an order says so many lines until it may end.
type worker struct {
	mu     sync.Mutex
	taken  map[wire.OrderID]int
	lines  int
	ended  bool
	away   bool
	refuse error
}

var errAway = fmt.Errorf("%w: connection refused", helper.ErrAway)

func (w *worker) Facts(context.Context) (helper.Facts, error) { return helper.Facts{}, nil }
func (w *worker) Refresh(context.Context) error               { return nil }

func (w *worker) Do(_ context.Context, signed wire.SignedOrder) (helper.Report, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return helper.Report{}, errAway
	}
	if w.refuse != nil {
		return helper.Report{}, &helper.Refused{Reason: w.refuse}
	}
	o, err := signed.Open(orderKey().Public().(ed25519.PublicKey), 1, time.Time{})
	if err != nil {
		return helper.Report{}, err
	}
	w.taken[o.ID]++
	return helper.Report{State: wire.Running, Percent: -1}, nil
}

func (w *worker) Look(_ context.Context, l helper.Look) (helper.Report, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.away:
		return helper.Report{}, errAway
	case w.taken[l.Order] == 0:
		return helper.Report{}, helper.ErrNoOrder
	}
	r := helper.Report{State: wire.Running, Percent: 50, Step: "Unpacking"}
	for n := l.From; n < w.lines && len(r.Lines) < wire.MaxBatch; n++ {
		r.Lines = append(r.Lines, line(n))
	}
	r.More = l.From+len(r.Lines) < w.lines
	if w.ended {
		r.State, r.Step, r.Percent = wire.Failed, "", -1
		r.Because, r.Remedy = "apt fails", "look at it"
	}
	return r, nil
}

func line(n int) string { return fmt.Sprintf("line %d", n) }

func orderKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, 32)) }

// orderOf signs an order.
func orderOf(t *testing.T, key ed25519.PrivateKey, o wire.Order) wire.SignedOrder {
	t.Helper()
	signed, err := o.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func installing(id wire.OrderID) wire.Order {
	return wire.Order{ID: id, Host: 1, ExpiresAt: time.Now().Add(time.Hour), Install: &wire.Install{Plans: []fleet.Plan{{Source: "apt"}}}}
}

// started is an agent that has begun its session, and what ends it.
func started(t *testing.T, dir string, server Server, root Root) (*Agent, func()) {
	t.Helper()
	a := New(server, OpenState(dir), func(context.Context, wire.Scan) (View, error) { return View{}, nil }, slog.New(slog.DiscardHandler))
	a.host, a.orderKey, a.journal, a.Root = 1, orderKey().Public().(ed25519.PublicKey), openJournal(dir), root
	return a, a.orders.Wait
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 2400 {
		if done() {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("it never came to it that %s", what)
}

func TestEachLineGoesUpOnceWhateverIsLostAndTheResultComesAfterTheLast(t *testing.T) {
	dir := t.TempDir()
	s, w := &scribe{lossy: true}, &worker{taken: map[wire.OrderID]int{}, lines: 1500}
	ctx, kill := context.WithCancel(t.Context())
	a, wait := started(t, dir, s, w)
	if err := a.obey(ctx, []wire.SignedOrder{orderOf(t, orderKey(), installing(5))}); err != nil {
		t.Fatal(err)
	}
	until(t, "a thousand lines are up", func() bool { _, n := s.got(); return n >= 1000 })
	kill() // the agent
	wait()
	w.mu.Lock()
	w.lines, w.ended = 2300, true // and it goes on without it
	w.mu.Unlock()
	a, wait = started(t, dir, s, w)
	a.resume(t.Context())
	wait()
	last, n := s.got()
	if n != 2300 || last.State != wire.Failed || last.Because != "apt fails" || last.Remedy != "look at it" || !a.journal.all()[0].Told {
		t.Errorf("%d lines, %+v", n, last)
	}
	for i, got := range s.lines {
		if got != line(i) {
			t.Fatalf("line %d is %q", i, got)
		}
	}
	states := []wire.State{}
	for _, r := range s.results {
		states = append(states, r.State)
	}
	if states[0] != wire.Running {
		t.Errorf("told: %v", states)
	}
	if w.taken[5] != 2 { // once by each agent, which the helper knows to be one
		t.Errorf("it was given %d times", w.taken[5])
	}
}

func TestAnInstallationKeepsNoOtherOrderWaiting(t *testing.T) {
	s, w := &scribe{}, &worker{taken: map[wire.OrderID]int{}}
	ctx, kill := context.WithCancel(t.Context())
	a, wait := started(t, t.TempDir(), s, w)
	scan := wire.Order{ID: 6, Host: 1, ExpiresAt: time.Now().Add(time.Hour), Scan: &wire.Scan{}}
	if err := a.obey(ctx, []wire.SignedOrder{orderOf(t, orderKey(), installing(5)), orderOf(t, orderKey(), scan)}); err != nil {
		t.Fatal(err)
	}
	until(t, "the scan has succeeded", func() bool {
		return slices.ContainsFunc(a.journal.all(), func(e entry) bool { return e.Order == 6 && e.State == wire.Succeeded && e.Told })
	})
	if i := slices.IndexFunc(a.journal.all(), func(e entry) bool { return e.Order == 5 }); a.journal.all()[i].State.Ended() {
		t.Error("the installation has ended")
	}
	kill()
	wait()
}

func TestWhatIsNotObeyedIsRefusedAtTheServerWithTheReason(t *testing.T) {
	stranger := ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", 32)))
	foreign, expired := installing(7), installing(7)
	foreign.Host, expired.ExpiresAt = 2, time.Now().Add(-time.Minute)
	for because, signed := range map[string]wire.SignedOrder{
		"the signature is not the server's": orderOf(t, stranger, installing(7)),
		"it is for another host":            orderOf(t, orderKey(), foreign),
		"it expired at":                     orderOf(t, orderKey(), expired),
		"because root says so":              orderOf(t, orderKey(), installing(7)),
		"it has no root helper":             orderOf(t, orderKey(), installing(7)),
	} {
		s := &scribe{}
		var root Root = &worker{taken: map[wire.OrderID]int{}, refuse: errors.New("because root says so")}
		if strings.Contains(because, "no root helper") {
			root = nil
		}
		a, wait := started(t, t.TempDir(), s, root)
		if err := a.obey(t.Context(), []wire.SignedOrder{signed}); err != nil {
			t.Fatal(err)
		}
		wait()
		if got, _ := s.got(); got.Order != 7 || got.State != wire.Failed || !strings.Contains(got.Because, because) {
			t.Errorf("%q: %+v", because, got)
		}
	}
}

func TestAForgedOrderDoesNotKeepTheTrueOneFromBeingObeyed(t *testing.T) {
	s, w := &scribe{}, &worker{taken: map[wire.OrderID]int{}, ended: true}
	a, wait := started(t, t.TempDir(), s, w)
	stranger := ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", 32)))
	if err := a.obey(t.Context(), []wire.SignedOrder{orderOf(t, stranger, installing(7)), orderOf(t, orderKey(), installing(7)), orderOf(t, stranger, installing(7))}); err != nil {
		t.Fatal(err)
	}
	wait()
	if w.taken[7] != 1 {
		t.Errorf("it was given %d times", w.taken[7])
	}
	if got, _ := s.got(); got.Because != "apt fails" {
		t.Errorf("%+v", got)
	}
}

func TestAnOrderWaitsForAHelperThatIsAway(t *testing.T) {
	s, w := &scribe{}, &worker{taken: map[wire.OrderID]int{}, ended: true, away: true}
	a, wait := started(t, t.TempDir(), s, w)
	if err := a.obey(t.Context(), []wire.SignedOrder{orderOf(t, orderKey(), installing(7))}); err != nil {
		t.Fatal(err)
	}
	until(t, "the server is told", func() bool {
		r, _ := s.got()
		return r.State == wire.Held && strings.Contains(r.Because, "does not answer")
	})
	w.mu.Lock()
	w.away = false
	w.mu.Unlock()
	wait()
	if got, _ := s.got(); got.State != wire.Failed || w.taken[7] == 0 {
		t.Errorf("%+v", got)
	}
}
