package store

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// sign makes an order as a server does.
func sign(t testing.TB, id fleet.HostID, o wire.Order, expires time.Time) Delivery {
	t.Helper()
	o.ID, o.Host, o.ExpiresAt = NewOrderID(), id, expires
	signed, err := o.Sign(orderKey)
	if err != nil {
		t.Fatal(err)
	}
	return Delivery{o, signed}
}

var allUpdates = Work{Install: &Selected{All: true}}

// ask begins a rollout over hosts.
func ask(t testing.TB, s *Store, w Work, hosts ...fleet.HostID) RolloutID {
	t.Helper()
	r := Rollout{ID: NewRolloutID(), Work: w, CreatedBy: "anna", Life: time.Hour}
	var orders []Delivery
	for _, id := range hosts {
		orders = append(orders, sign(t, id, w.Order(0), noon.Add(time.Hour)))
	}
	if err := s.NewRollout(t.Context(), r, orders, noon); err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// jobOn gives the job of a rollout on a host.
func jobOn(t testing.TB, s *Store, r RolloutID, id fleet.HostID) Job {
	t.Helper()
	jobs, _, err := s.RolloutJobs(t.Context(), JobFilter{Rollout: r, Host: id}, Page{})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%+v, %v", jobs, err)
	}
	return jobs[0]
}

// planOf is a plan that upgrades packages.
func planOf(names ...string) fleet.Plan {
	p := fleet.NewPlan("apt", fleet.Selection{All: true}, noon)
	for _, n := range names {
		p.Changes = append(p.Changes, fleet.Change{Action: fleet.Upgrade, Name: n, From: "1", To: "2"})
	}
	return p
}

// told lets a host say what became of an order.
func told(t testing.TB, s *Store, id fleet.HostID, o wire.OrderID, state wire.State, plans ...fleet.Plan) {
	t.Helper()
	r := wire.Result{Order: o, State: state, Because: map[bool]string{true: "because"}[state != wire.Succeeded && state != wire.Running]}
	if plans != nil {
		r.Answer = &wire.Answer{Plans: plans, Jobs: []wire.Job{}}
	}
	if err := s.Result(t.Context(), id, r, noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
}

// signer makes the orders of an approval.
func signer(t testing.TB) func(PlannedJob, fleet.After, time.Time, wire.OrderID) (Delivery, error) {
	return func(j PlannedJob, after fleet.After, expires time.Time, undoes wire.OrderID) (Delivery, error) {
		return sign(t, j.Host, wire.Order{Install: &wire.Install{Plans: j.Plans, After: after, Undoes: undoes}}, expires), nil
	}
}

// stopper makes the orders that end others.
func stopper(t testing.TB) func(Job) (Delivery, error) {
	return func(j Job) (Delivery, error) {
		return sign(t, j.Host, wire.Order{Cancel: &wire.Cancel{Order: j.WorkOrder}}, noon.Add(time.Hour)), nil
	}
}

// patient is a host with apt, and a job on it that is planned.
func patient(t testing.TB, s *Store, name string) (fleet.HostID, RolloutID, Job) {
	t.Helper()
	id := enrol(t, s, name)
	say(t, s, id, 1, fleet.Finding{Source: "apt"})
	r := ask(t, s, allUpdates, id)
	told(t, s, id, jobOn(t, s, r, id).PlanOrder, wire.Succeeded, planOf("curl", "vim"))
	return id, r, jobOn(t, s, r, id)
}

// approve approves a job, and gives it.
func approve(t testing.TB, s *Store, j Job) Job {
	t.Helper()
	jobs, err := s.Approve(t.Context(), Scope{Job: j.ID}, j.Digest, "bert", noon, signer(t))
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%+v, %v", jobs, err)
	}
	return jobs[0]
}

