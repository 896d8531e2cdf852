package registry

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/distribution/reference"
)

// Shared is somebody who asks registries once for many hosts, and is asked before they are: a fleet's server. It asks
// anonymously, so it is not asked where this host has credentials or a way of its own to a registry. It must give up when
// ctx ends. What it cannot say, and what it says that cannot be believed, is asked of the registry as if there were no Shared.
type Shared interface {
	// Digests says what tags point to: an answer for each reference, in their order, and the zero Answer for one that it
	// does not answer for. [Answer.CheckedAt] is when the registry said so.
	Digests(ctx context.Context, refs []reference.NamedTagged) ([]Answer, error)
	// TagList lists the tags of a repository; it is the zero TagList where it does not answer for it.
	TagList(ctx context.Context, name reference.Named) (TagList, error)
}

const (
	// sharedPatience bounds one question to a Shared: a registry answers in less than a second, and waits only when it is
	// asked too much.
	sharedPatience = 10 * time.Second
	// sharedRest is how long a Shared that failed is left alone: the rest of a pass, so that 60 questions do not wait for
	// the same time-out one after the other.
	sharedRest = 5 * time.Minute
	// sharedAtOnce bounds the questions that are open at once: a pass needs one for its tags, and one for each list.
	sharedAtOnce = 4
)

// sharing is how a client comes by what a [Shared] says.
type sharing struct {
	with     Shared // nil for none
	patience time.Duration
	slots    chan struct{}

	mu    sync.Mutex
	until time.Time // not asked before
}

func newSharing(with Shared) *sharing {
	return &sharing{with: with, patience: sharedPatience, slots: make(chan struct{}, sharedAtOnce)}
}

func (s *sharing) resting(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.until) && s.until.Sub(now) <= sharedRest
}

func (s *sharing) rest(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = now.Add(sharedRest)
}

// consult puts one question to the client's Shared, and waits for a bounded time; false where there is no answer.
func consult[T any](ctx context.Context, c *Client, ask func(context.Context, Shared) (T, error)) (answer T, ok bool) {
	s := c.sharing
	bounded, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-bounded.Done():
		return answer, false
	}
	if s.resting(c.cfg.Now()) {
		return answer, false
	}
	answer, err := ask(bounded, s.with)
	if err != nil && ctx.Err() == nil {
		s.rest(c.cfg.Now())
		c.cfg.Log.Info("the fleet's server does not say what registries have, so they are asked from here", "err", err)
	}
	return answer, err == nil
}

// mayShare says whether a question about a name is one that a Shared may be asked: every host would put it in the same
// words and to the same registry.
func (c *Client) mayShare(name reference.Named) bool {
	registry := registryOf(name)
	_, configured := c.cfg.Hosts[registry]
	_, pinned := name.(reference.Digested)
	switch {
	case c.sharing.with == nil, c.cfg.TagLifetime < 0, pinned, configured, isLoopback(registry), c.creds.mayKnow(registry):
		return false
	}
	authorities, pairs := engineCerts(c.cfg.CertsDir, registry)
	return len(authorities) == 0 && len(pairs) == 0
}

// mayKnow says whether there may be a credential for a registry. A common store may have one for any, and so may a file that
// cannot be read.
func (c *credentials) mayKnow(registry string) bool {
	_, inFile := c.auths[registry]
	return inFile || c.credHelpers[registry] != "" || c.credsStore != "" || c.err != nil
}

// shareDigests fills in what the client's Shared answers for, and gives the references that are still open.
func (c *Client) shareDigests(ctx context.Context, open []reference.NamedTagged, answers map[string]*Resolved) []reference.NamedTagged {
	var ask []reference.NamedTagged
	for _, ref := range open {
		if c.mayShare(ref) {
			ask = append(ask, ref)
		}
	}
	if len(ask) == 0 {
		return open
	}
	got, ok := consult(ctx, c, func(ctx context.Context, s Shared) ([]Answer, error) {
		got, err := s.Digests(ctx, ask)
		if err == nil && len(got) != len(ask) {
			return nil, errors.New("not as many answers as questions")
		}
		return got, err
	})
	if !ok {
		return open
	}
	for i, ref := range ask {
		if a, ok := c.believe(ref, got[i]); ok {
			c.keepTag(ref, a)
			answers[ref.String()].Answer = a
		}
	}
	return slices.DeleteFunc(open, func(ref reference.NamedTagged) bool { return answers[ref.String()].Digest != "" })
}

// believe takes an answer of a Shared as far as it makes sense and is as young as one of our own would have to be.
func (c *Client) believe(ref reference.NamedTagged, a Answer) (Answer, bool) {
	d, ok := validDigest(string(a.Digest))
	if !ok || !isManifest(a.MediaType) || !c.young(a.CheckedAt, c.cfg.TagLifetime) {
		return Answer{}, false
	}
	host := addressOf(registryOf(ref))
	return Answer{Digest: d, MediaType: mediaType(a.MediaType), Size: max(a.Size, 0), CheckedAt: a.CheckedAt.UTC(), Host: host}, true
}

// shareTags is [Client.TagList] of the client's Shared. A list with nothing in it is asked of the registry.
func (c *Client) shareTags(ctx context.Context, name reference.Named) (TagList, bool) {
	if !c.mayShare(name) {
		return TagList{}, false
	}
	l, ok := consult(ctx, c, func(ctx context.Context, s Shared) (TagList, error) { return s.TagList(ctx, name) })
	if !ok || len(l.Tags) > MaxTags || !c.young(l.CheckedAt, tagsLifetime) {
		return TagList{}, false
	}
	tags := validTags(l.Tags)
	return TagList{Tags: tags, CheckedAt: l.CheckedAt.UTC()}, len(tags) > 0
}
