package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/fleet"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// example is a scan in which every field of the contract has a value.
func example() fleet.Scan {
	return fleet.Scan{
		ScannedAt: noon,
		Host: fleet.Host{
			Name: "web1", OS: "Debian GNU/Linux 12 (bookworm)", OSID: "debian", OSVersion: "12", Kernel: "6.1.0-28-amd64", Arch: "amd64",
			Virtualisation: "kvm", Addresses: []string{"192.0.2.7", "2001:db8::7"}, Engines: []fleet.Engine{{Name: "docker", Version: "28.5.2"}},
			BootedAt: noon.AddDate(0, 0, -40),
			Reboot:   fleet.Reboot{Needed: fleet.Needed, Because: []string{"kernel 6.1.0-30-amd64 is installed, 6.1.0-28-amd64 runs"}},
			Restart: fleet.Restart{Needed: fleet.Needed, Because: "3 of 90 processes belong to other users", Services: []fleet.Service{
				{Name: "nginx.service", Kind: "unit", PIDs: []int{812}, Files: []string{"/usr/lib/x86_64-linux-gnu/libssl.so.3"}, StartedAt: noon.AddDate(0, 0, -3),
					Replaced:        []fleet.Replaced{{Package: fleet.Package{Source: "apt", Name: "libssl3", Arch: "amd64", Version: "3.0.11-1~deb12u2", From: "openssl", Ecosystem: "Debian:12"}, Before: "3.0.9-1", SourceBefore: "3.0.9-1"}},
					ReplacedUnknown: "no installed package has /opt/x.so any more"},
			}},
		},
		Findings: []fleet.Finding{exampleApt(), exampleDocker()},
		Advisories: &fleet.Advisories{
			Unknown: "epss is of 2026-01-02", Feeds: []fleet.AdvisoryFeed{{Name: "debian-tracker", AsOf: noon.AddDate(0, 0, -1)}},
			Support: "bookworm is out of support since 2026-01-01", Unsupported: true, Vulnerable: &fleet.Buckets{ActNow: 1, ThisWindow: 1, Track: 1}, Unmatched: 3, MemoryUnknown: "3 of 90 processes belong to other users",
			Expired: []string{"the suppression of CVE-2026-1111 by ada@example.org ended on 2026-03-01"},
		},
		Vulnerabilities: exampleVulnerabilities(),
	}
}

// exampleVulnerabilities are of openssl: one that its update mends, one that a restart does, and one that nothing does.
func exampleVulnerabilities() []fleet.Vulnerability {
	advice := exampleAdvice()
	v := fleet.Vulnerability{Source: "apt", Ecosystem: "Debian:12", Package: "openssl", Version: "3.0.11-1~deb12u2", Installed: []string{"libssl3", "openssl"}}
	mended, old, never := v, v, v
	mended.Flaw, mended.Bucket, mended.Because, mended.Mend = advice.Mends[0], fleet.ActNow, "it is exploited", fleet.MendByUpdate
	mended.Updates = []fleet.Mender{{Source: "apt", Name: "openssl", From: "3.0.11-1~deb12u2", To: "3.0.17-1~deb12u2", Blocked: fleet.Held}}
	old.Flaw, old.Bucket, old.Because, old.Mend = fleet.Flaw{ID: "CVE-2025-4444", Evidence: fleet.ByOSV, FixedIn: "3.0.11-1~deb12u2", Severity: "high", SeverityBy: "CVSS", CVSS: 7.5}, fleet.ThisWindow, "it is high (CVSS 7.5)", fleet.MendByRestart
	old.Version, old.Services = "3.0.9-1", []string{"nginx.service"}
	never.Flaw, never.Bucket, never.Because, never.Mend = advice.Remains[0], fleet.Track, "it will not be mended: low (Debian)", fleet.NeverMended
	never.WontFix = true
	return []fleet.Vulnerability{mended, old, never}
}

// exampleAdvice is what is said of openssl.
func exampleAdvice() *fleet.Advice {
	return &fleet.Advice{
		Bucket: fleet.ActNow, Because: "CVE-2026-1111 is exploited, by ransomware too (CISA, since 2026-02-01, due on 2026-03-20)", Unknown: "epss cannot be read",
		Mends: []fleet.Flaw{
			{ID: "CVE-2026-1111", Advisories: []string{"DSA-6001-1"}, Evidence: fleet.ByOSV, Severity: "high", SeverityBy: "Debian", CVSS: 8.1, Vector: "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H",
				EPSS: 0.4312, Percentile: 0.9712, FixedIn: "3.0.17-1~deb12u1", Exploited: &fleet.Exploited{Added: noon.AddDate(0, -1, -1), Due: noon.AddDate(0, 0, 18), Ransomware: true}},
			{ID: "CVE-2026-2222", Evidence: fleet.ByChangelog, FixedIn: "3.0.17-1~deb12u2",
				Suppressed: &fleet.Suppressed{Owner: "ada@example.org", Reason: "it speaks no DTLS", Status: "not_affected", Until: noon.AddDate(0, 1, 0)}},
		},
		Remains: []fleet.Flaw{{ID: "CVE-2026-3333", Evidence: fleet.ByAdvisory, Severity: "low", SeverityBy: "Debian", Remark: "no security update of its own: Minor issue"}},
	}
}

