package api

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"redflag/internal/access"
	"redflag/internal/fleet"
	"redflag/internal/server"
	"redflag/internal/store"
	"redflag/internal/version"
	"redflag/internal/wire"
)

var update = flag.Bool("update", false, "write docs/openapi.json")

// people are an API with a fleet behind it.
type people struct {
	*API
	t     *testing.T
	store *store.Store
	url   string
	keys  map[access.Scope]string
}

func newPeople(t *testing.T) *people {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "fleet.db"))
	if err != nil {
		t.Fatal(err)
	}
	srv := server.New(server.Config{Store: s, OrderKey: ed25519.NewKeyFromSeed(make([]byte, 32)), AdvisoryDir: filepath.Join(t.TempDir(), "advisories")})
	a := New(Config{
		Store: s, Server: srv, Compare: version.Compare, Stale: time.Hour, Version: "test",
		Paste: func(_ context.Context, secret string) (Pasted, error) {
			return Pasted{Token: secret, Install: "curl"}, nil
		},
	})
	door := httptest.NewServer(a.Handler())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Run(ctx) }()
	p := &people{API: a, t: t, store: s, url: door.URL, keys: map[access.Scope]string{}}
	for _, scope := range []access.Scope{access.ScopeRead, access.ScopeWrite, access.ScopeAdmin} {
		if _, p.keys[scope], err = s.NewKey(t.Context(), store.Key{Name: string(scope), Scope: scope}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		srv.Stop()
		cancel()
		<-done
		door.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// ask sends a request and gives the status and the body.
func (p *people) ask(scope access.Scope, method, path, body string, change ...func(*http.Request)) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+Prefix+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if scope != "" {
		req.Header.Set("Authorization", "Bearer "+p.keys[scope])
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, c := range change {
		c(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		return resp.StatusCode, "" // it has no end
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/") && kind != "application/jsonl" {
		p.conform(method, path, resp.StatusCode, string(data))
	}
	return resp.StatusCode, string(data)
}

// get asks for something that is there, and reads it.
func (p *people) get(path string, into any) {
	p.t.Helper()
	status, body := p.ask(access.ScopeRead, "GET", path, "")
	if status != http.StatusOK {
		p.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		p.t.Fatalf("GET %s: %v in %s", path, err, body)
	}
}

// host adds a host that has reported.
func (p *people) host(name string, updates ...fleet.Update) fleet.HostID {
	p.t.Helper()
	_, secret, err := p.store.NewToken(p.t.Context(), store.Token{Seats: 1, Labels: map[string]string{"env": "prod"}, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		p.t.Fatal(err)
	}
	id, err := p.store.Enroll(p.t.Context(), wire.Enroll{Token: secret, Key: make([]byte, 32), Host: fleet.Host{Name: name}}, "192.0.2.1", time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	r := wire.Report{
		Sequence: 1, Session: "s1", Digests: wire.Digests{}, Host: &fleet.Host{Name: name},
		Findings: []fleet.Finding{
			{Source: "apt", State: fleet.OK, Updates: updates},
			{Source: "docker", State: fleet.OK, Checks: []fleet.Check{{Name: "nginx:1.25", Platform: "linux/amd64", Answer: fleet.Current}}},
		},
		Packages:   &wire.PackageChange{Added: []fleet.Package{{Source: "apt", Name: "openssl", Arch: "amd64", Version: "3.0.11-1"}}},
		Containers: &wire.ContainerSet{All: []fleet.Container{{Source: "docker", Name: "web", Image: "nginx:1.25", State: "running"}}},
	}
	if err := r.Check(); err != nil {
		p.t.Fatal(err)
	}
	r.Session = "" // none has begun
	if _, err := p.store.SaveReport(p.t.Context(), id, r, "192.0.2.1", time.Now()); err != nil {
		p.t.Fatal(err)
	}
	return id
}

func anUpdate(name string, security bool) fleet.Update {
	return fleet.Update{Source: "apt", Name: name, Arch: "amd64", From: "1", To: "2", Security: security}
}

func TestTheDescriptionIsTheOneThatIsCheckedIn(t *testing.T) {
	p := newPeople(t)
	data, err := p.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	const file = "../../docs/openapi.json"
	if *update {
		if err := os.WriteFile(file, pretty.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(have, pretty.Bytes()) {
		t.Errorf("docs/openapi.json is not what is served (%v): run go test ./internal/api -update", err)
	}
	if status, _ := p.ask("", "GET", "/openapi.json", ""); status != http.StatusOK {
		t.Errorf("it is not served: %d", status)
	}
}

func TestEveryRouteRefusesWhoMayNot(t *testing.T) {
	p := newPeople(t)
	p.cfg.Server.Unlimited()
	agent := wire.Signer{KeyID: p.host("web1").String(), Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	_, token, err := p.store.NewToken(t.Context(), store.Token{Seats: store.AnySeats, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for path, item := range p.huma.OpenAPI().Paths {
		for method, op := range map[string]any{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete} {
			data, err := json.Marshal(op)
			if err != nil {
				t.Fatal(err)
			}
			if string(data) == "null" {
				continue
			}
			n++
			at := strings.NewReplacer("{host}", fleet.HostID(1).String(), "{update}", "1", "{order}", "1", "{rollout}", "1", "{job}", "1", "{group}", "1", "{token}", "1", "{user}", "1", "{key}", "1", "{login}", "1", "{passkey}", "1", "{vulnerability}", "CVE-2026-0001", "{suppression}", "1", "{feed}", "kev").Replace(path)
			if strings.HasPrefix(path, "/session") && method == "POST" {
				continue
			}
			if status, body := p.ask("", method, at, ""); status != http.StatusUnauthorized || !strings.Contains(body, "sign in first") {
				t.Errorf("%s %s without credentials: %d %s", method, path, status, body)
			}
			if status, _ := p.ask("", method, at, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer rf_key_WRONG") }); status != http.StatusUnauthorized {
				t.Errorf("%s %s with a wrong key: %d", method, path, status)
			}
			for who, change := range map[string]func(*http.Request){
				"a host of the fleet": func(r *http.Request) { agent.Sign(r, nil) },
				"an enrolment token":  func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
				"a token as a cookie": func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "redflag", Value: token}) },
			} {
				if status, _ := p.ask("", method, at, "", change); status != http.StatusUnauthorized {
					t.Errorf("%s %s by %s: %d", method, path, who, status)
				}
			}
			need := access.Read
			for _, right := range []access.Right{access.Operate, access.Administer} {
				if strings.Contains(string(data), "Needs the right to "+string(right)+".") {
					need = right
				}
			}
			for _, scope := range []access.Scope{access.ScopeRead, access.ScopeWrite} {
				if status, body := p.ask(scope, method, at, ""); (status == http.StatusForbidden) == scope.May(need) {
					t.Errorf("%s %s, which needs %s, with the scope %s: %d %s", method, path, need, scope, status, body)
				}
			}
			if method != "GET" && need == access.Read && !strings.HasPrefix(path, "/me") && path != "/session" {
				t.Errorf("%s %s changes something and needs no right to", method, path)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d routes were tried", n)
	}
}

func TestThePeoplesRoutesTellWhatHostsSaid(t *testing.T) {
	p := newPeople(t)
	a, b := p.host("a", anUpdate("openssl", true), anUpdate("curl", false)), p.host("b", anUpdate("curl", false))
	var sum Summary
	if p.get("/summary", &sum); sum.Hosts != 2 || sum.States[store.HostSecurity] != 1 || sum.States[store.HostOutdated] != 1 || sum.Updates != 3 || sum.Images[fleet.Current] != 2 {
		t.Errorf("%+v", sum)
	}
	var hosts listed[Host]
	if p.get("/hosts?sort=-security&limit=1", &hosts); len(hosts.Items) != 1 || hosts.Items[0].ID != a || hosts.Items[0].State != store.HostSecurity || hosts.Next == "" || hosts.Items[0].Labels["env"] != "prod" {
		t.Fatalf("%+v", hosts)
	}
	if p.get("/hosts?sort=-security&limit=1&after="+hosts.Next, &hosts); len(hosts.Items) != 1 || hosts.Items[0].ID != b {
		t.Errorf("the second page: %+v", hosts)
	}
	for query, want := range map[string]int{"?state=outdated": 1, "?label=env%3Dprod": 2, "?label=env!%3Dprod": 0, "?q=A": 1, "?reboot=yes": 0, "?state=unknown": 0} {
		hosts = listed[Host]{}
		if p.get("/hosts"+query, &hosts); len(hosts.Items) != want {
			t.Errorf("%s: %d hosts, want %d", query, len(hosts.Items), want)
		}
	}
	var offers listed[store.Offer]
	if p.get("/updates", &offers); len(offers.Items) != 2 || offers.Items[0].Update.Name != "openssl" {
		t.Errorf("security comes first: %+v", offers)
	}
	if p.get("/updates?sort=-hosts", &offers); len(offers.Items) != 2 || offers.Items[0].Update.Name != "curl" || offers.Items[0].Hosts != 2 {
		t.Errorf("%+v", offers)
	}
	var on listed[store.OnHost]
	if p.get(fmt.Sprintf("/updates/%d/hosts", offers.Items[0].ID), &on); len(on.Items) != 2 {
		t.Errorf("%+v", on)
	}
	var packages listed[store.PackageOnHost]
	if p.get("/packages/hosts?name=openssl&below=3.0.15", &packages); len(packages.Items) != 2 || packages.Items[0].Package.Version != "3.0.11-1" {
		t.Errorf("%+v", packages)
	}
	if p.get("/packages/hosts?name=openssl&below=3.0.2", &packages); len(packages.Items) != 0 {
		t.Errorf("%+v", packages)
	}
	var images listed[store.ImageOnHost]
	if p.get("/images/hosts?name=nginx:1.25", &images); len(images.Items) != 2 {
		t.Errorf("%+v", images)
	}
	for _, path := range []string{"", "/findings", "/updates", "/packages", "/containers", "/history", "/orders"} {
		if status, body := p.ask(access.ScopeRead, "GET", "/hosts/"+a.String()+path, ""); status != http.StatusOK || len(body) < 12 {
			t.Errorf("%s: %d %s", path, status, body)
		}
		if status, _ := p.ask(access.ScopeRead, "GET", "/hosts/"+fleet.HostID(7).String()+path, ""); status != http.StatusNotFound {
			t.Errorf("%s of nobody: %d", path, status)
		}
	}
}

func TestAListIsWholeAsCSVAndNoCellIsAFormula(t *testing.T) {
	p := newPeople(t)
	for i := range 5 {
		p.host(fmt.Sprintf("=cmd|%d", i), anUpdate("curl", false))
	}
	status, body := p.ask(access.ScopeRead, "GET", "/hosts?format=csv&limit=2", "")
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if status != http.StatusOK || len(lines) != 6 || !strings.HasPrefix(lines[0], "id,facts.name,") || strings.Contains(body, ",=cmd") || !strings.Contains(body, ",'=cmd|4,") {
		t.Errorf("%d\n%s", status, body)
	}
	if _, body := p.ask(access.ScopeRead, "GET", "/hosts?format=jsonl&limit=2", ""); strings.Count(body, "\n") != 5 || !strings.HasPrefix(body, `{"id":"`) {
		t.Errorf("as JSON lines: %s", body)
	}
	if _, body := p.ask(access.ScopeRead, "GET", "/updates?format=csv", ""); !strings.Contains(body, "update.name") || !strings.Contains(body, "curl") || !strings.Contains(body, "update.to_version") {
		t.Error(body)
	}
	if _, body := p.ask(access.ScopeRead, "GET", "/groups?format=csv", ""); body != "id,name,query,created_at\n" {
		t.Errorf("an empty list: %q", body)
	}
}

func TestBadQuestionsAreToldSo(t *testing.T) {
	p := newPeople(t)
	for path, want := range map[string]int{
		"/hosts?after=x": 400, "/hosts?limit=0": 422, "/hosts?limit=501": 422, "/hosts?sort=color": 422, "/hosts?state=fine": 422, "/hosts?label=a%20b": 422, "/hosts?nonsense=1": 422,
		"/hosts/xyz": 422, "/updates/x": 422, "/updates/1": 404, "/orders/1": 404, "/packages/hosts": 422, "/nothing": 404, "/packages/hosts?name=a&source_package=b": 422,
	} {
		status, body := p.ask(access.ScopeRead, "GET", path, "")
		var doc struct {
			Status int    `json:"status"`
			Detail string `json:"detail"`
		}
		if err := json.Unmarshal([]byte(body), &doc); err != nil || status != want || doc.Status != want || doc.Detail == "" {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	for body, want := range map[string]int{`{`: 400, `{"name":"g","query":"a b"}`: 422, `{"query":"a"}`: 422, `{"name":" g","query":"a"}`: 422, `{"name":"g","query":"a","more":1}`: 422, strings.Repeat(" ", maxBody+10): 413} {
		if status, answer := p.ask(access.ScopeWrite, "POST", "/groups", body); status != want {
			t.Errorf("%.40q: %d %s, want %d", body, status, answer, want)
		}
	}
}

// written gives an ID that was read as JSON, as it stands in a path.
func written(id any) string {
	if n, ok := id.(float64); ok {
		return strconv.FormatInt(int64(n), 10)
	}
	return fmt.Sprint(id)
}

func TestWhatPeopleMakeIsThereUntilTheyUndoIt(t *testing.T) {
	p := newPeople(t)
	host := p.host("a")
	make := func(path, body string) map[string]any {
		t.Helper()
		status, answer := p.ask(access.ScopeAdmin, "POST", path, body)
		got := map[string]any{}
		if err := json.Unmarshal([]byte(answer), &got); err != nil || status != http.StatusOK {
			t.Fatalf("POST %s: %d %s", path, status, answer)
		}
		return got
	}
	undo := func(path string, id any) {
		t.Helper()
		for _, want := range []int{http.StatusNoContent, http.StatusNotFound} {
			if status, body := p.ask(access.ScopeAdmin, "DELETE", fmt.Sprintf("%s/%s", path, written(id)), ""); status != want {
				t.Errorf("DELETE %s: %d %s, want %d", path, status, body, want)
			}
		}
	}
	group := make("/groups", `{"name":"test","query":"env=test"}`)["id"]
	if status, body := p.ask(access.ScopeAdmin, "PUT", fmt.Sprint("/groups/", written(group)), `{"name":"staging","query":"env=staging"}`); status != http.StatusNoContent {
		t.Errorf("%d %s", status, body)
	}
	if _, body := p.ask(access.ScopeRead, "GET", "/groups", ""); !strings.Contains(body, "env=staging") || strings.Contains(body, "env=test") {
		t.Error(body)
	}
	undo("/groups", group)
	undo("/groups", make("/groups", `{"name":"production","query":"env=prod"}`)["id"])
	token := make("/tokens", `{"seats":2,"minutes":60,"labels":{"a":"b"}}`)
	if token["token"] == "" || token["install"] != "curl" || token["seats"] != 2.0 {
		t.Errorf("%v", token)
	}
	undo("/tokens", token["id"])
	key := make("/apikeys", `{"name":"ci","scope":"read"}`)
	p.keys["ci"], _ = key["secret"].(string)
	if status, _ := p.ask("ci", "GET", "/me", ""); status != http.StatusOK {
		t.Errorf("a new key: %d", status)
	}
	undo("/apikeys", key["id"])
	if status, _ := p.ask("ci", "GET", "/me", ""); status != http.StatusUnauthorized {
		t.Errorf("a deleted key: %d", status)
	}
	admin := make("/users", `{"name":"anna","role":"admin","password":"long enough"}`)
	if status, _ := p.ask(access.ScopeAdmin, "DELETE", fmt.Sprint("/users/", written(admin["id"])), ""); status != http.StatusConflict {
		t.Errorf("the last administrator: %d", status)
	}
	undo("/users", make("/users", `{"name":"bert","role":"viewer"}`)["id"])
	order := make("/hosts/"+host.String()+"/scan", `{"refresh":true}`)
	var got store.Order
	if p.get(fmt.Sprint("/orders/", order["order"]), &got); got.Host != host || !got.Scan.Refresh || got.State != wire.Waiting || got.CreatedBy != "key admin" {
		t.Errorf("%+v", got)
	}
	if many := make("/scans", `{"label":"env=prod"}`); len(many["items"].([]any)) != 1 {
		t.Errorf("%v", many)
	}
	if status, body := p.ask(access.ScopeWrite, "PUT", "/hosts/"+host.String()+"/labels", `{"labels":{"site":"berlin"}}`); status != 200 || !strings.Contains(body, "berlin") || strings.Contains(body, "prod") {
		t.Errorf("%d %s", status, body)
	}
	undo("/hosts", host)
}

func TestAPersonSignsInAndOut(t *testing.T) {
	p := newPeople(t)
	p.cfg.Server.Unlimited()
	hash, err := access.HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	u, err := p.store.NewUser(t.Context(), "anna", access.Viewer, hash, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	link, err := p.store.NewLink(t.Context(), u.ID, time.Now(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	signIn := func(body string) *http.Cookie {
		t.Helper()
		resp, err := http.Post(p.url+Prefix+"/session", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil
		}
		c := resp.Cookies()[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("%v", c)
		}
		return c
	}
	for _, bad := range []string{`{"name":"anna","password":"wrong horse"}`, `{"name":"nobody","password":"correct horse"}`, `{"link":"x"}`, `{}`} {
		if signIn(bad) != nil {
			t.Errorf("%s lets in", bad)
		}
	}
	cookie := signIn(`{"name":"anna","password":"correct horse"}`)
	if cookie == nil || signIn(`{"link":"`+link+`"}`) == nil || signIn(`{"link":"`+link+`"}`) != nil {
		t.Fatal("the password, or the link, once")
	}
	with := func(r *http.Request) { r.AddCookie(cookie) }
	if status, body := p.ask("", "GET", "/me", "", with); status != 200 || !strings.Contains(body, `"role":"viewer"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := p.ask("", "POST", "/groups", `{"name":"g","query":"a"}`, with); status != http.StatusForbidden {
		t.Errorf("a viewer makes a group: %d", status)
	}
	var logins listed[store.Login]
	_, body := p.ask("", "GET", "/me/logins", "", with)
	if err := json.Unmarshal([]byte(body), &logins); err != nil || len(logins.Items) != 2 {
		t.Errorf("%s", body)
	}
	elsewhere := func(r *http.Request) {
		with(r)
		r.Header.Set("Origin", "https://evil.example.com")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	if status, _ := p.ask("", "DELETE", "/session", "", elsewhere); status != http.StatusForbidden {
		t.Errorf("from another site: %d", status)
	}
	if status, _ := p.ask("", "DELETE", "/session", "", with); status != http.StatusNoContent {
		t.Errorf("sign out: %d", status)
	}
	if status, _ := p.ask("", "GET", "/me", "", with); status != http.StatusUnauthorized {
		t.Errorf("after it: %d", status)
	}
}

func TestWhoGuessesIsSlowedDown(t *testing.T) {
	p := newPeople(t)
	last := 0
	for range 50 {
		last, _ = p.ask("", "POST", "/session", `{"name":"anna","password":"guess guess"}`)
		if last == http.StatusTooManyRequests {
			break
		}
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("50 guesses: %d", last)
	}
	if status, _ := p.ask(access.ScopeRead, "GET", "/me", ""); status != http.StatusOK {
		t.Errorf("who has a key is kept out too: %d", status)
	}
}

func TestChangesAreStreamed(t *testing.T) {
	p := newPeople(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+Prefix+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.keys[access.ScopeRead])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buffer := make([]byte, 4096)
	n, err := resp.Body.Read(buffer)
	if err != nil || !strings.HasPrefix(string(buffer[:n]), "event: hello\n") || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%q %v %v", buffer[:n], err, resp.Header)
	}
	p.ask(access.ScopeWrite, "POST", "/groups", `{"name":"g","query":"a"}`)
	heard := ""
	for err == nil && !strings.Contains(heard, `"groups"`) { // who did it is told too, in either order
		n, err = resp.Body.Read(buffer)
		heard += string(buffer[:n])
	}
	if err != nil || !strings.Contains(heard, "event: change\ndata: {\"topic\":\"groups\"}\n\n") {
		t.Errorf("%q %v", heard, err)
	}
}
