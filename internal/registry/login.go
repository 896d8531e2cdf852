package registry

import (
	"net/http"
	"sync"
	"time"
)

// login is what is known of the credentials for one host. Registries lock accounts after a few wrong passwords, and one
// repository's refusal says nothing of another's: so a login goes alone until one was right, and after a few wrong ones
// there are no more for a while.
type login struct {
	proven gate

	mu    sync.Mutex
	right bool // once
	wrong int
	until time.Time // no more logins before
}

const (
	maxWrong  = 3
	wrongRest = 5 * time.Minute
)

// logIn sends a request with credentials of the host's.
func (c *Client) logIn(h *host, send func() (reply, error)) (reply, error) {
	done := h.login.proven.enter()
	if h.login.resting(c.cfg.Now()) {
		done(false)
		return reply{}, c.refused(h)
	}
	r, err := send()
	done(err == nil && h.login.judge(r.status, c.cfg.Now()))
	return r, err
}

// judge says whether the credentials are known to be right. A host that has accepted them once and later answers 401 means
// what was asked for.
func (l *login) judge(status int, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case status == http.StatusUnauthorized && !l.right:
		if l.wrong++; l.wrong >= maxWrong {
			l.wrong, l.until = 0, now.Add(wrongRest)
		}
	case status != http.StatusUnauthorized && status != http.StatusTooManyRequests && status < 500:
		l.right = true
	}
	return l.right
}

func (l *login) resting(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.until) && l.until.Sub(now) <= wrongRest
}
