package freebsd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source/sourcetest"
)

func TestAScanTellsThePatchLevelOnOfferAndWhatItMends(t *testing.T) {
	s := scripted(t)
	f, err := Source{}.Scan(t.Context(), s.Machine())
	if err != nil || len(f.Updates) != 1 || f.AsOf.IsZero() {
		t.Fatalf("%+v, %v", f, err)
	}
	if u := f.Updates[0]; u.Name != "FreeBSD" || u.From != "14.1-RELEASE-p3" || u.To != "14.1-RELEASE-p5" || u.Security || !strings.Contains(f.SecurityUnknown, "pkg is not installed") {
		t.Errorf("%+v, %q", u, f.SecurityUnknown)
	}
	flaws := `{"pkg_count":2,"packages":{"FreeBSD":{"version":"14.1_3","issues":[{"description":"FreeBSD -- a","cve":["CVE-2024-7589"],"url":"https://vuxml.FreeBSD.org/freebsd/11111111-6a42-11ef-b0d1-001fc69cd6dc.html"}]},` +
		`"FreeBSD-kernel":{"version":"14.1_2","issues":[{"description":"FreeBSD -- b","url":"https://vuxml.FreeBSD.org/freebsd/22222222-6a42-11ef-b0d1-001fc69cd6dc.html"}]}}}`
	withFlaws(s, flaws, `{"pkg_count":0}`)
	f, err = Source{}.Scan(t.Context(), s.Machine())
	if err != nil || !f.Updates[0].Security || len(f.Updates[0].Notices) != 2 || f.SecurityUnknown != "" {
		t.Errorf("%+v, %v", f, err)
	}
	if n := f.Updates[0].Notices[0]; n.ID != "11111111-6a42-11ef-b0d1-001fc69cd6dc" || strings.Join(n.CVEs, " ") != "CVE-2024-7589" {
		t.Errorf("%+v", n)
	}
	withFlaws(s, `{"pkg_count":0}`, `{"pkg_count":0}`)
	if f, _ := (Source{}).Scan(t.Context(), s.Machine()); f.Updates[0].Security {
		t.Error("an errata notice is told as one for security")
	}
	list, err := Source{}.Packages(t.Context(), s.Machine())
	if err != nil || len(list) != 2 || list[1].Name != "FreeBSD-kernel" || list[1].Version != "14.1-RELEASE-p2" {
		t.Errorf("%+v, %v", list, err)
	}
	says(s, "14.1-RELEASE-p3", "") // a jail
	if list, err := (Source{}).Packages(t.Context(), s.Machine()); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestWhatIsNotKnownIsNotCalledUpToDate(t *testing.T) {
	cases := map[string]struct {
		change  func(t *testing.T, s *sourcetest.Script)
		because string
	}{
		"nothing was fetched":         {func(t *testing.T, s *sourcetest.Script) { remove(t, s, "var/db/freebsd-update/tag") }, "was not fetched yet"},
		"a tag that is none":          {func(_ *testing.T, s *sourcetest.Script) { s.Write("var/db/freebsd-update/tag", "<html>") }, "cannot be read"},
		"a tag of the release before": {func(_ *testing.T, s *sourcetest.Script) { fetched(s, "14.0-RELEASE", 9, time.Now().Add(time.Hour)) }, "is known for 14.0-RELEASE, and this is 14.1-RELEASE-p3"},
		"the end of support": {func(_ *testing.T, s *sourcetest.Script) {
			fetched(s, "14.1-RELEASE", 3, time.Date(2025, 3, 31, 0, 0, 0, 0, time.UTC))
		}, "FreeBSD 14.1-RELEASE is not supported since 2025-03-31"},
		"a fetch of a month ago": {func(t *testing.T, s *sourcetest.Script) {
			then := time.Now().Add(-30 * 24 * time.Hour)
			if err := os.Chtimes(filepath.Join(s.Root(), "var/db/freebsd-update/tag"), then, then); err != nil {
				t.Fatal(err)
			}
		}, "last fetched 30 days ago"},
		"a development branch":     {func(_ *testing.T, s *sourcetest.Script) { says(s, "15.0-CURRENT", "15.0-CURRENT") }, "updates are published for releases, and this is 15.0-CURRENT"},
		"a version that is none":   {func(_ *testing.T, s *sourcetest.Script) { says(s, "GhostBSD 24", "") }, "which FreeBSD this is cannot be told"},
		"a half done installation": {func(_ *testing.T, s *sourcetest.Script) { s.Write(dir(ready)+"/kerneldone", "") }, "is half done"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := scripted(t)
			c.change(t, s)
			_, err := Source{}.Scan(t.Context(), s.Machine())
			if got, _ := fleet.Explain(err); !strings.Contains(got, c.because) {
				t.Errorf("unknown because %q, want %q", got, c.because)
			}
		})
	}
	s := scripted(t)
	fetched(s, "14.1-RELEASE", 3, time.Now().Add(time.Hour))
	if f, err := (Source{}).Scan(t.Context(), s.Machine()); err != nil || len(f.Updates) != 0 {
		t.Errorf("up to date: %+v, %v", f, err)
	}
}

