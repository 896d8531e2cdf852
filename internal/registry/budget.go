package registry

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"redflag/internal/fleet"
)

// lowBudget is the part of a pull budget below which nothing is fetched that counts against it: what is left belongs to the
// engine's own pulls.
const lowBudget = 0.2

// ledger is what one registry host said of its budget.
type ledger struct {
	mu      sync.Mutex
	budget  Budget
	changed bool
}

// read takes the headers that Docker Hub sends with every answer, a HEAD's too: ratelimit-limit and ratelimit-remaining,
// "100;w=21600" (docs.docker.com, pull usage and limits).
func (l *ledger) read(h http.Header, now time.Time) {
	limit, window, ok := parseRate(h.Get("ratelimit-limit"))
	remaining, _, ok2 := parseRate(h.Get("ratelimit-remaining"))
	if !ok || !ok2 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.budget.Limit, l.budget.Remaining, l.budget.Window = limit, remaining, window
	l.budget.Source, l.budget.At = fleet.Plain(h.Get("docker-ratelimit-source")), now.UTC()
	l.changed = true
}

// maxRate bounds a number in a rate limit header: what is more is nonsense.
const maxRate = 1_000_000_000

// parseRate reads "100;w=21600": a number and the window's seconds, 0 when it is not given.
func parseRate(s string) (n, window int, ok bool) {
	number, params, _ := strings.Cut(s, ";")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 0 || n > maxRate {
		return 0, 0, false
	}
	for p := range strings.SplitSeq(params, ";") {
		if w, found := strings.CutPrefix(strings.TrimSpace(p), "w="); found {
			if v, err := strconv.Atoi(w); err == nil && v >= 0 && v <= maxRate {
				window = v
			}
		}
	}
	return n, window, true
}

// low says whether too little is left. What was said longer ago than the window is over.
func (l *ledger) low(now time.Time) (Budget, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.budget
	over := b.Window > 0 && now.Sub(b.At) > time.Duration(b.Window)*time.Second
	if b.Limit == 0 || over || b.At.After(now.Add(time.Minute)) {
		return b, false
	}
	return b, float64(b.Remaining) < lowBudget*float64(b.Limit)
}

// recordBudget is the cache's word for budgets.
const recordBudget = "budget"

// keepBudget writes down what the host said in this process.
func (h *host) keepBudget(c *cache, now time.Time) {
	until := h.limitedUntil(now)
	h.ledger.mu.Lock()
	b, changed := h.ledger.budget, h.ledger.changed
	h.ledger.mu.Unlock()
	if !changed && until.IsZero() && b.LimitedUntil.IsZero() {
		return
	}
	c.keepRecord(recordBudget, h.address, h.current(now))
}

// current gives what the host said last, and until when it wants to be left alone.
func (h *host) current(now time.Time) Budget {
	h.ledger.mu.Lock()
	b := h.ledger.budget
	h.ledger.mu.Unlock()
	b.Host, b.LimitedUntil = h.name, h.limitedUntil(now)
	return b
}

// limitedUntil is when the host may be asked again, where that is further away than we wait; otherwise zero.
func (h *host) limitedUntil(now time.Time) time.Time {
	wait := h.pace.wait()
	if wait <= maxWait {
		return time.Time{}
	}
	return now.Add(wait).UTC()
}

// recallBudget takes up what an earlier process was told.
func (h *host) recallBudget(c *cache, now time.Time) {
	var b Budget
	if !c.record(recordBudget, h.address, &b) {
		return
	}
	h.ledger.budget = b
	if b.LimitedUntil.After(now) && b.LimitedUntil.Sub(now) <= maxLimited {
		h.pace.leaveAlone(b.LimitedUntil.Sub(now))
	}
}

// Budgets gives the budgets known, of this process and of earlier ones, sorted by host. A host that neither has a budget nor
// wants to be left alone is not among them.
func (c *Client) Budgets() []Budget {
	now := c.cfg.Now()
	known := map[string]Budget{}
	c.cache.records(recordBudget, func(address string, data json.RawMessage) {
		var b Budget
		if json.Unmarshal(data, &b) == nil {
			known[address] = b
		}
	})
	c.mu.Lock()
	for _, h := range c.hosts {
		if b := h.current(now); b.At.After(known[h.address].At) || !b.LimitedUntil.IsZero() {
			known[h.address] = b
		}
	}
	c.mu.Unlock()
	budgets := []Budget{}
	for _, b := range known {
		if b.Limit > 0 || b.LimitedUntil.After(now) {
			budgets = append(budgets, b)
		}
	}
	slices.SortFunc(budgets, func(a, b Budget) int { return cmp.Or(cmp.Compare(a.Host, b.Host), a.At.Compare(b.At)) })
	return budgets
}
