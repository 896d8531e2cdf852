package pkg

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/source/sourcetest"
)

func TestScan(t *testing.T) { sourcetest.Replay(t, Source{}) }

const everything = "remove timescaledb 2.10.1, install libpsl 0.21.5_1, install timescaledb211 2.11.2, " +
	"upgrade curl 8.9.1 → 8.10.1, upgrade drm-515-kmod 5.15.160 → 5.15.160_1, upgrade icu 72.1,1 → 74.2,1"

func TestWhatIsNotKnownIsNotCalledUpToDate(t *testing.T) {
	cases := map[string]struct {
		change  func(t *testing.T, s *sourcetest.Script)
		because string
	}{
		"a catalogue of a month ago": {func(t *testing.T, s *sourcetest.Script) { old(t, s, "var/db/pkg/repos/FreeBSD/db") }, "what is on offer was last fetched 30 days ago"},
		"no catalogue": {func(t *testing.T, s *sourcetest.Script) {
			if err := os.RemoveAll(filepath.Join(s.Root(), "var/db/pkg/repos")); err != nil {
				t.Fatal(err)
			}
		}, "no catalogue of a repository was fetched yet"},
		"an empty inventory": {func(_ *testing.T, s *sourcetest.Script) { s.Answer(queryLine, sourcetest.Reply{}) }, "what pkg says is installed cannot be read"},
		"a plan in other words": {func(_ *testing.T, s *sourcetest.Script) {
			s.Answer(planLine, sourcetest.Reply{Stdout: "Die folgenden 2 Pakete:\n\tcurl: 1 -> 2\n"})
		}, "it has neither a plan nor that there is nothing to do"},
		"a plan that was cut off": {func(t *testing.T, s *sourcetest.Script) {
			s.Answer(planLine, sourcetest.Reply{Stdout: strings.Replace(text(t, "testdata/machines/upgradable/commands/upgrade.stdout"), "\tcurl: 8.9.1 -> 8.10.1 [FreeBSD]\n", "", 1)})
		}, "2 of 3 packages to be upgraded"},
		"a heading that is not known": {func(_ *testing.T, s *sourcetest.Script) {
			s.Answer(planLine, sourcetest.Reply{Stdout: "The following 1 package(s) will be affected (of 0 checked):\n\nInstalled packages to be MOVED:\n\tcurl: 1\n"})
		}, `it is something else than what would be done: "Installed packages to be MOVED:"`},
		"a lock": {func(_ *testing.T, s *sourcetest.Script) {
			s.Answer(planLine, sourcetest.Reply{Stderr: "pkg: Cannot get an advisory lock on a database, it is locked by another process\n", Code: 1})
		}, "another program is at work on the packages"},
		"another release's repository": {func(_ *testing.T, s *sourcetest.Script) {
			s.Answer(versionLine, sourcetest.Reply{Stderr: "pkg: repository FreeBSD contains packages for wrong OS version: FreeBSD:15:amd64\n", Code: 1})
		}, "made for another version of FreeBSD"},
		"a list that is none": {func(_ *testing.T, s *sourcetest.Script) {
			s.Answer(versionLine, sourcetest.Reply{Stdout: "curl-8.9.1 < muss erneuert werden (8.10.1)\n"})
		}, "what pkg says is on offer cannot be read"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := scripted(t, "upgradable")
			c.change(t, s)
			_, err := Source{}.Scan(t.Context(), s.Machine())
			if got, _ := fleet.Explain(err); !strings.Contains(got, c.because) {
				t.Errorf("unknown because %q, want %q", got, c.because)
			}
		})
	}
	if f, err := (Source{}).Scan(t.Context(), scripted(t, "up-to-date").Machine()); err != nil || len(f.Updates) != 0 || f.SecurityUnknown != "" || f.AsOf.IsZero() {
		t.Errorf("up to date: %+v, %v", f, err)
	}
}

