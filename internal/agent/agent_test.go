package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"redflag/internal/fleet"
	"redflag/internal/server"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// world is a real server with one real host in its fleet, and a network that does what a test says.
type world struct {
	store  *store.Store
	server *server.Server
	// orderKey signs orders.
	orderKey ed25519.PrivateKey
	id       fleet.HostID
	client   *wire.Client
	dir      string
	view     View
	// lose drops the next request (before) or the next answer (after).
	before, after bool
	posts         []int64 // bytes of each body that was sent
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "fleet.db"))
	if err != nil {
		t.Fatal(err)
	}
	orderKey := ed25519.NewKeyFromSeed(make([]byte, 32))
	srv := server.New(server.Config{Store: s, OrderKey: orderKey})
	srv.Unlimited()
	door := httptest.NewServer(srv.Agents())
	t.Cleanup(func() {
		door.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	_, secret, err := s.NewToken(t.Context(), store.Token{Seats: 1, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: s, server: srv, orderKey: orderKey, dir: t.TempDir(), client: &wire.Client{Server: door.URL, Signer: wire.Signer{KeyID: wire.NewKeyID, Key: private}}}
	w.client.HTTP = &http.Client{Transport: w}
	got, err := w.client.Enroll(t.Context(), wire.Enroll{Level: wire.Level, Token: secret, Key: public, Host: fleet.Host{Name: "web1"}})
	if err != nil {
		t.Fatal(err)
	}
	w.id, w.client.Signer.KeyID = got.Host, got.Host.String()
	return w
}

var errLost = errors.New("the network is down")

// RoundTrip implements http.RoundTripper.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.before {
		w.before = false
		return nil, errLost
	}
	w.posts = append(w.posts, r.ContentLength)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && w.after {
		w.after = false
		resp.Body.Close()
		return nil, errLost
	}
	return resp, err
}

// agent starts the agent, with what its folder has.
func (w *world) agent(t testing.TB) *Agent {
	t.Helper()
	return New(w.client, OpenState(w.dir), func(context.Context, wire.Scan) (View, error) { return w.view, nil }, slog.New(slog.DiscardHandler))
}

// check holds what is stored to what the host has.
func (w *world) check(t *rapid.T) {
	packages, err := w.store.Packages(t.Context(), w.id)
	if diff := cmp.Diff(w.view.Packages, packages); err != nil || diff != "" {
		t.Fatalf("packages (-host +store): %v\n%s", err, diff)
	}
	containers, err := w.store.Containers(t.Context(), w.id)
	if diff := cmp.Diff(w.view.Containers, containers); err != nil || diff != "" {
		t.Fatalf("containers (-host +store): %v\n%s", err, diff)
	}
	findings, err := w.store.Findings(t.Context(), w.id)
	for i := range findings {
		findings[i].ScannedAt = time.Time{}
	}
	if diff := cmp.Diff(w.view.Findings, findings); err != nil || diff != "" {
		t.Fatalf("findings (-host +store): %v\n%s", err, diff)
	}
}

// draw changes the host.
func (w *world) draw(t *rapid.T) {
	w.view = View{Host: fleet.Host{Name: "web1"}, Packages: []fleet.Package{}, Findings: []fleet.Finding{}, Containers: []fleet.Container{}}
	for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 30), 0, 20, rapid.ID).Draw(t, "packages") {
		w.view.Packages = append(w.view.Packages, fleet.Package{Source: "apt", Name: fmt.Sprintf("p%02d", n), Arch: "amd64", Version: "1"})
	}
	slices.SortFunc(w.view.Packages, func(a, b fleet.Package) int { return strings.Compare(a.Name, b.Name) })
	for _, source := range []string{"apt", "docker"} {
		if !rapid.Bool().Draw(t, "has "+source) {
			continue
		}
		f := fleet.Finding{Source: source, State: fleet.OK, Updates: []fleet.Update{}, Checks: []fleet.Check{}}
		for n := range rapid.IntRange(0, 3).Draw(t, "updates") {
			f.Updates = append(f.Updates, fleet.Update{Source: source, Name: fmt.Sprintf("u%d", n), From: "1", To: "2"})
		}
		w.view.Findings = append(w.view.Findings, f)
	}
	if rapid.Bool().Draw(t, "a container") {
		w.view.Containers = append(w.view.Containers, fleet.Container{Source: "docker", Name: "web", Image: "nginx:1", State: "running"})
	}
}

func TestWhateverIsLostTheNextRoundMakesGood(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		a := w.agent(t)
		for range rapid.IntRange(1, 5).Draw(rt, "rounds") {
			w.draw(rt)
			switch rapid.SampledFrom([]string{"nothing", "request", "answer", "second answer", "packages", "process"}).Draw(rt, "lost") {
			case "request":
				w.before = true
			case "answer":
				w.after = true
			case "second answer":
				_ = a.Round(rt.Context(), wire.Scan{})
				w.after = true
			case "packages":
				_ = os.Remove(filepath.Join(w.dir, packagesFile))
				a = w.agent(t)
			case "process":
				a = w.agent(t)
			}
			if err := a.Round(rt.Context(), wire.Scan{}); err != nil && !errors.Is(err, errLost) {
				rt.Fatal(err)
			}
		}
		w.before, w.after = false, false
		if err := a.Round(rt.Context(), wire.Scan{}); err != nil {
			rt.Fatal(err)
		}
		w.check(rt)
		w.posts = nil
		if err := a.Round(rt.Context(), wire.Scan{}); err != nil || len(w.posts) != 1 {
			rt.Fatalf("with nothing new: %d requests, %v", len(w.posts), err)
		}
	})
}

func TestWaitsSpreadGrowAndObey(t *testing.T) {
	half := func() float64 { return 0.5 }
	for _, c := range []struct {
		failures int
		err      error
		want     time.Duration
	}{
		{0, nil, time.Minute},
		{1, errLost, 2 * time.Minute},
		{3, errLost, 8 * time.Minute},
		{100, errLost, longestWait},
		{1, &wire.Refusal{RetryAfter: 20 * time.Minute}, 20 * time.Minute},
		{1, &wire.Refusal{RetryAfter: 365 * 24 * time.Hour}, longestWait},
	} {
		if got := Wait(time.Minute, c.failures, c.err, half); got != c.want {
			t.Errorf("after %d failures and %v: %v, want %v", c.failures, c.err, got, c.want)
		}
	}
	if low, high := Wait(time.Minute, 0, nil, func() float64 { return 0 }), Wait(time.Minute, 0, nil, func() float64 { return 1 }); low != 54*time.Second || high != 66*time.Second {
		t.Errorf("from %v to %v", low, high)
	}
}
