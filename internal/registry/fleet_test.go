package registry_test

import (
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/agent"
	"redflag/internal/fleet"
	"redflag/internal/registry"
	"redflag/internal/server"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// shop is a fleet's server that asks Docker Hub, which is a lab, for its hosts.
type shop struct {
	hub   *registry.Lab
	store *store.Store
	door  *httptest.Server
	asked atomic.Int64 // how often a host asked it about images
	now   func() time.Time
}

func newShop(t *testing.T, now func() time.Time) *shop {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "fleet.db"))
	if err != nil {
		t.Fatal(err)
	}
	f := &shop{hub: registry.NewLab(t), store: s, now: now}
	asks := registry.New(registry.Config{CacheDir: t.TempDir(), Now: now})
	registry.AtHub(t, asks, f.hub)
	agents := server.New(server.Config{Store: s, OrderKey: make([]byte, 32), Images: asks, Now: now}).Agents()
	f.door = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == wire.PathImages {
			f.asked.Add(1)
		}
		agents.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		f.door.Close()
		asks.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// host enrols a host, and gives the client by which it asks registries.
func (f *shop) host(t *testing.T, machine string, cfg registry.Config) *registry.Client {
	t.Helper()
	_, token, err := f.store.NewToken(t.Context(), store.Token{Seats: 1, CreatedAt: f.now(), ExpiresAt: f.now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &wire.Client{Server: f.door.URL, Signer: wire.Signer{KeyID: wire.NewKeyID, Key: private, Now: f.now}, HTTP: f.door.Client()}
	got, err := c.Enroll(t.Context(), wire.Enroll{Level: wire.Level, Token: token, Key: public, Machine: machine, Host: fleet.Host{Name: machine}})
	if err != nil {
		t.Fatal(err)
	}
	c.Signer.KeyID = got.Host.String()
	cfg.CacheDir, cfg.Now, cfg.Shared = t.TempDir(), f.now, agent.NewImages(c, f.now)
	asks := registry.New(cfg)
	t.Cleanup(asks.Close)
	registry.AtHub(t, asks, f.hub)
	return asks
}

// check lets a host look at an image that is at the hub, and gives what it cost the hub and the server.
func (f *shop) check(t *testing.T, c *registry.Client, want fleet.Digest) (atHub, atServer int) {
	t.Helper()
	hub, srv := f.hub.Asked(), int(f.asked.Load())
	ref, err := reference.ParseNormalizedNamed("app:1")
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Resolve(t.Context(), ref.(reference.NamedTagged))
	if err != nil || a.Digest != want || a.CheckedAt.After(f.now()) || f.now().Sub(a.CheckedAt) > registry.DefaultTagLifetime {
		t.Errorf("it is %s: %+v, %v", want, a, err)
	}
	if tags, err := c.Tags(t.Context(), ref); err != nil || !slices.Equal(tags, []string{"1"}) {
		t.Errorf("tags: %q, %v", tags, err)
	}
	return f.hub.Asked() - hub, int(f.asked.Load()) - srv
}

func TestTheSecondHostOfAFleetCostsTheRegistryNothing(t *testing.T) {
	at := time.Now()
	f := newShop(t, func() time.Time { return at })
	want := f.hub.PushNew(t, "library/app:1")
	first, second := f.host(t, "m1", registry.Config{}), f.host(t, "m2", registry.Config{})
	if hub, srv := f.check(t, first, want); hub == 0 || srv != 2 {
		t.Errorf("the first cost the registry %d requests and the server %d", hub, srv)
	}
	at = at.Add(4 * time.Minute)
	if hub, srv := f.check(t, second, want); hub != 0 || srv != 2 {
		t.Errorf("the second cost the registry %d requests and the server %d", hub, srv)
	}
	moved := f.hub.PushNew(t, "library/app:1")
	f.check(t, second, want) // young still
	at = at.Add(time.Minute)
	if hub, _ := f.check(t, second, moved); hub != 1 {
		t.Errorf("an answer that is old for the registry is not old for the host: %d requests", hub)
	}
}

func TestWithoutItsServerAHostAsksTheRegistryItself(t *testing.T) {
	f := newShop(t, time.Now)
	want := f.hub.PushNew(t, "library/app:1")
	host := f.host(t, "m1", registry.Config{})
	f.door.Close()
	if hub, _ := f.check(t, host, want); hub != 2 {
		t.Errorf("%d requests", hub)
	}
}

func TestAHostWithCredentialsOfItsOwnLeavesTheServerAlone(t *testing.T) {
	f := newShop(t, time.Now)
	want := f.hub.PushNew(t, "library/app:1")
	for name, cfg := range map[string]registry.Config{
		"credentials":                         {DockerConfig: registry.DockerLogin(t)},
		"a scan that asks even what is young": {TagLifetime: -1},
	} {
		if hub, srv := f.check(t, f.host(t, name, cfg), want); hub != 2 || srv != 0 {
			t.Errorf("%s: the registry was asked %d times and the server %d times", name, hub, srv)
		}
	}
}
