// Package registry asks image registries over the OCI distribution protocol: which digest a tag points to now, what lies
// behind a digest, which tags a repository has. It asks as little as it can (a HEAD where a HEAD will do, one request for
// all who want the same answer, a cache that outlives the process), waits when a registry says so, and never shows
// credentials to a host that they are not for. Everything that a registry sends is foreign: bodies, redirects, waits
// and times are bounded, and content is believed only when its digest matches.
package registry

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Config is what a client is made with. The zero value asks every registry anonymously and remembers nothing.
type Config struct {
	// CacheDir is where answers are kept between processes; empty keeps none.
	CacheDir string
	// TagLifetime is how long the answer to what a tag points to is used again; 0 means DefaultTagLifetime, less than 0 never.
	TagLifetime time.Duration
	// Hosts configures single registries, by their name in references (docker.io, registry.example.com:5000).
	Hosts map[string]HostConfig
	// CertsDir is a folder like Docker's /etc/docker/certs.d: in it, for each registry, HOST/*.crt with authorities to trust and
	// pairs of *.cert and *.key with client certificates. Empty reads none.
	CertsDir string
	// DockerConfig is the folder of Docker's config.json with its credentials; empty asks anonymously.
	DockerConfig string
	// AuthFiles are those of `podman login` (containers-auth.json(5)). A registry for which Docker's config.json has nothing is looked for there, in this order.
	AuthFiles []string
	// Shared is asked before registries are; nil for nobody.
	Shared Shared
	// UserAgent names us to registries.
	UserAgent string
	// Log gets warnings; nil means none.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// DefaultTagLifetime is how long a tag's digest is believed without asking again.
const DefaultTagLifetime = 5 * time.Minute

// HostConfig is what a person configured about one registry.
type HostConfig struct {
	// Mirrors are base URLs asked first, in order. For docker.io only, as the engine has it.
	Mirrors []string
	// PlainHTTP allows http:// for this registry. Loopback registries need no such leave.
	PlainHTTP bool
	// CA is a PEM file of certificate authorities trusted for this registry beside the system's.
	CA string
	// Cert and Key are PEM files of a client certificate.
	Cert, Key string
}

// Client asks registries. There is one in a process, because it holds the one limiter, connection pool and back-off of every
// registry host. It is safe for many goroutines.
type Client struct {
	cfg     Config
	cache   *cache
	creds   *credentials
	sharing *sharing
	flight  flight
	// patience is for one request and the whole of its answer.
	patience time.Duration

	mu    sync.Mutex
	hosts map[string]*host // by how they are come by: see host, mirror and beyond
	paces map[string]*pace // by address: whichever way a host is come by, it has one limiter
}

// New makes a client. A cache folder that cannot be used is a warning in the log and no error.
func New(cfg Config) *Client {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.TagLifetime == 0 {
		cfg.TagLifetime = DefaultTagLifetime
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "redflag"
	}
	return &Client{
		cfg:      cfg,
		cache:    openCache(cfg.CacheDir, cfg.Now, cfg.Log),
		creds:    readCredentials(cfg.DockerConfig, cfg.AuthFiles...),
		sharing:  newSharing(cfg.Shared),
		hosts:    map[string]*host{},
		paces:    map[string]*pace{},
		patience: exchangePatience,
	}
}

// Close waits for what is under way, keeps what was learnt of budgets, and lets connections go. Nothing may be asked
// afterwards.
func (c *Client) Close() {
	c.flight.wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		h.keepBudget(c.cache, c.cfg.Now())
		h.http.CloseIdleConnections()
	}
	c.cache.tidy()
}

// Tidy writes down what was learnt, and once a day removes from the cache what it has too much of. Close does so, too; a program
// that runs for long calls it now and then.
func (c *Client) Tidy() { c.cache.tidy() }

// once does a piece of work once for all who want it at the same time. A caller whose context ends goes away with its
// error; the others still get the answer.
func once[T any](ctx context.Context, c *Client, key string, work func(context.Context) (T, error)) (T, error) {
	value, err := c.flight.do(ctx, key, func(ctx context.Context) (value any, err error) {
		defer func() {
			// On this goroutine nobody else could catch a panic over foreign bytes.
			if p := recover(); p != nil {
				err = unknown(ErrBadAnswer, "report it with the output of `redflag doctor`", "a defect in RedFlag: %v", p)
				c.cfg.Log.Error("a defect in RedFlag", "panic", p, "stack", string(debug.Stack()))
			}
		}()
		return work(ctx)
	})
	if err != nil {
		var none T
		return none, err
	}
	return value.(T), nil
}

// maxWork bounds one question with all its retries and waits.
const maxWork = 3 * time.Minute