func TestAJobGoesForwardAndNeverBack(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		states := []wire.State{wire.Held, wire.Running, wire.Succeeded, wire.Failed, wire.RolledBack, wire.Cancelled, wire.Expired, wire.Lost}
		for i, c := range []struct {
			says []wire.State
			want JobState
		}{
			{nil, JobApproved},
			{[]wire.State{wire.Held}, JobWaiting},
			{[]wire.State{wire.Held, wire.Running}, JobRunning},
			{[]wire.State{wire.Running, wire.Held, wire.Running}, JobRunning},
			{[]wire.State{wire.Running, wire.Lost}, JobUnknown},
			{[]wire.State{wire.Running, wire.Lost, wire.Running}, JobUnknown},
			{[]wire.State{wire.Running, wire.Lost, wire.RolledBack}, JobRolledBack}, // an unknown one becomes what is true
			{append([]wire.State{wire.Running, wire.Succeeded}, states...), JobSucceeded},
			{append([]wire.State{wire.Failed}, states...), JobFailed},
			{append([]wire.State{wire.Held, wire.Cancelled}, states...), JobCancelled},
			{append([]wire.State{wire.RolledBack}, states...), JobRolledBack},
			{append([]wire.State{wire.Held, wire.Expired}, states...), JobExpired},
		} {
			id, r, planned := patient(t, s, fmt.Sprint("m", i))
			j := approve(t, s, planned)
			told(t, s, id, planned.PlanOrder, wire.Failed) // its plans are of the past
			for _, state := range c.says {
				told(t, s, id, j.WorkOrder, state)
			}
			if got := jobOn(t, s, r, id); got.State != c.want || got.Because != map[bool]string{true: "because"}[got.State != JobSucceeded && got.State != JobRunning && got.State != JobApproved] {
				t.Errorf("after %q: %s because %q, want %s", c.says, got.State, got.Because, c.want)
			}
		}
	})
}

func TestWhatAHostPlansIsWhatCanBeApproved(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		docker := planOf("web")
		docker.Source = "docker"
		large := planOf()
		for i := range 20_000 {
			large.Changes = append(large.Changes, fleet.Change{Action: fleet.Upgrade, Name: fmt.Sprint("package-with-a-long-name-", i), From: strings.Repeat("1", 20), To: "2"})
		}
		nothing := planOf()
		nothing.Warnings = []string{"vim is held"}
		for i, c := range []struct {
			state   wire.State
			plans   []fleet.Plan
			want    JobState
			because string
		}{
			{wire.Running, nil, JobPlanning, ""}, {wire.Held, nil, JobPlanning, ""},
			{wire.Succeeded, []fleet.Plan{planOf("curl")}, JobPlanned, ""},
			{wire.Succeeded, []fleet.Plan{}, JobSucceeded, "there is nothing to change"},
			{wire.Succeeded, []fleet.Plan{nothing}, JobSucceeded, "there is nothing to change; vim is held"},
			{wire.Succeeded, nil, JobFailed, "sent no plan"},
			{wire.Succeeded, []fleet.Plan{docker}, JobFailed, `a plan of "docker", which is no source that it has`},
			{wire.Succeeded, []fleet.Plan{planOf("curl"), planOf("vim")}, JobFailed, "or twice"},
			{wire.Succeeded, []fleet.Plan{large}, JobFailed, "larger than can be approved"},
			{wire.Failed, nil, JobFailed, "because"}, {wire.Lost, nil, JobUnknown, "because"}, {wire.Expired, nil, JobExpired, "because"},
		} {
			id := enrol(t, s, fmt.Sprint("m", i))
			say(t, s, id, 1, fleet.Finding{Source: "apt"})
			r := ask(t, s, allUpdates, id)
			told(t, s, id, jobOn(t, s, r, id).PlanOrder, c.state, c.plans...)
			j := jobOn(t, s, r, id)
			if j.State != c.want || !strings.Contains(j.Because, c.because) || (c.because == "") != (j.Because == "") || (j.Digest != "") != (c.want == JobPlanned) {
				t.Errorf("%s with %d plans: %s because %q, digest %q", c.state, len(c.plans), j.State, j.Because, j.Digest)
			}
		}
	})
}

