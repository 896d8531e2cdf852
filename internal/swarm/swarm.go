// Package swarm is many simulated hosts that speak the real protocol to a real server, by the agent's own code: it measures what a
// fleet costs, and sees that nothing that was acknowledged is lost.
package swarm

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"redflag/internal/agent"
	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Config says how large a swarm is, and where it goes.
type Config struct {
	// Server is a base URL, of a server without TLS or with a certificate that this machine trusts; Token has enough seats.
	Server, Token string
	Hosts         int
	// AtOnce is how many hosts talk at the same time.
	AtOnce int
	// Process is the server's, where it runs on this machine; 0 where its CPU is not measured.
	Process Process
	// Key is one of the API, to see what the server has; empty looks at nothing.
	Key string
	// Lines is how many lines each host says when updates are installed on all of them, for which the key must be one that may write; 0 installs none.
	Lines int
	// Forwarded gives each host an address of its own by X-Forwarded-For, for a server that trusts this machine as a proxy: without it the
	// server's limit for one address slows down how fast more than a thousand hosts join.
	Forwarded bool
	// Out gets the figures.
	Out io.Writer
}

// Swarm is simulated hosts in a fleet.
type Swarm struct {
	cfg     Config
	members []*member
	traffic traffic
	checkIn time.Duration // of the server's CPU, that a bare one takes
	http    *http.Client
	now     time.Time
}

// member is one host with its agent.
type member struct {
	*host
	id     fleet.HostID
	key    ed25519.PrivateKey
	server ed25519.PublicKey // which signs orders
	client *wire.Client
	agent  *agent.Agent
	heard  *heard
}

// New makes a swarm that has not joined yet.
func New(cfg Config) *Swarm {
	s := &Swarm{cfg: cfg, now: time.Now().UTC().Truncate(time.Second)}
	s.http = &http.Client{Transport: &http.Transport{DialContext: s.traffic.dial, MaxIdleConnsPerHost: cfg.AtOnce, DisableCompression: true}}
	for n := range cfg.Hosts {
		s.members = append(s.members, &member{host: newHost(n, s.now.Add(-time.Hour))})
	}
	return s
}

// forwarded adds the header with the host's own address.
type forwarded struct {
	http.RoundTripper
	address string
}

// RoundTrip implements http.RoundTripper. The request is ours alone.
func (f forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", f.address)
	return f.RoundTripper.RoundTrip(r)
}

// from gives the HTTP client of a member.
func (s *Swarm) from(m *member, rt http.RoundTripper) *http.Client {
	if s.cfg.Forwarded {
		rt = forwarded{rt, m.address()}
	}
	return &http.Client{Transport: rt}
}

// heard is what a member's agent says, which it passes on: it remembers the name of the session.
type heard struct {
	*wire.Client
	session  string
	requests *atomic.Int64
}

// CheckIn implements agent.Server.
func (h *heard) CheckIn(ctx context.Context, in wire.CheckIn) ([]string, error) {
	h.session = in.Session
	h.requests.Add(1)
	return patiently(ctx, func() ([]string, error) { return h.Client.CheckIn(ctx, in) })
}

// Report implements agent.Server.
func (h *heard) Report(ctx context.Context, r wire.Report) ([]string, error) {
	h.requests.Add(1)
	return patiently(ctx, func() ([]string, error) { return h.Client.Report(ctx, r) })
}

// patiently waits where the server says so, as agents do.
func patiently[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	for {
		got, err := ask()
		var refusal *wire.Refusal
		if err == nil || !errors.As(err, &refusal) || refusal.RetryAfter == 0 {
			return got, err
		}
		select {
		case <-ctx.Done():
			return got, ctx.Err()
		case <-time.After(refusal.RetryAfter):
		}
	}
}

// Run lets the hosts join, report, check in, change and wait, and says what each cost.
func (s *Swarm) Run(ctx context.Context) error {
	if err := s.tellMemory("before"); err != nil {
		return err
	}
	fmt.Fprintf(s.cfg.Out, "%-22s %8s %8s %8s %9s %9s %9s %9s %9s\n", "", "hosts", "requests", "per s", "p50 ms", "p99 ms", "B sent", "B back", "CPU ms")
	var requests atomic.Int64
	for _, phase := range []struct {
		name string
		do   func(context.Context, *member) error
	}{
		{"join", func(ctx context.Context, m *member) error { return s.join(ctx, m, &requests) }},
		{"first report", s.round},
		{bareCheckIn, s.round},
		{fmt.Sprintf("%d packages changed", Changed), func(ctx context.Context, m *member) error {
			m.upgrade()
			return s.round(ctx, m)
		}},
	} {
		if err := s.phase(ctx, phase.name, &requests, phase.do); err != nil {
			return fmt.Errorf("%s: %w", phase.name, err)
		}
	}
	if err := s.wait(ctx); err != nil {
		return fmt.Errorf("wait for orders: %w", err)
	}
	if s.cfg.Key == "" {
		return nil
	}
	if err := s.look(ctx); err != nil || s.cfg.Lines == 0 {
		return err
	}
	return s.inFolder(ctx)
}

