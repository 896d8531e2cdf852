package apk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source/sourcetest"
)

const offered = "demo-app.x86_64 2.0-r3→2.1-r1, demo-broken.x86_64 1.0-r0→2.0-r0, demo-conf.x86_64 1.0-r0→2.0-r0, demo-lib.x86_64 1.0-r0→1.1-r0, " +
	"demo-pinned.x86_64 1.0-r0→1.5-r0 (pinned), demo-subpkg-libs.x86_64 1.0-r0→1.0.1-r0, linux-virt.x86_64 6.12.1-r0→6.12.60-r0"

const everything = "remove demo-old.x86_64 1.0-r0, install demo-newdep.x86_64 0.5_rc1-r0, install demo-replacement.x86_64 3.0-r0, " +
	"upgrade demo-app.x86_64 2.0-r3 → 2.1-r1, upgrade demo-broken.x86_64 1.0-r0 → 2.0-r0, upgrade demo-conf.x86_64 1.0-r0 → 2.0-r0, " +
	"upgrade demo-lib.x86_64 1.0-r0 → 1.1-r0, upgrade demo-subpkg-libs.x86_64 1.0-r0 → 1.0.1-r0, upgrade linux-virt.x86_64 6.12.1-r0 → 6.12.60-r0"

func eachVersion(t *testing.T, test func(t *testing.T, version string)) {
	t.Helper()
	for _, v := range versions {
		t.Run(v, func(t *testing.T) { test(t, v) })
	}
}

func TestAScanTellsWhatIsOnOfferAndWhatTheWorldPins(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		s := newScripted(t, version)
		f := s.Finding(Source{})
		if got := sourcetest.Updates(f); got != offered {
			t.Errorf("got  %s\nwant %s", got, offered)
		}
		if f.SecurityUnknown == "" || f.AsOf.IsZero() {
			t.Errorf("security %q, as of %s", f.SecurityUnknown, f.AsOf)
		}
		for _, u := range f.Updates {
			if u.Size == 0 || u.Summary == "" || u.Origin != "/srv/apkrepo/current" {
				t.Errorf("%+v", u)
			}
			if u.Blocked == fleet.Pinned && u.BlockedBecause != "demo-pinned=1.0-r0 in /etc/apk/world" {
				t.Errorf("pinned because %q", u.BlockedBecause)
			}
		}
		list, err := Source{}.Packages(t.Context(), s.Machine())
		if err != nil || len(list) != 8 {
			t.Errorf("%d packages, %v", len(list), err)
		}
	})
}

func TestWhatIsNotKnownIsNotCalledUpToDate(t *testing.T) {
	t.Run("a list that is none", func(t *testing.T) {
		s := newScripted(t, "v3")
		s.answers(listLine, "demo-app 2.1-r1 ist neuer\n", "", 0, "")
		s.Unknown(Source{}, "what apk says is on offer cannot be read")
	})
	t.Run("a simulation without an end", func(t *testing.T) {
		s := newScripted(t, "v3")
		s.answers(simulateLine, "(1/2) Upgrading demo-lib (1.0-r0 -> 1.1-r0)\n", "", 0, "")
		s.Unknown(Source{}, "1 of 2 packages")
		s.answers(simulateLine, "(1/2) Upgrading demo-lib (1.0-r0 -> 1.1-r0)\nOK: 136 KiB in 8 packages\n", "", 0, "")
		s.Unknown(Source{}, "1 of 2 packages")
		s.answers(simulateLine, "", "", 0, "")
		s.Unknown(Source{}, "0 of 0 packages")
	})
	t.Run("an upgrade that cannot be", func(t *testing.T) {
		s := newScripted(t, "v2")
		s.answers(simulateLine, "", s.file("testdata/recorded/v2-add-unsat.stderr"), 2, "")
		f, err := Source{}.Scan(t.Context(), s.Machine())
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range f.Updates {
			if u.Blocked != fleet.KeptBack || !strings.Contains(u.BlockedBecause, "breaks: world[demo-lib>9]") {
				t.Errorf("%+v", u)
			}
		}
		s.Refused(Source{}, fleet.Selection{All: true}, "no selection of packages fits: demo-lib-1.1-r0:")
	})
	t.Run("no index", func(t *testing.T) {
		s := newScripted(t, "v3")
		s.Write("etc/apk/repositories", "https://dl-cdn.alpinelinux.org/alpine/v3.22/main\n")
		s.answers(listLine, "", "", 0, "")
		s.answers(simulateLine, "OK: 136 KiB in 8 packages\n", "", 0, "")
		s.Unknown(Source{}, "no index of a repository was fetched")
	})
	t.Run("an index that was fetched a month ago", func(t *testing.T) {
		s := newScripted(t, "v3")
		old := time.Now().Add(-30 * 24 * time.Hour)
		if err := os.Chtimes(filepath.Join(s.Root(), "srv/apkrepo/current/x86_64/APKINDEX.tar.gz"), old, old); err != nil {
			t.Fatal(err)
		}
		s.Unknown(Source{}, "what is on offer was last fetched 30 days ago")
	})
	t.Run("an empty database", func(t *testing.T) {
		s := newScripted(t, "v2")
		s.Write("lib/apk/db/installed", "")
		s.Unknown(Source{}, "/lib/apk/db/installed cannot be read: it has no package")
	})
	t.Run("the database where apk 3 has it on new machines", func(t *testing.T) {
		s := newScripted(t, "v3")
		s.Write("usr/lib/apk/db/installed", s.Read("lib/apk/db/installed"))
		if err := os.Remove(filepath.Join(s.Root(), "lib/apk/db/installed")); err != nil {
			t.Fatal(err)
		}
		if f, err := (Source{}).Scan(t.Context(), s.Machine()); err != nil || len(f.Updates) != 7 {
			t.Errorf("%d updates, %v", len(f.Updates), err)
		}
	})
}

