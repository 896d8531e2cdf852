package registry

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// budgeted speaks of a budget as Docker Hub does.
func budgeted(remaining *int) rule {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Ratelimit-Limit", "100;w=21600")
			w.Header().Set("Ratelimit-Remaining", fmt.Sprintf("%d;w=21600", *remaining))
			w.Header().Set("Docker-Ratelimit-Source", "192.0.2.7")
			next.ServeHTTP(w, r)
		})
	}
}

func TestABudgetIsReadOfAHeadAndKnownWithoutACache(t *testing.T) {
	left := 76
	l := newLab(t, budgeted(&left))
	l.push(t, "app:1", image(t, amd64, nil))
	c := start(t, Config{})
	if _, err := c.Resolve(t.Context(), l.ref(t, "app:1")); err != nil {
		t.Fatal(err)
	}
	b := c.Budgets()
	if len(b) != 1 || b[0].Host != l.host || b[0].Limit != 100 || b[0].Remaining != 76 || b[0].Window != 21600 || b[0].Source != "192.0.2.7" {
		t.Errorf("got %+v", b)
	}
}

func TestWhatIsLeftOfABudgetIsForTheEngine(t *testing.T) {
	for _, c := range []struct {
		left              int
		content, optional error
	}{{100, nil, nil}, {50, nil, nil}, {49, nil, ErrBudget}, {20, nil, ErrBudget}, {19, ErrBudget, ErrBudget}, {0, ErrBudget, ErrBudget}} {
		l := newLab(t, budgeted(&c.left))
		first := l.push(t, "app:1", image(t, amd64, nil))
		second := l.push(t, "app:2", image(t, amd64, nil))
		client := start(t, Config{})
		if _, err := client.Resolve(t.Context(), l.ref(t, "app:1")); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Content(t.Context(), l.canonical(t, "app", first)); !errors.Is(err, c.content) {
			t.Errorf("%d left: %v, want %v", c.left, err, c.content)
		}
		if _, err := client.OptionalContent(t.Context(), l.canonical(t, "app", second)); !errors.Is(err, c.optional) {
			t.Errorf("%d left, can wait: %v, want %v", c.left, err, c.optional)
		}
	}
}

func TestABudgetOutlivesTheProcessAndEndsWithItsWindow(t *testing.T) {
	left := 3
	l := newLab(t, budgeted(&left))
	d := l.push(t, "app:1", image(t, amd64, nil))
	watch := newClock()
	cfg := Config{CacheDir: t.TempDir(), Now: watch.Now}
	c := New(cfg)
	if _, err := c.Resolve(t.Context(), l.ref(t, "app:1")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := start(t, cfg).Content(t.Context(), l.canonical(t, "app", d)); !errors.Is(err, ErrBudget) {
		t.Errorf("the next process: %v", err)
	}
	watch.advance(7 * time.Hour)
	if _, err := start(t, cfg).Content(t.Context(), l.canonical(t, "app", d)); err != nil {
		t.Errorf("after the window: %v", err)
	}
}

func TestARegistryThatWantsRestGetsItFromTheNextProcessToo(t *testing.T) {
	l := newLab(t, only("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	watch := newClock()
	cfg := Config{CacheDir: t.TempDir(), Now: watch.Now}
	for range 2 {
		c := New(cfg)
		if _, err := c.Resolve(t.Context(), l.ref(t, "app:1")); !errors.Is(err, ErrLimited) {
			t.Errorf("got %v", err)
		}
		if b := c.Budgets(); len(b) != 1 || b[0].LimitedUntil.Sub(watch.Now()) < time.Hour {
			t.Errorf("budgets %+v", b)
		}
		c.Close()
	}
	if n := l.count("", ""); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	watch.advance(3 * time.Hour)
	_, _ = start(t, cfg).Resolve(t.Context(), l.ref(t, "app:1"))
	if n := l.count("", ""); n != 2 {
		t.Errorf("%d requests after the rest, want 2", n)
	}
}
