package advisory

import (
	"bytes"
	"strings"
	"testing"
)

func TestAlpinesDatabaseSaysWhatIsMendedInWhichVersion(t *testing.T) {
	l := newLab(t)
	l.take("testdata/secdb.json", l.file("main.json", `{"distroversion":"v3.20","reponame":"main","packages":[
		{"pkg":{"name":"openssl","secfixes":{"3.3.2-r0":["CVE-2024-6119"],"0":["CVE-2022-1292"],"3.3.0-r3":["CVE-2024-4741 (+ regression fix)"]}}},
		{"pkg":{"name":"twice","secfixes":{"1.9-r0":["CVE-2024-0001"],"1.10-r0":["CVE-2024-0001 XSA-1"],"0":["CVE-2024-0001"]}}},
		{"pkg":{"name":"odd","secfixes":{"1.0_rc2-r0":["CVE-2024-0002"],"2-r0":7}}}]}`))
	for _, c := range []struct{ ecosystem, name, version, want string }{
		{"Alpine:v3.10", "botan", "2.5.0-r0", "CVE-2018-12435 CVE-2018-20187 CVE-2018-9860"},
		{"Alpine:v3.10", "botan", "2.9.0-r0", ""},
		{"Alpine:v3.10", "chicken", "4.11.1-r0", "CVE-2017-6949 CVE-2017-9334"},
		{"Alpine:v3.10", "chicken", "4.12.0-r2", "CVE-2017-6949"},
		{"Alpine:v3.10", "cfengine", "3.12.1-r5", "CVE-2019-9929"},
		{"Alpine:v3.20", "botan", "2.5.0-r0", ""},
		{"Alpine:v3.20", "openssl", "3.3.1-r3", "CVE-2024-6119"},
		{"Alpine:v3.20", "openssl", "3.3.0-r2", "CVE-2024-4741 CVE-2024-6119"},
		{"Alpine:v3.20", "twice", "1.9-r0", "CVE-2024-0001 XSA-1"},
		{"Alpine:v3.20", "twice", "1.10-r0", ""},
		{"Alpine:v3.20", "odd", "1.0_rc1-r9", "CVE-2024-0002"},
		{"Alpine:v3.20", "odd", "1.0-r0", ""},
		{"Alpine:v3.20", "libssl3", "3.3.0-r2", ""}, // a part is not its origin
	} {
		if got := strings.Join(l.affected(Subject{Ecosystem: c.ecosystem, Name: c.name, Version: c.version}), " "); got != c.want {
			t.Errorf("%s %s %s: %q, want %q", c.ecosystem, c.name, c.version, got, c.want)
		}
	}
	names := ""
	for _, f := range l.open().Feeds() {
		names += f.Name + " "
	}
	if names != "alpine-secdb:v3.10/community alpine-secdb:v3.20/main " {
		t.Error(names)
	}
}

func TestArchsTrackerGoesByPackagesAndPacmansOrder(t *testing.T) {
	l := newLab(t)
	l.take("testdata/arch.json")
	for _, c := range []struct{ name, version, want string }{
		{"openssl", "3.1.3-1", "CVE-2023-5363"},
		{"lib32-openssl", "1:3.1.3-1", ""},
		{"openssl", "3.1.4-1", ""},
		{"pam", "9-1", "CVE-2024-22365"},
		{"xorg-server", "21.1.10-1", "CVE-2023-6816 CVE-2024-0229"},
		{"xorg-server", "21.1.11-1", ""},
		{"curl", "8.4.0-1", ""},
		{"vim", "9.0-1", ""},
		{"bind", "9.99-1", "CVE-2016-9131"},
		{"bind", "1:9.11.0.P2-1", ""},
	} {
		if got := strings.Join(l.affected(Subject{Ecosystem: arch, Name: c.name, Version: c.version}), " "); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.name, c.version, got, c.want)
		}
	}
	v, err := NewMatcher(l.open()).Match(Subject{Ecosystem: arch, Name: "openssl", Version: "3.1.3-1"})
	if f := v.Flaws[0]; err != nil || f.Severity != "high" || f.SeverityBy != arch || f.Remark != "AVG-2843, ASA-202311-1" || f.FixedIn != "3.1.4-1" {
		t.Errorf("%+v, %v", f, err)
	}
	if n := l.open().Feeds()[0].Skipped["undetermined"]; n != 1 {
		t.Errorf("%d are undetermined", n)
	}
}

