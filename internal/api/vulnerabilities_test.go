package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/access"
	"redflag/internal/exposure"
	"redflag/internal/fleet"
	"redflag/internal/server"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// aTracker is a feed in the form of Debian's tracker: openssl and curl have the same flaw, and each one of its own.
const aTracker = `{
 "openssl": {"CVE-2026-0001": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.15-1", "urgency": "high"}}},
  "CVE-2026-0003": {"releases": {"bookworm": {"status": "open", "urgency": "low"}}}},
 "curl": {"CVE-2026-0001": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "8-1", "urgency": "low"}}},
  "CVE-2026-0010": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "9-1", "urgency": "medium"}}}}
}`

// send sends a feed.
func (p *people) send(scope access.Scope, path, feed string) (int, string) {
	p.t.Helper()
	return p.ask(scope, "POST", path, feed, func(r *http.Request) { r.Header.Set("Content-Type", "application/octet-stream") })
}

// debian adds a host of Debian 12 that has versions of packages, and for each a newer one on offer: name, version and newer one, in turn.
func (p *people) debian(name string, has ...string) fleet.HostID {
	p.t.Helper()
	id := p.host(name)
	r := wire.Report{Session: "s", Sequence: 2, Digests: wire.Digests{}, Host: &fleet.Host{Name: name, OSID: "debian", OSVersion: "12"}, Packages: &wire.PackageChange{}, Findings: []fleet.Finding{{Source: "apt", State: fleet.OK}}}
	for i := 0; i < len(has); i += 3 {
		r.Packages.Added = append(r.Packages.Added, fleet.Package{Source: "apt", Name: has[i], Arch: "amd64", Version: has[i+1], Ecosystem: "Debian:12"})
		if has[i+2] == "" {
			continue
		}
		u := anUpdate(has[i], false)
		u.From, u.To = has[i+1], has[i+2]
		u.Build = &fleet.Build{Ecosystem: "Debian:12", Package: has[i], From: u.From, To: u.To}
		r.Findings[0].Updates = append(r.Findings[0].Updates, u)
	}
	if err := r.Check(); err != nil {
		p.t.Fatal(err)
	}
	r.Session = "" // none has begun
	if _, err := p.store.SaveReport(p.t.Context(), id, r, "", time.Now()); err != nil {
		p.t.Fatal(err)
	}
	p.cfg.Server.NoteHost(id)
	return id
}

