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
		{"an epoch is above every version without", Subject{Ecosystem: "Debian:12", Name: "epochs", Version: "1:1.0-1"}, ""},
		{"no epoch is below", Subject{Ecosystem: "Debian:12", Name: "epochs", Version: "9.9-1"}, "CVE-2024-0001"},
		{"a tilde is before", Subject{Ecosystem: "Debian:12", Name: "tilde", Version: "2.0-1~bpo12+1"}, "CVE-2024-0002"},
		{"a fix in an older upstream version (a back-port) counts", Subject{Ecosystem: "Debian:12", Name: "openssl", Version: "3.0.11-1~deb12u2"}, ""},
		{"the version before a back-ported fix", Subject{Ecosystem: "Debian:12", Name: "openssl", Version: "3.0.11-1~deb12u1"}, "CVE-2024-0003"},
		{"a binary package's name is not its source's", Subject{Ecosystem: "Debian:12", Name: "libssl3", Version: "3.0.11-1~deb12u1"}, ""},
		{"another release", Subject{Ecosystem: "Debian:11", Name: "openssl", Version: "1.1.1"}, ""},
		{"another distribution", Subject{Ecosystem: "Ubuntu:24.04:LTS", Name: "openssl", Version: "3.0.11-1~deb12u1"}, ""},
		{"before it was introduced", Subject{Ecosystem: "Debian:12", Name: "later", Version: "1.9-1"}, ""},
		{"as it was introduced", Subject{Ecosystem: "Debian:12", Name: "later", Version: "2.0-1"}, "CVE-2024-0004"},
		{"withdrawn", Subject{Ecosystem: "Debian:12", Name: "gone", Version: "1"}, ""},
		{"the last affected", Subject{Ecosystem: "Debian:12", Name: "last", Version: "1.5-1"}, "CVE-2024-0006"},
		{"after the last affected", Subject{Ecosystem: "Debian:12", Name: "last", Version: "1.5-1+b1"}, ""},
		{"in the first of two ranges", Subject{Ecosystem: "Debian:12", Name: "twice", Version: "1.1-1"}, "CVE-2024-0007"},
		{"between two ranges", Subject{Ecosystem: "Debian:12", Name: "twice", Version: "1.2-1"}, ""},
		{"in the second", Subject{Ecosystem: "Debian:12", Name: "twice", Version: "2.2-1"}, "CVE-2024-0007"},
		{"listed", Subject{Ecosystem: "Debian:12", Name: "listed", Version: "1.0-2"}, "CVE-2024-0008"},
		{"not listed", Subject{Ecosystem: "Debian:12", Name: "listed", Version: "1.0-0"}, ""},
		{"commits are no versions", Subject{Ecosystem: "Debian:12", Name: "commits", Version: "1.0-0"}, ""},
		{"the stream of a module", Subject{Ecosystem: "AlmaLinux:8", Name: "nginx", Version: "1:1.16.1-1.module_el8.0.0+1+a", Module: "nginx:1.16:8030020201124104955:229f0a1c"}, "CVE-2024-0010"},
		{"another stream of the module", Subject{Ecosystem: "AlmaLinux:8", Name: "nginx", Version: "1:1.14.1-9.module_el8.0.0+1+a", Module: "nginx:1.14:8000020190830063829:f8e95b4e"}, ""},
		{"no module", Subject{Ecosystem: "AlmaLinux:8", Name: "nginx", Version: "1:1.14.1-9.el8"}, ""},
		{"a stream that is not named", Subject{Ecosystem: "AlmaLinux:8", Name: "nostream", Version: "1-1", Module: "x:1"}, ""},
		{"a caret is after", Subject{Ecosystem: "AlmaLinux:9", Name: "caret", Version: "1.0-5.el9"}, "CVE-2024-0012"},
		{"an ecosystem of no distribution", Subject{Ecosystem: "npm", Name: "openssl", Version: "1"}, ""},
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
	if got := l.affected(Subject{Ecosystem: "Debian:12", Name: "xz-utils", Version: "5.4.1-0.2"}); !slices.Equal(got, []string{"CVE-2024-9999"}) {
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
	s := Subject{Ecosystem: "Debian:12", Name: "curl", Version: "7.88.1-10"}
	for range 3 {
		if got, err := m.Match(s); err != nil || len(got.Flaws) != 2 {
			t.Fatal(got, err)
		}
	}
	if m.Looked() != 1 {
		t.Errorf("looked up %d times", m.Looked())
	}
	l.take(l.file("epss.csv", "#model_version:v2025.03.14,score_date:2025-08-30T00:00:00+0000\ncve,epss,percentile\nCVE-2024-2398,0.5,0.98\n"))
	m = m.Renew(l.open())
	if _, err := m.Match(s); err != nil || m.Looked() != 0 {
		t.Errorf("another feed made it look up %d anew: %v", m.Looked(), err)
	}
	before := l.open().Generation(s.Ecosystem)
	l.take("testdata/almalinux")
	m = m.Renew(l.open())
	if _, err := m.Match(s); err != nil || m.Looked() != 0 || l.open().Generation(s.Ecosystem) != before {
		t.Errorf("a feed about another distribution made it look up %d anew: %v", m.Looked(), err)
	}
	l.take(l.zip(osv("DSA-1-1", "Debian:12", "curl", "", "introduced 0", "fixed 9")))
	m = m.Renew(l.open())
	if v, err := m.Match(s); err != nil || m.Looked() != 1 || len(v.Flaws) != 3 || l.open().Generation(s.Ecosystem) == before {
		t.Errorf("a feed about packages made it look up %d anew: %v, %v", m.Looked(), v, err)
	}
	m.Keep(func(s Subject) bool { return s.Name == "curl" })
	if _, err := m.Match(s); err != nil || m.Looked() != 1 {
		t.Errorf("what was kept is looked up anew: %d, %v", m.Looked(), err)
	}
	m.Keep(func(Subject) bool { return false })
	if _, err := m.Match(s); err != nil || m.Looked() != 2 {
		t.Errorf("what nobody has is remembered: %d, %v", m.Looked(), err)
	}
	if g := l.open().Generation("Debian:99"); g != "" {
		t.Errorf("what no feed speaks of is of the generation %q", g)
	}
}

