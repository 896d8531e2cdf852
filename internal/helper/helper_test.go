package helper

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/machine"
	"redflag/internal/policy"
	"redflag/internal/wire"
)

const ourHost fleet.HostID = 4711

// host is a machine in a folder, its helper, and the server that root has enrolled it at.
type host struct {
	*testing.T
	*Helper
	m   *machine.Machine
	key ed25519.PrivateKey

	mu    sync.Mutex
	begun []job.ID
	now   time.Time
}

func newHost(t *testing.T, rules string) *host {
	t.Helper()
	h := &host{T: t, m: &machine.Machine{Root: t.TempDir(), Runner: machine.Exec{}}, key: ed25519.NewKeyFromSeed(make([]byte, 32)), now: time.Now()}
	h.m.Now = func() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now }
	h.rules(rules)
	if err := (Trust{Host: ourHost, Server: "https://fleet", OrderKey: h.key.Public().(ed25519.PublicKey)}).Save(h.dir()); err != nil {
		t.Fatal(err)
	}
	h.open()
	t.Cleanup(func() { h.Helper.Close() })
	return h
}

func (h *host) dir() string { return h.m.Path("/var/lib/redflag") }

// open starts the helper, with what is on disk.
func (h *host) open() {
	h.T.Helper()
	opened, err := Open(Config{
		Machine: h.m, Dir: h.dir(), Trust: func() (Trust, error) { return LoadTrust(h.dir()) }, Log: slog.New(slog.DiscardHandler),
		Begin: func(_ context.Context, id job.ID) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.begun = append(h.begun, id)
			return nil
		},
		Outside: func(context.Context, string, []byte) ([]byte, error) { return []byte(`{"plans":[],"jobs":[]}`), nil },
	})
	if err != nil {
		h.Fatal(err)
	}
	h.Helper = opened
}

func (h *host) rules(text string) {
	h.T.Helper()
	file := h.m.Path(policy.File)
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	if err != nil {
		h.Fatal(err)
	}
}

// order is one to upgrade curl, as a test changes it, signed by the server.
func (h *host) order(id wire.OrderID, change func(*wire.Order)) wire.SignedOrder {
	h.T.Helper()
	o := wire.Order{ID: id, Host: ourHost, ExpiresAt: time.Now().Add(time.Hour), Install: &wire.Install{Plans: []fleet.Plan{curl()}}}
	if change != nil {
		change(&o)
	}
	signed, err := o.Sign(h.key)
	if err != nil {
		h.Fatal(err)
	}
	return signed
}

func curl() fleet.Plan {
	p := fleet.NewPlan("apt", fleet.Selection{All: true}, time.Now())
	p.Changes = append(p.Changes, fleet.Change{Action: fleet.Upgrade, Name: "curl", Arch: "amd64", From: "1", To: "2"})
	return p
}