func TestAPlanIsWhatAPKSimulates(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		s := newScripted(t, version)
		p := s.Plan(Source{}, fleet.Selection{All: true})
		if got := sourcetest.Lines(p.Changes); got != everything {
			t.Errorf("planned %s", got)
		}
		if p.Download == 0 || p.Free == 0 || p.Reboot.Needed != fleet.Needed || len(p.Warnings) != 0 {
			t.Errorf("%+v", p)
		}
		s.answers("apk --cache-max-age 5256000 --simulate upgrade --no-self-upgrade demo-lib", s.file("testdata/recorded/"+version+"-upgrade-single.stdout"), "", 0, "")
		if got := sourcetest.Lines(s.Plan(Source{}, fleet.Selection{Names: []string{"demo-lib"}}).Changes); got != "upgrade demo-lib.x86_64 1.0-r0 → 1.1-r0" {
			t.Errorf("planned %s", got)
		}
		s.Refused(Source{}, fleet.Selection{Names: []string{"demo-pinned"}}, "demo-pinned is pinned: demo-pinned=1.0-r0 in /etc/apk/world")
		s.Refused(Source{}, fleet.Selection{Names: []string{"--root=/"}}, "no update of")
		s.Refused(Source{}, fleet.Selection{Security: true}, "which updates are for security is not known")
		s.answers(simulateLine, "(1/2) Purging openssh (9.0-r1)\n(2/2) Upgrading demo-lib (1.0-r0 -> 1.1-r0)\nOK: 0 MiB in 7 packages\n", "", 0, "")
		s.Refused(Source{}, fleet.Selection{All: true}, "the plan would remove openssh")
		s.answers(simulateLine, s.file("testdata/recorded/"+version+"-upgrade-simulate-quietv.stdout"), "", 0, "")
		if got := s.Plan(Source{}, fleet.Selection{All: true}); got.Digest() != p.Digest() {
			t.Errorf("in other words: %s", sourcetest.Lines(got.Changes))
		}
		s.Write("etc/lbu/lbu.conf", "LBU_MEDIA=usb\n")
		if got := s.Plan(Source{}, fleet.Selection{All: true}); len(got.Warnings) != 1 {
			t.Errorf("%q", got.Warnings)
		}
	})
}

