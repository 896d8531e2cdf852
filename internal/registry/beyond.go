package registry

import (
	"context"
	"net/url"
	"strings"
)

// askBeyond asks where a redirect of the whole API has led, and where a token is wanted: some names of images are only
// another name of a registry elsewhere. There we are nobody, whatever the first host or that one knows us by. An answer
// that is no registry's stands as it is.
func (c *Client) askBeyond(ctx context.Context, h *host, q question, r reply) (reply, error) {
	prefix, path, ok := strings.Cut(r.url.Path, "/v2/")
	if h.beyond || !ok {
		return r, nil
	}
	q.repo = repoOf(path)
	q.path = path
	if r.url.RawQuery != "" {
		q.path += "?" + r.url.RawQuery
	}
	return c.ask(ctx, c.beyond(r.url, prefix), q)
}

// repoOf gives the repository of a path below /v2/.
func repoOf(path string) string {
	for _, part := range []string{"/manifests/", "/blobs/", "/tags/"} {
		if repo, _, ok := strings.Cut(path, part); ok {
			return repo
		}
	}
	return path
}

// beyond gives the one host for what redirects lead to at an address.
func (c *Client) beyond(u *url.URL, prefix string) *host {
	return c.know("beyond "+u.Scheme+"://"+u.Host+prefix, func() *host {
		return &host{name: u.Host, address: u.Host, prefix: prefix, scheme: u.Scheme, beyond: true}
	})
}
