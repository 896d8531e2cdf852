package dnf5

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/source/sourcetest"
)

// What the source is meant to be.
var (
	_ source.Installer = Source{}
	_ source.Refresher = Source{}
	_ source.Lister    = Source{}
	_ source.Holder    = Source{}
	_ source.Repairer  = Source{}
)

func TestAScanReadsWhatDnf5Says(t *testing.T) {
	s := newScripted(t)
	s.offering()
	s.Write("etc/os-release", "ID=almalinux\nVERSION_ID=9.4\n")
	if !(Source{}).Present(s.Machine()) {
		t.Error("dnf5 is not seen")
	}
	f := s.Finding(Source{})
	want := "demo-app.x86_64 1:2.0-3.el9→1:2.1-1.el9, demo-broken.noarch 1.0-1.el9→2.0-1.el9, demo-conf.noarch 1.0-1.el9→2.0-1.el9, demo-lib.x86_64 1.0-1.el9→1.2-1.el9!, " +
		"demo-preinfail.noarch 1.0-1.el9→2.0-1.el9 (kept back), demo-unsat.noarch 1.0-1.el9→2.0-1.el9 (kept back), " +
		long + ".noarch 1.0.0.20260101git0123456789abcdef-1.el9_6.1→1.0.0.20261101git0123456789abcdef-1.el9_6.1, " +
		"kernel.x86_64 5.14.0-503.11.1.el9_5→5.14.0-503.40.1.el9_5, demo-locked.noarch 1.0-1.el9→1.5-1.el9 (held)"
	if got := sourcetest.Updates(f); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, u := range f.Updates {
		if u.Name == "demo-unsat" && !strings.Contains(u.BlockedBecause, "nothing provides nonexistent-dep") {
			t.Errorf("kept back because %q", u.BlockedBecause)
		}
		if u.Name == "demo-lib" && (u.Build == nil || u.Build.Ecosystem != "AlmaLinux:9" || u.Build.To != "1.2-1.el9" || len(u.Notices) != 1 || u.Notices[0].CVEs[0] != "CVE-2026-11111") {
			t.Errorf("%+v %+v", u.Build, u.Notices)
		}
		if u.Name == "demo-lib" && (u.Size != 6560 || u.Origin != "updates" || u.Summary != "Demo package demo-lib") {
			t.Errorf("%+v", u)
		}
	}
}

func TestWhatAVersionLockKeepsIsHeldAlsoWhereAQueryPassesOverIt(t *testing.T) {
	s := newScripted(t)
	s.offering()
	s.answers(upgrades+fields, strings.Join([]string{"demo-locked", "0", "1.5", "1.el9", "noarch", "updates", "1", "demo-locked-1.5-1.el9.src.rpm", "AlmaLinux", "Demo"}, "\t")+"\n", "", 0, "")
	s.answers(allUpgrades+fields, "", "", 0, "")
	s.Write("etc/dnf/versionlock.toml", "version = \"1.0\"\n\n[[packages]]\nname = \"demo-locked\"\n")
	f := s.Finding(Source{})
	if len(f.Updates) != 1 || f.Updates[0].Blocked != fleet.Held || f.Updates[0].BlockedBecause != "a version lock" {
		t.Errorf("%+v", f.Updates)
	}
}

func TestWhatDnf5DoesNotSayIsUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		stdout, stderr string
		code           int
		because        string
	}{
		"nothing that is a list":     {"Usage: dnf5\n", "", 0, "dnf5 cannot be asked: it says \"Usage: dnf5\""},
		"no cache":                   {"", "Cache-only enabled but no cache for repository \"updates\"\n", 1, "nothing was fetched yet from the repository updates"},
		"an error of an odd locale":  {"", "Ungültiges Argument\n", 2, "dnf5 cannot be asked: it ended with code 2: Ungültiges Argument"},
		"an error without any words": {"", "", 1, "dnf5 cannot be asked: it ended with code 1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t)
			s.answers(upgrades+fields, c.stdout, c.stderr, c.code, "")
			s.Unknown(Source{}, c.because)
		})
	}
	t.Run("nothing on offer", func(t *testing.T) {
		s := newScripted(t)
		s.offering()
		s.answers(upgrades+fields, "", "", 0, "")
		s.answers(allUpgrades+fields, "", "", 0, "")
		if f, err := (Source{}).Scan(t.Context(), s.Machine()); err != nil || len(f.Updates) != 0 {
			t.Errorf("%v, %v", f.Updates, err)
		}
	})
}

