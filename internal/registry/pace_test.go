package registry

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestARegistryThatAllowsTwentyASecondLosesNoAnswer(t *testing.T) {
	l := newLab(t, bucket(20))
	refs, digests := sixty(t, l)
	checkAll(t, start(t, Config{}).ResolveAll(t.Context(), refs), digests)
	if n := l.answered(http.StatusTooManyRequests); n >= 10 {
		t.Errorf("%d answers 429, want fewer than 10", n)
	}
}

func TestAClockThatStandsStillDoesNotHoldUpAClientThatIsLimited(t *testing.T) {
	l := newLab(t, bucket(20))
	refs, digests := sixty(t, l)
	still := newClock()
	checkAll(t, start(t, Config{Now: still.Now}).ResolveAll(t.Context(), refs), digests)
}

func TestEveryoneWaitsForOneRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := newPace(), time.Now()
		p.limited(began, 30*time.Second)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				at, err := p.enter(t.Context())
				if err != nil || at.Sub(began) < 30*time.Second {
					t.Errorf("let in after %v: %v", at.Sub(began), err)
				}
				p.leave()
			})
		}
		wg.Wait()
	})
}

func TestABackOffDoublesUntilItIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		var last time.Duration
		for i := range 20 {
			began, err := p.enter(t.Context())
			if errors.As(err, &errLongWait{}) {
				if i < 5 {
					t.Errorf("given up after %d", i)
				}
				return
			}
			p.leave()
			p.limited(began, 0)
			wait := p.wait()
			if wait < last {
				t.Errorf("waits %v after %v", wait, last)
			}
			last = wait
		}
		t.Error("it never gives up")
	})
}

func TestABurstOf429CountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := newPace(), time.Now()
		time.Sleep(time.Millisecond)
		for range connections {
			p.limited(began, 0)
		}
		if wait := p.wait(); wait > 2*minWait {
			t.Errorf("one burst is waited for %v", wait)
		}
	})
}

func TestTheRateRisesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		for range 10 {
			p.fine(time.Now())
		}
		p.limited(time.Now(), 0)
		if p.rate != 7 {
			t.Errorf("10 a second were borne; it goes on at %v", p.rate)
		}
		for range 3_000_000 {
			if p.rate == 0 {
				return
			}
			began, err := p.enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p.leave()
			p.fine(began)
		}
		t.Errorf("still at %v a second", p.rate)
	})
}

func TestWhoGivesUpWhileWaitingTakesNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		p.limited(time.Now(), 30*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.enter(ctx); !errors.Is(err, ctx.Err()) || err == nil {
			t.Errorf("got %v", err)
		}
		if n := len(p.slots); n != 0 {
			t.Errorf("%d slots are taken", n)
		}
	})
}
