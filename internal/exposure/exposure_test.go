package exposure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/advisory"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

func sqlite(t testing.TB) string { return filepath.Join(t.TempDir(), "fleet.db") }

func TestAFleetsVulnerabilitiesAreCountedAndWhatToDoFirstStandsFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		l := newLab(t, dsn)
		l.feed(tracker)
		a, b, c := l.host("a", "prod"), l.host("b", "prod"), l.host("c", "test")
		held := upd("openssl", "3.0.13-1", "3.0.15-1")
		held.Blocked = fleet.Held
		l.says(a, fleet.Host{Name: "a"}, []fleet.Update{upd("openssl", "3.0.13-1", "3.0.15-1"), upd("curl", "7-1", "8-1")}, pkg("openssl", "3.0.13-1"), pkg("curl", "7-1"))
		l.says(b, fleet.Host{Name: "b"}, []fleet.Update{held}, pkg("openssl", "3.0.13-1"))
		l.says(c, fleet.Host{Name: "c"}, nil, pkg("openssl", "3.0.15-1"))
		var got []string
		for _, v := range l.list(Filter{}) {
			got = append(got, fmt.Sprintf("%s %s %s hosts=%d mendable=%d fixable=%t %s", v.ID, v.Bucket, v.Severity, v.Hosts, v.Mendable, v.Fixable, strings.Join(v.Packages, "+")))
		}
		want := []string{
			"CVE-2026-0001 this window high hosts=2 mendable=1 fixable=true curl+openssl",
			"CVE-2026-0002 routine medium hosts=2 mendable=1 fixable=true openssl",
			"CVE-2026-0010 routine medium hosts=1 mendable=1 fixable=true curl",
			"CVE-2026-0003 track low hosts=3 mendable=0 fixable=false openssl",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		l.feed(kev("CVE-2026-0010", noon), epss("CVE-2026-0002", 0.5, noon))
		if list := l.list(Filter{}); list[0].ID != "CVE-2026-0010" || list[0].Bucket != fleet.ActNow || !list[0].Exploited.Ransomware || list[2].ID != "CVE-2026-0002" || list[2].Bucket != fleet.ThisWindow {
			t.Errorf("after the catalogue and the probabilities have changed: %+v", list)
		}
		if v := l.one("CVE-2026-0001", Filter{Host: b}); v.Hosts != 1 || v.Mendable != 0 || !slices.Equal(v.Packages, []string{"openssl"}) {
			t.Errorf("of one host: %+v", v)
		}
		whole, err := l.One(t.Context(), "CVE-2026-0001")
		if err != nil || len(whole.Affected) != 2 || whole.Affected[0].Hosts != 2 || whole.Affected[0].FixedIn != "3.0.15-1" || len(whole.MendedBy) != 2 || whole.MendedBy[0].Hosts != 2 || whole.MendedBy[0].Blocked != 1 {
			t.Errorf("%+v, %v", whole, err)
		}
		on := l.on(t.Context(), "CVE-2026-0001")
		i := slices.IndexFunc(on, func(v VulnerableHost) bool { return v.Host == b })
		if len(on) != 3 || i < 0 || on[i].Update == nil || on[i].Update.Blocked != fleet.Held || on[i].HostName != "b" {
			t.Errorf("%+v", on)
		}
		names, err := l.Mending(t.Context(), "CVE-2026-0001", nil, false)
		if err != nil || len(names) != 1 || !slices.Equal(names[a], []string{"curl", "openssl"}) {
			t.Errorf("what mends it: %v, %v", names, err)
		}
	})
}

