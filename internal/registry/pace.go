package registry

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// connections is how many requests one registry host gets at once from the whole process. Eight fill a link with 50 ms of
// latency; more is taken for an attack by some.
const connections = 8

// pace is the one limiter and back-off of a registry host. It lets eight requests in at once, as fast as they go, until the host
// says 429: then all wait as long as it asked, and go on at a rate below the one that it was seen to bear, which rises
// again slowly (additive increase, multiplicative decrease).
type pace struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
	slots chan struct{}

	mu sync.Mutex
	// until is when the host may be asked again.
	until time.Time
	// rate is in requests a second; 0 means as fast as they go. next is when the next request may start at that rate.
	rate float64
	next time.Time
	// limits counts the times in a row that the host said 429, and limitedAt is when it last did.
	limits    int
	limitedAt time.Time
	// answered are the times of the answers of the last second.
	answered []time.Time
}

// newPace makes a limiter that goes by the machine's own clock, whatever the client's says: by one that stands still it
// would wait for ever.
func newPace() *pace {
	return &pace{now: time.Now, sleep: sleep, slots: make(chan struct{}, connections)}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// enter waits for a turn and gives the time at which it came; leave must follow. The error is ctx's, or errLongWait when the host wants to be left alone for
// longer than we wait.
func (p *pace) enter(ctx context.Context) (time.Time, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
	for {
		wait, err := p.turn()
		if err == nil && wait > 0 {
			err = p.sleep(ctx, wait)
		}
		if err != nil {
			p.leave()
			return time.Time{}, err
		}
		if wait == 0 {
			return p.now(), nil
		}
	}
}

func (p *pace) leave() { <-p.slots }

// errLongWait is the end of patience: see [maxWait].
type errLongWait struct{ wait time.Duration }

func (e errLongWait) Error() string { return "to be left alone for " + e.wait.String() }

// turn gives 0 when a request may start now, and otherwise how long to wait before asking again.
func (p *pace) turn() (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if wait := p.until.Sub(now); wait > 0 {
		if wait > maxWait {
			return 0, errLongWait{wait}
		}
		return wait, nil
	}
	if p.rate == 0 {
		return 0, nil
	}
	if wait := p.next.Sub(now); wait > 0 {
		return wait, nil
	}
	p.next = now.Add(time.Duration(float64(time.Second) / p.rate))
	return 0, nil
}

const (
	// cautious is the part of the rate that was borne at which we go on after the first 429.
	cautious = 0.7
	// slowest is the rate below which we never go, in requests a second.
	slowest = 0.5
	// fastest is the rate at which pacing ends: more than eight connections give.
	fastest = 400
)

// maxDoublings keeps the back-off from overflowing: long before, it is more than maxWait.
const maxDoublings = 10

// limited notes a 429 of a request that began at the time given, and the wait that the host asked for. Those of one burst
// count once. Each one in a row doubles the wait, until it is more than we are ready to wait.
func (p *pace) limited(began time.Time, asked time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	fresh := !began.Before(p.limitedAt)
	if fresh {
		p.limits++
		p.slow(now)
		p.limitedAt = now
	}
	wait := max(asked, minWait<<min(max(p.limits-1, 0), maxDoublings))
	wait += rand.N(minWait / 4) // so that several of us do not come back together
	if until := now.Add(wait); until.After(p.until) {
		p.until = until
	}
}

// slow sets the rate after a 429.
func (p *pace) slow(now time.Time) {
	if p.rate > 0 {
		p.rate = max(p.rate/2, slowest)
		return
	}
	p.forget(now)
	p.rate = max(float64(len(p.answered))*cautious, slowest)
}

// fine notes an answer that was no 429, to a request that began at the time given.
func (p *pace) fine(began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.rate == 0 {
		p.answered = append(p.answered, now)
		p.forget(now)
		return
	}
	if began.Before(p.limitedAt) {
		return // it does not tell what the host bears since
	}
	p.limits = 0
	p.rate += 1 / p.rate // one more a second, each second
	if p.rate > fastest {
		p.rate = 0
	}
}

// forget drops the answers that are older than a second.
func (p *pace) forget(now time.Time) {
	i := 0
	for i < len(p.answered) && now.Sub(p.answered[i]) > time.Second {
		i++
	}
	p.answered = append(p.answered[:0], p.answered[i:]...)
}

// leaveAlone keeps everybody away from the host for a time.
func (p *pace) leaveAlone(wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := p.now().Add(wait); until.After(p.until) {
		p.until = until
	}
}

// wait is how long the host wants to be left alone still; 0 when it may be asked.
func (p *pace) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.until.Sub(p.now()))
}
