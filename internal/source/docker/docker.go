// Package docker is the source of container image updates, for Docker and for Podman. It lists the engine's
// containers and images (two requests; more only where the lists do not say enough), asks each image's registry what
// the tag points to now, and answers for every container, running or stopped: current, update, pinned, local, gone, or
// unknown because. The comparison is of like with like: a [fleet.Digest] names a manifest or an index, as a registry
// does; a [fleet.ImageID] on the classic store and in Podman is a config. Where digests differ, what decides is the image for the container's
// own platform behind them. Newer version tags are a second answer beside the first, and change nothing in it.
package docker

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/registry"
)

// Source finds the image updates of one brand of engine. Docker and Podman are the two that exist; see [New] and [NewPodman].
type Source struct {
	brand    brand
	reg      *registry.Client
	host     string
	getenv   func(string) string
	patience time.Duration
	// root: we may ask every user's engine.
	root bool
	// Grace is how long a new container must run before the old one is removed; 0 means ten seconds.
	Grace time.Duration
	// fail makes a step of a recreation fail, in tests.
	fail func(step string) error
}

// Options steer a source. The zero value is what a person's shell would do.
type Options struct {
	// Host is where the engine listens, as DOCKER_HOST has it; empty looks into the environment and then for sockets.
	Host string
	// Getenv gives the environment; nil means os.Getenv.
	Getenv func(string) string
}

// New gives the source for Docker. It asks DOCKER_HOST where that is set, else the sockets of the system's and of the user's own
// (rootless) engine.
func New(reg *registry.Client, opt Options) *Source { return newSource(reg, opt, dockerBrand) }

// NewPodman gives the source for Podman's Docker API: CONTAINER_HOST where that is set, else the system's and the user's socket.
// Podman without its API service is usual, and is present only where it has containers.
func NewPodman(reg *registry.Client, opt Options) *Source { return newSource(reg, opt, podmanBrand) }

// patience is how long an engine may take for one answer: socket activation starts a cold dockerd in about 10 s.
const patience = 20 * time.Second

func newSource(reg *registry.Client, opt Options, b brand) *Source {
	if opt.Getenv == nil {
		opt.Getenv = os.Getenv
	}
	return &Source{brand: b, reg: reg, host: opt.Host, getenv: opt.Getenv, patience: patience, root: os.Geteuid() == 0}
}

// Name implements source.Source.
func (s *Source) Name() string { return s.brand.name }

// Present implements source.Source: there is a socket, an address, or the program of an engine.
func (s *Source) Present(m *machine.Machine) bool {
	if len(s.hosts(m)) > 0 {
		return true
	}
	for _, program := range s.brand.programs {
		if _, err := m.Stat(program); err == nil {
			return true
		}
	}
	return s.brand.name == podmanBrand.name && s.hasStored(m)
}

// Scan implements source.Source. The finding has a check for every image that containers run; the error is not nil when one of them is
// unknown.
func (s *Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	engines, lost, theirs := s.connectAll(ctx, m)
	defer closeAll(engines)
	subjects, blind := look(ctx, engines)
	if ctx.Err() != nil {
		return fleet.Finding{}, ctx.Err()
	}
	j := &judge{reg: s.reg, now: m.Now}
	verdicts := j.judgeAll(ctx, subjects)
	newer := j.newerTags(ctx, subjects, verdicts)
	if ctx.Err() != nil {
		return fleet.Finding{}, ctx.Err()
	}
	return report(subjects, verdicts, newer), errors.Join(lost, theirs, s.unseen(m), blind, unanswered(subjects, verdicts, newer))
}

// engines connects to every engine that is there. The error says which of them do not answer; another user's that does not is nobody else's trouble.
func (s *Source) engines(ctx context.Context, m *machine.Machine) ([]*engine, error) {
	engines, lost, _ := s.connectAll(ctx, m)
	return engines, lost
}

// connectAll connects to every engine that is there, to all at once, and says which do not answer: our own and the system's, and others' of their users.
func (s *Source) connectAll(ctx context.Context, m *machine.Machine) (engines []*engine, lost, theirs error) {
	hosts := s.hosts(m)
	if len(hosts) == 0 {
		return nil, s.brand.notRunning(s.brand.silence), nil
	}
	found, errs := make([]*engine, len(hosts)), make([]error, len(hosts))
	var wg sync.WaitGroup
	for i, host := range hosts {
		wg.Go(func() { found[i], errs[i] = connect(ctx, s, host) })
	}
	wg.Wait()
	for i, e := range found {
		switch {
		case errs[i] == nil:
			engines = append(engines, e)
		case (&engine{owner: ownerOfSocket(hosts[i])}).isOurs():
			lost = errors.Join(lost, errs[i])
		default:
			theirs = errors.Join(theirs, errs[i])
		}
	}
	return engines, lost, theirs
}

func closeAll(engines []*engine) {
	for _, e := range engines {
		e.close()
	}
}

// look asks every engine what it runs. One that does not say is in the error; the others' subjects are there all the same.
func look(ctx context.Context, engines []*engine) ([]*subject, error) {
	var all []*subject
	var errs []error
	for _, e := range engines {
		seen, err := e.look(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, group(e, seen)...)
	}
	return all, errors.Join(errs...)
}
