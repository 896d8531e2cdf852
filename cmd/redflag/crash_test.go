//go:build unix

package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	model "redflag/internal/fleet"
	"redflag/internal/parts"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// reporter is a host that reports without a pause, each time another state.
type reporter struct {
	id          model.HostID
	client      *wire.Client
	sent, acked int
}

// state is what the host has after n changes: one update, which names it.
func state(n int) wire.Report {
	name := fmt.Sprintf("u%06d", n)
	return wire.Report{
		Level: wire.Level, Session: "s", Sequence: int64(n), Digests: wire.Digests{"finding/apt": name},
		Findings: []model.Finding{{Source: "apt", State: model.OK, Updates: []model.Update{{Source: "apt", Name: name, From: "1", To: "2"}}}},
		Packages: &wire.PackageChange{Added: []model.Package{{Source: "apt", Name: name, Version: "1"}}},
	}
}

// report goes on until the server does not answer any more.
func (r *reporter) report(ctx context.Context) {
	for ctx.Err() == nil {
		r.sent++
		if _, err := r.client.Report(ctx, state(r.sent)); err != nil {
			var refusal *wire.Refusal
			if asRefusal(err, &refusal) && refusal.RetryAfter > 0 {
				r.sent--
				time.Sleep(100 * time.Millisecond)
				continue
			}
			return
		}
		r.acked = r.sent
	}
}

func asRefusal(err error, r **wire.Refusal) bool {
	refusal, ok := err.(*wire.Refusal) //nolint:errorlint // the client gives it as it is
	*r = refusal
	return ok
}

// crashing is a server that is killed and started again.
type crashing struct {
	*testing.T
	exe, data, database, listen string
	server                      *process
}

func (c *crashing) start() string {
	c.Helper()
	c.server = startProcess(c.T, c.exe, "serve", "--data-dir", c.data, "--database", c.database, "--listen", c.listen, "--tls", "off")
	where := regexp.MustCompile(`at (http://(\S+))\n`)
	until(c.T, "the server listens", func() bool { return where.MatchString(c.server.said()) })
	m := where.FindStringSubmatch(c.server.said())
	c.listen = m[2]
	return m[1]
}

func (c *crashing) open() *store.Store {
	c.Helper()
	s, err := store.Open(c.Context(), c.database)
	if err != nil {
		c.Fatal(err)
	}
	return s
}

const crashingHosts = 64

// enrol takes hosts into the fleet by the store itself: the rate of enrolments is not what is tried here.
func (c *crashing) enrol(url string) []*reporter {
	c.Helper()
	s := c.open()
	defer s.Close()
	_, secret, err := s.NewToken(c.Context(), store.Token{Seats: crashingHosts, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		c.Fatal(err)
	}
	var hosts []*reporter
	for i := range crashingHosts {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			c.Fatal(err)
		}
		id, err := s.Enroll(c.Context(), wire.Enroll{Token: secret, Key: public, Host: model.Host{Name: fmt.Sprint("web", i)}}, "", time.Now())
		if err != nil {
			c.Fatal(err)
		}
		hosts = append(hosts, &reporter{id: id, client: &wire.Client{Server: url, Signer: wire.Signer{KeyID: id.String(), Key: private}}})
	}
	return hosts
}

func TestAServerThatIsKilledHasAllThatItAcknowledged(t *testing.T) {
	if testing.Short() {
		t.Skip("long: it kills a server again and again")
	}
	exe := build(t)
	for name, database := range map[string]string{"sqlite": filepath.Join(t.TempDir(), "fleet.db"), "postgres": parts.Postgres(t, store.CreateDatabase)} {
		t.Run(name, func(t *testing.T) {
			c := &crashing{T: t, exe: exe, data: t.TempDir(), database: database, listen: "127.0.0.1:0"}
			url := c.start()
			hosts := c.enrol(url)
			for range 4 {
				c.killUnderReports(hosts)
				c.start()
			}
			c.server.end(syscall.SIGTERM)
			if said := c.server.said(); strings.Contains(said, "ERROR") {
				t.Errorf("it complained: %s", said)
			}
		})
	}
}

// killUnderReports kills the server while all hosts report, and holds what it has to what it has acknowledged.
func (c *crashing) killUnderReports(hosts []*reporter) {
	c.Helper()
	var work sync.WaitGroup
	var busy atomic.Int64
	for _, h := range hosts {
		work.Go(func() {
			if _, err := h.client.CheckIn(c.Context(), wire.CheckIn{Session: "s"}); err != nil {
				c.Error(err)
				return
			}
			busy.Add(1)
			h.report(c.Context())
		})
	}
	until(c.T, "all hosts report", func() bool { return busy.Load() == int64(len(hosts)) })
	time.Sleep(time.Duration(rand.IntN(700)) * time.Millisecond) // at any point
	c.server.end(syscall.SIGKILL)
	work.Wait()
	s := c.open()
	defer s.Close()
	reports := 0
	for _, h := range hosts {
		findings, err := s.Findings(c.Context(), h.id)
		if err != nil {
			c.Fatal(err)
		}
		has := 0
		if len(findings) == 1 && len(findings[0].Updates) == 1 {
			if _, err := fmt.Sscanf(findings[0].Updates[0].Name, "u%d", &has); err != nil {
				c.Fatal(err)
			}
		}
		packages, err := s.Packages(c.Context(), h.id)
		if err != nil || has > 0 && (len(packages) != 1 || packages[0].Name != fmt.Sprintf("u%06d", has)) {
			c.Errorf("%s: half a report is saved: %d, %v, %v", h.id, has, packages, err)
		}
		if has < h.acked || has > h.sent {
			c.Errorf("%s: state %d is saved; %d were acknowledged and %d sent", h.id, has, h.acked, h.sent)
		}
		reports += h.acked
	}
	c.Logf("%d reports acknowledged so far", reports)
}
