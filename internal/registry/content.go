package registry

import (
	"context"
	"errors"
	"net/http"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
)

// Content says what lies behind a digest. It is kept for ever; asking a registry for it counts as a pull on Docker Hub, so
// it is [ErrBudget] while too few are left.
func (c *Client) Content(ctx context.Context, ref reference.Canonical) (Content, error) {
	d := fleet.Digest(ref.Digest())
	q := manifests(http.MethodGet, ref, string(d), maxManifest)
	data, err := c.bytes(ctx, ref, d, q, c.affordable)
	if err != nil {
		return Content{}, err
	}
	content, err := parseContent(d, data)
	return content, misread(registryOf(ref), err)
}

// ImageConfig fetches an image's config from the repository of name. It is kept for ever; it is a blob, so it does not count as
// a pull.
func (c *Client) ImageConfig(ctx context.Context, name reference.Named, config fleet.ImageID) (ImageConfig, error) {
	d := fleet.Digest(config) // here alone the two are one: an image's ID is its config's digest
	q := blobs(name, d, maxConfig)
	data, err := c.bytes(ctx, name, d, q, func(*host) error { return nil })
	if err != nil {
		return ImageConfig{}, err
	}
	parsed, err := parseConfig(data)
	return parsed, misread(registryOf(name), err)
}

// misread tells content that is what its digest says, and yet makes no sense.
func misread(registry string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrSchema1):
		return errSchema1(registry)
	}
	return badAnswer(registry, "%v", err)
}

// bytes gives what a digest names, from the cache or from a registry, and verified either way.
func (c *Client) bytes(ctx context.Context, name reference.Named, d fleet.Digest, q question, allowed func(*host) error) ([]byte, error) {
	if _, ok := validDigest(string(d)); !ok {
		return nil, badAnswer(registryOf(name), "%q names no content", fleet.Plain(string(d)))
	}
	if data, ok := c.cache.content(d); ok {
		return data, nil
	}
	return once(ctx, c, q.path+" "+registryOf(name), func(ctx context.Context) ([]byte, error) {
		return eachEndpoint(c, name, func(h *host) ([]byte, error) {
			if err := allowed(h); err != nil {
				return nil, err
			}
			return c.get(ctx, h, d, q)
		})
	})
}

func (c *Client) get(ctx context.Context, h *host, d fleet.Digest, q question) ([]byte, error) {
	r, err := c.ask(ctx, h, q)
	if err != nil {
		return nil, err
	}
	if err := c.status(h, r); err != nil {
		return nil, err
	}
	if isSchema1(r.header.Get("Content-Type")) {
		return nil, errSchema1(h.name)
	}
	if !matches(d, r.body) {
		return nil, badAnswer(h.name, "its content is not what the digest %s names", d)
	}
	c.cache.keepContent(d, r.body)
	return r.body, nil
}

// affordable says whether a request that counts as a pull may be made.
func (c *Client) affordable(h *host) error {
	b, low := h.ledger.low(c.cfg.Now())
	if !low {
		return nil
	}
	return unknown(ErrBudget, "scan again later, or log in for a larger budget: docker login "+h.name,
		"%s has %d of %d pulls left for us (said at %s), and the rest is kept for the engine", h.name, b.Remaining, b.Limit, b.At.Format("15:04 MST"))
}