func TestOnlyWhatNoHostHadBeforeIsMatched(t *testing.T) {
	l := newLab(t, sqlite(t))
	l.feed(tracker)
	for i := range 20 {
		id := l.host(fmt.Sprint("h", i), "prod")
		l.says(id, fleet.Host{Name: fmt.Sprint("h", i)}, []fleet.Update{upd("openssl", "3.0.13-1", "3.0.15-1")}, pkg("openssl", "3.0.13-1"), pkg("curl", "7-1"), pkg("bash", "5"))
	}
	l.list(Filter{})
	if n := l.Matched(); n != 4 { // three versions that are installed, and one on offer
		t.Errorf("20 hosts with the same: %d versions were looked up", n)
	}
	one := l.host("one more", "prod")
	l.says(one, fleet.Host{Name: "one more"}, nil, pkg("openssl", "3.0.13-1"), pkg("curl", "7.1-1"))
	if l.list(Filter{}); l.Matched() != 5 {
		t.Errorf("a host with one new version: %d were looked up in all", l.Matched())
	}
	l.feed(kev("CVE-2026-0010", noon))
	if l.list(Filter{}); l.Matched() != 0 {
		t.Errorf("a catalogue that has changed: %d were looked up again", l.Matched())
	}
	if v := l.one("CVE-2026-0001", Filter{}); v.Hosts != 21 {
		t.Errorf("%+v", v)
	}
}

func TestASuppressionHoldsForItsGroupAndComesBackByItself(t *testing.T) {
	l := newLab(t, sqlite(t))
	l.feed(tracker)
	a, b := l.host("a", "prod"), l.host("b", "test")
	for _, id := range []fleet.HostID{a, b} {
		l.says(id, fleet.Host{Name: id.String()}, []fleet.Update{upd("openssl", "3.0.13-1", "3.0.15-1")}, pkg("openssl", "3.0.13-1"))
	}
	group, err := l.store.NewGroup(t.Context(), "test", "env=test", noon)
	if err != nil {
		t.Fatal(err)
	}
	suppress := func(group int64, until time.Time) {
		t.Helper()
		if _, err := l.store.NewSuppression(t.Context(), store.Suppression{ID: "CVE-2026-0001", Group: group, Status: "accepted", Owner: "ada", Reason: "no way in", Until: until}, noon); err != nil {
			t.Fatal(err)
		}
		l.Outdated()
	}
	suppress(group.ID, noon.AddDate(0, 1, 0))
	if v := l.one("CVE-2026-0001", Filter{}); v.Hosts != 1 || v.SuppressedHosts != 1 || v.Suppressed != nil || v.Bucket != fleet.ThisWindow {
		t.Errorf("on one host of two: %+v", v)
	}
	if names, err := l.Mending(t.Context(), "CVE-2026-0001", nil, false); err != nil || len(names) != 1 || names[a] == nil {
		t.Errorf("mended wherever it counts: %v, %v", names, err)
	}
	if names, err := l.Mending(t.Context(), "CVE-2026-0001", []fleet.HostID{b}, true); err != nil || names[b] == nil {
		t.Errorf("mended where somebody says so: %v, %v", names, err)
	}
	suppress(0, noon.Truncate(24*time.Hour))
	yes, no := true, false
	if v := l.one("CVE-2026-0001", Filter{}); v.Hosts != 0 || v.SuppressedHosts != 2 || v.Suppressed == nil || v.Suppressed.Owner != "ada" || v.Bucket != fleet.Track {
		t.Errorf("on both: %+v", v)
	}
	if v := l.one("CVE-2026-0001", Filter{Suppressed: &no}); v.ID != "" {
		t.Errorf("it counts nowhere: %+v", v)
	}
	if v := l.one("CVE-2026-0001", Filter{Suppressed: &yes}); v.ID == "" {
		t.Error("what is suppressed is not listed as that")
	}
	if _, err := l.Mending(t.Context(), "CVE-2026-0001", nil, false); !errors.Is(err, ErrNoMend) {
		t.Errorf("it is mended where it does not count: %v", err)
	}
	of, err := l.OfHosts(t.Context(), []store.Host{{ID: a}, {ID: b}})
	if err != nil || of[a].Vulnerable[fleet.ThisWindow] != 0 || of[a].Vulnerable[fleet.Routine] != 1 || of[a].Unknown != "" {
		t.Errorf("%+v, %v", of, err)
	}
	l.pass(24 * time.Hour)
	if v := l.one("CVE-2026-0001", Filter{}); v.Hosts != 1 || v.SuppressedHosts != 1 || v.Bucket != fleet.ThisWindow {
		t.Errorf("after its last day: %+v", v)
	}
	if of, err = l.OfHosts(t.Context(), []store.Host{{ID: a}, {ID: b}}); err != nil || of[a].Vulnerable[fleet.ThisWindow] != 1 || of[b].Vulnerable[fleet.ThisWindow] != 0 {
		t.Errorf("%+v, %v", of, err)
	}
	if err := l.store.DeleteGroup(t.Context(), group.ID); err != nil {
		t.Fatal(err)
	}
	l.Outdated()
	if v := l.one("CVE-2026-0001", Filter{}); v.Hosts != 2 {
		t.Errorf("after its group is gone: %+v", v)
	}
}

