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
func (h *host) keepBudget(c *cache) {
	h.ledger.mu.Lock()
	b, changed := h.ledger.budget, h.ledger.changed
	h.ledger.mu.Unlock()
	until := h.pace.limitedUntil()
	if !changed && until.Equal(b.LimitedUntil) {
		return
	}
	b.Host, b.LimitedUntil = h.name, until
	c.keepRecord(recordBudget, h.address, b)
}

// recallBudget takes up what an earlier process was told.
func (h *host) recallBudget(c *cache, now time.Time) {
	var b Budget
	if !c.record(recordBudget, h.address, &b) {
		return
	}
	h.ledger.budget = b
	if b.LimitedUntil.After(now) && b.LimitedUntil.Sub(now) <= maxLimited {
		h.pace.leaveAlone(b.LimitedUntil)
	}
}

// Budgets gives the budgets known, of this process and of earlier ones, sorted by host. A host that neither has a budget nor
// wants to be left alone is not among them.
func (c *Client) Budgets() []Budget {
	c.mu.Lock()
	for _, h := range c.hosts {
		h.keepBudget(c.cache)
	}
	c.mu.Unlock()
	budgets := []Budget{}
	c.cache.records(recordBudget, func(_ string, data json.RawMessage) {
		var b Budget
		if json.Unmarshal(data, &b) == nil && (b.Limit > 0 || b.LimitedUntil.After(c.cfg.Now())) {
			budgets = append(budgets, b)
		}
	})
	slices.SortFunc(budgets, func(a, b Budget) int { return cmp.Or(cmp.Compare(a.Host, b.Host), a.At.Compare(b.At)) })
	return budgets
}
