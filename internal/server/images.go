package server

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
	"redflag/internal/registry"
	"redflag/internal/wire"
)

// wellKnown are public registries: what they say without credentials is no secret, and asking them leads nobody into the
// server's own network.
var wellKnown = [...]string{
	"docker.io", "ghcr.io", "quay.io", "registry.k8s.io", "gcr.io", "mcr.microsoft.com", "public.ecr.aws", "lscr.io", "codeberg.org",
	"registry.gitlab.com",
}

// Bounds of what hosts may have asked of registries. Past them a host asks itself, as it would without a fleet.
const (
	// imagesRate and imagesBurst are of requests by one host, in a second: one for all its tags, and one for each list of 60
	// repositories.
	imagesRate  = 5
	imagesBurst = 100
	// tagRate and tagBurst are of the tags that are asked of registries for one host: those that the cache does not answer. 1,000
	// in an hour are 80 images every five minutes by a host that nobody shares with.
	tagRate  = 1000.0 / 3600
	tagBurst = 200
	// listRate and listBurst are the same of lists of tags, which cost more and are kept for a day.
	listRate  = 10.0 / 3600
	listBurst = 60
	// imagesAtOnce bounds the requests of all hosts that wait for registries, and imagesOfHost those of one of them: twice
	// what an agent has open.
	imagesAtOnce = 32
	imagesOfHost = 8
	// imagesPatience bounds one request: agents wait ten seconds, and what is known by then is of use.
	imagesPatience = 8 * time.Second
	// tidyImagesEvery is how often the cache of answers is written down and held to its bounds.
	tidyImagesEvery = 10 * time.Minute
)

// images asks registries for the hosts of a fleet: each thing once, however many of them want to know. What it answers is what a
// registry said to itself, never what another host said. Hosts name what is asked, so it is asked of the registries on a list
// alone, and of why there is no answer they learn nothing.
type images struct {
	ask         *registry.Client
	shared      map[string]bool // the registries on the list
	now         func() time.Time
	tags, lists *limiter // by host
	slots       chan struct{}

	mu      sync.Mutex
	waiting map[fleet.HostID]int // requests that wait for registries
}

func newImages(cfg Config) *images {
	i := &images{
		ask: cfg.Images, shared: map[string]bool{}, now: cfg.Now,
		tags: newLimiter(tagRate, tagBurst), lists: newLimiter(listRate, listBurst),
		slots: make(chan struct{}, imagesAtOnce), waiting: map[fleet.HostID]int{},
	}
	list := cfg.SharedRegistries
	switch {
	case cfg.Images == nil:
		list = nil
	case list == nil:
		list = wellKnown[:]
	}
	for _, name := range list {
		i.shared[name] = true
	}
	return i
}

// askImages tells a host what registries say.
func (s *Server) askImages(ctx context.Context, r request, _ time.Time) (any, error) {
	var q wire.ImageQuestions
	if err := wire.Unpack(r.body, r.encoding, wire.MaxImages, &q); err != nil {
		return nil, err
	}
	if err := q.Check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, imagesPatience)
	defer cancel()
	a := wire.ImageAnswers{Digests: s.images.digests(ctx, r.host, q.References), Tags: s.images.list(ctx, r.host, q.Repository)}
	if len(a.Digests) == 0 && a.Tags == nil {
		return nil, nil
	}
	return a, nil
}

// digests says what tags point to, as far as it can.
func (i *images) digests(ctx context.Context, host fleet.HostID, names []string) map[string]wire.ImageDigest {
	answers := map[string]wire.ImageDigest{}
	answer := func(ref reference.NamedTagged, a registry.Answer) {
		if age, ok := i.age(a.CheckedAt); ok {
			answers[ref.String()] = wire.ImageDigest{Digest: a.Digest, MediaType: a.MediaType, Size: a.Size, Age: age}
		}
	}
	var open []reference.NamedTagged
	for _, name := range names {
		ref, ok := i.named(name).(reference.NamedTagged)
		if !ok {
			continue
		}
		if a, ok := i.ask.Recall(ref); ok {
			answer(ref, a)
		} else if i.tags.take(host.String(), i.now()) == 0 {
			open = append(open, ref)
		}
	}
	leave, ok := i.enter(ctx, host, len(open) > 0)
	if !ok {
		return answers
	}
	defer leave()
	for n, r := range i.ask.ResolveAll(ctx, open) {
		if r.Err == nil {
			answer(open[n], r.Answer)
		}
	}
	return answers
}

// list gives the tags of a repository, or nil.
func (i *images) list(ctx context.Context, host fleet.HostID, name string) *wire.ImageTags {
	repo := i.named(name)
	if repo == nil || !reference.IsNameOnly(repo) {
		return nil
	}
	list, ok := i.ask.RecallTags(repo)
	if !ok {
		leave, ok := i.enter(ctx, host, i.lists.take(host.String(), i.now()) == 0)
		if !ok {
			return nil
		}
		defer leave()
		var err error
		if list, err = i.ask.TagList(ctx, repo); err != nil {
			return nil
		}
	}
	age, ok := i.age(list.CheckedAt)
	if !ok {
		return nil
	}
	return &wire.ImageTags{Tags: list.Tags, Age: age}
}

// named reads a name as it must be written, of a registry on the list; nil for any other.
func (i *images) named(name string) reference.Named {
	named, err := reference.ParseNamed(name)
	if err != nil || !i.shared[reference.Domain(named)] {
		return nil
	}
	if _, ok := named.(reference.Digested); ok {
		return nil // it says itself what it points to
	}
	return named
}

// age gives how long ago something was, in seconds, rounded up; false where it is still to come.
func (i *images) age(at time.Time) (int64, bool) {
	age := i.now().Sub(at)
	return int64((age + time.Second - 1) / time.Second), age >= 0
}

// enter waits for a turn to ask registries, where there is something to ask. Leave must follow where it is true.
func (i *images) enter(ctx context.Context, host fleet.HostID, something bool) (leave func(), ok bool) {
	if !something || !i.count(host) {
		return nil, false
	}
	select {
	case i.slots <- struct{}{}:
		return func() { <-i.slots; i.discount(host) }, true
	case <-ctx.Done():
		i.discount(host)
		return nil, false
	}
}

// count notes a request that waits; false when its host has too many.
func (i *images) count(host fleet.HostID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.waiting[host] >= imagesOfHost {
		return false
	}
	i.waiting[host]++
	return true
}

func (i *images) discount(host fleet.HostID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.waiting[host]--; i.waiting[host] == 0 {
		delete(i.waiting, host)
	}
}

// Budgets gives what the registries that are asked for all hosts said of how many pulls are left.
func (s *Server) Budgets() []registry.Budget {
	if s.cfg.Images == nil {
		return nil
	}
	return s.cfg.Images.Budgets()
}

// SharedRegistries names the registries that are asked for all hosts.
func (s *Server) SharedRegistries() []string { return slices.Sorted(maps.Keys(s.images.shared)) }
