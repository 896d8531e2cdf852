package store

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

var orderKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// give gives an order to a host.
func give(t testing.TB, s *Store, id fleet.HostID) wire.OrderID {
	t.Helper()
	o := wire.Order{ID: NewOrderID(), Host: id, ExpiresAt: noon.Add(time.Hour), Scan: &wire.Scan{Refresh: true}}
	signed, err := o.Sign(orderKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Order(t.Context(), id, o, signed, "anna", noon); err != nil {
		t.Fatal(err)
	}
	return o.ID
}

func TestAnOrderWaitsUntilItsHostHasBegunItAndEndsOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a, b := enrol(t, s, "a"), enrol(t, s, "b")
		id := give(t, s, a)
		waiting, err := s.WaitingHosts(t.Context())
		if err != nil || !waiting[a] || waiting[b] {
			t.Errorf("%v, %v", waiting, err)
		}
		for range 2 { // an answer that was lost loses nothing
			list, err := s.WaitingOrders(t.Context(), a, noon)
			if err != nil || len(list) != 1 {
				t.Fatalf("%v, %v", list, err)
			}
			o, err := list[0].Open(orderKey.Public().(ed25519.PublicKey), a, noon)
			if err != nil || o.ID != id || !o.Scan.Refresh {
				t.Errorf("%+v, %v", o, err)
			}
		}
		if err := s.Result(t.Context(), b, wire.Result{Order: id, State: wire.Failed}, noon); !errors.Is(err, ErrNoOrder) {
			t.Errorf("another host's order: %v", err)
		}
		for _, c := range []struct{ says, want wire.State }{
			{wire.Running, wire.Running}, {wire.Running, wire.Running}, {wire.Succeeded, wire.Succeeded}, {wire.Failed, wire.Succeeded}, {wire.Running, wire.Succeeded},
		} {
			if err := s.Result(t.Context(), a, wire.Result{Order: id, State: c.says}, noon); err != nil {
				t.Fatal(err)
			}
			if o, err := s.OneOrder(t.Context(), id); err != nil || o.State != c.want || o.CreatedBy != "anna" || o.Host != a {
				t.Errorf("after %s: %+v, %v", c.says, o, err)
			}
		}
		if list, err := s.WaitingOrders(t.Context(), a, noon); err != nil || len(list) != 0 {
			t.Errorf("still waiting: %v, %v", list, err)
		}
	})
}

func TestOrdersThatNobodyComesForEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a := enrol(t, s, "a")
		waits, begun := give(t, s, a), give(t, s, a)
		if err := s.Result(t.Context(), a, wire.Result{Order: begun, State: wire.Running}, noon); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ExpireOrders(t.Context(), noon.Add(3*time.Hour)); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[wire.OrderID]wire.State{waits: wire.Expired, begun: wire.Lost} {
			if o, err := s.OneOrder(t.Context(), id); err != nil || o.State != want || o.Because == "" {
				t.Errorf("%+v, %v, want %s", o, err, want)
			}
		}
		if err := s.Result(t.Context(), a, wire.Result{Order: begun, State: wire.Succeeded}, noon); err != nil {
			t.Fatal(err)
		}
		if o, err := s.OneOrder(t.Context(), begun); err != nil || o.State != wire.Succeeded {
			t.Errorf("one that was given up turned up: %+v, %v", o, err)
		}
	})
}

func TestOnlySoManyOrdersWaitForAHost(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a := enrol(t, s, "a")
		for range maxWaiting {
			give(t, s, a)
		}
		if err := s.Order(t.Context(), a, wire.Order{ID: 1, Host: a}, wire.SignedOrder{}, "", noon); !errors.Is(err, ErrManyOrders) {
			t.Error(err)
		}
	})
}

func TestWhatProcessesShareIsMadeOnceAndALeaseIsHeldByOne(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		one, two := open(t, dsn), open(t, dsn)
		first, err := one.Setting(t.Context(), "key", func() ([]byte, error) { return []byte("first"), nil })
		if err != nil {
			t.Fatal(err)
		}
		second, err := two.Setting(t.Context(), "key", func() ([]byte, error) { return []byte("second"), nil })
		if err != nil || string(first) != "first" || string(second) != "first" {
			t.Errorf("%q, %q, %v", first, second, err)
		}
		for _, c := range []struct {
			s      *Store
			holder string
			minute int
			want   bool
		}{{one, "one", 0, true}, {two, "two", 1, false}, {one, "one", 2, true}, {two, "two", 11, false}, {two, "two", 13, true}, {one, "one", 14, false}} {
			now := noon.Add(time.Duration(c.minute) * time.Minute)
			if got, err := c.s.Lease(t.Context(), "work", c.holder, now, now.Add(10*time.Minute)); err != nil || got != c.want {
				t.Errorf("%s in minute %d: %v, %v", c.holder, c.minute, got, err)
			}
		}
	})
}