func TestAnOldListOfFlawsIsNotTheLastWord(t *testing.T) {
	s := scripted(t, "upgradable")
	old(t, s, "var/db/pkg/vuln.xml")
	f, err := Source{}.Scan(t.Context(), s.Machine())
	if err != nil || !strings.Contains(f.SecurityUnknown, "last fetched 30 days ago") {
		t.Errorf("%q, %v", f.SecurityUnknown, err)
	}
	for _, u := range f.Updates {
		if u.Security != (u.Name == "curl" || u.Name == "sqlite3") {
			t.Errorf("%+v", u)
		}
	}
	for out, why := range map[string]string{
		"": "unexpected end", `{"packages":{}}`: "how many", `{"pkg_count":2,"packages":{"a":{}}}`: "how many", "curl-8.9.1 is vulnerable:": "cannot be read",
	} {
		s.Answer(auditLine, sourcetest.Reply{Stdout: out})
		if f, _ := (Source{}).Scan(t.Context(), s.Machine()); !strings.Contains(f.SecurityUnknown, why) {
			t.Errorf("%q: %q", out, f.SecurityUnknown)
		}
	}
}

func TestAPlanIsWhatPkgSimulates(t *testing.T) {
	s := scripted(t, "upgradable")
	p := plan(t, s, fleet.Selection{All: true})
	if got := lines(p.Changes); got != everything {
		t.Errorf("planned %s", got)
	}
	if p.Download != 22<<20 || p.Disk != 9<<20 || p.Reboot.Needed != fleet.Needed || strings.Join(p.Reboot.Because, " ") != "drm-515-kmod" {
		t.Errorf("%+v", p)
	}
	if strings.Join(p.Warnings, "; ") != "put in place again in the version that they have: py311-setuptools" {
		t.Errorf("%q", p.Warnings)
	}
	for _, c := range p.Changes {
		if c.Security != (c.Name == "curl") || c.Automatic != (c.From == "") || c.Arch != "FreeBSD:14:amd64" {
			t.Errorf("%+v", c)
		}
	}
	s.Answer("pkg upgrade -nU curl sqlite3", sourcetest.Reply{Stdout: "The following 1 package(s) will be affected (of 0 checked):\n\nInstalled packages to be UPGRADED:\n\tcurl: 8.9.1 -> 8.10.1 [FreeBSD]\n\nNumber of packages to be upgraded: 1\n", Code: 1})
	refused(t, s, fleet.Selection{Names: []string{"nginx"}}, "nginx is on hold: pkg lock")
	refused(t, s, fleet.Selection{Names: []string{"-y"}}, "no update of")
	if got := lines(plan(t, s, fleet.Selection{Names: []string{"curl", "sqlite3"}}).Changes); got != "upgrade curl 8.9.1 → 8.10.1" {
		t.Errorf("planned %s", got)
	}
	s.Answer("pkg upgrade -nU curl", sourcetest.Reply{Stdout: "The following 2 package(s) will be affected (of 0 checked):\n\nInstalled packages to be REMOVED:\n\tpkg: 1.21.3\n\nInstalled packages to be UPGRADED:\n\tcurl: 8.9.1 -> 8.10.1\n"})
	refused(t, s, fleet.Selection{Security: true}, "the plan would remove pkg, which this machine needs")
	s.Answer("pkg upgrade -nU curl", sourcetest.Reply{Stdout: "The following 1 package(s) will be affected (of 0 checked):\n\nInstalled packages to be DOWNGRADED:\n\tcurl: 8.9.1 -> 8.0\n"})
	refused(t, s, fleet.Selection{Names: []string{"curl"}}, "would put an older version of curl in place")
	s.Answer("pkg upgrade -nU curl", sourcetest.Reply{Stdout: "New version of pkg detected; it needs to be installed first.\nThe following 1 package(s) will be affected (of 0 checked):\n\nInstalled packages to be UPGRADED:\n\tpkg: 1.21.3 -> 2.0\n"})
	refused(t, s, fleet.Selection{Names: []string{"curl"}}, "pkg renews itself before anything else")
}

func TestAPlanInTheWordsOfAnOldPkgOrOfTheBaseSystem(t *testing.T) {
	if got := lines(plan(t, scripted(t, "old-pkg"), fleet.Selection{All: true}).Changes); got != "remove old-lib 1.0, upgrade curl 7.42.0 → 7.42.1, upgrade git 2.3.6 → 2.3.7" {
		t.Errorf("planned %s", got)
	}
	refused(t, scripted(t, "old-pkg"), fleet.Selection{Security: true}, "which updates are for security is not known")
	p := plan(t, scripted(t, "pkgbase"), fleet.Selection{All: true})
	if p.Reboot.Needed != fleet.Needed || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "boot environment") {
		t.Errorf("%+v", p)
	}
}