func TestOSVsRecordsOfAlpineUbuntuRockyAndSUSE(t *testing.T) {
	l := newLab(t)
	l.take("testdata/osv")
	for _, c := range []struct{ ecosystem, name, version, want, fixed, remark string }{
		{"Alpine:v3.20", "openssl", "3.3.1-r3", "CVE-2024-6119", "3.3.2-r0", ""},
		{"Alpine:v3.20", "openssl", "3.3.2-r0", "", "", ""},
		{"Alpine:v3.19", "openssl", "3.1.6-r2", "CVE-2024-6119", "3.1.7-r0", ""},
		{"Ubuntu:22.04:LTS", "libksba", "1.6.0-2build1", "CVE-2022-3515", "1.6.0-2ubuntu0.1", ""},
		{"Ubuntu:22.04:LTS", "libksba", "1.6.0-2ubuntu0.1", "", "", ""},
		{"Ubuntu:16.04:LTS", "libksba", "1.3.3-1ubuntu0.16.04.1", "CVE-2022-3515", "1.3.3-1ubuntu0.16.04.1+esm1", bySubscription},
		{"Ubuntu:Pro:16.04:LTS", "libksba", "1.3.3-1ubuntu0.16.04.1", "CVE-2022-3515", "1.3.3-1ubuntu0.16.04.1+esm1", ""},
		{"Ubuntu:Pro:16.04:LTS", "libksba", "1.3.3-1ubuntu0.16.04.1+esm1", "", "", ""},
		{"Ubuntu:22.04:LTS", "universal", "2.0-1", "CVE-2022-3515", "2.0-1ubuntu0.1~esm1", bySubscription},
		{"Ubuntu:Pro:22.04:LTS", "universal", "2.0-1ubuntu0.1~esm1", "", "", ""},
		{"Rocky Linux:9", "expat", "2.5.0-2.el9", "CVE-2024-45490 CVE-2024-45491", "0:2.5.0-3.el9_5.1", ""},
		{"Rocky Linux:9", "expat", "2.5.0-3.el9_5.1", "", "", ""},
		{"openSUSE:Leap 15.6", "expat", "2.4.4-150400.3.22.1", "CVE-2024-50602", "2.4.4-150400.3.25.1", ""},
		{"SUSE:Linux Enterprise 15 SP6", "expat", "2.4.4-150400.3.22.1", "CVE-2024-50602", "2.4.4-150400.3.25.1", ""},
		{"openSUSE:Leap 15.6", "libexpat1", "2.4.4-150400.3.22.1", "", "", ""},
	} {
		v, err := NewMatcher(l.open()).Match(Subject{Ecosystem: c.ecosystem, Name: c.name, Version: c.version})
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(v.Flaws); got != c.want {
			t.Errorf("%s %s %s: %q, want %q", c.ecosystem, c.name, c.version, got, c.want)
			continue
		}
		if c.want != "" && (v.Flaws[0].FixedIn != c.fixed || v.Flaws[0].Remark != c.remark) {
			t.Errorf("%s %s %s: %+v", c.ecosystem, c.name, c.version, v.Flaws[0])
		}
	}
}

func TestABundleOfAnUbuntuHasWhatIsForSubscribersToo(t *testing.T) {
	l, small := newLab(t), newLab(t)
	l.take("testdata/osv")
	var b bytes.Buffer
	if _, err := Export(l.dir, &b, "Ubuntu:22.04:LTS"); err != nil {
		t.Fatal(err)
	}
	small.take(l.file("bundle", b.String()))
	v, err := NewMatcher(small.open()).Match(Subject{Ecosystem: "Ubuntu:22.04:LTS", Name: "universal", Version: "2.0-1"})
	if err != nil || len(v.Flaws) != 1 || v.Flaws[0].Remark != bySubscription {
		t.Errorf("%+v, %v", v, err)
	}
}