func TestWhatIsInstalledIsLookedUpByWhatAdvisoriesName(t *testing.T) {
	for _, c := range []struct {
		p    fleet.Package
		want Subject
	}{
		{fleet.Package{Name: "libssl3", Version: "3.0.11-1~deb12u2+b1", From: "openssl", FromVersion: "3.0.11-1~deb12u2", Ecosystem: "Debian:12"}, Subject{Ecosystem: "Debian:12", Name: "openssl", Version: "3.0.11-1~deb12u2"}},
		{fleet.Package{Name: "curl", Version: "8-1", Ecosystem: "Ubuntu:24.04:LTS"}, Subject{Ecosystem: "Ubuntu:24.04:LTS", Name: "curl", Version: "8-1"}},
		{fleet.Package{Name: "linux-image-6.1.0-17-amd64", Version: "6.1.69+1", From: "linux-signed-amd64", Ecosystem: "Debian:12"}, Subject{Ecosystem: "Debian:12", Name: "linux", Version: "6.1.69-1"}},
		{fleet.Package{Name: "firefox-x11", Version: "128.5.0-1.el9_5", From: "firefox", Ecosystem: "AlmaLinux:9"}, Subject{Ecosystem: "AlmaLinux:9", Name: "firefox-x11", Version: "128.5.0-1.el9_5"}},
		{fleet.Package{Name: "perl-Carp", Version: "1.50-439.el8", From: "perl", FromVersion: "5.26.3-420.el8", Ecosystem: "Rocky Linux:8"}, Subject{Ecosystem: "Rocky Linux:8", Name: "perl", Version: "5.26.3-420.el8", Bare: true}},
		{fleet.Package{Name: "nginx", Version: "1:1.16.1-1", Module: "nginx:1.16", Ecosystem: "AlmaLinux:8"}, Subject{Ecosystem: "AlmaLinux:8", Name: "nginx", Version: "1:1.16.1-1", Module: "nginx:1.16"}},
		{fleet.Package{Name: "libssl3", Version: "3.3.1-r0", From: "openssl", Ecosystem: "Alpine:v3.20"}, Subject{Ecosystem: "Alpine:v3.20", Name: "openssl", Version: "3.3.1-r0"}},
		{fleet.Package{Name: "lib32-openssl", Version: "1:3.3.1-1", From: "lib32-openssl", Ecosystem: "Arch Linux"}, Subject{Ecosystem: "Arch Linux", Name: "lib32-openssl", Version: "1:3.3.1-1"}},
		{fleet.Package{Name: "mine", Version: "1"}, Subject{Name: "mine", Version: "1"}},
	} {
		if got := SubjectOf(c.p); got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}

func TestAnEpochThatIsNotKnownIsLeftOut(t *testing.T) {
	l := newLab(t)
	l.take(l.zip(osv("RLSA-1", "Rocky Linux:8", "perl", `,"upstream":["CVE-2024-0001"]`, "introduced 0", "fixed 4:5.26.3-421.el8")))
	for version, want := range map[string]string{"5.26.3-420.el8": "CVE-2024-0001", "5.26.3-421.el8": ""} {
		if got := strings.Join(l.affected(Subject{Ecosystem: "Rocky Linux:8", Name: "perl", Version: version, Bare: true}), " "); got != want {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
	}
}

func TestOfInstalledKernelsOnlyTheOneThatRunsCounts(t *testing.T) {
	for _, c := range []struct {
		name, from, version, ecosystem, kernel, virtual string
		counts                                          bool
	}{
		{"linux-image-6.1.0-17-amd64", "linux-signed-amd64", "6.1.69+1", "Debian:12", "6.1.0-17-amd64", "kvm", true},
		{"linux-image-6.1.0-18-amd64", "linux-signed-amd64", "6.1.76+1", "Debian:12", "6.1.0-17-amd64", "kvm", false},
		{"linux-image-amd64", "linux-signed-amd64", "6.1.76+1", "Debian:12", "6.1.0-17-amd64", "kvm", false},
		{"linux-libc-dev", "linux", "6.1.76-1", "Debian:12", "6.1.0-17-amd64", "kvm", false},
		{"linux-image-6.1.0-17-amd64", "linux-signed-amd64", "6.1.69+1", "Debian:12", "6.1.0-17-amd64", "docker", false},
		{"firmware-linux", "firmware-nonfree", "1", "Debian:12", "6.1.0-17-amd64", "kvm", true},
		{"linux-base", "linux-base", "1", "Debian:12", "6.1.0-17-amd64", "kvm", true},
		{"linux-modules-6.8.0-31-generic", "linux", "6.8.0-31.31", "Ubuntu:24.04:LTS", "6.8.0-31-generic", "none", true},
		{"kernel-core", "kernel", "5.14.0-503.11.1.el9_5", "AlmaLinux:9", "5.14.0-503.11.1.el9_5.x86_64", "kvm", true},
		{"kernel-core", "kernel", "5.14.0-427.el9", "AlmaLinux:9", "5.14.0-503.11.1.el9_5.x86_64", "kvm", false},
		{"kernel-rt-core", "kernel", "5.14.0-503.11.1.el9_5", "AlmaLinux:9", "5.14.0-503.11.1.el9_5.x86_64", "kvm", false},
		{"kernel-rt-core", "kernel", "5.14.0-503.11.1.el9_5", "AlmaLinux:9", "5.14.0-503.11.1.el9_5.x86_64+rt", "kvm", true},
		{"kernel-headers", "kernel", "5.14.0-503.11.1.el9_5", "AlmaLinux:9", "5.14.0-503.11.1.el9_5.x86_64", "kvm", false},
		{"kernel-default", "kernel-default", "6.4.0-150600.21.3", "openSUSE:Leap 15.6", "6.4.0-150600.21-default", "kvm", true},
		{"kernel-default", "kernel-default", "6.4.0-150600.23.7", "openSUSE:Leap 15.6", "6.4.0-150600.21-default", "kvm", false},
		{"kernel-firmware-all", "kernel-firmware", "1", "openSUSE:Leap 15.6", "6.4.0-150600.21-default", "kvm", true},
		{"linux-lts", "linux-lts", "6.6.41-r0", "Alpine:v3.20", "6.6.41-0-lts", "kvm", true},
		{"linux-virt", "linux-lts", "6.6.41-r0", "Alpine:v3.20", "6.6.41-0-lts", "kvm", false},
		{"linux", "linux", "6.10.1.arch1-1", "Arch Linux", "6.10.1-arch1-1", "none", true},
		{"linux-headers", "linux", "6.10.1.arch1-1", "Arch Linux", "6.10.1-arch1-1", "none", false},
		{"linux-lts", "linux-lts", "6.6.41-1", "Arch Linux", "6.10.1-arch1-1", "none", false},
		{"openssl", "", "1", "Debian:12", "", "kvm", true},
	} {
		p := fleet.Package{Name: c.name, From: c.from, Version: c.version, Arch: "x86_64", Ecosystem: c.ecosystem}
		if why := Apart(fleet.Host{Kernel: c.kernel, Virtualisation: c.virtual}, p); (why == "") != c.counts {
			t.Errorf("%s %s of %s on %s: %q", c.name, c.version, c.ecosystem, c.kernel, why)
		}
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

func TestWhatTheTrackerDoesNotRateOSVDoes(t *testing.T) {
	l := newLab(t)
	l.take(l.file("tracker.json", `{"curl":{"CVE-2024-0001":{"releases":{"bookworm":{"status":"open","urgency":"not yet assigned","nodsa":"minor","nodsa_reason":"ignored"}}}}}`),
		l.zip(osv("DEBIAN-CVE-2024-0001", "Debian:12", "curl", `,"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`, "introduced 0", "fixed 9")))
	v, err := NewMatcher(l.open()).Match(Subject{Ecosystem: "Debian:12", Name: "curl", Version: "1"})
	if err != nil || len(v.Flaws) != 1 {
		t.Fatal(v, err)
	}
	if f := v.Flaws[0]; f.Severity != "critical" || f.CVSS != 9.8 || f.Evidence != fleet.ByAdvisory || f.FixedIn != "" || !f.WontFix {
		t.Errorf("%+v", f)
	}
}

func TestWhereNoFeedSpeaksTheVerdictIsUnknown(t *testing.T) {
	l := newLab(t)
	l.take("testdata/tracker.json")
	m := NewMatcher(l.open())
	for ecosystem, want := range map[string]string{"": "not the distribution's own", "Debian:99": "no advisory data about Debian:99", "Debian:12": ""} {
		v, err := m.Match(Subject{Ecosystem: ecosystem, Name: "nothing", Version: "1"})
		if err != nil || len(v.Flaws) != 0 || !strings.Contains(v.Unknown, want) || want == "" && v.Unknown != "" {
			t.Errorf("%q: %+v, %v", ecosystem, v, err)
		}
	}
}
