package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// auth is what is known of how a host lets us in.
type auth struct {
	mu        sync.Mutex
	challenge *challenge
	// batches gives for each repository those that share a token with it.
	batches map[string][]string
	// tokens by their scopes, each fetched once.
	tokens map[string]*token
}

// token is one bearer token, or the place where it will be.
type token struct {
	mu      sync.Mutex
	value   string
	expires time.Time
	// refused: the realm gives no token for this batch, so each repository asks alone.
	refused bool
}

func newAuth() auth {
	return auth{batches: map[string][]string{}, tokens: map[string]*token{}}
}

// batchSize is how many repositories one token is asked for: more make long URLs and tokens that servers refuse.
const batchSize = 10

// batch groups repositories that will be asked for together. Those that are grouped already stay where they are.
func (a *auth) batch(repos []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fresh := slices.DeleteFunc(repos, func(r string) bool { return a.batches[r] != nil })
	for group := range slices.Chunk(fresh, batchSize) {
		for _, r := range group {
			a.batches[r] = group
		}
	}
}

// set takes a challenge.
func (a *auth) set(c challenge) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.challenge = &c
}

// find gives the challenge, and the repositories whose token is to be used for one.
func (a *auth) find(repo string) (*challenge, []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	group := a.batches[repo]
	if group == nil {
		group = []string{repo}
	}
	return a.challenge, group
}

func (a *auth) slot(group []string) *token {
	key := strings.Join(group, " ")
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tokens[key]
	if t == nil {
		t = &token{}
		a.tokens[key] = t
	}
	return t
}

// alone takes a repository out of its batch, after its token did not open it.
func (a *auth) alone(repo string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.batches[repo] = []string{repo}
}

// authorization gives the Authorization header for a repository; empty while the host has asked for none.
func (c *Client) authorization(ctx context.Context, h *host, repo string) (string, error) {
	ch, group := h.auth.find(repo)
	if ch == nil {
		return "", nil
	}
	if ch.scheme == "basic" {
		return c.basic(ctx, h)
	}
	for {
		value, err := c.token(ctx, h, *ch, group)
		if err == nil {
			return "Bearer " + value, nil
		}
		if len(group) == 1 || !errors.Is(err, ErrDenied) {
			return "", err
		}
		h.auth.alone(repo)
		group = []string{repo}
	}
}

// credential gives what a host knows us by.
func (c *Client) credential(ctx context.Context, h *host) (credential, error) {
	if h.beyond {
		return credential{}, nil
	}
	return c.creds.find(ctx, h.name)
}

func (c *Client) basic(ctx context.Context, h *host) (string, error) {
	cred, err := c.credential(ctx, h)
	if err != nil {
		return "", err
	}
	if cred.user == "" {
		return "", c.denied(h, cred)
	}
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(cred.user, cred.password)
	return req.Header.Get("Authorization"), nil
}

// token gives a token for a group of repositories, fetching it when there is none that still holds.
func (c *Client) token(ctx context.Context, h *host, ch challenge, group []string) (string, error) {
	t := h.auth.slot(group)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value != "" && c.cfg.Now().Before(t.expires) {
		return t.value, nil
	}
	if t.refused {
		return "", c.denied(h, credential{})
	}
	value, life, err := c.fetchToken(ctx, h, ch, group)
	if err != nil {
		t.refused = errors.Is(err, ErrDenied) && len(group) > 1
		return "", err
	}
	t.value, t.expires = value, c.cfg.Now().Add(life)
	return value, nil
}

// drop forgets the token of a repository, which the host did not accept.
func (h *host) drop(repo string) {
	_, group := h.auth.find(repo)
	t := h.auth.slot(group)
	t.mu.Lock()
	t.value = ""
	t.mu.Unlock()
	if len(group) > 1 {
		h.auth.alone(repo)
	}
}

