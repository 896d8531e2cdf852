package registry

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
)

const (
	recordTag    = "tag"
	recordExists = "exists"
)

// tagRecord is what the cache keeps of a tag. It goes by host and reference: all who share the folder are one user, whose
// credentials are one set.
type tagRecord struct {
	Digest    fleet.Digest `json:"digest"`
	MediaType string       `json:"media_type"`
	Size      int64        `json:"size"`
	At        time.Time    `json:"at"`
	Host      string       `json:"host"`
}

func (r tagRecord) answer() Answer {
	return Answer{Digest: r.Digest, MediaType: r.MediaType, Size: r.Size, CheckedAt: r.At, Host: r.Host, Cached: true}
}

// young says whether something that was learnt at a time is still to be believed. What was learnt in the future is not: a clock
// was wrong.
func (c *Client) young(at time.Time, life time.Duration) bool {
	age := c.cfg.Now().Sub(at)
	return age >= 0 && age < life
}

// Resolve says what a tag points to now, from the cache or by one HEAD.
func (c *Client) Resolve(ctx context.Context, ref reference.NamedTagged) (Answer, error) {
	r := c.ResolveAll(ctx, []reference.NamedTagged{ref})[0]
	return r.Answer, r.Err
}

// asksAtOnce bounds the questions that are open at once over all registries; each registry has its own, smaller bound.
const asksAtOnce = 64

// ResolveAll asks for many tags at once, the same one once, and answers in the order of refs. One failure changes no
// other answer.
func (c *Client) ResolveAll(ctx context.Context, refs []reference.NamedTagged) []Resolved {
	if len(refs) == 0 {
		return nil
	}
	defer c.cache.flush()
	return c.resolveAll(ctx, refs)
}

func (c *Client) resolveAll(ctx context.Context, refs []reference.NamedTagged) []Resolved {
	answers := map[string]*Resolved{}
	var open []reference.NamedTagged
	for _, ref := range refs {
		if answers[ref.String()] != nil {
			continue
		}
		r := &Resolved{}
		answers[ref.String()] = r
		if a, ok := c.Recall(ref); ok {
			r.Answer = a
			continue
		}
		open = append(open, ref)
	}
	open = c.shareDigests(ctx, open, answers)
	c.expect(open)
	var wg sync.WaitGroup
	slots := make(chan struct{}, asksAtOnce)
	for _, ref := range open {
		slots <- struct{}{}
		wg.Go(func() {
			*answers[ref.String()] = c.resolve(ctx, ref)
			<-slots
		})
	}
	wg.Wait()
	list := make([]Resolved, len(refs))
	for i, ref := range refs {
		list[i] = *answers[ref.String()]
	}
	return list
}

// Recall gives a tag's answer from the cache while it is young. It asks nobody.
func (c *Client) Recall(ref reference.NamedTagged) (Answer, bool) {
	var rec tagRecord
	if !c.cache.record(recordTag, ref.String(), &rec) || !c.young(rec.At, c.cfg.TagLifetime) {
		return Answer{}, false
	}
	return rec.answer(), true
}

func (c *Client) keepTag(ref reference.NamedTagged, a Answer) {
	c.cache.keepRecord(recordTag, ref.String(), tagRecord{a.Digest, a.MediaType, a.Size, a.CheckedAt, a.Host})
}

// resolve asks for one tag, and falls back on the old answer where none can be had now.
func (c *Client) resolve(ctx context.Context, ref reference.NamedTagged) Resolved {
	answer, err := once(ctx, c, "tag "+ref.String(), func(ctx context.Context) (Answer, error) {
		return eachEndpoint(c, ref, func(h *host) (Answer, error) { return c.head(ctx, h, ref) })
	})
	if err == nil {
		c.keepTag(ref, answer)
		return Resolved{Answer: answer}
	}
	r := Resolved{Err: err}
	var rec tagRecord
	if canBeOld(err) && c.cache.record(recordTag, ref.String(), &rec) && !rec.At.After(c.cfg.Now()) {
		r.Answer = rec.answer()
		r.Stale = true
	}
	return r
}

// canBeOld says whether an old answer is still worth something: not when the registry has given a newer one.
func canBeOld(err error) bool {
	return errors.Is(err, ErrLimited) || errors.Is(err, ErrUnreachable)
}

// eachEndpoint asks the mirrors and then the registry, until one answers. A mirror's failure is nobody's business.
func eachEndpoint[T any](c *Client, name reference.Named, ask func(*host) (T, error)) (T, error) {
	var answer T
	err := errNoAnswer
	for _, h := range c.endpoints(name) {
		if answer, err = ask(h); err == nil {
			return answer, nil
		}
	}
	return answer, err
}

