package advisory

import (
	"slices"
	"strings"
	"testing"

	"redflag/internal/fleet"
)

// TestHandCheckedPackages holds the table of docs/advisories.md: AlmaLinux' records are real; the fixed versions of Debian's were read in the packages'
// own changelogs.
func TestHandCheckedPackages(t *testing.T) {
	l := newLab(t)
	l.take("testdata/almalinux", "testdata/tracker.json")
	for _, c := range []struct {
		ecosystem, name, version string
		want                     []string
	}{
		{"AlmaLinux:9", "thunderbird", "128.5.2-1.el9_5.alma.1", []string{"CVE-2025-0242", "CVE-2025-0243"}},
		{"AlmaLinux:9", "thunderbird", "128.6.0-3.el9_5", []string{"CVE-2025-0242", "CVE-2025-0243"}},
		{"AlmaLinux:9", "thunderbird", "128.6.0-3.el9_5.alma.1", nil},
		{"AlmaLinux:9", "thunderbird", "0:128.6.0-3.el9_5.alma.1", nil},
		{"AlmaLinux:8", "thunderbird", "128.5.2-1.el8", nil},
		{"AlmaLinux:9", "firefox-x11", "128.5.0-1.el9_5", []string{"CVE-2025-0237", "CVE-2025-0238", "CVE-2025-0239", "CVE-2025-0240", "CVE-2025-0241", "CVE-2025-0242", "CVE-2025-0243"}},
		{"AlmaLinux:9", "firefox", "128.6.0-1.el9_5", nil},
		{"AlmaLinux:9", "webkit2gtk3-jsc", "2.46.3-2.el9_5", []string{"CVE-2024-54479", "CVE-2024-54502", "CVE-2024-54505", "CVE-2024-54508"}},
		{"AlmaLinux:9", "webkit2gtk3", "2.46.5-1.el9_5", nil},

		{"Debian:12", "openssh", "1:9.2p1-2", []string{"CVE-2007-2243", "CVE-2023-38408", "CVE-2025-26465"}},
		{"Debian:12", "openssh", "1:9.2p1-2+deb12u1", []string{"CVE-2007-2243", "CVE-2025-26465"}},
		{"Debian:12", "openssh", "1:9.2p1-2+deb12u5", []string{"CVE-2007-2243"}},
		{"Debian:12", "libwebp", "1.2.4-0.2", []string{"CVE-2023-4863"}},
		{"Debian:12", "libwebp", "1.2.4-0.2+deb12u1", nil},
		{"Debian:12", "nghttp2", "1.52.0-1+deb12u1", []string{"CVE-2024-28182"}},
		{"Debian:12", "nghttp2", "1.52.0-1+deb12u2", nil},
		{"Debian:12", "curl", "7.88.1-10+deb12u4", []string{"CVE-2024-2398"}},
		{"Debian:12", "sudo", "1.9.13p3-1", []string{"CVE-2023-42465", "CVE-2025-32462"}},
		{"Debian:12", "sudo", "1.9.13p3-1+deb12u2", []string{"CVE-2023-42465"}},
		{"Debian:12", "xz-utils", "5.4.1-0.2", nil}, // never had it
	} {
		if got := l.affected(Subject{Ecosystem: c.ecosystem, Name: c.name, Version: c.version}); !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 {
			t.Errorf("%s %s %s: %v, want %v", c.ecosystem, c.name, c.version, got, c.want)
		}
	}
}

