package registry

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
)

// question is one request to a registry's API.
type question struct {
	method string
	path   string // below /v2/
	repo   string // whose pull scope it needs
	accept string
	limit  int64 // of the answer's body, in bytes
	// into takes the body of an answer that is OK, in the place of the reply; nil for none.
	into *os.File
}

// manifests asks for what a tag or a digest of an image names.
func manifests(method string, name reference.Named, which string, limit int64) question {
	repo := reference.Path(name)
	return question{method: method, path: repo + "/manifests/" + which, repo: repo, accept: acceptManifests, limit: limit}
}

// blobs asks for a blob of an image.
func blobs(name reference.Named, d fleet.Digest, limit int64) question {
	repo := reference.Path(name)
	return question{method: http.MethodGet, path: repo + "/blobs/" + string(d), repo: repo, accept: "*/*", limit: limit}
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   []byte
	url    *url.URL // of who answered, at the end of all redirects
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

// ask puts a question to a host until there is an answer that stands, with a token when the host wants one. An answer of
// any status is no error.
func (c *Client) ask(ctx context.Context, h *host, q question) (reply, error) {
	for unlocks := 0; ; unlocks++ {
		r, err := c.persist(ctx, h, h.pace, func() (reply, error) { return c.exchange(ctx, h, q) })
		if err != nil || r.status != http.StatusUnauthorized || unlocks == maxUnlocks {
			return r, err
		}
		if !h.speaks(r) {
			return c.askBeyond(ctx, h, q, r)
		}
		if !h.unlock(r, q.repo) {
			return r, nil
		}
	}
}

// persist tries until there is an answer that stands: again after a broken connection or a server's error, later when the
// limiter's host says so.
func (c *Client) persist(ctx context.Context, h *host, p *pace, try func() (reply, error)) (reply, error) {
	limits, repeats := 0, 0
	for {
		r, err := try()
		switch {
		case err == nil && isLimit(r):
			p.limited(r.began, retryAfter(r.header.Get("Retry-After"), r.body, c.cfg.Now()))
			if limits == maxLimits {
				return r, c.limited(h, p.wait())
			}
			limits++
		case err == nil && !isPassing(r.status):
			return r, nil
		case err != nil && !worthRepeating(err), repeats == maxRepeats, ctx.Err() != nil:
			return r, c.explain(ctx, h, err)
		default:
			repeats++
			if err := p.sleep(ctx, repeatPause<<repeats); err != nil {
				return r, c.explain(ctx, h, err)
			}
		}
	}
}

// isLimit tells an answer that asks us to wait.
func isLimit(r reply) bool {
	return r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") != ""
}

// isPassing tells a server's error that may be gone the next time.
func isPassing(status int) bool { return status >= 500 && status != http.StatusNotImplemented }

// unlock says whether asking again after a 401 of the host's own can help: with the token that it now wants, or with another
// one.
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
	done := h.met.enter()
	r, err := c.knock(ctx, h, q)
	done(err == nil)
	return r, err
}

// knock is exchange, once it is known how the host speaks or this one is to learn it.
func (c *Client) knock(ctx context.Context, h *host, q question) (reply, error) {
	for {
		if err := h.isDown(c.cfg.Now()); err != nil {
			return reply{}, err
		}
		authorization, err := c.authorization(ctx, h, q.repo)
		if err != nil {
			return reply{}, err
		}
		r, err := c.sendWith(ctx, h, q, authorization)
		if err == nil {
			h.answered()
			h.learn(r, c.cfg.Now())
			return r, nil
		}
		if !h.fall(err) {
			h.note(ctx, err, c.cfg.Now())
			return reply{}, err
		}
	}
}

// sendWith sends a question with an Authorization header. A password goes alone until it was seen to be right: registries
// lock accounts after a few wrong ones.
func (c *Client) sendWith(ctx context.Context, h *host, q question, authorization string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, q.method, h.url(q.path), nil)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Accept", q.accept)
	if authorization == "" {
		return c.send(ctx, h, h.pace, req, q)
	}
	req.Header.Set("Authorization", authorization)
	if _, _, password := req.BasicAuth(); !password {
		r, err := c.send(ctx, h, h.pace, req, q)
		r.authorized = true
		return r, err
	}
	return c.logIn(h, func() (reply, error) {
		r, err := c.send(ctx, h, h.pace, req, q)
		r.authorized = true
		return r, err
	})
}

// speaks says whether an answer is the host's own. What a redirect led to may answer, but what it says of realms, and of how
// often it may be asked, is not the registry's word.
func (h *host) speaks(r reply) bool { return r.url.Host == h.address }

// learn takes what an answer says of the host: its budget, and its challenge while it has shown none, so that the first
// exchange spares all others a request.
func (h *host) learn(r reply, now time.Time) {
	if !h.speaks(r) {
		return
	}
	h.ledger.read(r.header, now)
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
func (c *Client) send(ctx context.Context, h *host, p *pace, req *http.Request, q question) (reply, error) {
	began, err := p.enter(ctx)
	if err != nil {
		return reply{}, err
	}
	defer p.leave()
	ctx, cancel := context.WithTimeout(ctx, q.patience(c))
	defer cancel()
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	resp, err := h.http.Do(req.WithContext(ctx))
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := q.read(resp)
	if err != nil {
		return reply{}, err
	}
	r := reply{status: resp.StatusCode, header: resp.Header, body: body, url: resp.Request.URL, began: began}
	if !isLimit(r) {
		p.fine(began)
	}
	return r, nil
}