func TestWhatWasDoneIsWhatTheDatabaseSays(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		s := newScripted(t, version)
		s.Write("etc/demo-apk.conf", "setting=mine\n")
		p := s.Plan(Source{}, fleet.Selection{All: true})
		if strings.Join(p.ConfigFiles, " ") != "/etc/demo-apk.conf" {
			t.Errorf("changed by hand: %q", p.ConfigFiles)
		}
		s.carries(version, upgradeLine, s.file("testdata/recorded/installed-after"))
		s.Write("etc/demo-apk.conf.apk-new", "old\n")
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(s.Root(), "etc/demo-apk.conf.apk-new"), old, old); err != nil {
			t.Fatal(err)
		}
		o, err := Source{}.Apply(t.Context(), s.Machine(), p, s.Work())
		if err != nil {
			t.Fatal(fleet.Explain(err))
		}
		if got := sourcetest.Lines(o.Done); got != everything {
			t.Errorf("done: %s", got)
		}
		if o.Succeeded() || len(o.Missing) > 0 || strings.Join(o.HalfDone, " ") != "demo-broken" ||
			o.Because != "the post-upgrade script of demo-broken failed; its files are installed all the same" {
			t.Errorf("%+v", o)
		}
		if len(o.ConfigFiles) > 0 {
			t.Errorf("what lay there before is to be reviewed: %q", o.ConfigFiles)
		}
		if said := s.Read("job/status"); said != s.file("testdata/recorded/"+version+"-upgrade-progress-fd.fd3") {
			t.Errorf("progress: %q", said)
		}
		if _, err := (Source{}).Undo(s.Machine(), p, o, s.Work()); err == nil {
			t.Error("there is a way back")
		}
	})
}

