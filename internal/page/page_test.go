package page

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"redflag/internal/access"
	"redflag/internal/api"
	"redflag/internal/fleet"
	"redflag/internal/server"
	"redflag/internal/store"
	"redflag/internal/wire"
)

const hostile = "<script>alert(1)</script>\u202e\x1b[31m"

// shown is a site with one person and his cookie.
type shown struct {
	*testing.T
	store  *store.Store
	site   http.Handler
	cookie *http.Cookie
}

func newShown(t *testing.T) *shown {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir()+"/fleet.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	people := api.New(api.Config{Store: s, Server: server.New(server.Config{Store: s, OrderKey: make([]byte, 64)}), Stale: time.Hour})
	u, err := s.NewUser(t.Context(), hostile[:8], access.Viewer, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := s.NewLogin(t.Context(), u.ID, "", "", time.Now(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return &shown{t, s, New(Config{Store: s, API: people, Stale: time.Hour, Log: slog.New(slog.DiscardHandler)}), &http.Cookie{Name: "redflag", Value: secret}}
}

func (s *shown) get(path string) *httptest.ResponseRecorder {
	s.Helper()
	r := httptest.NewRequestWithContext(s.Context(), http.MethodGet, path, nil)
	r.AddCookie(s.cookie)
	w := httptest.NewRecorder()
	s.site.ServeHTTP(w, r)
	return w
}

func (s *shown) host(name string, findings ...fleet.Finding) fleet.HostID {
	s.Helper()
	_, secret, err := s.store.NewToken(s.Context(), store.Token{Seats: 1, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		s.Fatal(err)
	}
	id, err := s.store.Enroll(s.Context(), wire.Enroll{Token: secret, Key: make([]byte, 32), Host: fleet.Host{Name: name}}, "", time.Now())
	if err == nil && findings != nil {
		_, err = s.store.SaveReport(s.Context(), id, wire.Report{Sequence: 1, Findings: findings}, "", time.Now())
	}
	if err != nil {
		s.Fatal(err)
	}
	return id
}

func TestWhatHostsSayIsTextAndNothingElse(t *testing.T) {
	s := newShown(t)
	id := s.host(hostile, fleet.Finding{Source: "apt", State: fleet.Uncertain, Because: hostile, Remedy: hostile, Updates: []fleet.Update{{Source: "apt", Name: hostile, From: hostile, To: hostile, Blocked: fleet.Held, BlockedBecause: hostile}}},
		fleet.Finding{Source: hostile, State: fleet.OK, Updates: []fleet.Update{{Source: hostile, Name: hostile, ImageUpdate: &fleet.ImageUpdate{Kind: fleet.Rebuild, Containers: []string{hostile}, Note: hostile}}}, Checks: []fleet.Check{{Name: hostile, Answer: fleet.Gone, Because: hostile}}})
	s.host("other")
	for _, path := range []string{"/", "/hosts/" + id.String()} {
		w := s.get(path)
		body := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(body, "&lt;script&gt;") || strings.Contains(body, "<script") || strings.ContainsAny(body, "\u202e\x1b") || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
			t.Errorf("%s: %d\n%s", path, w.Code, body)
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") {
			t.Errorf("%s: %q", path, policy)
		}
	}
}

func TestAPageSaysWhatIsSo(t *testing.T) {
	s := newShown(t)
	if w := s.get("/"); !strings.Contains(w.Body.String(), "No host is in the fleet yet") {
		t.Error(w.Body)
	}
	id := s.host("web1")
	if w := s.get("/"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/hosts/"+id.String() {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := s.get("/hosts/" + id.String()); !strings.Contains(w.Body.String(), "on the way") || !strings.Contains(w.Body.String(), "unknown") {
		t.Error(w.Body)
	}
	for _, path := range []string{"/hosts/x", "/hosts/" + fleet.HostID(1).String(), "/nothing"} {
		if w := s.get(path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	s.cookie.Value = "wrong"
	if w := s.get("/hosts/x?y=1"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/sign-in?next=%2Fhosts%2Fx%3Fy%3D1" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestARedirectStaysOnThisServer(t *testing.T) {
	for next, want := range map[string]string{
		"/hosts/x": "/hosts/x", "//evil.example.com": "/", "/\\evil.example.com": "/", "https://evil.example.com": "/", "": "/", "/\t/evil.example.com": "/",
	} {
		if got := within(next); got != want {
			t.Errorf("%q: %q", next, got)
		}
	}
}