func exampleApt() fleet.Finding {
	return fleet.Finding{
		Source: "apt", State: fleet.OK, ScannedAt: noon, AsOf: noon.Add(-2 * time.Hour), Checks: []fleet.Check{},
		Updates: []fleet.Update{
			{Source: "apt", Name: "nginx", Arch: "amd64", From: "1.22.1-9", To: "1.22.1-9+deb12u3", Origin: "Debian/bookworm", Size: 526_000,
				Summary: "small, powerful, scalable web/proxy server", Blocked: fleet.Held, BlockedBecause: "put on hold with apt-mark"},
			{Source: "apt", Name: "openssl", Arch: "amd64", From: "3.0.11-1~deb12u2", To: "3.0.17-1~deb12u2", Security: true,
				Origin: "Debian-Security/bookworm-security", Size: 1_430_000, Summary: "Secure Sockets Layer toolkit - cryptographic utility", StaleSince: noon,
				Build:  &fleet.Build{Ecosystem: "Debian:12", Package: "openssl", From: "3.0.11-1~deb12u2", To: "3.0.17-1~deb12u2"},
				Claims: &fleet.Claims{IDs: []string{"CVE-2026-2222"}, Entries: 2, From: "the changelog inside openssl_3.0.17-1~deb12u2_amd64.deb"},
				Advice: exampleAdvice()},
		},
	}
}

func exampleDocker() fleet.Finding {
	hex := strings.Repeat("0123456789abcdef", 4)
	return fleet.Finding{
		Source: "docker", State: fleet.Uncertain, ScannedAt: noon, AsOf: noon.Add(-3 * time.Minute),
		Because: "1 of 3 images could not be checked: ghcr.io/example/app:2: access denied", Remedy: "log in: docker login ghcr.io",
		Updates: []fleet.Update{
			{Source: "docker", Name: "caddy:2.7.1", Arch: "amd64", From: "2.7.1", To: "2.8.0", Origin: "docker.io",
				ImageUpdate: &fleet.ImageUpdate{Kind: fleet.Version, Level: fleet.Minor, FromVersion: "2.7.1", ToVersion: "2.8.0", Platform: "linux/amd64", Containers: []string{"proxy"}}},
			{Source: "docker", Name: "nginx:1.25", Arch: "amd64", From: "sha256:" + hex, To: "sha256:fedcba9876543210" + hex[16:], Origin: "docker.io", Size: 41_200_000,
				ImageUpdate: &fleet.ImageUpdate{Kind: fleet.Rebuild, FromVersion: "1.25.3", ToVersion: "1.25.4", FromCreated: noon.AddDate(0, -2, 0), ToCreated: noon.AddDate(0, -1, 0),
					Platform: "linux/amd64", Containers: []string{"blog", "web"}, SourceURL: "https://github.com/nginx/nginx", ReleaseNotes: "https://github.com/nginx/nginx/releases",
					Note: "older build than the one that runs: rolled back?"}},
		},
		Checks: []fleet.Check{
			{Name: "caddy:2.7.1", Containers: []string{"proxy"}, Platform: "linux/amd64", Answer: fleet.Current, VersionsUnknown: "no answer in time", CheckedAt: noon, AnsweredBy: "registry-1.docker.io"},
			{Name: "ghcr.io/example/app:2", Containers: []string{"app"}, Platform: "linux/amd64", Answer: fleet.CannotAnswer, Because: "access denied", Remedy: "log in: docker login ghcr.io"},
			{Name: "nginx:1.25", Containers: []string{"blog", "web"}, Platform: "linux/amd64", Answer: fleet.Outdated, CheckedAt: noon, AnsweredBy: "registry-1.docker.io"},
		},
	}
}

// golden compares with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestTheJSONContractHolds(t *testing.T) {
	var out bytes.Buffer
	if err := writeJSON(&out, example()); err != nil {
		t.Fatal(err)
	}
	golden(t, "contract.json", out.String())
}

func TestTheContractSurvivesTheStateFile(t *testing.T) {
	data, err := json.Marshal(example())
	if err != nil {
		t.Fatal(err)
	}
	var back fleet.Scan
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(example(), back); diff != "" {
		t.Error(diff)
	}
}

func TestEveryFieldOfTheContractIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(example())
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	eachKey(doc, func(key string) {
		if !strings.Contains(string(text), "`"+key+"`") && !strings.Contains(string(text), `"`+key+`"`) {
			t.Errorf("docs/json.md does not explain %s", key)
		}
	})
}

func eachKey(v any, do func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			do(k)
			eachKey(inner, do)
		}
	case []any:
		for _, inner := range v {
			eachKey(inner, do)
		}
	}
}

func TestCSVHasOneRowAnUpdate(t *testing.T) {
	var out bytes.Buffer
	if err := writeCSV(&out, example()); err != nil {
		t.Fatal(err)
	}
	golden(t, "example.csv", out.String())
}

func TestVulnerabilitiesAreShownWithWhatMendsThem(t *testing.T) {
	scan := example()
	scan.Findings[1].State = fleet.OK
	for name, opt := range map[string]vulnerabilityOptions{
		"table": {}, "all": {all: true}, "bucket": {bucket: "this-window"}, "one": {names: []string{"CVE-2026-1111"}}, "none": {names: []string{"CVE-1"}},
	} {
		var out bytes.Buffer
		chosen := scan
		chosen.Vulnerabilities = opt.choose(scan.Vulnerabilities)
		report{w: &out, now: noon}.vulnerabilities(chosen, opt)
		golden(t, "vulnerabilities-"+name+".txt", out.String())
	}
	var out bytes.Buffer
	if err := writeVulnerabilityCSV(&out, scan.Vulnerabilities); err != nil {
		t.Fatal(err)
	}
	golden(t, "vulnerabilities.csv", out.String())
}

func TestWithoutAdvisoriesNobodyIsToldThatThereAreNoSecurityUpdates(t *testing.T) {
	found := fleet.Finding{Source: "pacman", State: fleet.OK, SecurityUnknown: "nobody publishes advisories"}
	if got, _ := (report{security: true}).answer(found); got != "which updates are for security is not known: nobody publishes advisories" {
		t.Errorf("of those for security: %q", got)
	}
	if got, _ := (report{}).answer(found); got != "up to date" {
		t.Errorf("of all: %q", got)
	}
	found.Updates = []fleet.Update{{Source: "pacman", Name: "linux", From: "1", To: "2"}}
	var out bytes.Buffer
	r := report{w: &out, now: noon}
	r.finding(found)
	if !strings.Contains(out.String(), "which of them are for security is not known: nobody publishes advisories") {
		t.Errorf("the report: %s", out.String())
	}
}

func TestTheReportTellsAPersonEverything(t *testing.T) {
	var out bytes.Buffer
	r := report{w: &out, now: noon.Add(5 * time.Minute)}
	r.scan(example())
	golden(t, "report.txt", out.String())
}

func TestNothingIsGreenOnUnknown(t *testing.T) {
	r := report{now: noon}
	for _, security := range []bool{false, true} {
		r.security = security
		answer, s := r.answer(fleet.Finding{State: fleet.Uncertain})
		if s == green || answer != "unknown" {
			t.Errorf("an uncertain finding without updates is %q in style %q", answer, s)
		}
		if answer, s := r.answer(fleet.Finding{State: fleet.OK, Checks: []fleet.Check{{Answer: fleet.Gone}}}); s == green {
			t.Errorf("a finding with an image that is gone is %q in green", answer)
		}
	}
}