func TestAnApprovalIsOnceAndOfExactlyWhatIsPlanned(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a, b := enrol(t, s, "a"), enrol(t, s, "b")
		for _, id := range []fleet.HostID{a, b} {
			say(t, s, id, 1, fleet.Finding{Source: "apt"})
		}
		r := ask(t, s, allUpdates, a, b)
		sc := Scope{Rollout: r}
		told(t, s, a, jobOn(t, s, r, a).PlanOrder, wire.Succeeded, planOf("curl"))
		early, jobs, err := s.Planned(t.Context(), sc)
		if err != nil || len(jobs) != 1 || early != jobOn(t, s, r, a).Digest {
			t.Fatalf("%q %+v %v", early, jobs, err)
		}
		told(t, s, b, jobOn(t, s, r, b).PlanOrder, wire.Succeeded, planOf("vim"))
		for _, wrong := range []string{early, "", "sha256:", jobOn(t, s, r, b).Digest} {
			if jobs, err := s.Approve(t.Context(), sc, wrong, "bert", noon, signer(t)); !errors.Is(err, ErrOtherPlan) || len(jobs) > 0 {
				t.Errorf("%q approves %+v, %v", wrong, jobs, err)
			}
		}
		digest, _, err := s.Planned(t.Context(), sc)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var work sync.WaitGroup
		orders := map[wire.OrderID]int{}
		for range 6 { // everybody clicks at once, and again
			work.Go(func() {
				jobs, err := s.Approve(t.Context(), sc, digest, "bert", noon, signer(t))
				if err != nil || len(jobs) != 2 {
					t.Errorf("%+v, %v", jobs, err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, j := range jobs {
					orders[j.WorkOrder]++
				}
			})
		}
		if work.Wait(); len(orders) != 2 {
			t.Errorf("orders: %v", orders)
		}
		for _, id := range []fleet.HostID{a, b} {
			list, err := s.WaitingOrders(t.Context(), id, noon)
			if err != nil || len(list) != 1 {
				t.Fatalf("%v, %v", list, err)
			}
			o, err := list[0].Open(orderKey.Public().(ed25519.PublicKey), id, noon)
			if err != nil || o.ID != jobOn(t, s, r, id).WorkOrder || len(o.Install.Plans) != 1 || o.Install.Plans[0].Digest() != planOf(map[fleet.HostID]string{a: "curl", b: "vim"}[id]).Digest() {
				t.Errorf("%+v, %v", o, err)
			}
		}
	})
}

// cancel ends the jobs of a rollout, and gives how many have ended, were asked to, and run.
func cancel(t testing.TB, s *Store, r RolloutID) string {
	t.Helper()
	c, err := s.Cancel(t.Context(), Scope{Rollout: r}, "bert", noon, stopper(t))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(len(c.Stopped), len(c.Asked), len(c.Running))
}

// waiting gives the orders that a host is given.
func waiting(t testing.TB, s *Store, id fleet.HostID) (list []wire.Order) {
	t.Helper()
	signed, err := s.WaitingOrders(t.Context(), id, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range signed {
		open, err := o.Open(orderKey.Public().(ed25519.PublicKey), id, noon)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, open)
	}
	return list
}

func TestCancellingEndsWhatHasNotBegun(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id := enrol(t, s, "planning")
		r := ask(t, s, allUpdates, id)
		if got := cancel(t, s, r); got != "1 0 0" || jobOn(t, s, r, id).State != JobCancelled || len(waiting(t, s, id)) != 0 {
			t.Errorf("while it was to plan: %s", got)
		}
		told(t, s, id, jobOn(t, s, r, id).PlanOrder, wire.Succeeded, planOf("curl"))
		if j := jobOn(t, s, r, id); j.State != JobCancelled || j.CancelledBy != "bert" {
			t.Errorf("a plan that comes late: %+v", j)
		}

		_, r, _ = patient(t, s, "planned")
		if got := cancel(t, s, r); got != "1 0 0" {
			t.Errorf("planned: %s", got)
		}
		if _, err := s.Approve(t.Context(), Scope{Rollout: r}, "x", "bert", noon, signer(t)); !errors.Is(err, ErrOtherPlan) {
			t.Errorf("what is cancelled is approved: %v", err)
		}

		id, r, j := patient(t, s, "approved")
		approve(t, s, j)
		if got := cancel(t, s, r); got != "1 0 0" || len(waiting(t, s, id)) != 0 {
			t.Errorf("approved, and nobody has it: %s", got)
		}
	})
}

func TestWhatAHostMayHaveAlreadyItIsAskedToEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id, r, j := patient(t, s, "given")
		j = approve(t, s, j)
		if list := waiting(t, s, id); len(list) != 1 || list[0].Install == nil {
			t.Fatalf("%+v", list)
		}
		if got := cancel(t, s, r) + cancel(t, s, r); got != "0 1 00 1 0" {
			t.Errorf("its host may have it: %s", got)
		}
		list := waiting(t, s, id)
		if len(list) != 1 || list[0].Cancel == nil || list[0].Cancel.Order != j.WorkOrder || !jobOn(t, s, r, id).Cancelling {
			t.Fatalf("it is given again, or twice: %+v", list)
		}
		told(t, s, id, list[0].ID, wire.Succeeded)
		if j := jobOn(t, s, r, id); j.State != JobCancelled || j.Cancelling || !strings.Contains(j.Because, "bert") {
			t.Errorf("%+v", j)
		}
		told(t, s, id, j.WorkOrder, wire.Succeeded)
		if j := jobOn(t, s, r, id); j.State != JobCancelled {
			t.Errorf("a cancelled job has succeeded: %+v", j)
		}

		id, r, j = patient(t, s, "given, and lost on the way")
		approve(t, s, j)
		waiting(t, s, id)
		cancel(t, s, r)
		told(t, s, id, waiting(t, s, id)[0].ID, wire.Failed) // it says that it has no such order
		if list := waiting(t, s, id); len(list) != 0 || jobOn(t, s, r, id).State != JobApproved {
			t.Errorf("what somebody wished to end is given again: %+v", list)
		}

		id, r, j = patient(t, s, "running")
		j = approve(t, s, j)
		told(t, s, id, j.WorkOrder, wire.Running)
		if got := cancel(t, s, r); got != "0 0 1" {
			t.Errorf("running: %s", got)
		}
		told(t, s, id, waiting(t, s, id)[0].ID, wire.Failed)
		if j := jobOn(t, s, r, id); j.State != JobRunning || j.Cancelling || j.Because != "it could not be cancelled: because" {
			t.Errorf("%+v", j)
		}
		told(t, s, id, j.WorkOrder, wire.Succeeded)
		if got := cancel(t, s, r); got != "0 0 0" || jobOn(t, s, r, id).State != JobSucceeded {
			t.Errorf("ended: %s", got)
		}
	})
}

func TestJobsThatNobodyCaresForEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		want := map[string]JobState{"away": JobExpired, "unapproved": JobExpired, "given": JobUnknown, "held": JobUnknown, "silent": JobUnknown, "talking": JobRunning, "unbegun": JobExpired}
		rollouts := map[string]RolloutID{}
		ids := map[string]fleet.HostID{}
		for name := range want {
			if name == "away" {
				ids[name] = enrol(t, s, name)
				rollouts[name] = ask(t, s, allUpdates, ids[name])
				continue
			}
			id, r, j := patient(t, s, name)
			ids[name], rollouts[name] = id, r
			if name == "unapproved" {
				continue
			}
			j = approve(t, s, j)
			if name == "unbegun" {
				continue
			}
			if _, err := s.WaitingOrders(t.Context(), id, noon); err != nil {
				t.Fatal(err)
			}
			switch name {
			case "held":
				told(t, s, id, j.WorkOrder, wire.Held)
			case "silent", "talking":
				told(t, s, id, j.WorkOrder, wire.Running)
			}
		}
		later := noon.Add(3 * time.Hour)
		talking := jobOn(t, s, rollouts["talking"], ids["talking"])
		if _, err := s.Progress(t.Context(), ids["talking"], wire.Progress{Order: talking.WorkOrder, Lines: []string{"still at it"}}, later.Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		hosts, err := s.ExpireOrders(t.Context(), later)
		if err != nil || len(hosts) != 6 {
			t.Errorf("%v, %v", hosts, err)
		}
		for name, state := range want {
			if j := jobOn(t, s, rollouts[name], ids[name]); j.State != state || (j.Because == "") != (state == JobRunning) {
				t.Errorf("%s: %s because %q, want %s", name, j.State, j.Because, state)
			}
		}
		// One that was given up speaks again, and what it says is true.
		silent := jobOn(t, s, rollouts["silent"], ids["silent"])
		if next, err := s.Progress(t.Context(), ids["silent"], wire.Progress{Order: silent.WorkOrder, Lines: []string{"here I am"}}, later); err != nil || next != 1 {
			t.Errorf("%d, %v", next, err)
		}
		if j := jobOn(t, s, rollouts["silent"], ids["silent"]); j.State != JobRunning {
			t.Errorf("%+v", j)
		}
		told(t, s, ids["silent"], silent.WorkOrder, wire.Succeeded)
		if j := jobOn(t, s, rollouts["silent"], ids["silent"]); j.State != JobSucceeded {
			t.Errorf("%+v", j)
		}
	})
}

func TestWorkThatNeedsNoPlanIsAnOrderAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id := enrol(t, s, "a")
		for _, w := range []Work{
			{Hold: &wire.Hold{Names: []string{"curl"}, Hold: true}}, {Restart: &wire.Restart{}}, {Reboot: &wire.Reboot{IfNeeded: true}}, {Repair: &wire.Repair{}},
		} {
			j := jobOn(t, s, ask(t, s, w, id), id)
			if j.State != JobApproved || j.ApprovedBy != "anna" || j.WorkOrder == 0 || j.PlanOrder != 0 || j.Work.String() != w.String() {
				t.Errorf("%+v", j)
			}
			told(t, s, id, j.WorkOrder, wire.Running)
			told(t, s, id, j.WorkOrder, wire.Succeeded)
			if j := jobOn(t, s, j.Rollout, id); j.State != JobSucceeded {
				t.Errorf("%+v", j)
			}
		}
	})
}

