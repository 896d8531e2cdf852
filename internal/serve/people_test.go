package serve

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"redflag/internal/access"
	"redflag/internal/fleet"
	"redflag/internal/parts"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// signIn signs somebody in at a server, and gives his cookie.
func (r running) signIn(t *testing.T, role access.Role) *http.Cookie {
	t.Helper()
	u, err := r.Store.NewUser(t.Context(), "anna", role, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	link, err := r.Store.NewLink(t.Context(), u.ID, time.Now(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(r.URL+"/api/v1/session", "application/json", strings.NewReader(`{"link":"`+link+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 1 {
		t.Fatal(resp.Status)
	}
	return resp.Cookies()[0]
}

// ask asks a server as a browser does.
func (r running) ask(t *testing.T, cookie *http.Cookie, method, path, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if cookie != nil {
		req.AddCookie(cookie)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestABrowserMayTalkToEitherOfTwoServers(t *testing.T) {
	database := parts.Postgres(t, store.CreateDatabase)
	one, two := start(t, Options{Database: database, TLS: TLSOff}), start(t, Options{Database: database, TLS: TLSOff})
	cookie := one.signIn(t, access.Admin)
	events := bufio.NewReader(two.ask(t, cookie, http.MethodGet, "/api/v1/events", "").Body)
	if line, err := events.ReadString('\n'); err != nil || line != "event: hello\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if resp := one.ask(t, cookie, http.MethodPost, "/api/v1/groups", `{"name":"all","query":""}`); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	for { // until what changed at one is told at the other
		line, err := events.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, `"groups"`) {
			break
		}
	}
	if resp := two.ask(t, cookie, http.MethodDelete, "/api/v1/session", ""); resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp.Status)
	}
	if resp := one.ask(t, cookie, http.MethodGet, "/api/v1/me", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("signed out at one, and at the other %s", resp.Status)
	}
}

func TestWhoIsNotSignedInSeesNothing(t *testing.T) {
	r := start(t, Options{TLS: TLSOff})
	cookie := r.signIn(t, access.Viewer)
	r.host(t, "secret-name")
	for path, want := range map[string]int{"/metrics": http.StatusUnauthorized, "/api/v1/hosts": http.StatusUnauthorized, "/": http.StatusOK, "/hosts": http.StatusOK} {
		resp := r.ask(t, nil, http.MethodGet, path, "")
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want || strings.Contains(string(body), "secret-name") || strings.Contains(string(body), "redflag_hosts") {
			t.Errorf("a stranger at %s: %s %s", path, resp.Status, body)
		}
	}
	for _, path := range []string{"/metrics", "/api/v1/hosts"} {
		resp := r.ask(t, cookie, http.MethodGet, path, "")
		if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "secret-name") && !strings.Contains(string(body), "redflag_hosts 1") {
			t.Errorf("a viewer at %s: %s %s", path, resp.Status, body)
		}
	}
}

// host puts a host into the fleet.
func (r running) host(t *testing.T, name string) {
	t.Helper()
	_, secret, err := r.Store.NewToken(t.Context(), store.Token{Seats: 1, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Store.Enroll(context.Background(), wire.Enroll{Token: secret, Key: make([]byte, 32), Host: fleet.Host{Name: name}}, "", time.Now()); err != nil {
		t.Fatal(err)
	}
}
