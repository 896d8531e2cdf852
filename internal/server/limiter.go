package server

import (
	"sync"
	"time"
)

// Rates at the agents' door. A host checks in every few minutes; the burst is for what it has to say after a night off.
const (
	hostRate  = 2 // a second
	hostBurst = 30
	// What is said while an order is carried out: a batch of lines a few times a second, and after a night off all that was kept meanwhile.
	talkRate  = 10
	talkBurst = 200
	// Failures of an address that nobody vouches for.
	guestRate  = 1
	guestBurst = 20
	// Hosts that join from one address, which may be a whole site's.
	newcomerRate  = 20
	newcomerBurst = 1000
)

// turnBytes is how much of a message one turn carries: the largest take a whole burst.
const turnBytes = 64 << 10

// limiter gives each name so many turns a second, and a burst of them.
type limiter struct {
	rate, burst float64

	mu      sync.Mutex
	buckets map[string]bucket
	swept   time.Time
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newLimiter(rate, burst float64) *limiter {
	return &limiter{rate: rate, burst: burst, buckets: map[string]bucket{}}
}

// wait says how long a name would have to wait for a turn, and takes none.
func (l *limiter) wait(name string, now time.Time) time.Duration { return l.takeSome(name, 0, now) }

// take says how long a name has to wait for its turn: 0 is now.
func (l *limiter) take(name string, now time.Time) time.Duration { return l.takeSome(name, 1, now) }

// takeSome takes several turns at once, at most a full burst of them.
func (l *limiter) takeSome(name string, turns int, now time.Time) time.Duration {
	n := min(float64(turns), l.burst)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	b, ok := l.buckets[name]
	if !ok {
		b = bucket{l.burst, now}
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(l.burst, b.tokens+passed.Seconds()*l.rate)
	}
	b.at = now
	wait := time.Duration(0)
	if need := max(n, 1); b.tokens < need {
		wait = time.Duration((need - b.tokens) / l.rate * float64(time.Second))
	} else {
		b.tokens -= n
	}
	l.buckets[name] = b
	return wait
}

// sweep drops the names whose bucket is full again: they are as good as new.
func (l *limiter) sweep(now time.Time) {
	full := time.Duration(l.burst / l.rate * float64(time.Second))
	if passed := now.Sub(l.swept); passed < full && passed >= 0 {
		return
	}
	l.swept = now
	for name, b := range l.buckets {
		if now.Sub(b.at) >= full {
			delete(l.buckets, name)
		}
	}
}