const (
	dir      = "/job"
	download = "dnf5 -y download --skip-unavailable --destdir=" + dir + "/replaced demo-old-1.0-1.el9.noarch demo-app-1:2.0-3.el9.x86_64 demo-broken-1.0-1.el9.noarch demo-conf-1.0-1.el9.noarch " +
		"demo-lib-1.0-1.el9.x86_64 " + long + "-1.0.0.20260101git0123456789abcdef-1.el9_6.1.noarch"
	// downloads makes the packages that an undo needs.
	downloads = `mkdir -p "$root/job/replaced"; cd "$root/job/replaced"; for p in demo-old-1.0-1.el9.noarch demo-app-2.0-3.el9.x86_64 demo-broken-1.0-1.el9.noarch ` +
		`demo-conf-1.0-1.el9.noarch demo-lib-1.0-1.el9.x86_64 ` + long + `-1.0.0.20260101git0123456789abcdef-1.el9_6.1.noarch; do echo "$p" >$p.rpm; done`
	store  = "dnf5 -y --setopt=metadata_expire=-1 upgrade --store=" + dir + "/transaction"
	replay = "dnf5 -y -C replay " + dir + "/transaction"
)

// storing tells the machine how the recorded transaction is stored.
func (s scripted) storing(transaction string) {
	s.Helper()
	s.Write("stored.json", transaction)
	s.answers(store, recorded(s, "store.stdout"), recorded(s, "store.stderr"), 0, `mkdir -p "$root`+dir+`/transaction"; cp "$root/stored.json" "$root`+dir+`/transaction/transaction.json"`)
	s.answers(download, "", "", 0, downloads)
}

