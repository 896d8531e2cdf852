package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"redflag/internal/agent"
	"redflag/internal/fleet"
	"redflag/internal/parts"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// onBoth runs a test with each of the two databases.
func onBoth(t *testing.T, test func(t *testing.T, database string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "fleet.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, parts.Postgres(t, store.CreateDatabase)) })
}

// running is a server that runs until the test ends, or is stopped.
type running struct {
	*Fleet
	stop func()
}

func start(t *testing.T, o Options) running {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.TLS == "" {
		o.TLS = TLSAuto
	}
	o.DataDir = t.TempDir()
	o.Interval = time.Hour
	f, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r := running{f, sync.OnceFunc(func() { cancel(); work.Wait() })}
	t.Cleanup(r.stop)
	return r
}

// token makes a token as `redflag token create` does.
func (r running) token(t *testing.T) string {
	t.Helper()
	a, err := LoadAddress(t.Context(), r.Store)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := r.Store.NewToken(t.Context(), store.Token{Seats: 1, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return a.Token(secret)
}

// enrol joins a host whose machine ID is made of its name.
func (r running) enrol(t *testing.T, name, dir string) agent.Identity {
	t.Helper()
	id, err := agent.Enroll(t.Context(), agent.Enrolment{Server: r.URL, Token: r.token(t), Machine: "machine " + name, Host: fleet.Host{Name: name}, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// aloneAgent is an agent that does a round when it is told to.
func aloneAgent(t *testing.T, id agent.Identity, dir string, look agent.Look) *agent.Agent {
	t.Helper()
	client, err := id.Client()
	if err != nil {
		t.Fatal(err)
	}
	return agent.New(client, agent.OpenState(dir), look, slog.New(slog.DiscardHandler))
}

// agentOf starts an agent with a view of its own, and gives what ends it and waits for its end.
func agentOf(t *testing.T, id agent.Identity, dir string, look agent.Look) (end func()) {
	t.Helper()
	a := aloneAgent(t, id, dir, look)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := a.Run(ctx, id); !errors.Is(err, context.Canceled) {
			t.Errorf("the agent ended: %v", err)
		}
	})
	end = sync.OnceFunc(func() { cancel(); work.Wait() })
	t.Cleanup(end)
	return end
}

// until waits for something to become true. It has as long as the test has.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for !is() {
		select {
		case <-t.Context().Done():
			t.Fatalf("it never came to it: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func aView(names ...string) agent.View {
	f := fleet.Finding{Source: "apt", State: fleet.OK, Updates: []fleet.Update{}, Checks: []fleet.Check{}}
	for _, n := range names {
		f.Updates = append(f.Updates, fleet.Update{Source: "apt", Name: n, From: "1", To: "2"})
	}
	return agent.View{Host: fleet.Host{Name: "web1"}, Findings: []fleet.Finding{f}, Packages: []fleet.Package{}, Containers: []fleet.Container{}}
}

// hostIs says whether the store has a host with so many updates.
func hostIs(t *testing.T, s *store.Store, id fleet.HostID, updates int) bool {
	t.Helper()
	h, err := s.Host(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return h.Updates == updates && !h.ReportedAt.IsZero()
}

func TestAHostBelievesTheServerThatMadeItsTokenAndNoOther(t *testing.T) {
	r := start(t, Options{Database: filepath.Join(t.TempDir(), "fleet.db")})
	stranger := start(t, Options{Database: filepath.Join(t.TempDir(), "fleet.db")})
	dir := t.TempDir()
	id := r.enrol(t, "web1", dir)
	if !strings.HasPrefix(r.URL, "https://") || id.CA == "" {
		t.Errorf("%s, CA %q", r.URL, id.CA)
	}
	if loaded, err := agent.LoadIdentity(dir); err != nil || loaded.Host != id.Host {
		t.Errorf("%+v, %v", loaded, err)
	}
	enrolment := agent.Enrolment{Server: stranger.URL, Token: r.token(t), Host: fleet.Host{Name: "web2"}, Dir: t.TempDir()}
	if _, err := agent.Enroll(t.Context(), enrolment); err == nil || !strings.Contains(err.Error(), "is not the server that made this token") {
		t.Errorf("a stranger: %v", err)
	}
	secret, _, _ := strings.Cut(r.token(t), ".")
	enrolment.Server, enrolment.Token = r.URL, secret
	if _, err := agent.Enroll(t.Context(), enrolment); err == nil || !strings.Contains(err.Error(), "authority") {
		t.Errorf("without a fingerprint: %v", err)
	}
	id.Server = stranger.URL
	client, err := id.Client()
	if err != nil {
		t.Fatal(err)
	}
	var unknown *tls.CertificateVerificationError
	if _, err := client.CheckIn(t.Context(), wire.CheckIn{Session: "s"}); !errors.As(err, &unknown) {
		t.Errorf("a stranger later: %v", err)
	}
}

func TestAnAgentReportsAndComesWhenItIsCalled(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		r := start(t, Options{Database: database})
		dir := t.TempDir()
		id := r.enrol(t, "web1", dir)
		var mu sync.Mutex
		view := aView("curl", "openssl")
		refreshed := false
		agentOf(t, id, dir, func(_ context.Context, opt wire.Scan) (agent.View, error) {
			mu.Lock()
			defer mu.Unlock()
			refreshed = refreshed || opt.Refresh
			return view, nil
		})
		until(t, "the first report", func() bool { return hostIs(t, r.Store, id.Host, 2) })
		mu.Lock()
		view = aView()
		mu.Unlock()
		order, err := r.server.Scan(t.Context(), id.Host, wire.Scan{Refresh: true}, "anna")
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the order is done", func() bool {
			o, err := r.Store.OneOrder(t.Context(), order)
			if err != nil {
				t.Fatal(err)
			}
			return o.State == wire.Succeeded
		})
		if !hostIs(t, r.Store, id.Host, 0) || !refreshed {
			t.Error("what was installed is still listed, or nothing was refreshed")
		}
	})
}

func TestTwoServersOnOnePostgreSQLAreOne(t *testing.T) {
	database := parts.Postgres(t, store.CreateDatabase)
	one, two := start(t, Options{Database: database}), start(t, Options{Database: database})
	dir := t.TempDir()
	id := one.enrol(t, "web1", dir)
	id.Server = two.URL // the same authority vouches for both
	var mu sync.Mutex
	view := aView("curl")
	agentOf(t, id, dir, func(context.Context, wire.Scan) (agent.View, error) {
		mu.Lock()
		defer mu.Unlock()
		return view, nil
	})
	until(t, "the first report", func() bool { return hostIs(t, one.Store, id.Host, 1) })
	mu.Lock()
	view = aView("curl", "openssl")
	mu.Unlock()
	if _, err := one.server.Scan(t.Context(), id.Host, wire.Scan{}, "anna"); err != nil {
		t.Fatal(err)
	}
	until(t, "an order of one process wakes a host that waits at the other", func() bool { return hostIs(t, one.Store, id.Host, 2) })
	changes := one.server.Changes(t.Context())
	mu.Lock()
	view = aView()
	mu.Unlock()
	if _, err := two.server.Scan(t.Context(), id.Host, wire.Scan{}, "anna"); err != nil {
		t.Fatal(err)
	}
	for c := range changes {
		if c.Topic == "hosts" && len(c.Hosts) == 1 && c.Hosts[0] == id.Host && hostIs(t, one.Store, id.Host, 0) {
			break // what was reported at the other process is told at this one
		}
	}
	two.stop()
	if !hostIs(t, one.Store, id.Host, 0) {
		t.Error("something is lost with the process that ended")
	}
}

func TestTheServerEndsInGoodOrderWhileHostsWait(t *testing.T) {
	r := start(t, Options{Database: filepath.Join(t.TempDir(), "fleet.db")})
	dir := t.TempDir()
	id := r.enrol(t, "web1", dir)
	end := agentOf(t, id, dir, func(context.Context, wire.Scan) (agent.View, error) { return aView("curl"), nil })
	until(t, "the host waits for orders", func() bool { return r.server.Waiting() == 1 })
	r.stop() // and Run gives no error
	end()
}

func TestHealthIsTold(t *testing.T) {
	r := start(t, Options{TLS: TLSOff, Database: filepath.Join(t.TempDir(), "fleet.db")})
	for _, path := range []string{"/healthz", "/readyz"} {
		resp, err := http.Get(r.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || string(body) != "ok\n" {
			t.Errorf("%s: %s %q", path, resp.Status, body)
		}
	}
}

func TestAnEmbeddedDatabaseHasOneServer(t *testing.T) {
	r := start(t, Options{TLS: TLSOff})
	second := r.opt
	if _, err := Open(t.Context(), second); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("a second one: %v", err)
	}
	r.stop()
	f, err := Open(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
