package server

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/parts"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// planOf is a plan that upgrades packages.
func planOf(names ...string) fleet.Plan {
	p := fleet.NewPlan("apt", fleet.Selection{All: true}, time.Now())
	for _, n := range names {
		p.Changes = append(p.Changes, fleet.Change{Action: fleet.Upgrade, Name: n, From: "1", To: "2"})
	}
	return p
}

// able is a host of the fleet that has apt.
func (f *fleetOf) able(t testing.TB, machine string) (*wire.Client, fleet.HostID) {
	t.Helper()
	c, id := f.join(t, machine)
	if _, err := c.Report(t.Context(), aReport(1, "curl")); err != nil {
		t.Fatal(err)
	}
	return c, id
}

// ask asks for all updates on hosts.
func (s *Server) ask(t testing.TB, hosts ...fleet.HostID) store.RolloutID {
	t.Helper()
	r, err := s.Begin(t.Context(), Asked{Work: store.Work{Install: &store.Selected{All: true}}, Hosts: hosts, By: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fetch gives the one order that waits for a host, opened as the host does.
func (s *Server) fetch(t testing.TB, c *wire.Client, id fleet.HostID) wire.Order {
	t.Helper()
	list, err := c.Orders(t.Context(), wire.Wait{Level: wire.Level, Session: "s1", Seconds: 20})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d orders, %v", len(list), err)
	}
	o, err := list[0].Open(s.cfg.public(), id, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (s *Server) job(t testing.TB, r store.RolloutID, id fleet.HostID) store.Job {
	t.Helper()
	jobs, _, err := s.cfg.Store.RolloutJobs(t.Context(), store.JobFilter{Rollout: r, Host: id}, store.Page{})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%+v, %v", jobs, err)
	}
	return jobs[0]
}

// result is what a host says of an order.
func result(o wire.Order, state wire.State, plans ...fleet.Plan) wire.Result {
	r := wire.Result{Session: "s1", Order: o.ID, State: state, At: time.Now()}
	if plans != nil {
		r.Answer = &wire.Answer{Plans: plans}
	}
	return r
}

// at brings a host to where it works on what was approved, and gives the order.
func (s *Server) at(t testing.TB, c *wire.Client, r store.RolloutID, id fleet.HostID) wire.Order {
	t.Helper()
	if err := c.Result(t.Context(), result(s.fetch(t, c, id), wire.Succeeded, planOf("curl"))); err != nil {
		t.Fatal(err)
	}
	j := s.job(t, r, id)
	if _, err := s.Approve(t.Context(), store.Scope{Job: j.ID}, j.Digest, "bert"); err != nil {
		t.Fatal(err)
	}
	o := s.fetch(t, c, id)
	if err := c.Result(t.Context(), result(o, wire.Running)); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestWhatIsApprovedComesToTheHostSignedAndItsLinesCome(t *testing.T) {
	f := newFleet(t)
	c, id := f.able(t, "m1")
	r := f.ask(t, id)
	o := f.at(t, c, r, id)
	if o.Install == nil || len(o.Install.Plans) != 1 || o.Install.Plans[0].Digest() != planOf("curl").Digest() {
		t.Fatalf("%+v", o)
	}
	next, err := c.Progress(t.Context(), wire.Progress{Session: "s1", Order: o.ID, Step: "unpack", Percent: 40, Lines: []string{"one", "two"}})
	if err != nil || next != 2 {
		t.Fatalf("%d, %v", next, err)
	}
	if next, err = c.Progress(t.Context(), wire.Progress{Session: "s1", Order: o.ID, Percent: -1}); err != nil || next != 2 {
		t.Errorf("asked what is waited for: %d, %v", next, err)
	}
	j := f.job(t, r, id)
	lines, err := f.store.Lines(t.Context(), j.ID, 0, 10)
	if err != nil || !slices.Equal(lines.Lines, []string{"one", "two"}) || j.State != store.JobRunning {
		t.Errorf("%+v, %+v, %v", j, lines, err)
	}
}

func TestAnOrderThatItsHostRefusesIsShownAsFailedWithTheReason(t *testing.T) {
	f := newFleet(t)
	c, id := f.able(t, "m1")
	for _, w := range []store.Work{{Reboot: &wire.Reboot{}}, {Install: &store.Selected{Security: true}}} {
		r, err := f.Begin(t.Context(), Asked{Work: w, Hosts: []fleet.HostID{id}, By: "anna"})
		if err != nil {
			t.Fatal(err)
		}
		refused := result(f.fetch(t, c, id), wire.Failed)
		refused.Because, refused.Remedy = "the order is not for this host to obey: the signature is not the server's", "enrol the host again"
		if err := c.Result(t.Context(), refused); err != nil {
			t.Fatal(err)
		}
		if j := f.job(t, r, id); j.State != store.JobFailed || j.Because != refused.Because || j.Remedy != refused.Remedy {
			t.Errorf("%+v", j)
		}
	}
}

func TestAHostileAgentHarmsNoJobButItsOwn(t *testing.T) {
	f := newFleet(t)
	f.hosts.burst, f.talkers.burst = 1000, 1000
	good, goodID := f.able(t, "good")
	bad, badID := f.able(t, "bad")
	r := f.ask(t, goodID, badID)
	theirs := f.at(t, good, r, goodID)

	own := f.fetch(t, bad, badID)
	if err := bad.Result(t.Context(), result(theirs, wire.Failed)); code(err) != wire.CodeNoRoute {
		t.Errorf("the end of another's order: %v", err)
	}
	if _, err := bad.Progress(t.Context(), wire.Progress{Session: "s1", Order: theirs.ID, Lines: []string{"rm -rf /"}}); code(err) != wire.CodeNoRoute {
		t.Errorf("lines for another's order: %v", err)
	}
	if _, err := bad.Progress(t.Context(), wire.Progress{Session: "s2", Order: own.ID, Lines: []string{"x"}}); code(err) != wire.CodeLate {
		t.Errorf("lines of another session: %v", err)
	}
	dirty := planOf("curl\x1b[2J")
	if err := bad.Result(t.Context(), result(own, wire.Succeeded, dirty)); code(err) != wire.CodeBounds {
		t.Errorf("a plan that is another when it is clean: %v", err)
	}
	if j := f.job(t, r, badID); j.State != store.JobPlanning {
		t.Errorf("%+v", j)
	}
	for name, p := range map[string]wire.Progress{
		"too many lines":    {Session: "s1", Order: own.ID, Lines: make([]string, wire.MaxBatch+1)},
		"a line below none": {Session: "s1", Order: own.ID, From: -1, Lines: []string{"x"}},
		"the last and more": {Session: "s1", Order: own.ID, From: wire.MaxLines, Lines: []string{"x"}},
		"1,000 %":           {Session: "s1", Order: own.ID, Percent: 1000},
		"no session":        {Order: own.ID},
	} {
		if _, err := bad.Progress(t.Context(), p); code(err) != wire.CodeBounds {
			t.Errorf("%s: %v", name, err)
		}
	}
	foreign := planOf("curl")
	foreign.Source = "../../etc"
	if err := bad.Result(t.Context(), result(own, wire.Succeeded, foreign)); err != nil {
		t.Fatal(err)
	}
	if j := f.job(t, r, badID); j.State != store.JobFailed || !strings.Contains(j.Because, "no source that it has") || j.Digest != "" {
		t.Errorf("%+v", j)
	}

	again := f.ask(t, badID)
	own = f.fetch(t, bad, badID)
	if _, err := f.Cancel(t.Context(), store.Scope{Rollout: again}, "anna"); err != nil {
		t.Fatal(err)
	}
	if err := bad.Result(t.Context(), result(own, wire.Succeeded, planOf("curl"))); err != nil {
		t.Fatal(err)
	}
	if j := f.job(t, again, badID); j.State != store.JobCancelled || j.Digest != "" {
		t.Errorf("a cancelled job came back: %+v", j)
	}
	if _, err := f.Approve(t.Context(), store.Scope{Rollout: again}, "sha256:", "anna"); !errors.Is(err, store.ErrOtherPlan) {
		t.Errorf("it was approved: %v", err)
	}

	next, err := good.Progress(t.Context(), wire.Progress{Session: "s1", Order: theirs.ID, Lines: []string{"fine"}})
	if j := f.job(t, r, goodID); err != nil || next != 1 || j.State != store.JobRunning || j.Lines != 1 {
		t.Errorf("the other host's: %d, %v, %+v", next, err, j)
	}
}

func TestAPlanIsBelievedOnlyAsLargeAsAnAgentCanBeGivenIt(t *testing.T) {
	f := newFleet(t)
	f.hosts.burst = 1000
	c, id := f.able(t, "m1")
	r := f.ask(t, id)
	large := planOf()
	for i := range 10_000 { // near the bound of what is kept
		large.Changes = append(large.Changes, fleet.Change{Action: fleet.Upgrade, Name: fmt.Sprintf("package-with-a-name-that-is-long-%05d", i), Arch: "amd64", From: "1.2.3-4+deb12u1", To: "1.2.3-4+deb12u2", Origin: "Debian/stable/main, all of it"})
	}
	if err := c.Result(t.Context(), result(f.fetch(t, c, id), wire.Succeeded, large)); err != nil {
		t.Fatal(err)
	}
	j := f.job(t, r, id)
	if j.State != store.JobPlanned || j.Changes != len(large.Changes) {
		t.Fatalf("%s because %s", j.State, j.Because)
	}
	if _, err := f.Approve(t.Context(), store.Scope{Job: j.ID}, j.Digest, "anna"); err != nil {
		t.Fatal(err)
	}
	for range 3 { // more is waiting than one answer can carry
		f.ask(t, id)
	}
	list, err := c.Orders(t.Context(), wire.Wait{Level: wire.Level, Session: "s1", Seconds: 1})
	if err != nil || len(list) == 0 {
		t.Fatalf("%d orders, %v", len(list), err)
	}
	if o, err := list[0].Open(f.cfg.public(), id, time.Now()); err != nil || len(o.Install.Plans[0].Changes) != len(large.Changes) {
		t.Errorf("%v", err)
	}
}

func TestTwoServersOnOneDatabaseAreOne(t *testing.T) {
	dsn := parts.Postgres(t, store.CreateDatabase)
	open := func() *fleetOf {
		s, err := store.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		srv := New(Config{Store: s, OrderKey: ed25519.NewKeyFromSeed(make([]byte, 32))})
		door := httptest.NewServer(srv.Agents())
		t.Cleanup(func() {
			door.Close()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		run(t, srv)
		return &fleetOf{srv, s, door.URL}
	}
	one, two := open(), open()
	c, id := two.able(t, "m1")
	changes := one.Changes(t.Context())
	r := one.ask(t, id) // here, and the host waits there
	o := two.at(t, c, r, id)
	there := *c
	there.Server = one.url
	for i, c := range []*wire.Client{c, &there, c, &there} { // its lines come by either
		if next, err := c.Progress(t.Context(), wire.Progress{Session: "s1", Order: o.ID, From: i, Lines: []string{fmt.Sprint("line ", i)}}); err != nil || next != i+1 {
			t.Errorf("%d, %v", next, err)
		}
	}
	if err := there.Result(t.Context(), result(o, wire.Succeeded)); err != nil {
		t.Fatal(err)
	}
	if j := two.job(t, r, id); j.State != store.JobSucceeded || j.Lines != 4 {
		t.Errorf("%+v", j)
	}
	heard := false
	for c := range changes {
		if heard = c.Topic == TopicJobs && slices.Contains(c.Hosts, id); heard {
			break
		}
	}
	if !heard {
		t.Error("nobody was told")
	}
}

// BenchmarkProgress says what a streamed line costs, to be held against a bare check-in: ten lines a batch are what a tool says in half a second.
func BenchmarkProgress(b *testing.B) {
	for _, lines := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(lines), func(b *testing.B) {
			f := newFleet(b)
			f.hosts.burst, f.hosts.rate, f.talkers.burst, f.talkers.rate = 1e9, 1e9, 1e9, 1e9
			c, id := f.able(b, "m1")
			batch := make([]string, lines)
			for i := range batch {
				batch[i] = "Setting up libexample (1.2.3-4+deb12u1) ..."
			}
			var o wire.Order
			next := wire.MaxLines
			for b.Loop() {
				if next+lines > wire.MaxLines { // another job
					o, next = f.at(b, c, f.ask(b, id), id), 0
				}
				var err error
				if next, err = c.Progress(b.Context(), wire.Progress{Session: "s1", Order: o.ID, From: next, Lines: batch}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines), "ns/line")
		})
	}
}

// run lets a server do what goes on beside its requests, until the test ends.
func run(t testing.TB, s *Server) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	t.Cleanup(func() { s.Stop(); cancel(); <-done })
}
