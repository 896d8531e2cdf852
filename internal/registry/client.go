// Package registry asks image registries over the OCI distribution protocol: which digest a tag points to now, what lies
// behind a digest, which tags a repository has. It asks as little as it can (a HEAD where a HEAD will do, one request for
// all who want the same answer, a cache that outlives the process), waits when a registry says so, and never shows
// credentials to a host that they are not for. Everything that a registry sends is foreign: bodies, redirects, waits
// and times are bounded, and content is believed only when its digest matches.
package registry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
)

// Config is what a client is made with. The zero value asks every registry anonymously and remembers nothing.
type Config struct {
	// CacheDir is where answers are kept between processes; empty keeps none.
	CacheDir string
	// TagLifetime is how long the answer to what a tag points to is used again; 0 means DefaultTagLifetime, less than 0 never.
	TagLifetime time.Duration
	// Hosts configures single registries, by their name in references (docker.io, registry.example.com:5000).
	Hosts map[string]HostConfig
	// DockerConfig is the folder of Docker's config.json with its credentials; empty asks anonymously.
	DockerConfig string
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
	cfg Config
}

// New makes a client. A cache folder that cannot be used is a warning in the log and no error.
func New(cfg Config) *Client { return &Client{cfg: cfg} }

// Close waits for what is under way and lets connections go.
func (c *Client) Close() {}

// Kinds of trouble. Errors that Client returns match them by errors.Is, and are *fleet.Unknown where a person must be told a
// reason and a remedy.
var (
	// ErrGone: the registry says that there is no such tag or repository (404).
	ErrGone = errors.New("not in the registry")
	// ErrDenied: private, or gone: registries do not say which (401, 403).
	ErrDenied = errors.New("access denied")
	// ErrLimited: too many requests (429); nothing more is asked of that host until the time that the error names.
	ErrLimited = errors.New("rate limited")
	// ErrUnreachable: no connection, no answer in time, a broken TLS handshake, a server error.
	ErrUnreachable = errors.New("unreachable")
	// ErrBadAnswer: an answer that breaks the protocol or one of our bounds.
	ErrBadAnswer = errors.New("bad answer")
	// ErrSchema1: the image has the old manifest format, whose digest says nothing.
	ErrSchema1 = errors.New("schema 1 manifest")
	// ErrNoPlatform: the index has no image for the platform.
	ErrNoPlatform = errors.New("no image for the platform")
	// ErrBudget: not asked, because too little of the registry's pull budget is left.
	ErrBudget = errors.New("pull budget too low")
)

// Answer is what a tag points to.
type Answer struct {
	Digest    fleet.Digest
	MediaType string
	// Size of the manifest or index in bytes; 0 when the registry did not say.
	Size int64
	// CheckedAt is when the registry gave the answer, and Host which one did: the mirror, where a mirror answered.
	CheckedAt time.Time
	Host      string
	// Cached: the answer is from the cache.
	Cached bool
	// Stale: the answer is older than the tag lifetime, given because the registry could not be asked; ResolveAll's Err says why.
	Stale bool
}

// Resolved is one answer of ResolveAll: an error, an answer, or both, an old answer and why there is no newer one.
type Resolved struct {
	Answer
	Err error
}

// Resolve says what a tag points to now, from the cache or by one HEAD.
func (c *Client) Resolve(ctx context.Context, ref reference.NamedTagged) (Answer, error) {
	r := c.ResolveAll(ctx, []reference.NamedTagged{ref})[0]
	return r.Answer, r.Err
}

// ResolveAll asks for many tags at once, the same one once, and answers in the order of refs. One failure changes no
// other answer.
func (c *Client) ResolveAll(ctx context.Context, refs []reference.NamedTagged) []Resolved {
	return make([]Resolved, len(refs))
}

// Exists says whether the registry knows a digest. True is remembered for ever.
func (c *Client) Exists(ctx context.Context, ref reference.Canonical) (bool, error) {
	return false, errors.ErrUnsupported
}

// Platform is what an image runs on, in the OCI image-spec's words.
type Platform struct {
	OS, Architecture, Variant string
}

// String gives os/architecture[/variant].
func (p Platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// Content is what lies behind a digest: an index of several images, or one image's manifest.
type Content struct {
	Digest    fleet.Digest
	MediaType string
	// Children are the images of an index, without attestations; nil for a manifest.
	Children []Child
	// Config and Size are set for a manifest: the config's digest, and the bytes of all layers together, compressed.
	Config fleet.ImageID
	Size   int64
	// Annotations of the manifest or index.
	Annotations map[string]string
}

// Child is one image of an index.
type Child struct {
	Digest   fleet.Digest
	Platform Platform
}

// Content says what lies behind a digest. It is kept for ever; asking a registry for it counts as a pull on Docker Hub.
func (c *Client) Content(ctx context.Context, ref reference.Canonical) (Content, error) {
	return Content{}, errors.ErrUnsupported
}

// Select gives the child of an index for a platform, as the engine would choose it; ErrNoPlatform where there is none.
func (c Content) Select(p Platform) (Child, error) { return Child{}, ErrNoPlatform }

// ImageConfig is the part of an image's config that we use (OCI image-spec, config.md).
type ImageConfig struct {
	Created      time.Time
	Platform     Platform
	Labels       map[string]string
	Env          []string
	Entrypoint   []string
	Cmd          []string
	User         string
	WorkingDir   string
	ExposedPorts []string
	Volumes      []string
}

// ImageConfig fetches an image's config from the repository of name. It is kept for ever; it is a blob, so it does not count as
// a pull.
func (c *Client) ImageConfig(ctx context.Context, name reference.Named, config fleet.ImageID) (ImageConfig, error) {
	return ImageConfig{}, errors.ErrUnsupported
}

// Tags lists the tags of a repository: at most MaxTags, kept for a day.
func (c *Client) Tags(ctx context.Context, name reference.Named) ([]string, error) {
	return nil, errors.ErrUnsupported
}

// MaxTags bounds a list of tags: past it, the list is cut and a warning is logged.
const MaxTags = 10_000

// Budget is what a registry last said of how many pulls are left.
type Budget struct {
	Host      string    `json:"host"`
	Limit     int       `json:"limit"`
	Remaining int       `json:"remaining"`
	Window    int       `json:"window_seconds"`
	Source    string    `json:"source,omitempty"` // whom it is counted for: an address or an account
	At        time.Time `json:"at"`
	// LimitedUntil is set while nothing is asked of the host because it said so.
	LimitedUntil time.Time `json:"limited_until,omitzero"`
}

// Budgets gives the budgets known, of this process and of earlier ones, sorted by host.
func (c *Client) Budgets() []Budget { return nil }