func TestFromAVulnerabilityToItsHostsAndTheOneRolloutThatMendsIt(t *testing.T) {
	p := newPeople(t)
	a := p.debian("a", "openssl", "3.0.13-1", "3.0.15-1", "curl", "7-1", "8-1", "bash", "5", "6")
	b := p.debian("b", "curl", "8-1", "9-1", "openssl", "3.0.13-1", "3.0.16-1")
	p.debian("c", "openssl", "3.0.13-1", "")
	var none listed[exposure.Vulnerability]
	if p.get("/vulnerabilities", &none); len(none.Items) != 0 {
		t.Errorf("without feeds: %+v", none)
	}
	if status, body := p.send(access.ScopeAdmin, "/advisories?from=tracker.json", aTracker); status != http.StatusOK || !strings.Contains(body, `"name":"debian-tracker"`) {
		t.Fatal(status, body)
	}
	var list listed[exposure.Vulnerability]
	if p.get("/vulnerabilities", &list); len(list.Items) != 3 || list.Items[0].ID != "CVE-2026-0001" || list.Items[0].Hosts != 3 || list.Items[0].Mendable != 2 || list.Items[0].Bucket != fleet.ThisWindow {
		t.Fatalf("%+v", list)
	}
	for query, want := range map[string]int{
		"?bucket=this%20window": 1, "?severity=medium": 1, "?severity=unrated": 0, "?exploited=true": 0, "?fix=none": 1, "?fix=available": 2, "?search=CURL": 2, "?host=" + b.String(): 3, "?suppressed=true": 0, "?suppressed=false": 3,
	} {
		list = listed[exposure.Vulnerability]{}
		if p.get("/vulnerabilities"+query, &list); len(list.Items) != want {
			t.Errorf("%s: %d, want %d", query, len(list.Items), want)
		}
	}
	var whole exposure.WholeVulnerability
	if p.get("/vulnerabilities/CVE-2026-0001", &whole); len(whole.Affected) != 2 || len(whole.MendedBy) != 3 {
		t.Errorf("%+v", whole)
	}
	var on listed[exposure.VulnerableHost]
	if p.get("/vulnerabilities/CVE-2026-0001/hosts?limit=2", &on); len(on.Items) != 2 || on.Next == "" {
		t.Errorf("%+v", on)
	}
	status, text := p.ask(access.ScopeRead, "GET", "/vulnerabilities/CVE-2026-0001/hosts?format=csv", "")
	if lines := strings.Split(strings.TrimSpace(text), "\n"); status != http.StatusOK || len(lines) != 5 || !strings.Contains(lines[0], "host_name") || !strings.Contains(lines[0], "update.to") {
		t.Errorf("%d\n%s", status, text)
	}
	if status, text := p.ask(access.ScopeRead, "GET", "/vulnerabilities?format=csv", ""); status != http.StatusOK || strings.Count(text, "\n") != 4 {
		t.Errorf("%d\n%s", status, text)
	}
	if status, body := p.ask(access.ScopeRead, "GET", "/vulnerabilities/CVE-1999-0001", ""); status != http.StatusNotFound {
		t.Error(status, body)
	}
	if status, body := p.ask(access.ScopeRead, "POST", "/vulnerabilities/CVE-2026-0001/mend", `{}`); status != http.StatusForbidden {
		t.Error("who may only look has it mended: ", status, body)
	}
	if status, body := p.ask(access.ScopeWrite, "POST", "/vulnerabilities/CVE-2026-0003/mend", `{}`); status != http.StatusConflict || !strings.Contains(body, "no host on which a pending update") {
		t.Error(status, body)
	}
	nobody, err := p.store.NewGroup(t.Context(), "nobody", "env=none", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if status, body := p.ask(access.ScopeWrite, "POST", "/vulnerabilities/CVE-2026-0001/mend", fmt.Sprintf(`{"group":%d}`, nobody.ID)); status != http.StatusConflict {
		t.Error("a group without hosts is taken for all hosts: ", status, body)
	}
	p.mends(a, b)
}

// mends has a vulnerability mended wherever that can be done, and looks at what is asked of each host.
func (p *people) mends(a, b fleet.HostID) {
	p.t.Helper()
	status, body := p.ask(access.ScopeWrite, "POST", "/vulnerabilities/CVE-2026-0001/mend", `{"after":{"restart_services":true}}`)
	var made struct{ Rollout int64 }
	if err := json.Unmarshal([]byte(body), &made); err != nil || status != http.StatusOK {
		p.t.Fatal(status, body)
	}
	var r WholeRollout
	if p.get(fmt.Sprintf("/rollouts/%d", made.Rollout), &r); r.Hosts != 2 || !r.After.RestartServices || r.Work.Install == nil {
		p.t.Errorf("%+v", r)
	}
	for host, want := range map[fleet.HostID][]string{a: {"curl", "openssl"}, b: {"openssl"}} { // b's curl has another flaw
		orders, err := p.store.WaitingOrders(p.t.Context(), host, time.Now())
		if err != nil || len(orders) != 1 {
			p.t.Fatal(orders, err)
		}
		var o wire.Order
		if err := json.Unmarshal(orders[0].Order, &o); err != nil || o.Plan == nil || !slices.Equal(o.Plan.Selection.Names, want) {
			p.t.Errorf("%s is asked %s, %v; want %q", host, orders[0].Order, err, want)
		}
	}
	deeds, _, err := p.store.Deeds(p.t.Context(), store.DeedFilter{Text: "CVE-2026-0001"}, store.Page{})
	if err != nil || len(deeds) != 1 || !strings.Contains(deeds[0].About, "curl, openssl on a, b") {
		p.t.Errorf("%+v, %v", deeds, err)
	}
}

func TestUpdatesAndHostsSayWhatToPatchFirst(t *testing.T) {
	p := newPeople(t)
	a := p.debian("a", "openssl", "3.0.13-1", "3.0.15-1", "bash", "5", "6")
	if status, body := p.send(access.ScopeAdmin, "/advisories", aTracker); status != http.StatusOK {
		t.Fatal(status, body)
	}
	var offers listed[store.Offer]
	if p.get("/updates?sort=priority&limit=1", &offers); len(offers.Items) != 1 || offers.Items[0].Update.Name != "openssl" || offers.Items[0].Update.Advice == nil || offers.Items[0].Update.Advice.Bucket != fleet.ThisWindow || offers.Next == "" {
		t.Fatalf("%+v", offers)
	}
	var one store.Offer
	if p.get(fmt.Sprintf("/updates/%d", offers.Items[0].ID), &one); one.Update.Advice == nil || len(one.Update.Advice.Mends) != 1 || len(one.Update.Advice.Remains) != 1 {
		t.Errorf("%+v", one)
	}
	if p.get("/updates?sort=name", &offers); offers.Items[0].Update.Name != "bash" || offers.Items[0].Update.Advice == nil || offers.Items[0].Update.Advice.Bucket != fleet.Track {
		t.Errorf("%+v", offers)
	}
	var updates listed[store.OnHost]
	if p.get("/hosts/"+a.String()+"/updates", &updates); len(updates.Items) != 2 || updates.Items[1].Update.Advice == nil {
		t.Errorf("%+v", updates)
	}
	if status, body := p.send(access.ScopeAdmin, "/advisories", "version,codename,series,created,release,eol,eol-lts,eol-elts\n12,Bookworm,bookworm,2021-08-14,2023-06-10,2024-06-10,2025-06-30,2030-06-30\n"); status != http.StatusOK {
		t.Fatal(status, body)
	}
	p.host("of another system")
	var hosts listed[Host]
	if p.get("/hosts?support=ended", &hosts); len(hosts.Items) != 1 || hosts.Items[0].ID != a || hosts.Items[0].Support == nil || !hosts.Items[0].Support.Unsupported {
		t.Errorf("%+v", hosts)
	}
	var host Host
	if p.get("/hosts/"+a.String(), &host); host.Vulnerable[fleet.ThisWindow] != 1 || host.Vulnerable[fleet.Track] != 1 || host.VulnerableUnknown != "" {
		t.Errorf("%+v", host)
	}
	var sum Summary
	if p.get("/summary", &sum); sum.Vulnerabilities[fleet.ThisWindow] != 1 || sum.Vulnerabilities[fleet.Track] != 1 {
		t.Errorf("%+v", sum)
	}
}

func TestWhoMayDecideThatSomethingDoesNotCountAndWhoMayImport(t *testing.T) {
	p := newPeople(t)
	p.debian("a", "openssl", "3.0.13-1", "")
	for _, scope := range []access.Scope{access.ScopeRead, access.ScopeWrite} {
		if status, body := p.send(scope, "/advisories", aTracker); status != http.StatusForbidden {
			t.Errorf("%s imports: %d %s", scope, status, body)
		}
	}
	for feed, want := range map[string]string{"hello": "is not imported", aTracker[:80]: "is not imported"} {
		if status, body := p.send(access.ScopeAdmin, "/advisories", feed); status != http.StatusUnprocessableEntity || !strings.Contains(body, want) {
			t.Errorf("%d %s", status, body)
		}
	}
	if status, body := p.ask(access.ScopeAdmin, "POST", "/advisories", `{"url":"http://127.0.0.1:1/feed"}`); status != http.StatusUnprocessableEntity || !strings.Contains(body, "only the addresses") {
		t.Errorf("an address that nobody has named: %d %s", status, body)
	}
	if status, body := p.send(access.ScopeAdmin, "/advisories", aTracker); status != http.StatusOK {
		t.Fatal(status, body)
	}
	until := time.Now().AddDate(0, 1, 0).Format(time.DateOnly)
	decision := fmt.Sprintf(`{"id":"CVE-2026-0001","status":"accepted","reason":"no way in","until":%q}`, until)
	if status, _ := p.ask(access.ScopeRead, "POST", "/suppressions", decision); status != http.StatusForbidden {
		t.Error(status)
	}
	for _, bad := range []string{`{"id":"CVE-1","status":"fine","reason":"r","until":"2099-01-01"}`, `{"id":"CVE-1","status":"accepted","reason":"r","until":"2001-01-01"}`, `{"id":"CVE-1","status":"accepted","until":"2099-01-01"}`} {
		if status, body := p.ask(access.ScopeWrite, "POST", "/suppressions", bad); status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", bad, status, body)
		}
	}
	status, body := p.ask(access.ScopeWrite, "POST", "/suppressions", decision)
	var made store.Suppression
	if err := json.Unmarshal([]byte(body), &made); err != nil || status != http.StatusOK || made.Owner != "key write" {
		t.Fatal(status, body)
	}
	var list listed[exposure.Vulnerability]
	if p.get("/vulnerabilities?suppressed=true", &list); len(list.Items) != 1 || list.Items[0].Suppressed == nil || list.Items[0].Suppressed.Reason != "no way in" {
		t.Errorf("%+v", list)
	}
	if status, body := p.ask(access.ScopeWrite, "DELETE", fmt.Sprintf("/suppressions/%d", made.Suppression), ""); status != http.StatusNoContent {
		t.Error(status, body)
	}
	list = listed[exposure.Vulnerability]{}
	if p.get("/vulnerabilities?suppressed=true", &list); len(list.Items) != 0 {
		t.Errorf("%+v", list)
	}
	deeds, _, err := p.store.Deeds(t.Context(), store.DeedFilter{}, store.Page{})
	if err != nil || len(deeds) != 3 || !strings.Contains(deeds[0].About, "no way in") || !strings.Contains(deeds[2].About, "debian-tracker") {
		t.Errorf("%+v, %v", deeds, err)
	}
	var known server.Advisories
	if p.get("/advisories", &known); len(known.Feeds) != 1 || known.Feeds[0].Entries == 0 || known.Feeds[0].Licence == "" || len(known.Unknown) == 0 {
		t.Errorf("%+v", known)
	}
	if status, _ := p.ask(access.ScopeAdmin, "DELETE", "/advisories/debian-tracker", ""); status != http.StatusNoContent {
		t.Error(status)
	}
	if p.get("/vulnerabilities", &list); len(list.Items) != 0 {
		t.Errorf("%+v", list)
	}
}