func TestAFailureIsToldAsItIs(t *testing.T) {
	t.Run("all is well", func(t *testing.T) {
		s := newScripted(t, "v3")
		after := strings.Replace(s.file("testdata/recorded/installed-after"), "f:s\n", "", 1)
		s.Write("script/after", after)
		s.answers(upgradeLine, "OK: 156 KiB in 9 packages\n", "", 0, `cat "$root/script/after" >"$root/lib/apk/db/installed"; echo >"$root/etc/demo-apk.conf.apk-new"`)
		o := s.CarryOut(Source{}, s.Plan(Source{}, fleet.Selection{All: true}), s.Work())
		if !o.Succeeded() || strings.Join(o.ConfigFiles, " ") != "/etc/demo-apk.conf.apk-new" {
			t.Errorf("%+v", o)
		}
	})
	t.Run("what is on offer has changed", func(t *testing.T) {
		s := newScripted(t, "v3")
		p := s.Plan(Source{}, fleet.Selection{All: true})
		s.answers(simulateLine, "(1/1) Upgrading demo-lib (1.0-r0 -> 1.2-r0)\nOK: 136 KiB in 8 packages\n", "", 0, "")
		_, err := Source{}.Apply(t.Context(), s.Machine(), p, s.Work())
		if got, _ := fleet.Explain(err); !strings.HasPrefix(got, "what it would do now is not what was approved") {
			t.Errorf("%q", got)
		}
	})
	t.Run("a package that apk has not finished with, of which it said nothing", func(t *testing.T) {
		s := newScripted(t, "v3")
		s.Write("script/after", s.file("testdata/recorded/installed-after"))
		s.answers(upgradeLine, "OK: 156 KiB in 9 packages\n", "", 0, `cat "$root/script/after" >"$root/lib/apk/db/installed"`)
		if o := s.CarryOut(Source{}, s.Plan(Source{}, fleet.Selection{All: true}), s.Work()); o.Succeeded() || o.Because != "apk has not finished with demo-broken" {
			t.Errorf("%+v", o)
		}
	})
	t.Run("a lock", func(t *testing.T) {
		s := newScripted(t, "v2")
		s.answers(upgradeLine, "", "ERROR: Unable to lock database: Resource temporarily unavailable\nERROR: Failed to open apk database: Resource temporarily unavailable\n", 99, "")
		o := s.CarryOut(Source{}, s.Plan(Source{}, fleet.Selection{All: true}), s.Work())
		if o.Succeeded() || len(o.Done) > 0 || !strings.HasPrefix(o.Because, "another program is at work on the packages") {
			t.Errorf("%+v", o)
		}
	})
	t.Run("the world is pinned meanwhile", func(t *testing.T) {
		s := newScripted(t, "v3")
		s.Write("script/after", strings.Replace(s.file("testdata/recorded/installed-after"), "f:s\n", "", 1))
		s.answers(upgradeLine, "OK: 156 KiB in 9 packages\n", "", 0, `cat "$root/script/after" >"$root/lib/apk/db/installed"; echo demo-lib=1.1-r0 >>"$root/etc/apk/world"`)
		if o := s.CarryOut(Source{}, s.Plan(Source{}, fleet.Selection{All: true}), s.Work()); o.Because != "/etc/apk/world was changed while it was at it" {
			t.Errorf("%+v", o)
		}
	})
	t.Run("a job that was killed", func(t *testing.T) {
		s := newScripted(t, "v3")
		p := s.Plan(Source{}, fleet.Selection{All: true})
		o, err := Source{}.Settle(t.Context(), s.Machine(), p, s.Work())
		if err != nil || o.Because == "" || len(o.Missing) != len(p.Changes) {
			t.Errorf("%+v, %v", o, err)
		}
		w := s.Work()
		before, err := look(s.Machine())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(s.Machine(), beforeFile, before); err != nil {
			t.Fatal(err)
		}
		s.Write("lib/apk/db/installed", strings.Replace(s.file("testdata/recorded/installed-after"), "f:s\n", "", 1))
		if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, w); err != nil || !o.Succeeded() {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

func TestABrokenPackageIsRepaired(t *testing.T) {
	s := newScripted(t, "v3")
	s.Write("lib/apk/db/installed", s.file("testdata/recorded/installed-after"))
	s.answers("apk --wait 300 fix demo-broken", "(1/1) Reinstalling demo-broken (2.0-r0)\nOK: 136 KiB in 9 packages\n", "", 0,
		`mended=$(grep -v '^f:s$' "$root/lib/apk/db/installed"); printf '%s\n' "$mended" >"$root/lib/apk/db/installed"`)
	if o, err := (Source{}).Repair(t.Context(), s.Machine(), s.Work()); err != nil || !o.Succeeded() {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestAHoldIsAPinOfWhatAPersonHasChosen(t *testing.T) {
	s := newScripted(t, "v3")
	hold := func(hold bool, name string) string {
		because, _ := fleet.Explain(Source{}.Hold(t.Context(), s.Machine(), []string{name}, hold))
		return because
	}
	world := s.Read("etc/apk/world")
	s.answers("apk --wait 300 --no-network add demo-app=2.0-r3", "OK: 136 KiB in 8 packages\n", "", 0, `mine=$(sed 's/^demo-app$/demo-app=2.0-r3/' "$root/etc/apk/world"); printf '%s\n' "$mine" >"$root/etc/apk/world"`)
	s.answers("apk --wait 300 --no-network add demo-app", "OK: 136 KiB in 8 packages\n", "", 0, `mine=$(sed 's/^demo-app=.*/demo-app/' "$root/etc/apk/world"); printf '%s\n' "$mine" >"$root/etc/apk/world"`)
	if got := hold(true, "demo-app"); got != "" {
		t.Error(got)
	}
	if got := hold(false, "demo-app"); got != "" || s.Read("etc/apk/world") != world {
		t.Errorf("%q, %q", got, s.Read("etc/apk/world"))
	}
	for name, because := range map[string]string{"demo-lib": "is there because other packages need it", "nobody": "is not installed"} {
		if got := hold(true, name); !strings.Contains(got, because) {
			t.Errorf("%s: %q", name, got)
		}
	}
	s.Write("etc/apk/world", "demo-app>1\n")
	if got := hold(true, "demo-app"); !strings.Contains(got, "demo-app is pinned by hand: demo-app>1") {
		t.Error(got)
	}
}

func TestARefreshThatFailsSaysWhy(t *testing.T) {
	if os.Geteuid() != 0 {
		if err := (Source{}).Refresh(t.Context(), newScripted(t, "v3").Machine()); err == nil {
			t.Error("anybody may refresh")
		}
		return
	}
	s := newScripted(t, "v3")
	s.answers("apk --wait 60 update", "OK: 17 distinct packages available\n", "", 0, "")
	if err := (Source{}).Refresh(t.Context(), s.Machine()); err != nil {
		t.Error(err)
	}
	s.answers("apk --wait 60 update", "", "WARNING: fetching https://dl-cdn.alpinelinux.org/alpine/v3.22/main: temporary error (try again later)\n1 unavailable, 0 stale; 17 distinct packages available\n", 1, "")
	got, _ := fleet.Explain(Source{}.Refresh(t.Context(), s.Machine()))
	if !strings.Contains(got, "https://dl-cdn.alpinelinux.org/alpine/v3.22/main: temporary error") {
		t.Error(got)
	}
}
