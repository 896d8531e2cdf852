package registry

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
)

// host is one registry's API endpoint, with everything that is shared by all who ask it.
type host struct {
	name    string // the registry's name in references, which credentials go by; a mirror's own address for a mirror
	address string // host or host:port
	prefix  string // path before /v2/, of mirrors that have one
	beyond  bool   // come by through a redirect: nobody there knows us
	http    *http.Client
	trouble error // why there is no connection to be had
	pace    *pace
	ledger  ledger
	auth    auth
	login   login
	// met opens when it is known how the host speaks and whether it wants a token; until then one asks after the other.
	met gate

	mu     sync.Mutex
	scheme string
	// mayFall: plain HTTP is allowed should HTTPS not be spoken.
	mayFall bool
	// failures counts exchanges in a row without any answer; down is the last one's error, believed until downUntil.
	failures  int
	down      error
	downUntil time.Time
}

// endpoints gives the hosts to ask about a reference, in order: mirrors, for Docker Hub only, and then the registry itself.
func (c *Client) endpoints(name reference.Named) []*host {
	registry := registryOf(name)
	cfg := c.cfg.Hosts[registry]
	var list []*host
	if registry == hub {
		for _, m := range cfg.Mirrors {
			if u, err := url.Parse(m); err == nil && u.Host != "" {
				list = append(list, c.mirror(u))
			}
		}
	}
	return append(list, c.host(registry))
}

// host gives the one host of a registry.
func (c *Client) host(registry string) *host {
	address := addressOf(registry)
	return c.know(address, func() *host {
		return &host{
			name: registry, address: address, scheme: "https",
			mayFall: c.cfg.Hosts[registry].PlainHTTP || isLoopback(address),
		}
	})
}

// mirror gives the one host of a mirror's URL.
func (c *Client) mirror(u *url.URL) *host {
	return c.know("mirror "+u.String(), func() *host {
		return &host{name: u.Host, address: u.Host, prefix: strings.TrimSuffix(u.Path, "/"), scheme: u.Scheme}
	})
}

// know gives the host of a key, and makes it first where nobody has asked it yet.
func (c *Client) know(key string, first func() *host) *host {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.hosts[key]; ok {
		return h
	}
	h := first()
	h.auth, h.pace = newAuth(), c.paceOf(h.address)
	h.http, h.trouble = newHTTP(h.name, c.cfg.Hosts[h.name], c.cfg.CertsDir)
	if h.http == nil {
		h.http = &http.Client{}
	}
	h.recallBudget(c.cache, c.cfg.Now())
	c.hosts[key] = h
	return h
}

// paceOf gives the one limiter of an address. The client's lock must be held.
func (c *Client) paceOf(address string) *pace {
	p, ok := c.paces[address]
	if !ok {
		p = newPace()
		c.paces[address] = p
	}
	return p
}

// url gives the address of a path below /v2/.
func (h *host) url(path string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.scheme + "://" + h.address + h.prefix + "/v2/" + path
}

// fall goes down to plain HTTP, where that is allowed and the error says that HTTPS is not spoken.
func (h *host) fall(err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.mayFall || h.scheme != "https" || !speaksNoTLS(err, h.address) {
		return false
	}
	h.scheme = "http"
	return true
}

// plain says whether the host is spoken to without TLS.
func (h *host) plain() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.scheme == "http"
}

const (
	// manyFailures in a row without any answer mean that the host is down.
	manyFailures = 3
	// downTime is how long a host that is down is not asked again: the rest of a pass.
	downTime = 30 * time.Second
)

// answered notes that the host gave some answer.
func (h *host) answered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures, h.down = 0, nil
	h.mayFall = false // it speaks what it spoke
}

// failed notes an exchange without an answer. A host that cannot be connected to is down at once: so that 60 images do not wait for
// the same time-out one after the other.
func (h *host) failed(err error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures++
	if isConnecting(err) || h.failures >= manyFailures {
		h.down, h.downUntil = err, now.Add(downTime)
	}
}

// isDown gives the error of a host that is not to be asked now.
func (h *host) isDown(now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down != nil && now.Before(h.downUntil) {
		return h.down
	}
	return nil
}

// expect tells the host which repositories will be asked for, so that one token can serve several.
func (c *Client) expect(refs []reference.NamedTagged) {
	repos := map[*host][]string{}
	for _, ref := range refs {
		for _, h := range c.endpoints(ref) {
			repos[h] = append(repos[h], reference.Path(ref))
		}
	}
	for h, list := range repos {
		slices.Sort(list)
		h.auth.batch(slices.Compact(list))
	}
}

var errNoAnswer = errors.New("no answer")