func TestWhatWasDoneIsWhatTheDatabaseSays(t *testing.T) {
	s := scripted(t, "upgradable")
	p, w := plan(t, s, fleet.Selection{All: true}), s.Work()
	for _, one := range []string{"timescaledb-2.10.1", "drm-515-kmod-5.15.160", "icu-72.1,1"} {
		name := one[:strings.LastIndex(one, "-")]
		s.Answer("pkg create -q -o /var/lib/redflag/packages "+name, sourcetest.Reply{Do: `echo >"$root/var/lib/redflag/packages/` + one + `.pkg"`})
	}
	s.Answer("pkg create -q -o /var/lib/redflag/packages curl", sourcetest.Reply{Code: 1})
	s.Answer("pkg upgrade -FyU", sourcetest.Reply{Stdout: "[1/5] Fetching curl-8.10.1.pkg: 100%    2 MiB\n"})
	if err := (Source{}).Fetch(t.Context(), s.Machine(), p, w); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	if log := s.Read("job/log"); !strings.Contains(log, "curl 8.9.1 could not be put aside") {
		t.Errorf("log: %s", log)
	}
	after := installed(t, "upgradable", "curl\t8.9.1", "curl\t8.10.1", "icu\t72.1,1", "icu\t74.2,1", "timescaledb\t2.10.1", "timescaledb211\t2.11.2", "pkg\t1.21.3", "libpsl\t0.21.5_1\tFreeBSD:14:amd64\t0\t1\t5\tx\npkg\t1.21.3")
	s.Answer("pkg upgrade -yU", sourcetest.Reply{
		Stdout: "[1/6] Upgrading curl from 8.9.1 to 8.10.1...\n[1/6] Extracting curl-8.10.1: 100%\n[2/6] Upgrading drm-515-kmod from 5.15.160 to 5.15.160_1...\n",
		Stderr: "pkg: PRE-INSTALL script failed\n", Code: 3, Do: becomes(s, "1", after),
	})
	o := apply(t, s, p, w)
	if got := lines(o.Done); got != strings.Replace(everything, "upgrade drm-515-kmod 5.15.160 → 5.15.160_1, ", "", 1) {
		t.Errorf("done: %s", got)
	}
	if o.Succeeded() || lines(o.Missing) != "upgrade drm-515-kmod 5.15.160 → 5.15.160_1" || o.Because != "the pre-install script of drm-515-kmod failed" {
		t.Errorf("%+v", o)
	}
	if _, err := (Source{}).Undo(s.Machine(), p, o, w); err == nil || !strings.Contains(err.Error(), "the way back lacks curl 8.9.1") {
		t.Errorf("%v", err)
	}
}