// fetchToken asks the realm (distribution, token authentication specification): by GET, or with a refresh token by POST (OAuth2).
func (c *Client) fetchToken(ctx context.Context, h *host, ch challenge, group []string) (string, time.Duration, error) {
	realm, err := checkRealm(h, ch.realm)
	if err != nil {
		return "", 0, err
	}
	cred, err := c.credential(ctx, h)
	if err != nil {
		return "", 0, err
	}
	p := c.realmPace(realm.Host)
	r, err := c.persist(ctx, h, p, func() (reply, error) {
		req, err := tokenRequest(realm, ch.service, group, cred)
		if err != nil {
			return reply{}, err
		}
		if cred.none() {
			return c.send(ctx, h, p, req, question{limit: maxToken})
		}
		return c.logIn(h, func() (reply, error) { return c.send(ctx, h, p, req, question{limit: maxToken}) })
	})
	switch {
	case err != nil:
		return "", 0, err
	case r.status >= 500:
		return "", 0, c.unreachable(h, fmt.Errorf("%s answered %d", realm.Host, r.status))
	case r.status != http.StatusOK:
		return "", 0, c.denied(h, cred)
	}
	value, life, err := parseToken(r.body)
	if err != nil {
		return "", 0, badAnswer(realm.Host, "%v", err)
	}
	return value, life, nil
}

// maxToken bounds a realm's answer: real tokens stay under 64 KiB.
const maxToken = 1 << 20

// checkRealm lets credentials go to the realm that the registry names over TLS only, or where the registry itself is spoken
// to without.
func checkRealm(h *host, realm string) (*url.URL, error) {
	u, err := url.Parse(realm)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, badAnswer(h.name, "it sends us for a token to %q, which is no address", realm)
	}
	if u.Scheme == "https" || u.Scheme == "http" && (h.plain() || isLoopback(h.address) && isLoopback(u.Host)) {
		return u, nil
	}
	return nil, badAnswer(h.name, "it sends us for a token to %q, which is not HTTPS", realm)
}

func tokenRequest(realm *url.URL, service string, group []string, cred credential) (*http.Request, error) {
	scopes := make([]string, len(group))
	for i, repo := range group {
		scopes[i] = "repository:" + repo + ":pull"
	}
	if cred.identity != "" {
		form := url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {cred.identity}, "client_id": {"redflag"},
			"service": {service}, "scope": {strings.Join(scopes, " ")},
		}
		req, err := http.NewRequest(http.MethodPost, realm.String(), strings.NewReader(form.Encode())) //nolint:noctx // send gives it its context
		if err == nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return req, err
	}
	u := *realm
	query := u.Query()
	if service != "" {
		query.Set("service", service)
	}
	for _, s := range scopes {
		query.Add("scope", s)
	}
	if cred.user != "" {
		query.Set("account", cred.user)
	}
	u.RawQuery = query.Encode()
	req, err := http.NewRequest(http.MethodGet, u.String(), nil) //nolint:noctx // send gives it its context
	if err == nil && cred.user != "" {
		req.SetBasicAuth(cred.user, cred.password)
	}
	return req, err
}

const (
	// usualLife holds where a realm does not say (token specification: 60 seconds).
	usualLife = time.Minute
	longLife  = 24 * time.Hour
)

// parseToken reads a realm's answer and how long the token may be used: nine tenths of what was promised.
func parseToken(body []byte) (string, time.Duration, error) {
	var j struct {
		Token       string          `json:"token"`
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &j); err != nil {
		return "", 0, fmt.Errorf("no JSON token: %w", err)
	}
	value := cmp.Or(j.Token, j.AccessToken)
	if value == "" {
		return "", 0, errors.New("an answer without a token")
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", 0, errors.New("a token that no header can hold")
	}
	return value, tokenLife(j.ExpiresIn) * 9 / 10, nil
}

// tokenLife reads a number of seconds, which some write as a text; what is none is as if it was not said.
func tokenLife(expiresIn json.RawMessage) time.Duration {
	seconds, err := strconv.ParseFloat(strings.Trim(string(expiresIn), `"`), 64)
	switch {
	case seconds >= longLife.Seconds():
		return longLife
	case err == nil && seconds >= 1:
		return time.Duration(seconds * float64(time.Second))
	}
	return usualLife
}

// realmPace gives the limiter of a realm's host.
func (c *Client) realmPace(address string) *pace {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paceOf(address)
}

// readBody reads a body whole, up to a bound.
func readBody(body io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, errTooLong{limit}
	}
	return data, nil
}

type errTooLong struct{ limit int64 }

func (e errTooLong) Error() string { return fmt.Sprintf("an answer of more than %d bytes", e.limit) }
