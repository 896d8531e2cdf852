package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"redflag/internal/access"
	"redflag/internal/api"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// remote is a root whose agent a server asks.
type remote struct {
	*root
	url, key, host string
	agent          *process
}

func newRemote(t *testing.T) *remote {
	t.Helper()
	r := newRoot(t)
	data := t.TempDir()
	server := startProcess(t, build(t), "serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--tls", "off")
	where := regexp.MustCompile(`at (http://\S+)\n`)
	until(t, "the server listens", func() bool { return where.MatchString(server.said()) })
	f := &remote{root: r, url: where.FindStringSubmatch(server.said())[1]}
	db, err := store.Open(t.Context(), data+"/fleet.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, token, err := db.NewToken(t.Context(), store.Token{Seats: 1, ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, f.key, err = db.NewKey(t.Context(), store.Key{Name: "test", Scope: access.ScopeWrite}, time.Now()); err != nil {
		t.Fatal(err)
	}
	f.host = regexp.MustCompile(`This host is (\S+) in`).FindStringSubmatch(r.redflag(0, "agent", "enroll", f.url, token))[1]
	f.start()
	return f
}

// start starts the agent, in the root.
func (f *remote) start() {
	f.Helper()
	f.agent = startProcess(f.TB.(*testing.T), "chroot", f.dir, "/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "redflag", "agent", "run")
}

// ask asks the server's API.
func (f *remote) ask(method, path string, body, into any) int {
	f.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		f.Fatal(err)
	}
	req, err := http.NewRequestWithContext(f.Context(), method, f.url+"/api/v1"+path, bytes.NewReader(data))
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		f.Fatal(err)
	}
	return resp.StatusCode
}

type given struct {
	Order  wire.OrderID `json:"order"`
	Detail string       `json:"detail"`
}

// ended waits until an order has ended.
func (f *remote) ended(id wire.OrderID) (o api.WholeOrder) {
	f.Helper()
	f.until("the order ends", func() bool {
		f.ask("GET", fmt.Sprintf("/orders/%d", id), nil, &o)
		return o.State != wire.Waiting && o.State != wire.Running
	})
	return o
}

// plan has the host plan, and gives the order.
func (f *remote) plan() api.WholeOrder {
	f.Helper()
	var g given
	if status := f.ask("POST", "/hosts/"+f.host+"/plan", map[string]any{"all": true}, &g); status != http.StatusOK {
		f.Fatalf("%d %s", status, g.Detail)
	}
	return f.ended(g.Order)
}

func (f *remote) approve(id wire.OrderID, digests []string) (given, int) {
	f.Helper()
	var g given
	return g, f.ask("POST", fmt.Sprintf("/orders/%d/approve", id), map[string]any{"digests": digests}, &g)
}

func TestAServerInstallsWhatWasApprovedAndTheHostHasTheLastWord(t *testing.T) {
	f := newRemote(t)
	f.offer("2", slowly)
	planned := f.plan()
	if planned.State != wire.Succeeded || len(planned.Answer.Plans) != 1 || len(planned.Answer.Plans[0].Changes) != 2 || len(planned.Digests) != 1 {
		t.Fatalf("%+v", planned)
	}
	t.Logf("planned %d %+v", planned.ID, planned.Digests)
	if g, status := f.approve(planned.ID, []string{"sha256:other"}); status != http.StatusConflict {
		t.Errorf("another plan is approved: %d %+v", status, g)
	}
	refused, _ := f.approve(planned.ID, planned.Digests)
	if o := f.ended(refused.Order); o.State != wire.Failed || !strings.Contains(o.Because, "the host's policy does not let a server install anything") {
		t.Errorf("without a policy: %s because %s", o.State, o.Because)
	}

	f.write("/etc/redflag/policy.toml", "allow = \"all\"\n")
	planned = f.plan()
	first, status := f.approve(planned.ID, planned.Digests)
	if again, _ := f.approve(planned.ID, planned.Digests); status != http.StatusOK || again.Order != first.Order {
		t.Errorf("a second click is another job: %v, %v", first, again)
	}
	f.until("the slow script runs", func() bool { return f.exists("/tmp/slow") })
	f.agent.end(syscall.SIGKILL) // and apt goes on
	f.write("/tmp/go", "")
	f.start()
	o := f.ended(first.Order)
	if o.State != wire.Succeeded || len(o.Answer.Jobs) != 1 || len(o.Answer.Jobs[0].Outcome.Done) != 2 || o.Answer.Jobs[0].State != "succeeded" {
		t.Errorf("%s because %s: %+v", o.State, o.Because, o.Answer)
	}
	if got := f.versions(); got != "2 ii ;2 ii ;" {
		t.Error(got)
	}
	if n := strings.Count(f.sh("cat /var/log/apt/history.log"), "Upgrade: toy-"); n != 1 {
		t.Errorf("it ran %d times", n)
	}
	if p := f.plan(); len(p.Answer.Plans) != 0 || len(p.Digests) != 0 {
		t.Errorf("after that: %+v", p.Answer)
	}
}
