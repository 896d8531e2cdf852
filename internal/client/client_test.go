package client

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"redflag/internal/access"
	"redflag/internal/fleet"
	"redflag/internal/serve"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// served is a server that made its own authority, with three hosts of which two have one name.
func served(t *testing.T) (f *serve.Fleet, key, pin string) {
	t.Helper()
	f, err := serve.Open(t.Context(), serve.Options{Listen: "127.0.0.1:0", TLS: serve.TLSAuto, DataDir: t.TempDir()})
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
	t.Cleanup(func() { cancel(); work.Wait() })
	if _, key, err = f.Store.NewKey(t.Context(), store.Key{Name: "me", Scope: access.ScopeWrite}, time.Now()); err != nil {
		t.Fatal(err)
	}
	_, token, err := f.Store.NewToken(t.Context(), store.Token{Seats: store.AnySeats, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"web1", "web2", "web2"} {
		e := wire.Enroll{Token: token, Key: bytes.Repeat([]byte{byte(i)}, 32), Host: fleet.Host{Name: name}}
		if _, err := f.Store.Enroll(t.Context(), e, "", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	address, err := serve.LoadAddress(t.Context(), f.Store)
	if err != nil {
		t.Fatal(err)
	}
	return f, key, address.Fingerprint
}

func TestAServerIsBelievedByItsFingerprintAndNoOther(t *testing.T) {
	f, key, pin := served(t)
	ask := func(c Config) error {
		c.Server, c.Key = f.URL, key
		client, err := New(c)
		if err != nil {
			return err
		}
		return client.Ask(t.Context(), http.MethodGet, "/me", nil, nil)
	}
	if err := ask(Config{Pin: pin}); err != nil {
		t.Errorf("by its fingerprint: %v", err)
	}
	for name, c := range map[string]Config{"by nothing": {}, "by another": {Pin: strings.Repeat("A", len(pin))}} {
		if err := ask(c); err == nil {
			t.Errorf("%s it is believed", name)
		}
	}
	for _, server := range []string{"http://fleet.example.com", "fleet.example.com", "https://me:secret@fleet.example.com", "ftp://fleet.example.com", ""} {
		if _, err := New(Config{Server: server}); err == nil {
			t.Errorf("%q is taken", server)
		}
	}
}

func TestHostsAreFoundByNameOrIDAndAnAmbiguousNameIsRefused(t *testing.T) {
	f, key, pin := served(t)
	c, err := New(Config{Server: f.URL, Key: key, Pin: pin})
	if err != nil {
		t.Fatal(err)
	}
	one, err := c.Hosts(t.Context(), []string{"web1"})
	if err != nil || len(one) != 1 {
		t.Fatalf("%+v, %v", one, err)
	}
	if same, err := c.Hosts(t.Context(), []string{one[0].ID.String()}); err != nil || same[0].ID != one[0].ID {
		t.Errorf("by its ID: %+v, %v", same, err)
	}
	if _, err := c.Hosts(t.Context(), []string{"web1", "web2"}); err == nil || !strings.Contains(err.Error(), "2 hosts are called") {
		t.Errorf("an ambiguous name: %v", err)
	}
	if _, err := c.Hosts(t.Context(), []string{"web"}); err == nil || !strings.Contains(err.Error(), "no host called") {
		t.Errorf("a part of a name: %v", err)
	}
	if _, err := c.Group(t.Context(), "nothing"); err == nil {
		t.Error("a group that there is not")
	}
	id, err := c.Begin(t.Context(), Request{Hosts: []fleet.HostID{one[0].ID}, Work: store.Work{Repair: &wire.Repair{}}})
	if err != nil {
		t.Fatal(err)
	}
	thing, err := c.Find(t.Context(), fmt.Sprint(id))
	if err != nil || thing.Rollout != id || thing.Job != 0 {
		t.Errorf("%+v, %v", thing, err)
	}
	jobs, err := c.Jobs(t.Context(), thing)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%+v, %v", jobs, err)
	}
	if thing, err = c.Find(t.Context(), fmt.Sprint(jobs[0].ID)); err != nil || thing.Job != jobs[0].ID || thing.Rollout != id {
		t.Errorf("%+v, %v", thing, err)
	}
	done, err := c.Cancel(t.Context(), thing)
	if err != nil || len(done.Stopped) != 1 || !slices.Equal(done.Asked, done.Running) {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := c.Find(t.Context(), "7"); err == nil || !strings.Contains(err.Error(), "neither a job nor a rollout") {
		t.Error(err)
	}
	if _, err := c.Begin(t.Context(), Request{Hosts: []fleet.HostID{one[0].ID}, Work: store.Work{}}); !IsStatus(err, http.StatusUnprocessableEntity) {
		t.Error(err)
	}
}