// head learns a tag's digest: by HEAD, which costs nothing on Docker Hub, or where that does not say by GET and hashing.
func (c *Client) head(ctx context.Context, h *host, ref reference.NamedTagged) (Answer, error) {
	q := manifests(http.MethodHead, ref, ref.Tag(), 0)
	r, err := c.ask(ctx, h, q)
	if err != nil {
		return Answer{}, err
	}
	if headRefused(r.status) {
		return c.getTag(ctx, h, q)
	}
	if err := c.status(h, r); err != nil {
		return Answer{}, err
	}
	contentType := mediaType(r.header.Get("Content-Type"))
	d, ok := validDigest(r.header.Get("Docker-Content-Digest"))
	switch {
	case isSchema1(contentType):
		return Answer{}, errSchema1(h.name)
	case !ok || !isManifest(contentType):
		return c.getTag(ctx, h, q)
	}
	size, err := strconv.ParseInt(r.header.Get("Content-Length"), 10, 64)
	if err != nil || size < 0 {
		size = 0
	}
	return Answer{Digest: d, MediaType: contentType, Size: size, CheckedAt: c.cfg.Now().UTC(), Host: h.address}, nil
}

// headRefused tells a registry that does not do HEAD.
func headRefused(status int) bool {
	return status == http.StatusMethodNotAllowed || status == http.StatusBadRequest || status == http.StatusNotImplemented
}

// getTag fetches what a tag points to, reads it, so that no page of a proxy is taken for an image, and hashes it.
func (c *Client) getTag(ctx context.Context, h *host, q question) (Answer, error) {
	q.method, q.limit = http.MethodGet, maxManifest
	r, err := c.ask(ctx, h, q)
	if err != nil {
		return Answer{}, err
	}
	if err := c.status(h, r); err != nil {
		return Answer{}, err
	}
	d := digestOf(r.body)
	if said := r.header.Get("Docker-Content-Digest"); said != "" {
		claimed, ok := validDigest(said)
		if !ok || !matches(claimed, r.body) {
			return Answer{}, badAnswer(h.name, "its digest is not that of its content")
		}
		d = claimed
	}
	if _, err := parseContent(d, r.body); err != nil {
		return Answer{}, misread(h.name, err)
	}
	c.cache.keepContent(d, r.body)
	return Answer{
		Digest: d, MediaType: mediaType(r.header.Get("Content-Type")), Size: int64(len(r.body)),
		CheckedAt: c.cfg.Now().UTC(), Host: h.address,
	}, nil
}

// status turns an answer that is not 200 into an error of its kind.
func (c *Client) status(h *host, r reply) error {
	switch {
	case r.status == http.StatusOK:
		return nil
	case r.status == http.StatusNotFound:
		return unknown(ErrGone, "check the name; if it was taken away on purpose, run another", "%s has no such image", h.name)
	case r.status == http.StatusUnauthorized || r.status == http.StatusForbidden:
		return c.denied(h, credential{})
	case r.status >= 500:
		return c.unreachable(h, errServer(r.status))
	}
	return badAnswer(h.name, "status %d", r.status)
}

type errServer int

func (e errServer) Error() string {
	return "it answers " + strconv.Itoa(int(e)) + " " + http.StatusText(int(e))
}

// Exists says whether the registry knows a digest. True is remembered for ever.
func (c *Client) Exists(ctx context.Context, ref reference.Canonical) (bool, error) {
	var known bool
	if c.cache.record(recordExists, ref.String(), &known) && known {
		return true, nil
	}
	known, err := once(ctx, c, "exists "+ref.String(), func(ctx context.Context) (bool, error) {
		return eachEndpoint(c, ref, func(h *host) (bool, error) { return true, c.exists(ctx, h, ref) })
	})
	if errors.Is(err, ErrGone) {
		return false, nil
	}
	if err == nil {
		c.cache.keepRecord(recordExists, ref.String(), true)
	}
	return known, err
}

// exists is nil when the host has a digest, and [ErrGone] when it says that it has not.
func (c *Client) exists(ctx context.Context, h *host, ref reference.Canonical) error {
	d := fleet.Digest(ref.Digest())
	q := manifests(http.MethodHead, ref, string(d), 0)
	r, err := c.ask(ctx, h, q)
	if err != nil {
		return err
	}
	vouched := isManifest(r.header.Get("Content-Type")) || r.header.Get("Docker-Content-Digest") == string(d)
	if headRefused(r.status) || r.status == http.StatusOK && !vouched {
		q.method, q.limit = http.MethodGet, maxManifest
		_, err := c.get(ctx, h, d, q)
		return err
	}
	return c.status(h, r)
}