func TestExitCodes(t *testing.T) {
	pending := fleet.Finding{State: fleet.OK, Updates: []fleet.Update{{Name: "curl"}}}
	security := fleet.Finding{State: fleet.OK, Updates: []fleet.Update{{Name: "openssl", Security: true}}}
	unknown := fleet.Finding{State: fleet.Uncertain}
	cases := []struct {
		name     string
		findings []fleet.Finding
		with     bool
		want     error
	}{
		{"nothing pending", []fleet.Finding{{State: fleet.OK}}, true, nil},
		{"updates, not asked for a code", []fleet.Finding{pending}, false, nil},
		{"updates", []fleet.Finding{pending}, true, exitCode(exitUpdates)},
		{"security updates", []fleet.Finding{pending, security}, true, exitCode(exitSecurityUpdates)},
		{"unknown", []fleet.Finding{pending, unknown}, false, exitCode(exitUnknown)},
		{"unknown and updates", []fleet.Finding{pending, unknown}, true, exitCode(exitUpdates)},
		{"unknown alone", []fleet.Finding{unknown}, true, exitCode(exitUnknown)},
	}
	for _, c := range cases {
		if got := verdict(fleet.Scan{Findings: c.findings}, c.with); got != c.want { //nolint:errorlint // compared as a value
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTimeInTheFutureIsSaidToBe(t *testing.T) {
	if got := ago(noon, noon.Add(time.Hour)); !strings.Contains(got, "check the clock") {
		t.Errorf("ago = %q", got)
	}
}

func TestAnEngineWithoutContainersSaysSo(t *testing.T) {
	for source, want := range map[string]string{"docker": "no containers", "apt": "up to date"} {
		if got, _ := (report{}).answer(fleet.Finding{Source: source, State: fleet.OK}); !strings.Contains(got, want) {
			t.Errorf("%s: %q", source, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[int64]string{-1: "", 0: "", 999: "999 B", 1000: "1 kB", 999_499: "999 kB", 999_600: "1.0 MB", 41_200_000: "41.2 MB", 2_500_000_000: "2.5 GB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestATableIsCutSparedAndFoldedToFit(t *testing.T) {
	tab := packageTable()
	tab.add(left("security"), left("openssl"), left("3.0.11-1~deb12u2"), left("→"), left("3.0.17-1~deb12u2"), left("1.4 MB"), left("a summary that is too long"))
	tab.add(left(""), left("vim"), left("2:9.0.1378-2"), left("→"), left("2:9.0.1378-2+deb12u2"), left("1.6 MB"), left("Vi IMproved"))
	for width, want := range map[int]string{
		0: `
  security  openssl  3.0.11-1~deb12u2  →  3.0.17-1~deb12u2      1.4 MB  a summary that is too long
            vim      2:9.0.1378-2      →  2:9.0.1378-2+deb12u2  1.6 MB  Vi IMproved`,
		92: `
  security  openssl  3.0.11-1~deb12u2  →  3.0.17-1~deb12u2      1.4 MB  a summary that is t…
            vim      2:9.0.1378-2      →  2:9.0.1378-2+deb12u2  1.6 MB  Vi IMproved`,
		72: `
  security  openssl  3.0.11-1~deb12u2  →  3.0.17-1~deb12u2      1.4 MB
            vim      2:9.0.1378-2      →  2:9.0.1378-2+deb12u2  1.6 MB`,
		64: `
  security  openssl  3.0.11-1~deb12u2  →  3.0.17-1~deb12u2
            vim      2:9.0.1378-2      →  2:9.0.1378-2+deb12u2`,
		50: `
  security  openssl
      3.0.11-1~deb12u2  →  3.0.17-1~deb12u2
  vim
      2:9.0.1378-2  →  2:9.0.1378-2+deb12u2`,
	} {
		var out bytes.Buffer
		tab.write(&out, false, width)
		if got := "\n" + strings.TrimRight(out.String(), "\n"); got != want {
			t.Errorf("in %d columns:%s\nwant:%s", width, got, want)
		}
	}
}

func TestNoCellOfACSVIsAFormula(t *testing.T) {
	u := fleet.Update{Source: "docker", Name: "=cmd|' /C calc'!A0", Summary: "@SUM(1)"}
	v := fleet.Vulnerability{Flaw: fleet.Flaw{ID: "CVE-2026-1111", Remark: "=1+1"}, Services: []string{"-x.service"}}
	var out bytes.Buffer
	if err := errors.Join(writeCSV(&out, fleet.Scan{Findings: []fleet.Finding{{Updates: []fleet.Update{u}}}}), writeVulnerabilityCSV(&out, []fleet.Vulnerability{v})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{",'=cmd|", ",'@SUM(1)", ",'=1+1", ",'-x.service"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
}

func TestAScanSaysWhatIsKnownWithoutFeeds(t *testing.T) {
	u := fleet.Update{Source: "dnf", Name: "curl", Build: &fleet.Build{Package: "curl"}}
	told := u
	told.Notices = []fleet.Notice{{ID: "ALSA-2026:1", Security: true, CVEs: []string{"CVE-2026-1111"}}}
	told.Advice = &fleet.Advice{Bucket: fleet.ThisWindow, Mends: []fleet.Flaw{{ID: "CVE-2026-1111", Evidence: fleet.ByAdvisory}}}
	for want, updates := range map[string][]fleet.Update{
		"which CVEs these updates mend is not known":                                     {u},
		"which CVEs these updates mend is known by the package manager's own advisories": {u, told},
	} {
		var out bytes.Buffer
		report{w: &out, now: noon}.first(fleet.Scan{Advisories: &fleet.Advisories{Unknown: "no advisory data"}, Findings: []fleet.Finding{{Updates: updates}}})
		if !strings.Contains(out.String(), "no advisory data: "+want) {
			t.Errorf("want %q in %q", want, out.String())
		}
	}
}