func TestFalseMatches(t *testing.T) {
	l := newLab(t)
	cve := func(id string) string { return `,"upstream":["` + id + `"]` }
	l.take(l.zip(
		osv("DEBIAN-CVE-2024-0001", "Debian:12", "epochs", "", "introduced 0", "fixed 1:1.0-1"),
		osv("DEBIAN-CVE-2024-0002", "Debian:12", "tilde", "", "introduced 0", "fixed 2.0-1"),
		osv("DEBIAN-CVE-2024-0003", "Debian:12", "openssl", "", "introduced 0", "fixed 3.0.11-1~deb12u2"),
		osv("DEBIAN-CVE-2024-0004", "Debian:12", "later", "", "introduced 2.0-1", "fixed 2.2-1"),
		osv("DEBIAN-CVE-2024-0005", "Debian:12", "gone", `,"withdrawn":"2024-02-01T00:00:00Z"`, "introduced 0", "fixed 9"),
		osv("DSA-1-1", "Debian:12", "last", cve("CVE-2024-0006"), "introduced 0", "last_affected 1.5-1"),
		osv("DSA-2-1", "Debian:12", "twice", cve("CVE-2024-0007"), "fixed 1.2-1", "introduced 0", "introduced 2.0-1", "fixed 2.3-1"),
		`{"id":"DSA-3-1","modified":"2025-08-01T00:00:00Z","upstream":["CVE-2024-0008"],"affected":[{"package":{"ecosystem":"Debian:12","name":"listed"},"versions":["1.0-1","1.0-2"]}]}`,
		`{"id":"DSA-4-1","modified":"2025-08-01T00:00:00Z","upstream":["CVE-2024-0009"],"affected":[{"package":{"ecosystem":"Debian:12","name":"commits"},"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}]}`,
		osv("ALSA-2021:1", "AlmaLinux:8", "nginx", `,"summary":"Important: nginx:1.16 security update","related":["CVE-2024-0010"]`, "introduced 0", "fixed 1:1.16.1-2.module_el8.3.0+2165+af250afe.alma"),
		osv("ALSA-2021:2", "AlmaLinux:8", "nostream", `,"summary":"Important: it security update","related":["CVE-2024-0011"]`, "introduced 0", "fixed 2-2.module_el8.3.0+2165+af250afe"),
		osv("ALSA-2021:3", "AlmaLinux:9", "caret", `,"related":["CVE-2024-0012"]`, "introduced 0", "fixed 1.0^20240101-1.el9"),
		osv("GHSA-1", "npm", "openssl", "", "introduced 0"),
	))
	for _, c := range []struct {
		name    string
		subject Subject
		want    string
	}{
		{"an epoch is above every version without", Subject{"Debian:12", "epochs", "1:1.0-1", ""}, ""},
		{"no epoch is below", Subject{"Debian:12", "epochs", "9.9-1", ""}, "CVE-2024-0001"},
		{"a tilde is before", Subject{"Debian:12", "tilde", "2.0-1~bpo12+1", ""}, "CVE-2024-0002"},
		{"a fix in an older upstream version (a back-port) counts", Subject{"Debian:12", "openssl", "3.0.11-1~deb12u2", ""}, ""},
		{"the version before a back-ported fix", Subject{"Debian:12", "openssl", "3.0.11-1~deb12u1", ""}, "CVE-2024-0003"},
		{"a binary package's name is not its source's", Subject{"Debian:12", "libssl3", "3.0.11-1~deb12u1", ""}, ""},
		{"another release", Subject{"Debian:11", "openssl", "1.1.1", ""}, ""},
		{"another distribution", Subject{"Ubuntu:24.04:LTS", "openssl", "3.0.11-1~deb12u1", ""}, ""},
		{"before it was introduced", Subject{"Debian:12", "later", "1.9-1", ""}, ""},
		{"as it was introduced", Subject{"Debian:12", "later", "2.0-1", ""}, "CVE-2024-0004"},
		{"withdrawn", Subject{"Debian:12", "gone", "1", ""}, ""},
		{"the last affected", Subject{"Debian:12", "last", "1.5-1", ""}, "CVE-2024-0006"},
		{"after the last affected", Subject{"Debian:12", "last", "1.5-1+b1", ""}, ""},
		{"in the first of two ranges", Subject{"Debian:12", "twice", "1.1-1", ""}, "CVE-2024-0007"},
		{"between two ranges", Subject{"Debian:12", "twice", "1.2-1", ""}, ""},
		{"in the second", Subject{"Debian:12", "twice", "2.2-1", ""}, "CVE-2024-0007"},
		{"listed", Subject{"Debian:12", "listed", "1.0-2", ""}, "CVE-2024-0008"},
		{"not listed", Subject{"Debian:12", "listed", "1.0-0", ""}, ""},
		{"commits are no versions", Subject{"Debian:12", "commits", "1.0-0", ""}, ""},
		{"the stream of a module", Subject{"AlmaLinux:8", "nginx", "1:1.16.1-1.module_el8.0.0+1+a", "nginx:1.16:8030020201124104955:229f0a1c"}, "CVE-2024-0010"},
		{"another stream of the module", Subject{"AlmaLinux:8", "nginx", "1:1.14.1-9.module_el8.0.0+1+a", "nginx:1.14:8000020190830063829:f8e95b4e"}, ""},
		{"no module", Subject{"AlmaLinux:8", "nginx", "1:1.14.1-9.el8", ""}, ""},
		{"a stream that is not named", Subject{"AlmaLinux:8", "nostream", "1-1", "x:1"}, ""},
		{"a caret is after", Subject{"AlmaLinux:9", "caret", "1.0-5.el9", ""}, "CVE-2024-0012"},
		{"an ecosystem of no distribution", Subject{"npm", "openssl", "1", ""}, ""},
	} {
		if got := strings.Join(l.affected(c.subject), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	f := l.open().Feeds()[0]
	if f.Skipped[skipWithdrawn] != 1 || f.Skipped[skipOrder] != 1 || f.Skipped[skipStream] != 1 || f.Skipped[skipMalformed] != 1 {
		t.Errorf("passed over: %v", f.Skipped)
	}
}

var debian = fleet.Host{OSID: "debian", OSVersion: "12", Kernel: "6.1.0-18-amd64", Virtualisation: "kvm"}

func update(name, source, from, to string) fleet.Update {
	return fleet.Update{Source: "apt", Name: name, From: from, To: to, Security: true, Build: &fleet.Build{Ecosystem: "Debian:12", Package: source, From: from, To: to}}
}

func ids(flaws []fleet.Flaw) string {
	var list []string
	for _, f := range flaws {
		list = append(list, f.ID)
	}
	return strings.Join(list, " ")
}

func TestOnlyTheRunningKernelCounts(t *testing.T) {
	l := newLab(t)
	l.take("testdata/tracker.json")
	for _, c := range []struct {
		name, source, kernel, virtual, from string
		counts                              bool
	}{
		{"linux-image-amd64", "linux-signed-amd64", "6.1.0-17-amd64", "kvm", "6.1.69+1", true},
		{"linux-image-6.1.0-17-amd64", "linux-signed-amd64", "6.1.0-17-amd64", "kvm", "6.1.69+1", true},
		{"linux-image-6.1.0-16-amd64", "linux-signed-amd64", "6.1.0-17-amd64", "kvm", "6.1.69+1", false},
		{"linux-image-amd64", "linux-signed-amd64", "6.1.0-17-cloud-amd64", "kvm", "6.1.69+1", false},
		{"linux-image-cloud-amd64", "linux-signed-amd64", "6.1.0-17-cloud-amd64", "kvm", "6.1.69+1", true},
		{"linux-image-amd64", "linux-signed-amd64", "6.1.0-17-amd64", "docker", "6.1.69+1", false},
		{"linux-libc-dev", "linux", "6.1.0-17-amd64", "kvm", "6.1.69-1", false},
	} {
		u := update(c.name, c.source, c.from, "6.1.90+1")
		advice, _ := l.advise(fleet.Host{Kernel: c.kernel, Virtualisation: c.virtual}, u)
		if got := ids(advice.Mends) == "CVE-2024-1086"; got != c.counts || !c.counts && (advice.Bucket != fleet.Track || advice.Because == "") {
			t.Errorf("%s on %s in %s: %+v", c.name, c.kernel, c.virtual, advice)
		}
	}
	l.take(l.zip(osv("UBUNTU-CVE-2024-0001", "Ubuntu:24.04:LTS", "linux-aws", "", "introduced 0", "fixed 6.8.0-1010.10")))
	for source, version := range map[string]string{"linux-meta-aws": "6.8.0.1009.9", "linux-signed-aws": "6.8.0-1009.9"} {
		u := fleet.Update{Name: "linux-image-aws", Build: &fleet.Build{Ecosystem: "Ubuntu:24.04:LTS", Package: source, From: version, To: strings.ReplaceAll(version, "9", "10")}}
		if advice, _ := l.advise(fleet.Host{Kernel: "6.8.0-1009-aws", Virtualisation: "kvm"}, u); ids(advice.Mends) != "CVE-2024-0001" {
			t.Errorf("%s %s: %+v", source, version, advice)
		}
	}
}

func TestTheDistributionsTrackerGoesBeforeOSV(t *testing.T) {
	l := newLab(t)
	l.take("testdata/tracker.json", l.zip(
		osv("DEBIAN-CVE-2024-3094", "Debian:12", "xz-utils", "", "introduced 0"),
		osv("DEBIAN-CVE-2024-9999", "Debian:12", "xz-utils", `,"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`, "introduced 0", "fixed 5.4.1-1")))
	if got := l.affected(Subject{"Debian:12", "xz-utils", "5.4.1-0.2", ""}); !slices.Equal(got, []string{"CVE-2024-9999"}) {
		t.Errorf("xz-utils is affected by %v", got)
	}
	u := update("xz-utils", "xz-utils", "5.4.1-0.2", "5.4.1-1")
	u.Claims = &fleet.Claims{IDs: []string{"CVE-2024-3094", "CVE-2024-9999", "CVE-2024-7777"}}
	advice, _ := l.advise(debian, u)
	if got := ids(advice.Mends); got != "CVE-2024-9999 CVE-2024-7777" {
		t.Errorf("it mends %s", got)
	}
	if f := advice.Mends[0]; f.Evidence != fleet.ByOSV || f.Severity != "critical" || f.SeverityBy != "CVSS" || f.CVSS != 9.8 || f.FixedIn != "5.4.1-1" {
		t.Errorf("%+v", f)
	}
	if f := advice.Mends[1]; f.Evidence != fleet.ByChangelog || f.Severity != "" {
		t.Errorf("%+v", f)
	}
}

func TestASubjectIsLookedUpOnce(t *testing.T) {
	l := newLab(t)
	l.take("testdata/tracker.json", "testdata/kev.json")
	m := NewMatcher(l.open())
	s := Subject{"Debian:12", "curl", "7.88.1-10", ""}
	for range 3 {
		if got, err := m.Affected(s); err != nil || len(got) != 2 {
			t.Fatal(got, err)
		}
	}
	if m.Looked() != 1 {
		t.Errorf("looked up %d times", m.Looked())
	}
	l.take(l.file("epss.csv", "#model_version:v2025.03.14,score_date:2025-08-30T00:00:00+0000\ncve,epss,percentile\nCVE-2024-2398,0.5,0.98\n"))
	m = m.Renew(l.open())
	if _, err := m.Affected(s); err != nil || m.Looked() != 0 {
		t.Errorf("another feed made it look up %d anew: %v", m.Looked(), err)
	}
	l.take("testdata/almalinux")
	m = m.Renew(l.open())
	if _, err := m.Affected(s); err != nil || m.Looked() != 1 {
		t.Errorf("a feed about packages made it look up %d anew: %v", m.Looked(), err)
	}
}

func TestNothingIsSaidWithoutData(t *testing.T) {
	l := newLab(t)
	if advice, known := l.advise(debian, update("curl", "curl", "7.88.1-10", "7.88.1-10+deb12u6")); advice.Bucket != "" || known.Unknown != "no advisory data" {
		t.Errorf("%+v %+v", advice, known)
	}
	l.take("testdata/almalinux")
	if advice, known := l.advise(debian, update("curl", "curl", "7.88.1-10", "7.88.1-10+deb12u6")); advice.Bucket != "" || !strings.Contains(known.Unknown, "no advisory data about Debian:12") {
		t.Errorf("%+v %+v", advice, known)
	}
	l.take("testdata/tracker.json")
	foreign := update("curl", "curl", "7.88.1-10", "8.0-1")
	foreign.Build.Ecosystem = ""
	if advice, _ := l.advise(debian, foreign); advice.Bucket != "" {
		t.Errorf("another's package: %+v", advice)
	}
	foreign.Claims = &fleet.Claims{IDs: []string{"CVE-2024-2398"}}
	if advice, _ := l.advise(debian, foreign); ids(advice.Mends) != "CVE-2024-2398" || advice.Mends[0].Evidence != fleet.ByChangelog || advice.Unknown == "" {
		t.Errorf("another's package with a changelog: %+v", advice)
	}
}
