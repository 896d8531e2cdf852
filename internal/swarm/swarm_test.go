package swarm

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"redflag/internal/access"
	"redflag/internal/serve"
	"redflag/internal/store"
)

func TestAHostHasWhatIsSaid(t *testing.T) {
	now := time.Now()
	for n := range 50 {
		h, again := newHost(n, now), newHost(n, now)
		for range 3 {
			v := h.view(now)
			updates, security := 0, 0
			for _, f := range v.Findings {
				updates += len(f.Updates)
				for _, u := range f.Updates {
					if u.Security {
						security++
					}
				}
			}
			names := map[string]bool{}
			for _, p := range v.Packages {
				names[p.Name] = true
			}
			if updates != Updates || security != Security || len(names) != Packages || len(v.Containers) != Containers {
				t.Fatalf("host %d: %d updates, %d security, %d packages, %d containers", n, updates, security, len(names), len(v.Containers))
			}
			h.upgrade()
		}
		again.upgrade()
		if before := newHost(n, now); slices.Equal(before.packages, again.packages) {
			t.Errorf("host %d: nothing is upgraded", n)
		}
	}
}

// running is a server with a token and a key.
func running(t *testing.T) (url, token, key string) {
	t.Helper()
	f, err := serve.Open(t.Context(), serve.Options{Listen: "127.0.0.1:0", TLS: serve.TLSOff, DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err = f.Store.NewToken(t.Context(), store.Token{Seats: store.AnySeats, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	_, key, err = f.Store.NewKey(t.Context(), store.Key{Name: "swarm", Scope: access.ScopeWrite}, time.Now())
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
	return f.URL, token, key
}

func TestASwarmSeesThatNothingIsLost(t *testing.T) {
	url, token, key := running(t)
	var out bytes.Buffer
	s := New(Config{Server: url, Token: token, Key: key, Hosts: 60, AtOnce: 20, Out: &out})
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "of 60 hosts the server has 0 otherwise") {
		t.Error(out.String())
	}
	s.members[50].packages[7].Version = "lost"
	if wrong, err := s.compare(t.Context()); err != nil || wrong != 1 {
		t.Errorf("a package that the server has otherwise: %d, %v", wrong, err)
	}
	if err := s.lists(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestASwarmIsPatchedAndNoLineIsLostOrDoubledThoughConnectionsBreak(t *testing.T) {
	url, token, key := running(t)
	var out bytes.Buffer
	s := New(Config{Server: url, Token: token, Key: key, Hosts: 12, AtOnce: 12, Lines: 330, Out: &out})
	if err := s.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if !strings.Contains(out.String(), "12 jobs of 330 lines each, with broken connections: 0 have other lines than were said") {
		t.Error(out.String())
	}
	var p page[struct {
		ID int64 `json:"id"`
	}]
	if err := s.get(t.Context(), "/rollouts", &p); err != nil || len(p.Items) != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, lines := range []int{329, 331} {
		if wrong, err := s.Compare(t.Context(), p.Items[0].ID, lines); err != nil || wrong != 12 {
			t.Errorf("a line less or more is not seen: %d, %v", wrong, err)
		}
	}
}

func TestTheKernelTellsWhatAProcessUses(t *testing.T) {
	own := Process(os.Getpid())
	before, err := own.CPU()
	if err != nil {
		t.Skip("the kernel does not tell: ", err)
	}
	for after := before; after == before; {
		if after, err = own.CPU(); err != nil {
			t.Fatal(err)
		}
	}
	if rss, err := own.RSS(); err != nil || rss < 1<<20 {
		t.Errorf("%d, %v", rss, err)
	}
	if _, err := Process(1 << 30).CPU(); err == nil {
		t.Error("a process that is not there uses CPU")
	}
}
