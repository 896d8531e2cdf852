package advisory

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"redflag/internal/fleet"
)

// installed advises on a host with packages and pending updates.
func (l *lab) installed(h fleet.Host, packages []fleet.Package, updates ...fleet.Update) fleet.Scan {
	l.Helper()
	scan := fleet.Scan{Host: h, Findings: []fleet.Finding{{Source: "apt", Updates: updates}}}
	a := Advisor{Matcher: NewMatcher(l.open()), Now: l.now}
	a.Advise(&scan)
	a.Installed(&scan, packages)
	return scan
}

// vulnerable is one line for each vulnerability.
func vulnerable(scan fleet.Scan) string {
	var lines []string
	for _, v := range scan.Vulnerabilities {
		line := fmt.Sprintf("%s: %s in %s %s (%s): %s", v.Bucket, v.ID, v.Package, v.Version, strings.Join(v.Installed, " "), v.Mend)
		for _, u := range v.Updates {
			line += fmt.Sprintf(" %s %s", u.Name, u.To)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

const open = `{
"openssl": {
	"CVE-2024-0001": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.2-1", "urgency": "high"}}},
	"CVE-2024-0002": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.9-1", "urgency": "low"}}},
	"CVE-2024-0003": {"releases": {"bookworm": {"status": "open", "urgency": "high"}}},
	"CVE-2024-0004": {"releases": {"bookworm": {"status": "open", "urgency": "low", "nodsa": "minor", "nodsa_reason": "ignored"}}},
	"CVE-2024-0005": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "2.0-1", "urgency": "high"}}}
},
"linux": {
	"CVE-2024-0006": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "6.1.76-1", "urgency": "high"}}},
	"CVE-2024-0007": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "6.1.90-1", "urgency": "high"}}}
}}`

func TestWhatIsInstalledIsListedWithWhatMendsIt(t *testing.T) {
	l := newLab(t)
	l.take(l.file("tracker.json", open), l.file("kev.json", strings.ReplaceAll(catalogue, "CVE-2024-0001", "CVE-2024-0003")))
	in := func(name, from, version string) fleet.Package {
		return fleet.Package{Source: "apt", Name: name, Arch: "amd64", From: from, Version: version, Ecosystem: "Debian:12"}
	}
	packages := []fleet.Package{
		in("openssl", "", "3.0.1-1"), in("libssl3", "openssl", "3.0.1-1"), {Source: "apt", Name: "mine", Version: "1"},
		in("linux-image-6.1.0-17-amd64", "linux-signed-amd64", "6.1.69+1"), in("linux-image-6.1.0-18-amd64", "linux-signed-amd64", "6.1.76+1"), in("linux-image-amd64", "linux-signed-amd64", "6.1.76+1"),
	}
	ssl, kernel := update("libssl3", "openssl", "3.0.1-1", "3.0.2-1"), update("linux-image-amd64", "linux-signed-amd64", "6.1.76+1", "6.1.90+1")
	ssl.Blocked = fleet.Held
	host := fleet.Host{Kernel: "6.1.0-17-amd64", Virtualisation: "kvm"}
	scan := l.installed(host, packages, ssl, kernel)
	want := `act now: CVE-2024-0003 in openssl 3.0.1-1 (libssl3 openssl): no fix
this window: CVE-2024-0007 in linux 6.1.69-1 (linux-image-6.1.0-17-amd64): update linux-image-amd64 6.1.90+1
this window: CVE-2024-0006 in linux 6.1.69-1 (linux-image-6.1.0-17-amd64): reboot
this window: CVE-2024-0001 in openssl 3.0.1-1 (libssl3 openssl): update libssl3 3.0.2-1
routine: CVE-2024-0002 in openssl 3.0.1-1 (libssl3 openssl): not on offer
track: CVE-2024-0004 in openssl 3.0.1-1 (libssl3 openssl): won't fix`
	if got := vulnerable(scan); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if b := scan.Advisories.Vulnerable; b == nil || *b != (fleet.Buckets{ActNow: 1, ThisWindow: 3, Routine: 1, Track: 1}) || b.Total() != 6 || scan.Advisories.Unmatched != 1 {
		t.Errorf("%+v, %d unmatched", b, scan.Advisories.Unmatched)
	}
	i := slices.IndexFunc(scan.Vulnerabilities, func(v fleet.Vulnerability) bool { return v.ID == "CVE-2024-0001" })
	if v := scan.Vulnerabilities[i]; v.Updates[0].Blocked != fleet.Held || v.Evidence != fleet.ByAdvisory {
		t.Errorf("%+v", v)
	}
	host.Virtualisation = "lxc"
	if got := vulnerable(l.installed(host, packages)); strings.Contains(got, "linux") {
		t.Errorf("in a container:\n%s", got)
	}
}

func TestWhatOnlyAnUpdateTellsIsListedToo(t *testing.T) {
	l := newLab(t)
	u := update("curl", "curl", "1-1", "2-1")
	u.Claims = &fleet.Claims{IDs: []string{"CVE-2024-0001"}}
	scan := l.installed(debian, []fleet.Package{{Source: "apt", Name: "curl", Version: "1-1", Ecosystem: "Debian:12"}}, u)
	if got, want := vulnerable(scan), "this window: CVE-2024-0001 in curl 1-1 (curl): update curl 2-1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if scan.Advisories.Unmatched != 1 || scan.Advisories.Vulnerable.Total() != 1 {
		t.Errorf("%+v", scan.Advisories)
	}
	l.take("testdata/kev.json", "testdata/almalinux")
	if scan := l.installed(debian, []fleet.Package{{Source: "apt", Name: "curl", Version: "1-1", Ecosystem: "Debian:12"}}); scan.Advisories.Vulnerable != nil || scan.Advisories.Unmatched != 1 {
		t.Errorf("no feed speaks of anything, and it is said: %+v", scan.Advisories)
	}
	if scan := l.installed(debian, nil); scan.Advisories.Vulnerable != nil {
		t.Errorf("nothing is known, and it is said: %+v", scan.Advisories.Vulnerable)
	}
}

func TestAnAdvisoryOfTheManagersOwnGoesBeforeOSV(t *testing.T) {
	l := newLab(t)
	l.take(l.zip(
		osv("ALSA-2026:1", "AlmaLinux:9", "curl", `,"summary":"Low: curl","related":["CVE-2024-0001"]`, "introduced 0", "fixed 3-1.el9"),
		osv("ALSA-2026:2", "AlmaLinux:9", "curl", `,"summary":"Moderate: curl","related":["CVE-2024-0002"]`, "introduced 0", "fixed 2-1.el9")))
	u := fleet.Update{
		Source: "dnf", Name: "curl", From: "1-1.el9", To: "2-1.el9", Security: true,
		Build: &fleet.Build{Ecosystem: "AlmaLinux:9", Package: "curl", From: "1-1.el9", To: "2-1.el9"},
		Notices: []fleet.Notice{
			{ID: "ALSA-2026:3", By: "AlmaLinux", Security: true, Severity: "Important", CVEs: []string{"CVE-2024-0001", "CVE-2024-0003"}, FixedIn: "2-1.el9"},
			{ID: "ALBA-2026:4", CVEs: []string{"CVE-2024-0009"}},
		},
	}
	advice, _ := l.advise(fleet.Host{}, u)
	var got []string
	for _, f := range advice.Mends {
		got = append(got, fmt.Sprint(f.ID, " ", f.Evidence, " ", f.Severity, " ", f.SeverityBy, " ", f.Advisories))
	}
	want := "CVE-2024-0003 advisory high AlmaLinux [ALSA-2026:3]\nCVE-2024-0001 advisory high AlmaLinux [ALSA-2026:3]\nCVE-2024-0002 osv medium AlmaLinux [ALSA-2026:2]"
	if s := strings.Join(got, "\n"); s != want || len(advice.Remains) != 0 || advice.Unknown != "" || advice.Bucket != fleet.ThisWindow {
		t.Errorf("got\n%s\n%+v", s, advice)
	}
	kb := fleet.Update{Source: "windows", Name: "KB5031455", To: "1", Security: true, Notices: []fleet.Notice{{ID: "KB5031455", By: "Microsoft", Security: true, Severity: "Critical"}}}
	if advice, _ := l.advise(fleet.Host{}, kb); ids(advice.Mends) != "KB5031455" || advice.Because != "KB5031455 is critical (Microsoft)" || advice.Unknown != "" {
		t.Errorf("%+v", advice)
	}
}

func TestWhatIsMendedOnTheDiskAndStillInMemoryIsTold(t *testing.T) {
	l := newLab(t)
	l.take(l.file("tracker.json", open))
	ssl := fleet.Package{Source: "apt", Name: "libssl3", From: "openssl", Arch: "amd64", Version: "3.0.9-1", Ecosystem: "Debian:12"}
	host := debian
	host.Restart = fleet.Restart{Needed: fleet.Needed, Because: "3 of 90 processes belong to other users", Services: []fleet.Service{
		{Name: "nginx.service", Replaced: []fleet.Replaced{{Package: ssl, Before: "3.0.1-1"}}},
		{Name: "postfix.service", Replaced: []fleet.Replaced{{Package: ssl, Before: "3.0.2-1"}}},
		{Name: "odd.service", ReplacedUnknown: "which version it runs of libodd is not known"},
	}}
	scan := l.installed(host, []fleet.Package{ssl})
	want := `this window: CVE-2024-0001 in openssl 3.0.1-1 (libssl3): restart [nginx.service]
routine: CVE-2024-0002 in openssl 3.0.1-1 (libssl3): restart [nginx.service]
routine: CVE-2024-0002 in openssl 3.0.2-1 (libssl3): restart [postfix.service]`
	var got []string
	for i, line := range strings.Split(vulnerable(scan), "\n") {
		if v := scan.Vulnerabilities[i]; v.Mend == fleet.MendByRestart {
			got = append(got, fmt.Sprint(line, " ", v.Services))
		}
	}
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
	if u := scan.Advisories.MemoryUnknown; u != "3 of 90 processes belong to other users; odd.service: which version it runs of libodd is not known" {
		t.Error(u)
	}
}

func TestOfAnImageInWhichNothingIsComparedItIsNotSaidThatNothingIsMended(t *testing.T) {
	l := newLab(t)
	l.take("testdata/tracker.json")
	a := Advisor{Matcher: NewMatcher(l.open()), Now: l.now}
	curl := fleet.Package{Source: "apt", Name: "curl", Version: "7.88.1-10+deb12u6", Ecosystem: "Debian:12"}
	for _, c := range []struct {
		packages []fleet.Package
		known    bool
	}{{[]fleet.Package{}, false}, {[]fleet.Package{{Source: "dnf", Name: "x", Version: "1", Ecosystem: "Fedora:40"}}, false}, {[]fleet.Package{curl}, true}} {
		advice := a.ImageUpdate(fleet.Update{}, c.packages, c.packages)
		if (advice.Unknown == "") != c.known || !c.known && advice.Because != "which flaws it mends is not known" {
			t.Errorf("%v: %+v", c.packages, advice)
		}
	}
}