func TestTheWayBackPutsOlderPackagesInPlaceAndTakesNothingElse(t *testing.T) {
	s := scripted(t, "upgradable")
	before := installed(t, "upgradable")
	s.Write("var/cache/pkg/icu-72.1,1.pkg", "")
	o := fleet.Outcome{Done: []fleet.Change{
		{Action: fleet.Upgrade, Name: "icu", Arch: "FreeBSD:14:amd64", From: "72.1,1", To: "74.2,1"}, {Action: fleet.Install, Name: "libpsl", Arch: "FreeBSD:14:amd64", To: "0.21.5_1"},
	}}
	sel, err := Source{}.Undo(s.Machine(), fleet.Plan{}, o, s.Work())
	if err != nil {
		t.Fatal(fleet.Explain(err))
	}
	s.Write("tmp/evil-1.pkg", "")
	for _, c := range []fleet.Change{{Name: "../../../tmp/evil", To: "1"}, {Name: "icu", From: "72.1,1", To: "1/../../../../tmp/evil-1"}, {Name: "-y"}} {
		refused(t, s, fleet.Selection{Back: []fleet.Change{c}}, "is no package")
	}
	if p := plan(t, s, sel); len(p.Changes) != 0 {
		t.Errorf("what is so already is planned: %s", lines(p.Changes))
	}
	s.Answer(queryLine, sourcetest.Reply{Stdout: strings.Replace(before, "icu\t72.1,1", "icu\t75.1,1", 1)})
	refused(t, s, sel, "icu has changed since: it is 75.1,1, not 74.2,1")
	s.Answer(queryLine, sourcetest.Reply{Stdout: strings.Replace(before, "icu\t72.1,1", "icu\t74.2,1", 1) + "libpsl\t0.21.5_1\tFreeBSD:14:amd64\t0\t1\t5\tx\n"})
	gone := "Checking integrity... done (0 conflicting)\nDeinstallation has been requested for the following 2 packages (of 0 packages in the universe):\n\nInstalled packages to be REMOVED:\n\tlibpsl: 0.21.5_1\n%\nNumber of packages to be removed: 1\n"
	s.Answer("pkg delete -n libpsl", sourcetest.Reply{Stdout: strings.Replace(strings.Replace(gone, "%", "\tcurl: 8.9.1\n", 1), "removed: 1", "removed: 2", 1), Code: 1})
	refused(t, s, sel, "curl needs what the way back removes")
	s.Answer("pkg delete -n libpsl", sourcetest.Reply{Stdout: strings.Replace(gone, "%", "", 1), Code: 1})
	p := plan(t, s, sel)
	if got := lines(p.Changes); got != "remove libpsl 0.21.5_1, downgrade icu 74.2,1 → 72.1,1" {
		t.Fatalf("planned %s", got)
	}
	s.Answer("pkg add -f /var/cache/pkg/icu-72.1,1.pkg", sourcetest.Reply{Do: becomes(s, "1", strings.Replace(before, "icu\t72.1,1\tFreeBSD:14:amd64\t0\t1", "icu\t72.1,1\tFreeBSD:14:amd64\t0\t0", 1))})
	s.Answer("pkg delete -y libpsl", sourcetest.Reply{})
	s.Answer("pkg set -yA 1 icu", sourcetest.Reply{Code: 1, Stderr: "pkg: Insufficient privileges to modify the package database\n", Do: `mkdir "$root/job/code.json"`})
	if o := apply(t, s, p, s.Work()); o.Succeeded() || lines(o.Done) != lines(p.Changes) || !strings.HasPrefix(o.Because, "which packages came because others need them") {
		t.Errorf("%+v", o)
	}
	s.Answer(queryLine, sourcetest.Reply{Stdout: strings.Replace(before, "icu\t72.1,1", "icu\t74.2,1", 1) + "libpsl\t0.21.5_1\tFreeBSD:14:amd64\t0\t1\t5\tx\n"})
	s.Answer("pkg set -yA 1 icu", sourcetest.Reply{Do: becomes(s, "2", before)})
	if o := apply(t, s, p, s.Work()); !o.Succeeded() || lines(o.Done) != lines(p.Changes) {
		t.Errorf("%+v", o)
	}
	if !strings.Contains(s.Asked(), "pkg set -yA 1 icu") {
		t.Error("the mark of what came by itself was not put back")
	}
}

