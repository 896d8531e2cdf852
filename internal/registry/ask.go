package registry

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// question is one request to a registry's API.
type question struct {
	method string
	path   string // below /v2/
	repo   string // whose pull scope it needs
	accept string
	limit  int64 // of the answer's body, in bytes
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   []byte
	url    *url.URL
	began  time.Time
	// authorized: the question went with a token or a password.
	authorized bool
}

// Bounds of one question.
const (
	maxLimits   = 5 // 429 in a row
	maxRepeats  = 2 // after a broken connection or a server's error
	maxUnlocks  = 2 // 401: once without a token, once with one that has become stale or does not cover the repository
	repeatPause = 200 * time.Millisecond
)

// ask puts a question to a host until there is an answer that stands: with a token when the host wants one, again after a
// broken connection, later when it says so. An answer of any other status is no error.
func (c *Client) ask(ctx context.Context, h *host, q question) (reply, error) {
	limits, repeats, unlocks := 0, 0, 0
	for {
		r, err := c.exchange(ctx, h, q)
		switch {
		case err != nil:
			if repeats == maxRepeats || !worthRepeating(err) || ctx.Err() != nil {
				return r, c.explain(ctx, h, err)
			}
			repeats++
			if err := h.pace.sleep(ctx, repeatPause<<repeats); err != nil {
				return r, err
			}
		case isLimit(r):
			if limits == maxLimits {
				return r, c.limited(h, c.cfg.Now().Add(maxWait))
			}
			limits++
			h.pace.limited(r.began, retryAfter(r.header.Get("Retry-After"), r.body, c.cfg.Now()))
		case r.status == http.StatusUnauthorized && unlocks < maxUnlocks:
			unlocks++
			if !h.unlock(r, q.repo) {
				return r, nil
			}
		case r.status >= 500 && r.status != http.StatusNotImplemented && repeats < maxRepeats:
			repeats++
			if err := h.pace.sleep(ctx, repeatPause<<repeats); err != nil {
				return r, err
			}
		default:
			return r, nil
		}
	}
}

// isLimit tells an answer that asks us to wait.
func isLimit(r reply) bool {
	return r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") != ""
}

// unlock says whether asking again after a 401 can help: with the token that the host now wants, or with another one.
func (h *host) unlock(r reply, repo string) bool {
	ch, ok := parseChallenge(r.header.Values("WWW-Authenticate"))
	if !ok {
		return false
	}
	h.auth.set(ch)
	if !r.authorized {
		return true
	}
	if ch.scheme == "basic" {
		return false
	}
	h.drop(repo)
	return true
}

// exchange sends a question once, with the authorization that is known.
func (c *Client) exchange(ctx context.Context, h *host, q question) (reply, error) {
	if h.trouble != nil {
		return reply{}, h.trouble
	}
	done := h.meet()
	defer done()
	for {
		if err := h.isDown(c.cfg.Now()); err != nil {
			return reply{}, err
		}
		authorization, err := c.authorization(ctx, h, q.repo)
		if err != nil {
			return reply{}, err
		}
		req, err := http.NewRequestWithContext(ctx, q.method, h.url(q.path), nil)
		if err != nil {
			return reply{}, err
		}
		req.Header.Set("Accept", q.accept)
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		r, err := c.send(ctx, h, h.pace, req, q.limit)
		if err == nil {
			h.answered()
			h.ledger.read(r.header, c.cfg.Now())
			r.authorized = authorization != ""
			h.learn(r)
			return r, nil
		}
		if !h.fall(err) {
			h.note(ctx, err, c.cfg.Now())
			return reply{}, err
		}
	}
}

// learn takes the challenge of a host that has shown none before, while the first exchange still keeps the others waiting.
func (h *host) learn(r reply) {
	if r.status != http.StatusUnauthorized || r.authorized {
		return
	}
	if ch, ok := parseChallenge(r.header.Values("WWW-Authenticate")); ok {
		h.auth.set(ch)
	}
}

// note counts a failure of the host's; not one of ours.
func (h *host) note(ctx context.Context, err error, now time.Time) {
	var long errLongWait
	if ctx.Err() == nil && !errors.As(err, &long) {
		h.failed(err, now)
	}
}

// send does one HTTP exchange when its turn comes, and reads the answer whole.
func (c *Client) send(ctx context.Context, h *host, p *pace, req *http.Request, limit int64) (reply, error) {
	began, err := p.enter(ctx)
	if err != nil {
		return reply{}, err
	}
	defer p.leave()
	ctx, cancel := context.WithTimeout(ctx, exchangePatience)
	defer cancel()
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	resp, err := h.http.Do(req.WithContext(ctx))
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := readBody(resp.Body, limit)
	if err != nil {
		return reply{}, err
	}
	r := reply{status: resp.StatusCode, header: resp.Header, body: body, url: resp.Request.URL, began: began}
	if !isLimit(r) {
		p.fine()
	}
	return r, nil
}