func transaction(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/recorded/store-transaction.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTheStoredTransactionIsCarriedOutAndUndone(t *testing.T) {
	s := newScripted(t)
	s.offering()
	p := s.Plan(Source{}, fleet.Selection{All: true})
	if got := sourcetest.Lines(p.Changes); got != changed {
		t.Fatalf("got  %s\nwant %s", got, changed)
	}
	if p.Download != 59<<10 || p.Disk != 39<<10 || !slices.Equal(p.ConfigFiles, []string{"/etc/demo-rpm.conf"}) || p.Reboot.Needed != fleet.Needed || len(p.Warnings) != 1 {
		t.Errorf("%+v", p)
	}
	s.storing(transaction(t))
	w, src := s.Work(), Source{LockWait: time.Nanosecond}
	if err := src.Fetch(t.Context(), s.Machine(), p, w); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	s.Write("after", inventory(after))
	s.answers(replay, recorded(t, "replay.stdout"), recorded(t, "replay.stderr"), 1, `cp "$root/after" "$root/script/1.stdout"; touch "$root/etc-x"`)
	o, err := src.Apply(context.Background(), s.Machine(), p, w)
	if err != nil || sourcetest.Lines(o.Done) != changed || len(o.Missing) > 0 {
		t.Fatalf("%+v, %v", o, err)
	}
	// The transaction failed, says dnf5; what failed is the script of one package.
	if o.Succeeded() || !slices.Equal(o.HalfDone, []string{"demo-broken"}) || !strings.Contains(o.Because, "the %post script of demo-broken failed; its files are installed all the same") {
		t.Errorf("%+v", o)
	}
	sel, err := src.Undo(s.Machine(), p, o, w)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range sel.Back {
		if c.Automatic != (c.Name == "demo-newdep" || c.Name == "demo-lib") {
			t.Errorf("why it was installed is lost: %+v", c)
		}
	}
	s.answers("dnf5 --assumeno -C replay /tmp/redflag-dnf5-X", recorded(t, "history-undo-assumeno.stdout"), recorded(t, "history-undo-assumeno.stderr"), 1, `cp "$root"/tmp/redflag-dnf5-*/transaction.json "$root/back.json"`)
	s.answers("rpm -Vc --nodeps --noscripts -- demo-newdep demo-replacement kernel demo-app demo-broken demo-conf demo-lib "+long, "", "", 0, "")
	s.answers("rpm -ql -- demo-newdep-0.5-1.el9.noarch demo-replacement-3.0-1.el9.noarch kernel-5.14.0-503.40.1.el9_5.x86_64 demo-app-1:2.1-1.el9.x86_64 demo-broken-2.0-1.el9.noarch "+
		"demo-conf-2.0-1.el9.noarch demo-lib-1.2-1.el9.x86_64 "+long+"-1.0.0.20261101git0123456789abcdef-1.el9_6.1.noarch", "", "", 0, "")
	back := s.Plan(Source{}, sel)
	if got := sourcetest.Lines(back.Changes); !strings.Contains(got, "remove kernel.x86_64 5.14.0-503.40.1.el9_5") || !strings.Contains(got, "downgrade demo-app.x86_64 1:2.1-1.el9 → 1:2.0-3.el9") || !strings.Contains(got, "install demo-old") {
		t.Error(got)
	}
	stored, err := readStored(&machine.Machine{Root: s.Root()}, "/")
	if err == nil {
		t.Errorf("nothing is stored there, and it is %v", stored)
	}
	if data := s.Read("back.json"); !strings.Contains(data, `{"nevra":"demo-lib-1.0-1.el9.x86_64","action":"Downgrade","reason":"Dependency","repo_id":"@stored_transaction","package_path":"./packages/demo-lib-1.0-1.el9.x86_64.rpm"}`) {
		t.Error(data)
	}
}

func TestAnotherTransactionThanTheApprovedOneIsNotCarriedOut(t *testing.T) {
	s := newScripted(t)
	s.offering()
	p := s.Plan(Source{}, fleet.Selection{All: true})
	s.storing(strings.Replace(transaction(t), "demo-lib-1.2-1.el9", "demo-lib-1.3-1.el9", 1))
	w := s.Work()
	const because = "it is not the plan that was approved: it would now upgrade demo-lib 1.0-1.el9 → 1.3-1.el9; it would not upgrade demo-lib 1.0-1.el9 → 1.2-1.el9 any more"
	err := (Source{}).Fetch(t.Context(), s.Machine(), p, w)
	if got, _ := fleet.Explain(err); got != because {
		t.Errorf("fetch: %q", got)
	}
	o, err := (Source{}).Apply(context.Background(), s.Machine(), p, w)
	if err != nil || o.Because != because || len(o.Missing) != len(p.Changes) {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestOneIsPlannedByItsVersionAndFailsAsItIs(t *testing.T) {
	s := newScripted(t)
	s.offering()
	s.answers("dnf5 --assumeno -C upgrade demo-preinfail-2.0-1.el9.noarch", recorded(t, "upgrade-preinfail.stdout"), aborted, 1, "")
	s.answers("rpm -Vc --nodeps --noscripts -- demo-preinfail", "", "", 0, "")
	s.answers("rpm -ql -- demo-preinfail-1.0-1.el9.noarch", "", "", 0, "")
	s.answers("rpm -qc -- demo-preinfail", "(contains no files)\n", "", 0, "")
	p := s.Plan(Source{}, fleet.Selection{Names: []string{"demo-preinfail"}})
	if got := sourcetest.Lines(p.Changes); got != "upgrade demo-preinfail.noarch 1.0-1.el9 → 2.0-1.el9" {
		t.Fatal(got)
	}
	s.answers("dnf5 -y download --skip-unavailable --destdir="+dir+"/replaced demo-preinfail-1.0-1.el9.noarch", "", "", 1, "")
	s.Write("stored.json", `{"rpms":[{"nevra":"demo-preinfail-2.0-1.el9.noarch","action":"Upgrade","reason":"User","repo_id":"updates","package_path":"./packages/x.rpm"},`+
		`{"nevra":"demo-preinfail-1.0-1.el9.noarch","action":"Replaced","reason":"User","repo_id":"@System"}],"version":"1.0"}`)
	s.answers("dnf5 -y --setopt=metadata_expire=-1 upgrade demo-preinfail-2.0-1.el9.noarch --store="+dir+"/transaction", "", "", 0,
		`mkdir -p "$root`+dir+`/transaction"; cp "$root/stored.json" "$root`+dir+`/transaction/transaction.json"`)
	s.answers(replay, recorded(t, "upgrade-preinfail.stdout"), recorded(t, "upgrade-preinfail.stderr"), 1, "")
	w := s.Work()
	if err := (Source{}).Fetch(t.Context(), s.Machine(), p, w); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	o, err := (Source{}).Apply(context.Background(), s.Machine(), p, w)
	if err != nil || len(o.Done) > 0 || len(o.Missing) != 1 || o.Because != "the %pre script of demo-preinfail failed" {
		t.Errorf("%+v, %v", o, err)
	}
	if log := s.Said(w); !strings.Contains(log, "demo-preinfail-1.0-1.el9.noarch cannot be kept for an undo") {
		t.Error(log)
	}
	t.Run("a lock", func(t *testing.T) {
		s.answers(replay, "", "Running transaction\nTransaction failed: Failed to obtain rpm transaction lock. Another transaction is in progress.\n", 1, "")
		o, err := (Source{LockWait: time.Nanosecond}).Apply(context.Background(), s.Machine(), p, w)
		if err != nil || o.Because != "another program is at work on the packages" {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

func TestWhatMustNotBePlannedIsRefused(t *testing.T) {
	s := newScripted(t)
	s.offering()
	refused := func(sel fleet.Selection, because string) {
		t.Helper()
		s.Refused(Source{}, sel, because)
	}
	refused(fleet.Selection{Names: []string{"demo-locked"}}, "demo-locked is on hold")
	refused(fleet.Selection{Names: []string{"nosuch"}}, "no update of \"nosuch\"")
	refused(fleet.Selection{Back: []fleet.Change{{Name: "demo-lib", Arch: "x86_64", From: "1.2-1", To: "1.0-1"}}}, "demo-lib-1.0-1.x86_64 was not kept here")
	refused(fleet.Selection{Back: []fleet.Change{{Name: "-y", Arch: "x86_64", To: "1.0-1"}}}, "is no package")
	s.answers("dnf5 --assumeno -C upgrade", "", recorded(t, "assumeno-no-match.stderr"), 1, "")
	refused(fleet.Selection{All: true}, "nosuch is nowhere")
	s.answers("dnf5 --assumeno -C upgrade", "Package  Arch  Version  Repository  Size\nTransmuting:\n lead x86_64 1-1 base 1 KiB\n", aborted, 1, "")
	refused(fleet.Selection{All: true}, "its table has a part \"Transmuting\" that is not known here")
	s.answers("dnf5 --assumeno -C upgrade", recorded(t, "nothing.stdout"), recorded(t, "nothing.stderr"), 0, "")
	if p := s.Plan(Source{}, fleet.Selection{All: true}); len(p.Changes) != 0 {
		t.Errorf("%v", p.Changes)
	}
	s.installed(append(before, "demo-lib 0 1.2 1.el9 x86_64")...)
	refused(fleet.Selection{All: true}, "two versions are installed of demo-lib.x86_64")
}

func TestHoldsAreVersionLocks(t *testing.T) {
	s := newScripted(t)
	s.Write("etc/dnf/versionlock.toml", "version = \"1.0\"\n\n[[packages]]\nname = \"demo-locked\"\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"=\"\nvalue = \"1.0-1.el9\"\n")
	if held, err := (Source{}).Held(s.Machine()); err != nil || !slices.Equal(held, []string{"demo-locked"}) {
		t.Errorf("held: %v, %v", held, err)
	}
	s.answers("dnf5 -C versionlock add demo-lib", "", "", 0, "")
	s.answers("dnf5 -C versionlock delete demo-lib", "", "", 0, "")
	for _, hold := range []bool{true, false} {
		if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"demo-lib"}, hold); err != nil {
			t.Error(err)
		}
	}
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"nosuch"}, true); err == nil {
		t.Error("what is not there is held")
	}
}