func TestOfKernelsOnlyTheOneThatRunsCounts(t *testing.T) {
	l := newLab(t, sqlite(t))
	l.feed(tracker)
	kernel := func(release, version string) fleet.Package {
		return fleet.Package{Source: "apt", Name: "linux-image-" + release + "-amd64", Arch: "amd64", Version: version, From: "linux-signed-amd64", FromVersion: strings.Replace(version, "-", "+", 1), Ecosystem: debian}
	}
	old, mended := kernel("6.1.0-28", "6.1.119-1"), kernel("6.1.0-30", "6.1.124-1")
	for name, h := range map[string]struct {
		facts    fleet.Host
		packages []fleet.Package
	}{
		"runs the old one":             {fleet.Host{Kernel: "6.1.0-28-amd64"}, []fleet.Package{old}},
		"has the new one, not started": {fleet.Host{Kernel: "6.1.0-28-amd64"}, []fleet.Package{mended, old}},
		"runs the new one":             {fleet.Host{Kernel: "6.1.0-30-amd64"}, []fleet.Package{old, mended}},
		"is a container":               {fleet.Host{Kernel: "6.1.0-28-amd64", Virtualisation: "lxc"}, []fleet.Package{old}},
		"has its headers":              {fleet.Host{Kernel: "6.1.0-28-amd64"}, []fleet.Package{{Source: "apt", Name: "linux-libc-dev", Version: "6.1.119-1", From: "linux", Ecosystem: debian}}},
	} {
		h.facts.Name = name
		l.says(l.host(name, "prod"), h.facts, nil, h.packages...)
	}
	if v := l.one("CVE-2026-0020", Filter{}); v.Hosts != 2 || v.InMemory != 1 {
		t.Errorf("%+v", v)
	}
	var got []string
	for _, v := range l.on(t.Context(), "CVE-2026-0020") {
		got = append(got, fmt.Sprint(v.HostName, ": ", v.InMemory != ""))
	}
	if slices.Sort(got); !slices.Equal(got, []string{"has the new one, not started: true", "runs the old one: false"}) {
		t.Error(got)
	}
}

func TestWhatIsMendedOnTheDiskAndStillRunsIsCounted(t *testing.T) {
	l := newLab(t, sqlite(t))
	l.feed(tracker)
	now := pkg("openssl", "3.0.15-1")
	facts := func(name string) fleet.Host {
		return fleet.Host{Name: name, Restart: fleet.Restart{Needed: fleet.Needed, Services: []fleet.Service{
			{Name: "nginx.service", Replaced: []fleet.Replaced{{Package: now, Before: "3.0.13-1"}}},
			{Name: "sshd.service", Replaced: []fleet.Replaced{{Package: now, Before: "3.0.13-1"}}},
		}}}
	}
	a, b := l.host("a", "prod"), l.host("b", "prod")
	l.says(a, facts("a"), nil, now)
	l.says(b, fleet.Host{Name: "b", Restart: fleet.Restart{Needed: fleet.NeedUnknown}}, nil, now)
	v := l.one("CVE-2026-0001", Filter{})
	if v.Hosts != 0 || v.InMemory != 1 || v.InMemoryUnknown != 1 || v.Bucket != fleet.ThisWindow || !v.Fixable {
		t.Errorf("%+v", v)
	}
	if v := l.one("CVE-2026-0003", Filter{}); v.Hosts != 2 || v.InMemory != 0 {
		t.Errorf("what is not mended at all: %+v", v)
	}
	on := l.on(t.Context(), "CVE-2026-0001")
	if len(on) != 1 || on[0].Host != a || on[0].Version != "3.0.13-1" || on[0].InMemory == "" || !slices.Equal(on[0].Services, []string{"nginx.service", "sshd.service"}) || on[0].Update != nil {
		t.Errorf("%+v", on)
	}
	of, err := l.OfHosts(t.Context(), []store.Host{{ID: a}, {ID: b}})
	if err != nil || of[a].Vulnerable[fleet.ThisWindow] != 1 || of[b].Vulnerable[fleet.ThisWindow] != 0 {
		t.Errorf("%+v, %v", of, err)
	}
	l.says(a, fleet.Host{Name: "a", Restart: fleet.Restart{Needed: fleet.NotNeeded}}, nil, now)
	if v := l.one("CVE-2026-0001", Filter{}); v.InMemory != 0 {
		t.Errorf("after the restart: %+v", v)
	}
}

