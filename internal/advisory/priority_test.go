package advisory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
)

func day2(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

// signal makes feeds about CVE-2024-0001 to 0006 in one package each.
func signals(l *lab) {
	vector := func(v string) string { return `,"severity":[{"type":"CVSS_V3","score":"` + v + `"}]` }
	const severe, mild = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
	l.take(l.zip(
		osv("DEBIAN-CVE-2024-0001", "Debian:12", "one", vector(mild), "introduced 0", "fixed 2"),
		osv("DEBIAN-CVE-2024-0002", "Debian:12", "two", vector(mild), "introduced 0", "fixed 2"),
		osv("DEBIAN-CVE-2024-0003", "Debian:12", "three", vector(severe), "introduced 0", "fixed 2"),
		osv("DEBIAN-CVE-2024-0004", "Debian:12", "four", vector(severe)+`,"database_specific":{"severity":"LOW"}`, "introduced 0", "fixed 2"),
		osv("DEBIAN-CVE-2024-0005", "Debian:12", "five", "", "introduced 0", "fixed 2"),
		osv("DEBIAN-CVE-2024-0006", "Debian:12", "six", vector(mild), "introduced 0"),
	))
}

const catalogue = `{"catalogVersion":"1","dateReleased":"2025-08-25T00:00:00Z","count":1,"vulnerabilities":[{"cveID":"CVE-2024-0001","dateAdded":"2025-08-20","dueDate":"2025-08-28","knownRansomwareCampaignUse":"Known"}]}`

func TestEachUpdateHasItsBucketAndTheReasonInWords(t *testing.T) {
	l := newLab(t)
	signals(l)
	l.take(l.file("kev.json", catalogue),
		l.file("epss.csv", "#model_version:v2025.03.14,score_date:2025-08-30T00:00:00+0000\ncve,epss,percentile\nCVE-2024-0002,0.2,0.96\nCVE-2024-0004,0.001,0.1\n"))
	for _, c := range []struct {
		name    string
		bucket  fleet.Bucket
		because string
	}{
		{"one", fleet.ActNow, "CVE-2024-0001 is exploited, by ransomware too (CISA, since 2025-08-20, was due on 2025-08-28)"},
		{"two", fleet.ThisWindow, "CVE-2024-0002 is exploited within 30 days with a probability of 20% (EPSS, higher than 96% of all)"},
		{"three", fleet.ThisWindow, "CVE-2024-0003 is critical (CVSS 9.8)"},
		{"four", fleet.Routine, "it mends CVE-2024-0004, at most low (Debian)"},
		{"five", fleet.ThisWindow, "it mends CVE-2024-0005, and nobody has said how bad that is"},
		{"six", fleet.ThisWindow, "it is a security update, and which flaws it mends is not known"},
		{"seven", fleet.ThisWindow, "it is a security update, and which flaws it mends is not known"},
	} {
		advice, known := l.advise(debian, update(c.name, c.name, "1", "2"))
		if advice.Bucket != c.bucket || advice.Because != c.because {
			t.Errorf("%s: %s because %q, want %s because %q", c.name, advice.Bucket, advice.Because, c.bucket, c.because)
		}
		if known.Unknown != "osv:Debian is of 2025-08-01" {
			t.Errorf("unknown: %s", known.Unknown)
		}
	}
	plain := update("six", "six", "1", "2")
	plain.Security = false
	if advice, _ := l.advise(debian, plain); advice.Bucket != fleet.Track || ids(advice.Remains) != "CVE-2024-0006" || advice.Remains[0].FixedIn != "" {
		t.Errorf("%+v", advice)
	}
}

func TestTheOrderChangesAtOnceWithWhatIsExploitedAndProbable(t *testing.T) {
	l := newLab(t)
	signals(l)
	u := update("one", "one", "1", "2")
	bucket := func() fleet.Bucket {
		advice, _ := l.advise(debian, u)
		return advice.Bucket
	}
	if b := bucket(); b != fleet.Routine {
		t.Errorf("at first %s", b)
	}
	l.take(l.file("epss.csv", strings.ReplaceAll(scores, "CVE-2023-44487", "CVE-2024-0001")))
	if b := bucket(); b != fleet.ThisWindow {
		t.Errorf("when it is probable %s", b)
	}
	l.take(l.file("kev.json", catalogue))
	if b := bucket(); b != fleet.ActNow {
		t.Errorf("when it is exploited %s", b)
	}
}

func TestASuppressionThatExpiresComesBackByItself(t *testing.T) {
	l := newLab(t)
	signals(l)
	l.take(l.file("kev.json", catalogue))
	file := filepath.Join(t.TempDir(), "suppressions.toml")
	const text = "[[suppress]]\nid = \"CVE-2024-0001\"\npackage = \"one\"\nstatus = \"not_affected\"\nowner = \"ada@example.org\"\nreason = \"it listens nowhere\"\nuntil = 2025-09-01\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := Suppressions(file)
	if err != nil {
		t.Fatal(err)
	}
	u := update("one", "one", "1", "2")
	advice, known := l.advise(debian, u, list...)
	if advice.Bucket != fleet.Track || advice.Mends[0].Suppressed == nil || advice.Mends[0].Suppressed.Owner != "ada@example.org" || len(known.Expired) != 0 {
		t.Errorf("on its last day: %+v, %+v", advice, known)
	}
	l.now = now.AddDate(0, 0, 1)
	advice, known = l.advise(debian, u, list...)
	if advice.Bucket != fleet.ActNow || advice.Mends[0].Suppressed != nil || len(known.Expired) != 1 || !strings.Contains(known.Expired[0], "ended on 2025-09-01") {
		t.Errorf("a day later: %+v, %+v", advice, known)
	}
	l.now = now
	list[0].Package = "another"
	if advice, _ := l.advise(debian, u, list...); advice.Bucket != fleet.ActNow {
		t.Errorf("a suppression of another package: %+v", advice)
	}
}

func TestASuppressionNeedsAnOwnerAReasonAndAnEnd(t *testing.T) {
	const whole = "[[suppress]]\nid = \"CVE-1\"\nstatus = \"accepted\"\nowner = \"a\"\nreason = \"b\"\nuntil = \"2027-01-31\"\n"
	if list, err := parseSuppressions(whole); err != nil || len(list) != 1 || !list[0].Until.Equal(day2("2027-01-31")) {
		t.Errorf("%+v, %v", list, err)
	}
	for line := range strings.Lines(whole) {
		if strings.HasPrefix(line, "[[") {
			continue
		}
		if _, err := parseSuppressions(strings.Replace(whole, line, "", 1)); err == nil {
			t.Errorf("it is taken without %s", line)
		}
	}
	for _, bad := range []string{whole + "note = 1\n", strings.Replace(whole, "accepted", "fine", 1), strings.Replace(whole, "2027-01-31", "soon", 1), "suppress = 1", "[[suppress"} {
		if _, err := parseSuppressions(bad); err == nil {
			t.Errorf("it is taken: %s", bad)
		}
	}
	if list, err := Suppressions(filepath.Join(t.TempDir(), "none")); list != nil || err != nil {
		t.Error(list, err)
	}
}

func TestAReleaseIsSupportedUntilItIsNot(t *testing.T) {
	l := newLab(t)
	l.take("testdata/distro-info")
	for _, c := range []struct {
		id, version, on, words string
		unsupported            bool
	}{
		{"debian", "12", "2026-07-11", "bookworm is supported until 2026-07-11", false},
		{"debian", "12", "2026-07-12", "bookworm is in long-term support until 2028-06-30, its ordinary support ended on 2026-07-11", false},
		{"debian", "12", "2028-07-01", "bookworm is out of support since 2028-06-30; for subscribers there are updates until 2033-06-30", true},
		{"debian", "12", "2034-01-01", "bookworm is out of support since 2028-06-30", true},
		{"ubuntu", "24.04", "2026-01-01", "noble is supported until 2029-05-31", false},
		{"debian", "13", "2026-01-01", "trixie is supported until 2028-08-09", false},
		{"debian", "", "2026-01-01", "", false},
		{"fedora", "40", "2026-01-01", "", false},
	} {
		words, unsupported := Advisor{Matcher: NewMatcher(l.open()), Now: day2(c.on)}.support(fleet.Host{OSID: c.id, OSVersion: c.version})
		if words != c.words || unsupported != c.unsupported {
			t.Errorf("%s %s on %s: %q, %t", c.id, c.version, c.on, words, unsupported)
		}
	}
}

func TestScoresOfAllVersionsOfCVSS(t *testing.T) {
	for vector, want := range map[string]float64{
		"AV:N/AC:L/Au:N/C:C/I:C/A:C":                                      10,
		"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H":                    9.8,
		"CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H":                    7.8,
		"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N": 9.3,
		"CVSS:3.1/AV:X": 0, "": 0, "medium": 0,
	} {
		if got := baseScore(vector); got != want {
			t.Errorf("%s: %.1f, want %.1f", vector, got, want)
		}
	}
}

func TestAFlawThatNobodyCanMendIsTrackedUnlessItIsExploited(t *testing.T) {
	added := day2("2025-08-20")
	for _, c := range []struct {
		flaw    fleet.Flaw
		bucket  fleet.Bucket
		because string
	}{
		{fleet.Flaw{FixedIn: "2", Severity: "critical", SeverityBy: "Debian"}, fleet.ThisWindow, "it is critical (Debian)"},
		{fleet.Flaw{Severity: "critical", SeverityBy: "Debian"}, fleet.Track, "there is no fix yet: critical (Debian)"},
		{fleet.Flaw{WontFix: true, Severity: "high", SeverityBy: "CVSS", CVSS: 7.5}, fleet.Track, "it will not be mended: high (CVSS 7.5)"},
		{fleet.Flaw{Exploited: &fleet.Exploited{Added: added}}, fleet.ActNow, "it is exploited (CISA, since 2025-08-20), and there is no fix yet"},
		{fleet.Flaw{WontFix: true, EPSS: 0.2, Percentile: 0.9}, fleet.ThisWindow, "it is exploited within 30 days with a probability of 20% (EPSS, higher than 90% of all), and it will not be mended"},
		{fleet.Flaw{FixedIn: "2"}, fleet.ThisWindow, "nobody has said how bad it is"},
		{fleet.Flaw{FixedIn: "2", Severity: "low", SeverityBy: "Ubuntu"}, fleet.Routine, "it is low (Ubuntu)"},
		{fleet.Flaw{FixedIn: "2", Exploited: &fleet.Exploited{Added: added}, Suppressed: &fleet.Suppressed{Reason: "off", Until: added}}, fleet.Track, "it is suppressed until 2025-08-20: off"},
	} {
		if bucket, because := Rank(c.flaw, now); bucket != c.bucket || because != c.because {
			t.Errorf("%+v: %s because %q, want %s because %q", c.flaw, bucket, because, c.bucket, c.because)
		}
	}
}