func TestWhereTheBaseSystemIsPackagesTheyArePkgs(t *testing.T) {
	s := scripted(t)
	s.Write("usr/local/sbin/pkg", "")
	s.Write("var/db/pkg/local.sqlite", "")
	s.Answer("pkg which -q /usr/bin/uname", sourcetest.Reply{Stdout: "FreeBSD-runtime-15.0p1\n"})
	f, err := Source{}.Scan(t.Context(), s.Machine())
	if err != nil || len(f.Updates) != 0 {
		t.Errorf("%+v, %v", f, err)
	}
	if list, err := (Source{}).Packages(t.Context(), s.Machine()); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if p := plan(t, s, fleet.Selection{All: true}); len(p.Changes) != 0 {
		t.Errorf("%+v", p)
	}
	refused(t, s, fleet.Selection{Names: []string{"FreeBSD-runtime"}}, "no update of")
}

func TestAPlanIsWhatIsReady(t *testing.T) {
	s := scripted(t)
	p := plan(t, s, fleet.Selection{All: true})
	if len(p.Changes) != 1 || p.Changes[0].String() != "upgrade FreeBSD 14.1-RELEASE-p3 → 14.1-RELEASE-p5" || p.Reboot.Needed != fleet.Needed || p.Free == 0 {
		t.Errorf("%+v", p)
	}
	if !strings.HasPrefix(strings.Join(p.Warnings, ""), "3 files change") {
		t.Errorf("%q", p.Warnings)
	}
	if got := plan(t, s, fleet.Selection{Names: []string{"FreeBSD"}}); got.Digest() != p.Digest() {
		t.Errorf("%+v", got)
	}
	refused(t, s, fleet.Selection{Names: []string{"curl"}}, "no update of")
	refused(t, s, fleet.Selection{Security: true}, "which updates are for security is not known")
	staged(s, ready, "")
	if p := plan(t, s, fleet.Selection{All: true}); p.Reboot.Needed != fleet.NeedUnknown {
		t.Errorf("%+v", p.Reboot)
	}
	script(t, s, newHash, "15.0-RELEASE")
	refused(t, s, fleet.Selection{All: true}, "what freebsd-update has ready is 15.0-RELEASE, and not 14.1-RELEASE-p5")
	remove(t, s, dir(ready))
	refused(t, s, fleet.Selection{All: true}, "14.1-RELEASE-p5 is on offer, and not ready to be installed")
}

const (
	installLine = "freebsd-update --not-running-from-cron install"
	undoLine    = "freebsd-update --not-running-from-cron rollback"
)

// becomes has freebsd-version answer another version from now on, and puts away what was ready, as freebsd-update does.
func becomes(version, from, to string) string {
	return `for f in "$root"/script/*.cmd; do if grep -q 'freebsd-version -u' "$f"; then echo ` + version + ` >"${f%.cmd}.stdout"; fi; done
		rm -rf "$root/` + to + `"; mv "$root/` + from + `" "$root/` + to + `"`
}

func TestWhatWasDoneIsWhatTheSystemSaysAndCanBeTakenBack(t *testing.T) {
	s := scripted(t)
	p, w := plan(t, s, fleet.Selection{All: true}), s.Work()
	s.Answer(installLine, sourcetest.Reply{Stdout: "Creating snapshot of existing boot environment... done.\nInstalling updates... done.\n", Do: `test "$PAGER" = cat || exit 98; ` + becomes("14.1-RELEASE-p5", dir(ready), dir(takeBack))})
	o, err := Source{}.Apply(t.Context(), s.Machine(), p, w)
	if err != nil || !o.Succeeded() || len(o.Done) != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	sel, err := Source{}.Undo(s.Machine(), p, o, w)
	if err != nil {
		t.Fatal(fleet.Explain(err))
	}
	back := plan(t, s, sel)
	if back.Changes[0].String() != "downgrade FreeBSD 14.1-RELEASE-p5 → 14.1-RELEASE-p3" || back.Reboot.Needed != fleet.Needed {
		t.Errorf("%+v", back)
	}
	s.Answer(undoLine, sourcetest.Reply{Stdout: "Uninstalling updates... done.\n", Do: becomes("14.1-RELEASE-p3", dir(takeBack), "gone") + `; rm -f "$root/job/code.json"; mkdir "$root/job/code.json"`}) // how it ended cannot be written down
	if o, err := (Source{}).Apply(t.Context(), s.Machine(), back, s.Work()); err != nil || !o.Succeeded() {
		t.Errorf("%+v, %v", o, err)
	}
	refused(t, s, sel, "freebsd-update takes back its last installation alone")
}

