package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"redflag/internal/access"
	"redflag/internal/fleet"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// do asks for something that changes something, and reads the answer.
func (p *people) do(path, body string, want int, into any) {
	p.t.Helper()
	status, answer := p.ask(access.ScopeWrite, "POST", path, body)
	if status != want {
		p.t.Fatalf("POST %s %s: %d %s, want %d", path, body, status, answer, want)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal([]byte(answer), into); err != nil {
		p.t.Fatal(err)
	}
}

// aPlan is what a host would do: each change is a package.
func aPlan(names ...string) fleet.Plan {
	p := fleet.NewPlan("apt", fleet.Selection{All: true}, time.Now())
	for _, n := range names {
		p.Changes = append(p.Changes, fleet.Change{Action: fleet.Upgrade, Name: n, Arch: "amd64", From: "1", To: "2"})
	}
	p.Download = int64(1000 * len(names))
	return p
}

// says lets a host say what became of an order.
func (p *people) says(host fleet.HostID, order wire.OrderID, state wire.State, answer *wire.Answer) {
	p.t.Helper()
	r := wire.Result{Session: "s1", Order: order, State: state, Answer: answer}
	if state == wire.Failed {
		r.Because, r.Remedy = "the disk is full", "make room"
	}
	if err := r.Check(); err != nil {
		p.t.Fatal(err)
	}
	if err := p.store.Result(p.t.Context(), host, r, time.Now()); err != nil {
		p.t.Fatal(err)
	}
}

// rollout begins one over hosts, and gives it with its jobs by host.
func (p *people) rollout(work string, hosts ...fleet.HostID) (store.RolloutID, map[fleet.HostID]store.Job) {
	p.t.Helper()
	var made madeRollout
	ids, err := json.Marshal(hosts)
	if err != nil {
		p.t.Fatal(err)
	}
	p.do("/rollouts", fmt.Sprintf(`{"hosts":%s,"work":%s,"after":{"restart_services":true}}`, ids, work), http.StatusOK, &made)
	return made.Rollout, p.jobsOf(made.Rollout)
}

func (p *people) jobsOf(r store.RolloutID) map[fleet.HostID]store.Job {
	p.t.Helper()
	var jobs listed[store.Job]
	p.get(fmt.Sprintf("/rollouts/%d/jobs", r), &jobs)
	by := map[fleet.HostID]store.Job{}
	for _, j := range jobs.Items {
		by[j.Host] = j
	}
	return by
}

func TestSecurityUpdatesOnThreeHostsAreComparedApprovedOnceAndFollowed(t *testing.T) {
	p := newPeople(t)
	a, b, c := p.host("a"), p.host("b"), p.host("c")
	id, jobs := p.rollout(`{"install":{"security":true}}`, a, b, c)
	if len(jobs) != 3 || jobs[a].State != store.JobPlanning || !jobs[a].Work.Install.Security {
		t.Fatalf("%+v", jobs)
	}
	p.says(a, jobs[a].PlanOrder, wire.Succeeded, &wire.Answer{Plans: []fleet.Plan{aPlan("curl", "openssl")}})
	p.says(b, jobs[b].PlanOrder, wire.Succeeded, &wire.Answer{Plans: []fleet.Plan{aPlan("curl", "openssl")}})
	odd := aPlan("openssl", "nginx")
	odd.Warnings = []string{"nginx is a new major version"}
	p.says(c, jobs[c].PlanOrder, wire.Succeeded, &wire.Answer{Plans: []fleet.Plan{odd}})
	var whole WholeRollout
	p.get(fmt.Sprintf("/rollouts/%d", id), &whole)
	if whole.Planned != 3 || whole.Jobs[store.JobPlanned] != 3 || whole.Hosts != 3 || len(whole.Common) != 1 || whole.Common[0].Name != "openssl" || len(whole.Variants) != 2 {
		t.Fatalf("%+v", whole)
	}
	if top := whole.Variants[0]; len(top.Hosts) != 1 || top.Hosts[0].HostName != "c" || len(top.Changes) != 1 || top.Changes[0].Name != "nginx" || len(top.Warnings) != 1 {
		t.Errorf("what differs is not on top: %+v", top)
	}
	approve, path := fmt.Sprintf(`{"digest":%q}`, whole.Digest), fmt.Sprintf("/rollouts/%d/approve", id)
	p.do(path, `{"digest":"sha256:other"}`, http.StatusConflict, nil)
	var first, second approved
	p.do(path, approve, http.StatusOK, &first)
	orders := p.jobsOf(id)
	p.do(path, approve, http.StatusOK, &second)
	if len(first.Jobs) != 3 || len(second.Jobs) != 3 || p.jobsOf(id)[a].WorkOrder != orders[a].WorkOrder || orders[a].State != store.JobApproved || orders[a].ApprovedBy != "key write" {
		t.Errorf("%+v, and again %+v", first, second)
	}
	p.says(a, orders[a].WorkOrder, wire.Running, nil)
	if _, err := p.store.Progress(t.Context(), a, wire.Progress{Order: orders[a].WorkOrder, Step: "unpack", Percent: 50, Lines: []string{"one", "two", "three"}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	var lines store.Lines
	p.get(fmt.Sprintf("/jobs/%d/lines?after=1&limit=1", orders[a].ID), &lines)
	if len(lines.Lines) != 1 || lines.Lines[0] != "two" || lines.From != 1 || lines.Next != 2 || lines.Whole {
		t.Errorf("%+v", lines)
	}
	p.says(a, orders[a].WorkOrder, wire.Succeeded, &wire.Answer{Jobs: []wire.Job{{ID: "1", Source: "apt", State: "succeeded", Outcome: fleet.NewOutcome()}}})
	p.says(b, orders[b].WorkOrder, wire.Failed, nil)
	p.says(c, orders[c].WorkOrder, wire.RolledBack, nil)
	p.get(fmt.Sprintf("/jobs/%d/lines?after=2", orders[a].ID), &lines)
	if len(lines.Lines) != 1 || !lines.Whole {
		t.Errorf("at the end: %+v", lines)
	}
	if status, log := p.ask(access.ScopeRead, "GET", fmt.Sprintf("/jobs/%d/log", orders[a].ID), ""); status != 200 || log != "one\ntwo\nthree\n" {
		t.Errorf("%d %q", status, log)
	}
	var job store.WholeJob
	p.get(fmt.Sprintf("/jobs/%d", orders[b].ID), &job)
	if job.State != store.JobFailed || job.Because != "the disk is full" || job.Remedy != "make room" || len(job.Plans) != 1 || !job.After.RestartServices {
		t.Errorf("%+v", job)
	}
	var jobsNow listed[store.Job]
	if p.get("/jobs?state=failed", &jobsNow); len(jobsNow.Items) != 2 {
		t.Errorf("%+v", jobsNow)
	}
	if p.get("/jobs?state=rolled%20back&host="+c.String(), &jobsNow); len(jobsNow.Items) != 1 {
		t.Errorf("%+v", jobsNow)
	}
	var sum Summary
	if p.get("/summary", &sum); sum.Summary.Jobs.Failed != 2 || sum.Summary.Orders.Waiting != 0 {
		t.Errorf("%+v", sum.Summary)
	}
	for path, want := range map[string]string{"/jobs": "because", fmt.Sprintf("/rollouts/%d/jobs", id): "host_name", "/rollouts": "work.install.security"} {
		if status, table := p.ask(access.ScopeRead, "GET", path+"?format=csv", ""); status != 200 || !strings.Contains(table, want) || strings.Count(table, "\n") < 2 {
			t.Errorf("%s as CSV: %d %s", path, status, table)
		}
	}
	var rollouts listed[store.Rollout]
	if p.get("/rollouts", &rollouts); len(rollouts.Items) != 1 || rollouts.Items[0].Jobs[store.JobSucceeded] != 1 {
		t.Errorf("%+v", rollouts)
	}
	_, deeds := p.ask(access.ScopeAdmin, "GET", "/deeds", "")
	for _, want := range []string{"install security updates on a, b, c, rollout", whole.Digest} {
		if !strings.Contains(deeds, want) {
			t.Errorf("%q is not in %s", want, deeds)
		}
	}
}

func TestWhatCannotBeAskedIsRefusedWithAReason(t *testing.T) {
	p := newPeople(t)
	host := p.host("a").String()
	for body, want := range map[string]string{
		`{"hosts":["` + host + `"],"work":{}}`:                                       "name one of install, undo",
		`{"hosts":["` + host + `"],"work":{"install":{}}}`:                           "choose one",
		`{"hosts":["` + host + `"],"work":{"install":{"all":true,"security":true}}}`: "choose one",
		`{"hosts":["` + host + `"],"work":{"install":{"all":true},"repair":{}}}`:     "name one of",
		`{"hosts":["` + host + `"],"work":{"install":{"names":["--force"]}}}`:        "is no name",
		`{"hosts":["` + host + `"],"work":{"hold":{"names":[],"hold":true}}}`:        "needs the names",
		`{"hosts":["` + host + `"],"work":{"undo":{}}}`:                              "name none",
		`{"work":{"undo":{}}}`:   "takes back a job, or a rollout",
		`{"work":{"repair":{}}}`: "name hosts, or a group",
		`{"group":1,"hosts":["` + host + `"],"work":{"repair":{}}}`:                        "name hosts, or a group",
		`{"hosts":["` + host + `"],"work":{"repair":{}},"expires_hours":100000}`:           "expected number",
		`{"hosts":["` + host + `"],"work":{"install":{"all":true,"back":[{"name":"a"}]}}}`: "unexpected property",
	} {
		status, answer := p.ask(access.ScopeWrite, "POST", "/rollouts", body)
		if status != http.StatusUnprocessableEntity || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s, want %q", body, status, answer, want)
		}
	}
	for body, want := range map[string]int{
		`{"hosts":["` + fleet.HostID(7).String() + `"],"work":{"repair":{}}}`: 404, `{"group":7,"work":{"repair":{}}}`: 404,
		`{"work":{"undo":{"job":7}}}`: 404, `{"work":{"undo":{"rollout":7}}}`: 404,
	} {
		if status, answer := p.ask(access.ScopeWrite, "POST", "/rollouts", body); status != want {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
	for _, path := range []string{"/rollouts/7", "/rollouts/7/jobs", "/jobs/7", "/jobs/7/lines", "/jobs/7/log"} {
		if status, answer := p.ask(access.ScopeRead, "GET", path, ""); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	for _, path := range []string{"/rollouts/7/cancel", "/jobs/7/cancel"} {
		p.do(path, "", http.StatusNotFound, nil)
	}
	for _, path := range []string{"/rollouts/7/approve", "/jobs/7/approve"} {
		p.do(path, `{"digest":"x"}`, http.StatusNotFound, nil)
	}
}
