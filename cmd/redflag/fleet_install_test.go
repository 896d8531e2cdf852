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
)

// remote is a root whose agent a server asks.
type remote struct {
	*root
	url, key, host string
	agent          *process
}

// fleetServer is a server of its own, with a token for any number of hosts and a key that may write.
type fleetServer struct {
	t               *testing.T
	url, token, key string
}

func newFleetServer(t *testing.T) *fleetServer {
	t.Helper()
	data := t.TempDir()
	server := startProcess(t, build(t), "serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--tls", "off")
	where := regexp.MustCompile(`at (http://\S+)\n`)
	until(t, "the server listens", func() bool { return where.MatchString(server.said()) })
	s := &fleetServer{t: t, url: where.FindStringSubmatch(server.said())[1]}
	db, err := store.Open(t.Context(), data+"/fleet.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, s.token, err = db.NewToken(t.Context(), store.Token{Seats: store.AnySeats, Labels: map[string]string{"env": "many"}, ExpiresAt: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, s.key, err = db.NewKey(t.Context(), store.Key{Name: "test", Scope: access.ScopeAdmin}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return s
}

// join takes a root into the fleet, as a machine of its own, and starts its agent.
func (s *fleetServer) join(r *root) *remote {
	s.t.Helper()
	f := &remote{root: r, url: s.url, key: s.key}
	r.write("/etc/machine-id", fmt.Sprintf("%032x\n", time.Now().UnixNano()))
	f.host = regexp.MustCompile(`This host is (\S+) in`).FindStringSubmatch(r.redflag(0, "agent", "enroll", s.url, s.token))[1]
	f.start()
	return f
}

func newRemote(t *testing.T) *remote {
	t.Helper()
	return newFleetServer(t).join(newRoot(t))
}

// serve starts a server for the host, and gives a token.
func (f *remote) serve(t *testing.T) (token string) {
	t.Helper()
	s := newFleetServer(t)
	f.url, f.key = s.url, s.key
	return s.token
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

// asked is what a server answers to what is asked of it.
type asked struct {
	Rollout store.RolloutID `json:"rollout"`
	Jobs    []api.JobRef    `json:"jobs"`
	Detail  string          `json:"detail"`
}

// job gives the host's job of a rollout, whole.
func (f *remote) job(r store.RolloutID) (j store.WholeJob) {
	f.Helper()
	var list struct{ Items []store.Job }
	f.ask("GET", fmt.Sprintf("/rollouts/%d/jobs", r), nil, &list)
	f.ask("GET", fmt.Sprintf("/jobs/%d", list.Items[0].ID), nil, &j)
	return j
}

// begin asks something of the host.
func (f *remote) begin(work map[string]any) store.RolloutID {
	f.Helper()
	body := map[string]any{"work": work}
	if work["undo"] == nil {
		body["hosts"] = []string{f.host}
	}
	var a asked
	if status := f.ask("POST", "/rollouts", body, &a); status != http.StatusOK {
		f.Fatalf("%d %s", status, a.Detail)
	}
	return a.Rollout
}

// ended waits until a rollout's job has ended.
func (f *remote) ended(r store.RolloutID) (j store.WholeJob) {
	f.Helper()
	f.until("the job ends", func() bool { j = f.job(r); return j.State.Ended() })
	return j
}

// plan has the host plan all, and gives the job.
func (f *remote) plan() (j store.WholeJob) {
	f.Helper()
	r := f.begin(map[string]any{"install": map[string]any{"all": true}})
	f.until("the host has planned", func() bool { j = f.job(r); return j.State != store.JobPlanning })
	return j
}

func (f *remote) approve(j store.WholeJob, digest string) (asked, int) {
	f.Helper()
	var a asked
	return a, f.ask("POST", fmt.Sprintf("/jobs/%d/approve", j.ID), map[string]any{"digest": digest}, &a)
}

func TestAServerInstallsWhatWasApprovedAndTheHostHasTheLastWord(t *testing.T) {
	f := newRemote(t)
	f.offer("2", slowly)
	planned := f.plan()
	if planned.State != store.JobPlanned || len(planned.Plans) != 1 || len(planned.Plans[0].Changes) != 2 || planned.Digest == "" {
		t.Fatalf("%+v", planned)
	}
	if a, status := f.approve(planned, "sha256:other"); status != http.StatusConflict {
		t.Errorf("another plan is approved: %d %+v", status, a)
	}
	f.approve(planned, planned.Digest)
	if j := f.ended(planned.Rollout); j.State != store.JobFailed || !strings.Contains(j.Because, "the host's policy does not let a server install anything") {
		t.Errorf("without a policy: %s because %s", j.State, j.Because)
	}

	f.write("/etc/redflag/policy.toml", "allow = \"all\"\n")
	planned = f.plan()
	_, status := f.approve(planned, planned.Digest)
	first := f.job(planned.Rollout).WorkOrder
	if _, again := f.approve(planned, planned.Digest); status != http.StatusOK || again != http.StatusOK || f.job(planned.Rollout).WorkOrder != first {
		t.Errorf("a second click is another order: %d, %d", status, again)
	}
	f.until("the slow script runs", func() bool { return f.exists("/tmp/slow") })
	f.agent.end(syscall.SIGKILL) // and apt goes on
	f.write("/tmp/go", "")
	f.start()
	j := f.ended(planned.Rollout)
	if j.State != store.JobSucceeded || len(j.Outcomes) != 1 || len(j.Outcomes[0].Outcome.Done) != 2 || j.Outcomes[0].State != "succeeded" {
		t.Errorf("%s because %s: %+v", j.State, j.Because, j.Outcomes)
	}
	if got := f.versions(); got != "2 ii ;2 ii ;" {
		t.Error(got)
	}
	if n := strings.Count(f.sh("cat /var/log/apt/history.log"), "Upgrade: toy-"); n != 1 {
		t.Errorf("it ran %d times", n)
	}
	if j := f.plan(); j.State != store.JobSucceeded || len(j.Plans) != 0 || !strings.Contains(j.Because, "nothing to change") {
		t.Errorf("after that: %s because %s", j.State, j.Because)
	}
}