func TestAFailureIsToldAsItIs(t *testing.T) {
	t.Run("what is ready has changed", func(t *testing.T) {
		s := scripted(t)
		p := plan(t, s, fleet.Selection{All: true})
		fetched(s, "14.1-RELEASE", 6, time.Now().Add(time.Hour))
		script(t, s, newHash, "14.1-RELEASE-p6")
		_, err := Source{}.Apply(t.Context(), s.Machine(), p, s.Work())
		if got, _ := fleet.Explain(err); !strings.HasPrefix(got, "what it would do now is not what was approved") {
			t.Errorf("%q", got)
		}
	})
	t.Run("a full disk in the middle, and a repair", func(t *testing.T) {
		s := scripted(t)
		s.Answer(installLine, sourcetest.Reply{Stdout: "Installing updates...install: /usr/lib/libc.a: No space left on device\n", Code: 1, Do: `touch "$root/` + dir(ready) + `/kerneldone"`})
		o, err := Source{}.Apply(t.Context(), s.Machine(), plan(t, s, fleet.Selection{All: true}), s.Work())
		if err != nil || o.Because != "the disk is full" || strings.Join(o.HalfDone, "") != "FreeBSD" || len(o.Missing) != 1 {
			t.Fatalf("%+v, %v", o, err)
		}
		refused(t, s, fleet.Selection{All: true}, "is half done")
		s.Answer(installLine, sourcetest.Reply{Stdout: "Installing updates... done.\n", Do: becomes("14.1-RELEASE-p5", dir(ready), dir(takeBack))})
		if o, err := (Source{}).Repair(t.Context(), s.Machine(), s.Work()); err != nil || !o.Succeeded() || len(o.Done) != 1 {
			t.Errorf("%+v, %v", o, err)
		}
		if o, err := (Source{}).Repair(t.Context(), s.Machine(), s.Work()); err != nil || len(o.Done) != 0 {
			t.Errorf("nothing to repair: %+v, %v", o, err)
		}
	})
	t.Run("a new kernel that does not run yet", func(t *testing.T) {
		s := scripted(t)
		says(s, "14.1-RELEASE-p3", "15.0-RELEASE")
		s.Write(dir(ready)+"/kerneldone", "")
		s.Write(dir(ready)+"/kernelfirst", "")
		_, err := Source{}.Repair(t.Context(), s.Machine(), s.Work())
		if got, _ := fleet.Explain(err); got != "kernel 15.0-RELEASE is installed and 14.1-RELEASE-p2 runs: the rest comes after a reboot" {
			t.Errorf("%q", got)
		}
	})
	t.Run("a job that was killed before it began", func(t *testing.T) {
		s := scripted(t)
		p := plan(t, s, fleet.Selection{All: true})
		if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, s.Work()); err != nil || len(o.Missing) != 1 || o.Because == "" {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("a job that changed nothing has no way back", func(t *testing.T) {
		if _, err := (Source{}).Undo(nil, fleet.Plan{}, fleet.NewOutcome(), scripted(t).Work()); err == nil {
			t.Error("there is a way back")
		}
	})
}

func TestARefreshThatFailsSaysWhy(t *testing.T) {
	s := scripted(t)
	if os.Geteuid() != 0 {
		if err := (Source{}).Refresh(t.Context(), s.Machine()); err == nil {
			t.Error("anybody may refresh")
		}
		return
	}
	const line = "freebsd-update --not-running-from-cron fetch"
	s.Answer(line, sourcetest.Reply{Stdout: "Looking up update.FreeBSD.org mirrors... none found.\nFetching metadata signature for 14.1-RELEASE from update.FreeBSD.org... failed.\nNo mirrors remaining, giving up.\n", Code: 1})
	if got, _ := fleet.Explain(Source{}.Refresh(t.Context(), s.Machine())); !strings.Contains(got, "no server of updates can be reached") {
		t.Error(got)
	}
	s.Answer(line, sourcetest.Reply{Stdout: "No updates needed to update system to 14.1-RELEASE-p5.\n\nWARNING: FreeBSD 14.1-RELEASE-p5 HAS PASSED ITS END-OF-LIFE DATE.\n", Code: 1})
	if err := (Source{}).Refresh(t.Context(), s.Machine()); err != nil {
		t.Error(err)
	}
}

func TestThePlaceOfWhatIsFetchedIsThatOfTheConfiguration(t *testing.T) {
	s := scripted(t)
	s.Write("etc/freebsd-update.conf", "Components world\nWorkDir /data/updates/\n")
	if got := workDir(s.Machine()); got != "/data/updates" {
		t.Error(got)
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte("freebsd-update|amd64|14.1-RELEASE|5|"+anyHash+"|1743465599\n"), []byte("/bin/freebsd-version|f|0|0|0555|0|"+oldHash+"|\n"), packed(f, "USERLAND_VERSION=\"14.1-RELEASE-p5\"\n"))
	f.Fuzz(func(t *testing.T, tagData, indexData, scriptData []byte) {
		if found, err := parseTag(tagData); err == nil && (found.release == "" || found.supportEnds.IsZero()) {
			t.Errorf("%+v", found)
		}
		if x := parseIndex(indexData); x.versionHash != "" && x.files == 0 {
			t.Errorf("%+v", x)
		}
		if v, err := parseScript(scriptData); err == nil {
			if again, err := parseVersion(v.String()); err != nil || again != v {
				t.Errorf("%v is not read again: %v", v, err)
			}
		}
	})
}