func TestWhatIsNotKnownIsToldAndNeverNotVulnerable(t *testing.T) {
	l := newLab(t, sqlite(t))
	unknown := func(id fleet.HostID) string {
		t.Helper()
		of, err := l.OfHosts(t.Context(), []store.Host{{ID: id}})
		if err != nil {
			t.Fatal(err)
		}
		return of[id].Unknown
	}
	old, other, silent := l.host("old", "prod"), l.host("other", "prod"), l.host("silent", "prod")
	p := pkg("openssl", "3.0.13-1")
	l.says(other, fleet.Host{Name: "other"}, nil, fleet.Package{Source: "dnf", Name: "openssl", Version: "1", Ecosystem: "Fedora:40"})
	p.Ecosystem = ""
	l.says(old, fleet.Host{Name: "old"}, nil, p)
	if got := unknown(old); got != "no advisory data" {
		t.Errorf("without feeds: %q", got)
	}
	l.feed(tracker)
	for id, want := range map[fleet.HostID]string{old: "does not say from where", other: "no advisory data about Fedora:40", silent: "has not reported"} {
		if got := unknown(id); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	words, err := l.Unknown(t.Context())
	if text := strings.Join(words, "; "); err != nil || !strings.Contains(text, "from where packages come is not known, on hosts: 1") || !strings.Contains(text, "Fedora:40") || !strings.Contains(text, "exploited is not known") {
		t.Errorf("%q, %v", words, err)
	}
	// One that lies makes up distributions.
	var made []fleet.Package
	for i := range 1000 {
		made = append(made, fleet.Package{Source: "dnf", Name: "openssl", Version: "1", Ecosystem: fmt.Sprint("Fedora:", 1000+i)})
	}
	l.says(other, fleet.Host{Name: "other"}, nil, made...)
	words, err = l.Unknown(t.Context())
	if got := unknown(other); err != nil || strings.Count(got, "no advisory data") != 21 || len(words) > 30 {
		t.Errorf("%q, %d words, %v", got, len(words), err)
	}
	// It is brought up to date, and says more.
	l.says(old, fleet.Host{Name: "old"}, nil, pkg("openssl", "3.0.13-1"))
	if got := unknown(old); got != "" || l.one("CVE-2026-0001", Filter{}).Hosts != 1 {
		t.Errorf("%q", got)
	}
}

func TestAnUpdatesAdviceFollowsWhatIsKnown(t *testing.T) {
	l := newLab(t, sqlite(t))
	a := l.host("a", "prod")
	bare := upd("openssl", "3.0.13-1", "3.0.15-1")
	bare.Build = nil // an older agent says nothing of it
	foreign := upd("curl", "7-1", "8-1")
	foreign.Advice = &fleet.Advice{Bucket: fleet.ActNow, Because: "by the host's own feeds"}
	l.says(a, fleet.Host{Name: "a"}, []fleet.Update{bare, foreign}, pkg("openssl", "3.0.13-1"), pkg("curl", "7-1"))
	advice := func(name string) *fleet.Advice {
		t.Helper()
		list, _, err := l.Offers(t.Context(), store.OfferFilter{}, store.Page{})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(o store.Offer) bool { return o.Update.Name == name })
		return list[i].Update.Advice
	}
	if got := advice("curl"); got != nil {
		t.Errorf("without feeds: %+v", got)
	}
	l.feed(tracker)
	if got := advice("curl"); got == nil || got.Bucket != fleet.Routine || len(got.Mends) != 2 {
		t.Errorf("%+v", got)
	}
	if got := advice("openssl"); got != nil {
		t.Errorf("what it is built from is not known: %+v", got)
	}
	l.says(a, fleet.Host{Name: "a"}, []fleet.Update{upd("openssl", "3.0.13-1", "3.0.15-1"), foreign}, pkg("openssl", "3.0.13-1"), pkg("curl", "7-1"))
	if got := advice("openssl"); got == nil || got.Bucket != fleet.ThisWindow || len(got.Mends) != 2 || len(got.Remains) != 1 {
		t.Errorf("its agent says more: %+v", got)
	}
	list, next, err := l.Offers(t.Context(), store.OfferFilter{}, store.Page{Limit: 1})
	if err != nil || next == "" || list[0].Update.Name != "openssl" {
		t.Fatalf("%+v, %q, %v", list, next, err)
	}
	if list, next, err = l.Offers(t.Context(), store.OfferFilter{}, store.Page{Limit: 1, After: next}); err != nil || next != "" || list[0].Update.Name != "curl" {
		t.Errorf("the second page: %+v, %q, %v", list, next, err)
	}
	l.feed(kev("CVE-2026-0010", noon))
	if list, _, err := l.Offers(t.Context(), store.OfferFilter{}, store.Page{}); err != nil || list[0].Update.Name != "curl" || list[0].Update.Advice.Bucket != fleet.ActNow {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestAFeedThatIsDamagedIsNeverNotVulnerable(t *testing.T) {
	l := newLab(t, sqlite(t))
	l.feed(tracker)
	a := l.host("a", "prod")
	file := advisory.FileOf(l.feeds, "debian-tracker")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for what, at := range map[string]int{"in what it says": 30, "at its end": len(data) - 3} {
		damaged := slices.Clone(data)
		damaged[at] ^= 0x55
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		l.open()
		l.says(a, fleet.Host{Name: "a"}, nil, pkg("openssl", "3.0.13-1"))
		of, err := l.OfHosts(t.Context(), []store.Host{{ID: a}})
		if err != nil || !strings.Contains(of[a].Unknown, "damaged") {
			t.Errorf("%s: %+v, %v", what, of, err)
		}
		if words, err := l.Unknown(t.Context()); err != nil || !strings.Contains(strings.Join(words, "; "), "damaged") {
			t.Errorf("%s: %q, %v", what, words, err)
		}
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	l.open()
	if of, err := l.OfHosts(t.Context(), []store.Host{{ID: a}}); err != nil || of[a].Unknown != "" || of[a].Vulnerable[fleet.ThisWindow] != 1 {
		t.Errorf("whole again: %+v, %v", of, err)
	}
}

func TestAReportThatCouldNotBeReadIsReadLater(t *testing.T) {
	l := newLab(t, sqlite(t))
	l.feed(tracker)
	a, b := l.host("a", "prod"), l.host("b", "prod")
	for _, id := range []fleet.HostID{a, b} {
		l.says(id, fleet.Host{Name: id.String()}, nil, pkg("bash", "5"))
	}
	l.list(Filter{})
	l.says(a, fleet.Host{Name: "a"}, []fleet.Update{upd("openssl", "3.0.13-1", "3.0.15-1")}, pkg("openssl", "3.0.13-1"))
	l.pass(10 * time.Minute) // in which the database was not there
	l.says(b, fleet.Host{Name: "b"}, nil, pkg("curl", "7-1"))
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	l.Exposure.now = func() time.Time {
		if asked++; asked == 3 { // as a new version is matched, while the reports are read
			cancel()
		}
		return l.now()
	}
	err := l.Renew(ctx)
	l.Exposure.now = l.now
	if err == nil {
		t.Fatal("who asked is gone, and all was read")
	}
	if v := l.one("CVE-2026-0001", Filter{}); v.Hosts != 2 || v.Mendable != 1 {
		t.Errorf("after that: %+v", v)
	}
}
