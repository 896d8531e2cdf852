package docker

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/registry"
)

func TestARegistryThatAllowsTwentyASecondLosesNoAnswer(t *testing.T) {
	l := newLedger(t)
	engine, _ := sixtyContainers(t, l.host, "latest")
	reg := registry.New(registry.Config{TagLifetime: -1})
	t.Cleanup(reg.Close)
	var denied atomic.Int32
	limit := &bucket{rate: 20, tokens: 20, at: time.Now()}
	l.before = func(w http.ResponseWriter, _ *http.Request) bool {
		if limit.take(time.Now()) {
			return false
		}
		denied.Add(1)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	f, err := scan(t, New(reg, Options{Host: engine, Getenv: noEnv}))
	wantAll(t, f, err, fleet.Current, sixty)
	if n := denied.Load(); n >= 10 {
		t.Errorf("%d answers 429, want fewer than 10", n)
	}
}

// bucket allows so many requests a second.
type bucket struct {
	mu           sync.Mutex
	rate, tokens float64
	at           time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.rate, b.tokens+now.Sub(b.at).Seconds()*b.rate)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