func TestAFailureIsToldAsItIs(t *testing.T) {
	t.Run("what is on offer has changed", func(t *testing.T) {
		s := scripted(t, "upgradable")
		p := plan(t, s, fleet.Selection{All: true})
		s.Answer(planLine, sourcetest.Reply{Stdout: "The following 1 package(s) will be affected (of 0 checked):\n\nInstalled packages to be UPGRADED:\n\tcurl: 8.9.1 -> 8.11.0\n\n"})
		s.Answer("pkg audit --raw=json-compact curl-8.11.0 sqlite3-3.46.1,1", sourcetest.Reply{Stdout: `{"pkg_count":0}`})
		_, err := Source{}.Apply(t.Context(), s.Machine(), p, s.Work())
		if got, _ := fleet.Explain(err); !strings.HasPrefix(got, "what it would do now is not what was approved") {
			t.Errorf("%q", got)
		}
	})
	t.Run("a download that fails", func(t *testing.T) {
		s := scripted(t, "upgradable")
		s.Answer("pkg upgrade -FyU", sourcetest.Reply{Stderr: "pkg: https://pkg.FreeBSD.org/FreeBSD:14:amd64/latest/All/icu-74.2,1.pkg: Operation timed out\n", Code: 1})
		err := Source{}.Fetch(t.Context(), s.Machine(), plan(t, s, fleet.Selection{All: true}), s.Work())
		if got, _ := fleet.Explain(err); got != "pkg cannot do this: a repository cannot be reached" {
			t.Errorf("%q", got)
		}
	})
	t.Run("a lock", func(t *testing.T) {
		s := scripted(t, "upgradable")
		s.Answer("pkg upgrade -yU", sourcetest.Reply{Stderr: "pkg: Cannot get an advisory lock on a database, it is locked by another process\n", Code: 1})
		if o := apply(t, s, plan(t, s, fleet.Selection{All: true}), s.Work()); o.Succeeded() || len(o.Done) > 0 || o.Because != "another program is at work on the packages" {
			t.Errorf("%+v", o)
		}
	})
	t.Run("a job that was killed", func(t *testing.T) {
		s := scripted(t, "upgradable")
		p, w := plan(t, s, fleet.Selection{All: true}), s.Work()
		if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, w); err != nil || o.Because != "it was ended before it began to change anything" {
			t.Errorf("%+v, %v", o, err)
		}
		before, err := look(t.Context(), s.Machine())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(s.Machine(), beforeFile, before); err != nil {
			t.Fatal(err)
		}
		if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, w); err != nil || o.Succeeded() || len(o.Missing) != len(p.Changes) {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

func TestAHoldIsALockOfPkg(t *testing.T) {
	s := scripted(t, "upgradable")
	s.Answer("pkg lock -qy curl", sourcetest.Reply{Do: becomes(s, "1", installed(t, "upgradable", "curl\t8.9.1\tFreeBSD:14:amd64\t0", "curl\t8.9.1\tFreeBSD:14:amd64\t1"))})
	s.Answer("pkg unlock -qy nginx", sourcetest.Reply{})
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"curl", "nginx"}, true); err != nil {
		t.Error(fleet.Explain(err))
	}
	if held, err := (Source{}).Held(s.Machine()); err != nil || strings.Join(held, " ") != "curl nginx" {
		t.Errorf("%q, %v", held, err)
	}
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"nginx"}, false); err == nil {
		t.Error("a lock that was not taken away is told as taken away")
	}
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"nobody"}, true); err == nil {
		t.Error("what is not installed is held")
	}
}

func TestARepairBringsWhatIsMissing(t *testing.T) {
	s := scripted(t, "upgradable")
	s.Answer("pkg check -dnqa", sourcetest.Reply{Stdout: "curl\tlibpsl\ncurl\tlibpsl.so.5\n", Code: 1})
	if list, err := (Source{}).Unfinished(s.Machine()); err != nil || strings.Join(list, " ") != "curl" {
		t.Errorf("%q, %v", list, err)
	}
	s.Answer("pkg check -dya", sourcetest.Reply{Do: becomes(s, "1", installed(t, "upgradable")+"libpsl\t0.21.5_1\tFreeBSD:14:amd64\t0\t1\t5\tx\n") + `; for f in "$root"/script/*.cmd; do if grep -q 'check -dnqa' "$f"; then : >"${f%.cmd}.stdout"; echo 0 >"${f%.cmd}.rc"; fi; done`})
	if o, err := (Source{}).Repair(t.Context(), s.Machine(), s.Work()); err != nil || !o.Succeeded() || lines(o.Done) != "install libpsl 0.21.5_1" {
		t.Errorf("%+v, %v", o, err)
	}
	s.Answer("pkg check -dnqa", sourcetest.Reply{Stderr: "pkg: Insufficient privileges to access the package database\n", Code: 1})
	if _, err := (Source{}).Unfinished(s.Machine()); err == nil || !strings.Contains(err.Error(), "only root may access the package database") {
		t.Errorf("%v", err)
	}
}

func TestARefreshThatFailsSaysWhy(t *testing.T) {
	s := scripted(t, "upgradable")
	if os.Geteuid() != 0 {
		if err := (Source{}).Refresh(t.Context(), s.Machine()); err == nil {
			t.Error("anybody may refresh")
		}
		return
	}
	s.Answer("pkg update -q", sourcetest.Reply{})
	s.Answer("pkg audit -Fq", sourcetest.Reply{Stdout: "curl-8.9.1\n", Code: 1})
	if err := (Source{}).Refresh(t.Context(), s.Machine()); err != nil {
		t.Error(err)
	}
	s.Answer("pkg update -q", sourcetest.Reply{Stderr: "pkg: https://pkg.FreeBSD.org/FreeBSD:14:amd64/latest/meta.txz: No address record\n", Code: 1})
	if got, _ := fleet.Explain(Source{}.Refresh(t.Context(), s.Machine())); !strings.Contains(got, "a repository cannot be reached") {
		t.Error(got)
	}
}