func TestWhatChangedAHostCanBeUndoneThere(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id, r, j := patient(t, s, "a")
		if _, err := s.Undoable(t.Context(), Undo{Rollout: r}); !errors.Is(err, ErrNothingToUndo) {
			t.Errorf("planned: %v", err)
		}
		j = approve(t, s, j)
		told(t, s, id, j.WorkOrder, wire.Succeeded)
		for _, u := range []Undo{{Rollout: r}, {Job: j.ID}} {
			if got, err := s.Undoable(t.Context(), u); err != nil || !maps.Equal(got, map[fleet.HostID]wire.OrderID{id: j.WorkOrder}) {
				t.Errorf("%v, %v", got, err)
			}
		}
		if _, err := s.Undoable(t.Context(), Undo{Job: 7}); !errors.Is(err, ErrNoJob) {
			t.Error(err)
		}
		back := Rollout{ID: NewRolloutID(), Work: Work{Undo: &Undo{Job: j.ID}}, Life: time.Hour}
		if err := s.NewRollout(t.Context(), back, []Delivery{sign(t, id, back.Work.Order(j.WorkOrder), noon.Add(time.Hour))}, noon); err != nil {
			t.Fatal(err)
		}
		u := jobOn(t, s, back.ID, id)
		told(t, s, id, u.PlanOrder, wire.Succeeded, planOf("curl"))
		approve(t, s, jobOn(t, s, back.ID, id))
		list, err := s.WaitingOrders(t.Context(), id, noon)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if o, err := list[0].Open(orderKey.Public().(ed25519.PublicKey), id, noon); err != nil || o.Install.Undoes != j.WorkOrder {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

func TestAHostThatIsAskedTooMuchDoesNotKeepOthersFromTheirs(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		a, b := enrol(t, s, "a"), enrol(t, s, "b")
		for range maxWaiting {
			give(t, s, a)
		}
		r := ask(t, s, allUpdates, a, b)
		if j := jobOn(t, s, r, a); j.State != JobFailed || !strings.Contains(j.Because, "too many orders") {
			t.Errorf("%+v", j)
		}
		if j := jobOn(t, s, r, b); j.State != JobPlanning {
			t.Errorf("%+v", j)
		}
		gone := Rollout{ID: NewRolloutID(), Work: allUpdates}
		if err := s.NewRollout(t.Context(), gone, []Delivery{sign(t, b, allUpdates.Order(0), noon), sign(t, 7, allUpdates.Order(0), noon)}, noon); !errors.Is(err, ErrNoHost) {
			t.Error(err)
		}
		if _, err := s.Rollout(t.Context(), gone.ID); !errors.Is(err, ErrNoRollout) {
			t.Errorf("half of it is there: %v", err)
		}
	})
}

func TestOldJobsGoWithAllThatIsTheirs(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		id, r, j := patient(t, s, "old")
		j = approve(t, s, j)
		if _, err := s.Progress(t.Context(), id, wire.Progress{Order: j.WorkOrder, Lines: []string{"a"}}, noon); err != nil {
			t.Fatal(err)
		}
		told(t, s, id, j.WorkOrder, wire.Succeeded)
		_, open, _ := patient(t, s, "open")
		if err := s.Tidy(t.Context(), 400*24*time.Hour, noon.Add(keepOrders)); err != nil {
			t.Fatal(err)
		}
		if got := jobOn(t, s, r, id); got.Lines != 1 {
			t.Errorf("%+v", got)
		}
		if err := s.Tidy(t.Context(), 400*24*time.Hour, noon.Add(keepOrders+time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Job(t.Context(), j.ID); !errors.Is(err, ErrNoJob) {
			t.Error(err)
		}
		rollouts, _, err := s.Rollouts(t.Context(), Page{})
		if err != nil || len(rollouts) != 1 || rollouts[0].ID != open {
			t.Errorf("%+v, %v", rollouts, err)
		}
		for _, table := range []string{"job_lines", "orders WHERE state <> 'waiting' AND job_id = " + fmt.Sprint(j.ID)} {
			var n int
			if err := s.reader().one(t.Context(), []any{&n}, `SELECT COUNT(*) FROM `+table); err != nil || n != 0 {
				t.Errorf("%s: %d left, %v", table, n, err)
			}
		}
		rest, err := s.Orders(t.Context(), id, 10)
		if err != nil || slices.ContainsFunc(rest, func(o Order) bool { return o.Job == j.ID }) {
			t.Errorf("%+v, %v", rest, err)
		}
	})
}