// until waits for what another goroutine does.
func (h *host) until(what string, done func() bool) {
	h.T.Helper()
	for range 1200 {
		if done() {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	h.Fatalf("it never came to it that %s", what)
}

func (h *host) jobs() []job.Job {
	h.T.Helper()
	list, err := job.List(h.m)
	if err != nil {
		h.Fatal(err)
	}
	return list
}

func (h *host) state(id wire.OrderID) Report {
	h.T.Helper()
	r, err := h.Look(h.T.Context(), Look{Order: id})
	if err != nil {
		h.Fatal(err)
	}
	return r
}

func names(n ...string) func(*wire.Order) {
	return func(o *wire.Order) { o.Install, o.Hold = nil, &wire.Hold{Names: n, Hold: true} }
}

func TestWhatIsNotForThisHostToObeyIsRefusedAndNothingBegins(t *testing.T) {
	h := newHost(t, `allow = "all"`)
	forged := h.order(1, nil)
	other := ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", 32)))
	again, err := wire.Order{ID: 1, Host: ourHost, ExpiresAt: time.Now().Add(time.Hour), Reboot: &wire.Reboot{}}.Sign(other)
	if err != nil {
		t.Fatal(err)
	}
	forged.Signature = again.Signature
	changed := h.order(1, nil)
	changed.Order = []byte(strings.Replace(string(changed.Order), "curl", "evil", 1))
	for _, c := range []struct {
		what    string
		signed  wire.SignedOrder
		because string
	}{
		{"another server's", again, "the signature is not the server's"},
		{"one with another's signature", forged, "the signature is not the server's"},
		{"one that was changed", changed, "the signature is not the server's"},
		{"an empty one", wire.SignedOrder{}, "the signature is not the server's"},
		{"an expired one", h.order(1, func(o *wire.Order) { o.ExpiresAt = time.Now().Add(-time.Second) }), "it expired at"},
		{"another host's", h.order(1, func(o *wire.Order) { o.Host = 4712 }), "it is for another host"},
		{"one without a number", h.order(0, nil), "it has no number"},
		{"two in one", h.order(1, func(o *wire.Order) { o.Reboot = &wire.Reboot{} }), "more than one thing"},
		{"one of a later level", h.order(1, func(o *wire.Order) { o.Install = nil }), "does not understand"},
		{"one to look, which is not root's", h.order(1, func(o *wire.Order) { o.Scan = &wire.Scan{} }), "more than one thing"},
		{"two plans of one source", h.order(1, func(o *wire.Order) { o.Install.Plans = append(o.Install.Plans, curl()) }), "two of one source"},
		{"one that installs nothing", h.order(1, func(o *wire.Order) { o.Install.Plans = nil }), "it has 0 plans"},
		{"an option for a name", h.order(1, names("curl", "-oDPkg::Pre-Invoke::=id")), "is no name"},
		{"a long option", h.order(1, names("--allow-downgrades")), "is no name"},
		{"a command for a name", h.order(1, names("$(id)")), "is no name"},
		{"two words for a name", h.order(1, names("curl wget")), "is no name"},
		{"an empty name", h.order(1, names("")), "is no name"},
		{"a name of many letters", h.order(1, names(strings.Repeat("x", 300))), "is no name"},
		{"many names", h.order(1, names(strings.Split(strings.Repeat("x ", 1001)+"x", " ")...)), "names"},
		{"an option in a plan", h.order(1, func(o *wire.Order) { o.Install.Plans[0].Changes[0].Name = "-t=unstable" }), "is no name"},
	} {
		var no *Refused
		if _, err := h.Do(t.Context(), c.signed); !errors.As(err, &no) || !strings.Contains(err.Error(), c.because) {
			t.Errorf("%s: %v, want %q", c.what, err, c.because)
		}
	}
	if err := ForgetTrust(h.dir()); err != nil {
		t.Fatal(err)
	}
	var no *Refused
	if _, err := h.Do(t.Context(), h.order(1, nil)); !errors.As(err, &no) {
		t.Errorf("of a host in no fleet: %v", err)
	}
	if list := h.jobs(); len(list) != 0 || len(h.begun) != 0 || len(h.orders) != 0 {
		t.Errorf("begun: %v, written down: %v", h.begun, list)
	}
}

func TestAnOrderIsTakenOnceHoweverOftenItIsGivenAndTheHelperKilled(t *testing.T) {
	h := newHost(t, `allow = "all"`)
	signed := h.order(7, nil)
	begunJobs := func() int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.begun) }
	for n := range 3 {
		for range 2 {
			if r, err := h.Do(t.Context(), signed); err != nil || r.State.Ended() {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		h.until("its job is begun", func() bool { return begunJobs() == n+1 })
		h.Helper.Close()
		h.open()
	}
	if list := h.jobs(); len(list) != 1 || list[0].Order != "7" || list[0].State != job.Approved {
		t.Errorf("its jobs are %+v", list)
	}
	other := h.order(7, func(o *wire.Order) { o.Install.Plans[0].Changes[0].To = "3" })
	var no *Refused
	if _, err := h.Do(t.Context(), other); !errors.As(err, &no) || !strings.Contains(err.Error(), "another order was given under this number") {
		t.Errorf("another plan under its number: %v", err)
	}
	h.mu.Lock()
	h.now = h.now.Add(2 * time.Hour) // it has expired since
	h.mu.Unlock()
	if r, err := h.Do(t.Context(), signed); err != nil || r.State.Ended() {
		t.Errorf("what it has become is not told: %+v, %v", r, err)
	}
	if err := os.RemoveAll(filepath.Join(h.dir(), ordersDir)); err != nil { // the journal is lost; its jobs say what was begun
		t.Fatal(err)
	}
	h.Helper.Close()
	h.mu.Lock()
	h.now = h.now.Add(-2 * time.Hour)
	h.mu.Unlock()
	h.open()
	before := begunJobs()
	if _, err := h.Do(t.Context(), signed); err != nil {
		t.Error(err)
	}
	h.until("it is found again", func() bool { return begunJobs() > before })
	if list := h.jobs(); len(list) != 1 {
		t.Errorf("it is done twice: %+v", list)
	}
}

func TestThePolicyBeatsTheServerForGood(t *testing.T) {
	h := newHost(t, `allow = "plan"`)
	restart := func(o *wire.Order) { o.Install, o.Restart = nil, &wire.Restart{} }
	reboot := func(o *wire.Order) { o.Install, o.Reboot = nil, &wire.Reboot{} }
	repair := func(o *wire.Order) { o.Install, o.Repair = nil, &wire.Repair{} }
	planning := func(o *wire.Order) { o.Install, o.Plan = nil, &wire.Planning{Selection: fleet.Selection{All: true}} }
	for i, c := range []struct {
		rules   string
		change  func(*wire.Order)
		because string
	}{
		{`allow = "plan"`, nil, "install anything"},
		{`allow = "report"`, planning, "plan an installation"},
		{`allow = "security"`, nil, "install what is not for security: upgrade curl 1 → 2"},
		{"allow = \"all\"\nnever = [\"cu*\"]", nil, "change curl"},
		{"allow = \"all\"\nonly = [\"ng*\"]", nil, "change curl"},
		{"allow = \"all\"\nnever = [\"cu*\"]", names("curl:amd64"), "change curl"},
		{`allow = "all"`, restart, "restart services"},
		{`allow = "all"`, reboot, "reboot it"},
		{`allow = "plan"`, repair, "repair an installation"},
		{`allow = "plan"`, names("curl"), "hold packages"},
		{"allow = \"all\"\nalow = 1", nil, `cannot be understood (read /etc/redflag/policy.toml: there is no setting "alow")`},
		{"allow = ", planning, "cannot be understood ("},
	} {
		h.rules(c.rules)
		id := wire.OrderID(i + 1)
		signed := h.order(id, c.change)
		r, err := h.Do(t.Context(), signed)
		if err != nil || r.State != wire.Failed || !strings.Contains(r.Because, c.because) || r.Remedy == "" {
			t.Errorf("%s: %s because %q, %v", c.rules, r.State, r.Because, err)
		}
		h.rules("allow = \"all\"\nrestart = true\nreboot = true") // too late for what was refused
		if r, err := h.Do(t.Context(), signed); err != nil || r.State != wire.Failed {
			t.Errorf("%s: given again when it is allowed: %+v, %v", c.rules, r, err)
		}
	}
	if list := h.jobs(); len(list) != 0 {
		t.Errorf("written down: %+v", list)
	}
	file := h.m.Path(policy.File)
	if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil { // it cannot be read
		t.Fatal(err)
	}
	if r, err := h.Do(t.Context(), h.order(100, planning)); err != nil || r.State != wire.Failed || !strings.Contains(r.Because, "cannot be understood") {
		t.Errorf("%+v, %v", r, err)
	}
	if f, err := h.Facts(t.Context()); err != nil || f.Policy.Allow != fleet.AllowReport || f.Policy.Because == "" {
		t.Errorf("%+v, %v", f.Policy, err)
	}
}

func TestAnOrderWaitsForThePolicysHoursAndCanBeCancelled(t *testing.T) {
	h := newHost(t, `allow = "all"`)
	at := h.m.Now()
	h.rules("allow = \"all\"\nhours = \"" + at.Add(time.Hour).Format("15:04") + "-" + at.Add(2*time.Hour).Format("15:04") + `"`)
	if _, err := h.Do(t.Context(), h.order(1, nil)); err != nil {
		t.Fatal(err)
	}
	h.until("it waits", func() bool {
		r := h.state(1)
		return r.State == wire.Held && strings.Contains(r.Because, "the host's policy lets a server do this at ")
	})
	if _, err := h.Do(t.Context(), h.order(2, nil)); err != nil {
		t.Fatal(err)
	}
	h.until("the next waits for it", func() bool { return strings.Contains(h.state(2).Because, "another order is at work") })
	cancel := func(id, what wire.OrderID) {
		t.Helper()
		if _, err := h.Do(t.Context(), h.order(id, func(o *wire.Order) { o.Install, o.Cancel = nil, &wire.Cancel{Order: what} })); err != nil {
			t.Fatal(err)
		}
		h.until("it is cancelled", func() bool { return h.state(id).State.Ended() })
	}
	cancel(3, 2)
	cancel(4, 1)
	for id, want := range map[wire.OrderID]wire.State{1: wire.Cancelled, 2: wire.Cancelled, 3: wire.Succeeded, 4: wire.Succeeded} {
		if r := h.state(id); r.State != want {
			t.Errorf("order %d is %s because %s", id, r.State, r.Because)
		}
	}
	cancel(5, 99)
	if r := h.state(5); r.State != wire.Failed || !strings.Contains(r.Because, "no such order") {
		t.Errorf("%+v", r)
	}
	late := h.order(6, func(o *wire.Order) { o.ExpiresAt = at.Add(10 * time.Minute) })
	for _, signed := range []wire.SignedOrder{late, h.order(7, func(o *wire.Order) { o.ExpiresAt = at.Add(3 * time.Hour) })} {
		if _, err := h.Do(t.Context(), signed); err != nil {
			t.Fatal(err)
		}
		h.until("it waits", func() bool { return h.state(6).Because != "" })
	}
	h.mu.Lock()
	h.now = at.Add(90 * time.Minute) // the hours have come, for one of them too late
	h.mu.Unlock()
	h.until("the one has expired and the other is begun", func() bool {
		h.mu.Lock()
		begun := len(h.begun)
		h.mu.Unlock()
		return h.state(6).State == wire.Expired && begun == 1
	})
	if list := h.jobs(); len(list) != 1 || list[0].Order != "7" {
		t.Errorf("written down: %+v", list)
	}
}

func TestWhatCannotBeWrittenDownIsNotBegun(t *testing.T) {
	h := newHost(t, `allow = "all"`)
	dir := filepath.Join(h.dir(), ordersDir)
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil { // no folder, as on a full disk no file
		t.Fatal(err)
	}
	var no *Refused
	if _, err := h.Do(t.Context(), h.order(1, nil)); err == nil || errors.As(err, &no) {
		t.Errorf("%v: it can be given again, and is not refused", err)
	}
	if len(h.orders) != 0 || len(h.jobs()) != 0 {
		t.Error("it is begun")
	}
}

func TestTheLinesOfAnOrderAreNumberedOverAllItsJobs(t *testing.T) {
	h := newHost(t, `allow = "all"`)
	var jobs []job.ID
	for _, text := range []string{"one\ntwo\n", "", "10%\r20%\rthree\nfour"} {
		j, err := job.New(h.m, job.Job{Plan: curl()})
		if err == nil {
			err = os.WriteFile(h.m.Path(j.ID.Log()), []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j.ID)
	}
	l := &lines{}
	for _, c := range []struct {
		from  int
		ended bool
		want  string
	}{{0, false, "one two three"}, {3, false, ""}, {1, false, "two three"}, {3, true, "four"}, {0, true, "one two three four"}, {4, true, ""}} {
		got, more, err := l.from(h.Helper, jobs, c.from, c.ended)
		if err != nil || more || strings.Join(got, " ") != c.want {
			t.Errorf("from %d: %q, %v, %v, want %q", c.from, got, more, err, c.want)
		}
	}
	long := strings.Repeat("line\n", wire.MaxLines+10)
	if err := os.WriteFile(h.m.Path(jobs[0].Log()), []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	all, from := []string{}, 0
	for more := true; more; from = len(all) {
		var some []string
		var err error
		if some, more, err = (&lines{}).from(h.Helper, jobs[:1], from, true); err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	if len(all) != wire.MaxLines || !strings.HasPrefix(all[len(all)-1], "the rest stays on the host: redflag log ") {
		t.Errorf("%d lines, the last is %q", len(all), all[len(all)-1])
	}
}