// bareCheckIn is the measure of all others.
const bareCheckIn = "check-in, unchanged"

// inFolder installs updates, with a folder for what agents keep on disk.
func (s *Swarm) inFolder(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "swarm")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := s.work(ctx, dir); err != nil {
		return fmt.Errorf("install updates: %w", err)
	}
	return nil
}

// join enrols a member.
func (s *Swarm) join(ctx context.Context, m *member, requests *atomic.Int64) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	m.key = private
	m.client = &wire.Client{Server: s.cfg.Server, Signer: wire.Signer{KeyID: wire.NewKeyID, Key: private}, HTTP: s.from(m, s.http.Transport)}
	secret, _, err := wire.SplitToken(s.cfg.Token)
	if err != nil {
		return err
	}
	e := wire.Enroll{Level: wire.Level, Token: secret, Key: public, Machine: fmt.Sprintf("swarm-%d", m.n), Host: m.view(s.now).Host, Agent: "swarm"}
	requests.Add(1)
	got, err := patiently(ctx, func() (wire.Enrolled, error) { return m.client.Enroll(ctx, e) })
	if err != nil {
		return err
	}
	m.id, m.server = got.Host, got.Server
	m.client.Signer.KeyID = got.Host.String()
	m.heard = &heard{Client: m.client, requests: requests}
	m.agent = agent.New(m.heard, agent.OpenState(""), func(context.Context, wire.Scan) (agent.View, error) { return m.view(s.now), nil }, slog.New(slog.DiscardHandler))
	return nil
}

func (s *Swarm) round(ctx context.Context, m *member) error { return m.agent.Round(ctx, wire.Scan{}) }

// phase lets every member do something, so many at once, and prints what it cost.
func (s *Swarm) phase(ctx context.Context, name string, requests *atomic.Int64, do func(context.Context, *member) error) error {
	requests.Store(0)
	out, in := s.traffic.out.Load(), s.traffic.in.Load()
	before, err := s.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	took, err := s.all(ctx, do)
	if err != nil {
		return err
	}
	passed := time.Since(began)
	after, err := s.cpu()
	if err != nil {
		return err
	}
	n := float64(len(s.members))
	if name == bareCheckIn {
		s.checkIn = time.Duration(float64(after-before) / n)
	}
	fmt.Fprintf(s.cfg.Out, "%-22s %8d %8d %8.0f %9.1f %9.1f %9.0f %9.0f %9.2f\n", name, len(s.members), requests.Load(), n/passed.Seconds(),
		ms(took.quantile(0.5)), ms(took.quantile(0.99)), float64(s.traffic.out.Load()-out)/n, float64(s.traffic.in.Load()-in)/n, ms(after-before)/n)
	return nil
}

// all lets every member do something, so many at once. The first error ends it.
func (s *Swarm) all(ctx context.Context, do func(context.Context, *member) error) (*times, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	took := &times{}
	queue := make(chan *member)
	var work sync.WaitGroup
	for range s.cfg.AtOnce {
		work.Go(func() {
			for m := range queue {
				began := time.Now()
				if err := do(ctx, m); err != nil {
					stop(fmt.Errorf("host %d: %w", m.n, err))
				}
				took.add(time.Since(began))
			}
		})
	}
	for _, m := range s.members {
		if ctx.Err() != nil {
			break
		}
		queue <- m
	}
	close(queue)
	work.Wait()
	return took, context.Cause(ctx)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// cpu gives what the server has used until now; 0 where it is not measured.
func (s *Swarm) cpu() (time.Duration, error) {
	if s.cfg.Process == 0 {
		return 0, nil
	}
	return s.cfg.Process.CPU()
}

// tellMemory says how much the server holds.
func (s *Swarm) tellMemory(when string) error {
	if s.cfg.Process == 0 {
		return nil
	}
	rss, err := s.cfg.Process.RSS()
	fmt.Fprintf(s.cfg.Out, "memory %s: %.1f MiB\n", when, float64(rss)/(1<<20))
	return err
}
