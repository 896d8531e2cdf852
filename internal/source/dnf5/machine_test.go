package dnf5

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/source"
	"redflag/internal/source/rpm/rpmtest"
)

// scripted is a machine whose dnf5 and rpm are a script: it answers the command lines that it was told, to the letter, with recordings, and any other makes
// the test fail. dnf 5 is not to be had on Debian's stable release; the recordings are of dnf5 5.4.6.
type scripted struct {
	*testing.T
	root string
	n    int
}

// script answers from files: N.cmd is a command line, N.do is what is done for it, N.stdout, N.stderr and N.rc are what it leaves. The last that was
// told counts. The number in a temporary folder's name is X.
const script = `#!/bin/sh
dir=$1
shift
line=$(printf '%s\n' "$*" | sed 's/redflag-dnf5-[0-9]*/redflag-dnf5-X/g')
for f in $(ls "$dir" | grep 'cmd$' | sort -rn); do
	if [ "$line" = "$(cat "$dir/$f")" ]; then
		b=$dir/${f%.cmd}
		export dir
		[ ! -e "$b.do" ] || . "$b.do"
		cat "$b.stdout"
		cat "$b.stderr" >&2
		exit "$(cat "$b.rc")"
	fi
done
printf '%s\n' "$line" >>"$dir/unexpected"
exit 99
`

func newScripted(t *testing.T) *scripted {
	t.Helper()
	parts.Need(t, "sh")
	s := &scripted{T: t, root: t.TempDir()}
	for _, dir := range []string{"script", "tmp", "var/lib/rpm", "usr/bin", "var/lib/redflag/jobs"} {
		if err := os.MkdirAll(filepath.Join(s.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("var/lib/rpm/rpmdb.sqlite", "")
	s.write("usr/bin/dnf5", script)
	if err := os.Chmod(filepath.Join(s.root, "usr/bin/dnf5"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if lines, err := os.ReadFile(filepath.Join(s.root, "script/unexpected")); err == nil {
			t.Errorf("nobody expected:\n%s", lines)
		}
	})
	s.installed(before...)
	s.answers("dnf5 -q repo list --enabled --json", `[{"id":"base","name":"Base","is_enabled":true},{"id":"updates","name":"Updates","is_enabled":true}]`, "", 0, "")
	return s
}

func (s *scripted) write(name, text string) {
	s.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(s.root, name)), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.root, name), []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
}

// answers tells the machine an answer.
func (s *scripted) answers(line, stdout, stderr string, code int, do string) {
	s.Helper()
	s.n++
	for ending, text := range map[string]string{"cmd": line, "stdout": stdout, "stderr": stderr, "rc": fmt.Sprint(code), "do": do} {
		s.write(fmt.Sprintf("script/%d.%s", s.n, ending), text)
	}
}

// recorded gives a recording.
func recorded(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/recorded/" + name + ".txt")
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// query is the question that package rpm asks.
const query = `rpm -qa --qf %{NAME}\t%|EPOCH?{%{EPOCH}}:{0}|\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\n`

func inventory(packages []string) string {
	var b strings.Builder
	for _, p := range packages {
		f := strings.Fields(p)
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\t%s\t%s-%s-%s.src.rpm\n", f[0], f[1], f[2], f[3], f[4], f[0], f[2], f[3])
	}
	return b.String()
}

func (s *scripted) installed(packages ...string) {
	s.Helper()
	s.answers(query, inventory(packages), "", 0, "")
}

const long = "demo-with-a-very-long-package-name-for-wrapping-tests"

// before and after are what is installed: what was recorded, before and after the recorded transaction.
var (
	before = []string{
		"demo-app 1 2.0 3.el9 x86_64", "demo-broken 0 1.0 1.el9 noarch", "demo-conf 0 1.0 1.el9 noarch", "demo-lib 0 1.0 1.el9 x86_64", "demo-locked 0 1.0 1.el9 noarch",
		"demo-old 0 1.0 1.el9 noarch", "demo-preinfail 0 1.0 1.el9 noarch", "demo-unsat 0 1.0 1.el9 noarch", long + " 0 1.0.0.20260101git0123456789abcdef 1.el9_6.1 noarch",
		"kernel 0 5.14.0 503.11.1.el9_5 x86_64",
	}
	after = []string{
		"demo-app 1 2.1 1.el9 x86_64", "demo-broken 0 2.0 1.el9 noarch", "demo-conf 0 2.0 1.el9 noarch", "demo-lib 0 1.2 1.el9 x86_64", "demo-locked 0 1.0 1.el9 noarch",
		"demo-newdep 0 0.5 1.el9 noarch", "demo-preinfail 0 1.0 1.el9 noarch", "demo-replacement 0 3.0 1.el9 noarch", "demo-unsat 0 1.0 1.el9 noarch",
		long + " 0 1.0.0.20261101git0123456789abcdef 1.el9_6.1 noarch", "kernel 0 5.14.0 503.11.1.el9_5 x86_64", "kernel 0 5.14.0 503.40.1.el9_5 x86_64",
	}
)

// changed is the recorded transaction.
const changed = "remove demo-old.noarch 1.0-1.el9, install demo-newdep.noarch 0.5-1.el9, install demo-replacement.noarch 3.0-1.el9, install kernel.x86_64 5.14.0-503.40.1.el9_5, " +
	"upgrade demo-app.x86_64 1:2.0-3.el9 → 1:2.1-1.el9, upgrade demo-broken.noarch 1.0-1.el9 → 2.0-1.el9, upgrade demo-conf.noarch 1.0-1.el9 → 2.0-1.el9, " +
	"upgrade demo-lib.x86_64 1.0-1.el9 → 1.2-1.el9, upgrade " + long + ".noarch 1.0.0.20260101git0123456789abcdef-1.el9_6.1 → 1.0.0.20261101git0123456789abcdef-1.el9_6.1"

func (s *scripted) machine() *machine.Machine {
	return &machine.Machine{Root: s.root, Runner: s, Prefix: []string{filepath.Join(s.root, "usr/bin/dnf5"), filepath.Join(s.root, "script")}, Now: time.Now}
}

// Run implements machine.Runner.
func (s *scripted) Run(ctx context.Context, c machine.Command) (machine.Result, error) {
	return machine.Exec{}.Run(ctx, machine.Command{Name: filepath.Join(s.root, "usr/bin/dnf5"), Args: append([]string{filepath.Join(s.root, "script"), c.Name}, c.Args...)})
}

func (s *scripted) work() source.Work {
	s.Helper()
	dir := "/var/lib/redflag/jobs/one"
	if err := os.MkdirAll(filepath.Join(s.root, dir), 0o755); err != nil {
		s.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(s.root, dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { log.Close() })
	return source.Work{Dir: dir, Log: log}
}

const (
	upgrades    = "dnf5 -q -C repoquery --upgrades --latest-limit=1 --queryformat "
	allUpgrades = "dnf5 -q -C --setopt=disable_excludes=* repoquery --upgrades --latest-limit=1 --queryformat "
	verify      = "rpm -Vc --nodeps --noscripts -- demo-old demo-app demo-broken demo-conf demo-lib " + long
	configs     = "rpm -qc -- demo-old demo-newdep demo-replacement kernel demo-app demo-broken demo-conf demo-lib " + long
	files       = "rpm -ql -- demo-old-1.0-1.el9.noarch demo-app-1:2.0-3.el9.x86_64 demo-broken-1.0-1.el9.noarch demo-conf-1.0-1.el9.noarch demo-lib-1.0-1.el9.x86_64 " + long +
		"-1.0.0.20260101git0123456789abcdef-1.el9_6.1.noarch"
	aborted = "Operation aborted by the user.\n"
)

// updateinfo is what the updates of the recording are told to be for.
const updateinfo = `<updates><update type="security"><id>RHSA-2026:1001</id><pkglist><collection><package name="demo-lib" epoch="0" version="1.1" release="1.el9" arch="x86_64"/></collection></pkglist></update></updates>`

// offering tells the machine what is on offer, and what a full upgrade would do.
func (s *scripted) offering() {
	s.Helper()
	list := strings.ReplaceAll(recorded(s, "repoquery-upgrades.stdout"), `\t`, "\t")
	var asked, hidden strings.Builder
	for line := range strings.Lines(list) {
		f := strings.SplitN(strings.TrimRight(line, "\n"), "\t", 10)
		fmt.Fprintln(&hidden, strings.Join(append(f[:7:7], f[9]), "\t"))
		if f[0] != "demo-locked" {
			fmt.Fprintln(&asked, strings.Join(append(f[:7:7], f[9]), "\t"))
		}
	}
	s.answers(upgrades+fields, asked.String(), "", 0, "")
	s.answers(allUpgrades+fields, hidden.String(), "", 0, "")
	s.answers("dnf5 --assumeno -C upgrade", recorded(s, "store.stdout"), recorded(s, "assumeno-upgrade.stderr"), 1, "")
	s.answers(verify, "S.5....T.  c /etc/demo-rpm.conf\n", "", 1, "")
	s.answers(files, "/usr/lib/demo-lib/blob\n", "", 0, "")
	s.answers(configs, "/etc/demo-rpm.conf\n", "", 0, "")
	for repo, index := range map[string]string{
		"base":    `<repomd><data type="primary"><location href="repodata/p.xml"/></data></repomd>`,
		"updates": `<repomd><data type="updateinfo"><location href="repodata/u.xml"/></data></repomd>`,
	} {
		s.write("var/cache/libdnf5/"+repo+"-0123456789abcdef/repodata/repomd.xml", index)
	}
	s.write("var/cache/libdnf5/updates-0123456789abcdef/repodata/u.xml", updateinfo)
}

func TestAScanReadsWhatDnf5Says(t *testing.T) {
	s := newScripted(t)
	s.offering()
	if !(Source{}).Present(s.machine()) {
		t.Error("dnf5 is not seen")
	}
	f, err := (Source{}).Scan(t.Context(), s.machine())
	if err != nil {
		t.Error(fleet.Explain(err))
	}
	want := "demo-app.x86_64 1:2.0-3.el9→1:2.1-1.el9, demo-broken.noarch 1.0-1.el9→2.0-1.el9, demo-conf.noarch 1.0-1.el9→2.0-1.el9, demo-lib.x86_64 1.0-1.el9→1.2-1.el9!, " +
		"demo-preinfail.noarch 1.0-1.el9→2.0-1.el9 (kept back), demo-unsat.noarch 1.0-1.el9→2.0-1.el9 (kept back), " +
		long + ".noarch 1.0.0.20260101git0123456789abcdef-1.el9_6.1→1.0.0.20261101git0123456789abcdef-1.el9_6.1, " +
		"kernel.x86_64 5.14.0-503.11.1.el9_5→5.14.0-503.40.1.el9_5, demo-locked.noarch 1.0-1.el9→1.5-1.el9 (held)"
	if got := rpmtest.Updates(f); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, u := range f.Updates {
		if u.Name == "demo-unsat" && !strings.Contains(u.BlockedBecause, "nothing provides nonexistent-dep") {
			t.Errorf("kept back because %q", u.BlockedBecause)
		}
		if u.Name == "demo-lib" && (u.Size != 6560 || u.Origin != "updates" || u.Summary != "Demo package demo-lib") {
			t.Errorf("%+v", u)
		}
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
			_, err := (Source{}).Scan(t.Context(), s.machine())
			if because, _ := fleet.Explain(err); !strings.Contains(because, c.because) {
				t.Errorf("unknown because %q, want %q", because, c.because)
			}
		})
	}
	t.Run("nothing on offer", func(t *testing.T) {
		s := newScripted(t)
		s.offering()
		s.answers(upgrades+fields, "", "", 0, "")
		s.answers(allUpgrades+fields, "", "", 0, "")
		if f, err := (Source{}).Scan(t.Context(), s.machine()); err != nil || len(f.Updates) != 0 {
			t.Errorf("%v, %v", f.Updates, err)
		}
	})
}

// plan plans, and fails the test where that fails.
func (s *scripted) plan(sel fleet.Selection) fleet.Plan {
	s.Helper()
	p, err := (Source{}).Plan(s.Context(), s.machine(), sel)
	if err != nil {
		s.Fatal(fleet.Explain(err))
	}
	return p
}

const (
	dir      = "/var/lib/redflag/jobs/one"
	download = "dnf5 -y download --skip-unavailable --destdir=" + dir + "/replaced demo-old-1.0-1.el9.noarch demo-app-1:2.0-3.el9.x86_64 demo-broken-1.0-1.el9.noarch demo-conf-1.0-1.el9.noarch " +
		"demo-lib-1.0-1.el9.x86_64 " + long + "-1.0.0.20260101git0123456789abcdef-1.el9_6.1.noarch"
	// downloads makes the packages that an undo needs.
	downloads = `mkdir -p "$dir/../var/lib/redflag/jobs/one/replaced"; cd "$dir/../var/lib/redflag/jobs/one/replaced"; for p in demo-old-1.0-1.el9.noarch demo-app-2.0-3.el9.x86_64 demo-broken-1.0-1.el9.noarch ` +
		`demo-conf-1.0-1.el9.noarch demo-lib-1.0-1.el9.x86_64 ` + long + `-1.0.0.20260101git0123456789abcdef-1.el9_6.1.noarch; do echo "$p" >$p.rpm; done`
	store  = "dnf5 -y --setopt=metadata_expire=-1 upgrade --store=" + dir + "/transaction"
	replay = "dnf5 -y -C replay " + dir + "/transaction"
)

// storing tells the machine how the recorded transaction is stored.
func (s *scripted) storing(transaction string) {
	s.Helper()
	s.write("stored.json", transaction)
	s.answers(store, recorded(s, "store.stdout"), recorded(s, "store.stderr"), 0, `mkdir -p "$dir/../`+dir+`/transaction"; cp "$dir/../stored.json" "$dir/../`+dir+`/transaction/transaction.json"`)
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
	p := s.plan(fleet.Selection{All: true})
	if got := rpmtest.Lines(p.Changes); got != changed {
		t.Fatalf("got  %s\nwant %s", got, changed)
	}
	if p.Download != 59<<10 || p.Disk != 39<<10 || !slices.Equal(p.ConfigFiles, []string{"/etc/demo-rpm.conf"}) || p.Reboot.Needed != fleet.Needed || len(p.Warnings) != 1 {
		t.Errorf("%+v", p)
	}
	s.storing(transaction(t))
	w, src := s.work(), Source{LockWait: time.Nanosecond}
	if err := src.Fetch(t.Context(), s.machine(), p, w); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	s.write("after", inventory(after))
	s.answers(replay, recorded(t, "replay.stdout"), recorded(t, "replay.stderr"), 1, `cp "$dir/../after" "$dir/1.stdout"; touch "$dir/../etc-x"`)
	o, err := src.Apply(context.Background(), s.machine(), p, w)
	if err != nil || rpmtest.Lines(o.Done) != changed || len(o.Missing) > 0 {
		t.Fatalf("%+v, %v", o, err)
	}
	// The transaction failed, says dnf5; what failed is the script of one package.
	if o.Succeeded() || !slices.Equal(o.HalfDone, []string{"demo-broken"}) || !strings.Contains(o.Because, "the %post script of demo-broken failed; its files are installed all the same") {
		t.Errorf("%+v", o)
	}
	sel, err := src.Undo(s.machine(), p, o, w)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range sel.Back {
		if c.Automatic != (c.Name == "demo-newdep" || c.Name == "demo-lib") {
			t.Errorf("why it was installed is lost: %+v", c)
		}
	}
	s.answers("dnf5 --assumeno -C replay /tmp/redflag-dnf5-X", recorded(t, "history-undo-assumeno.stdout"), recorded(t, "history-undo-assumeno.stderr"), 1, `cp "$dir"/../tmp/redflag-dnf5-*/transaction.json "$dir/../back.json"`)
	s.answers("rpm -Vc --nodeps --noscripts -- demo-newdep demo-replacement kernel demo-app demo-broken demo-conf demo-lib "+long, "", "", 0, "")
	s.answers("rpm -ql -- demo-newdep-0.5-1.el9.noarch demo-replacement-3.0-1.el9.noarch kernel-5.14.0-503.40.1.el9_5.x86_64 demo-app-1:2.1-1.el9.x86_64 demo-broken-2.0-1.el9.noarch "+
		"demo-conf-2.0-1.el9.noarch demo-lib-1.2-1.el9.x86_64 "+long+"-1.0.0.20261101git0123456789abcdef-1.el9_6.1.noarch", "", "", 0, "")
	back := s.plan(sel)
	if got := rpmtest.Lines(back.Changes); !strings.Contains(got, "remove kernel.x86_64 5.14.0-503.40.1.el9_5") || !strings.Contains(got, "downgrade demo-app.x86_64 1:2.1-1.el9 → 1:2.0-3.el9") || !strings.Contains(got, "install demo-old") {
		t.Error(got)
	}
	stored, err := readStored(&machine.Machine{Root: s.root}, "/")
	if err == nil {
		t.Errorf("nothing is stored there, and it is %v", stored)
	}
	data, err := os.ReadFile(filepath.Join(s.root, "back.json"))
	if err != nil || !strings.Contains(string(data), `{"nevra":"demo-lib-1.0-1.el9.x86_64","action":"Downgrade","reason":"Dependency","repo_id":"@stored_transaction","package_path":"./packages/demo-lib-1.0-1.el9.x86_64.rpm"}`) {
		t.Errorf("%s, %v", data, err)
	}
}

func TestAnotherTransactionThanTheApprovedOneIsNotCarriedOut(t *testing.T) {
	s := newScripted(t)
	s.offering()
	p := s.plan(fleet.Selection{All: true})
	s.storing(strings.Replace(transaction(t), "demo-lib-1.2-1.el9", "demo-lib-1.3-1.el9", 1))
	w := s.work()
	const because = "it is not the plan that was approved: it would now upgrade demo-lib 1.0-1.el9 → 1.3-1.el9; it would not upgrade demo-lib 1.0-1.el9 → 1.2-1.el9 any more"
	err := (Source{}).Fetch(t.Context(), s.machine(), p, w)
	if got, _ := fleet.Explain(err); got != because {
		t.Errorf("fetch: %q", got)
	}
	o, err := (Source{}).Apply(context.Background(), s.machine(), p, w)
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
	p := s.plan(fleet.Selection{Names: []string{"demo-preinfail"}})
	if got := rpmtest.Lines(p.Changes); got != "upgrade demo-preinfail.noarch 1.0-1.el9 → 2.0-1.el9" {
		t.Fatal(got)
	}
	s.answers("dnf5 -y download --skip-unavailable --destdir="+dir+"/replaced demo-preinfail-1.0-1.el9.noarch", "", "", 1, "")
	s.write("stored.json", `{"rpms":[{"nevra":"demo-preinfail-2.0-1.el9.noarch","action":"Upgrade","reason":"User","repo_id":"updates","package_path":"./packages/x.rpm"},`+
		`{"nevra":"demo-preinfail-1.0-1.el9.noarch","action":"Replaced","reason":"User","repo_id":"@System"}],"version":"1.0"}`)
	s.answers("dnf5 -y --setopt=metadata_expire=-1 upgrade demo-preinfail-2.0-1.el9.noarch --store="+dir+"/transaction", "", "", 0,
		`mkdir -p "$dir/../`+dir+`/transaction"; cp "$dir/../stored.json" "$dir/../`+dir+`/transaction/transaction.json"`)
	s.answers(replay, recorded(t, "upgrade-preinfail.stdout"), recorded(t, "upgrade-preinfail.stderr"), 1, "")
	w := s.work()
	if err := (Source{}).Fetch(t.Context(), s.machine(), p, w); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	o, err := (Source{}).Apply(context.Background(), s.machine(), p, w)
	if err != nil || len(o.Done) > 0 || len(o.Missing) != 1 || o.Because != "the %pre script of demo-preinfail failed" {
		t.Errorf("%+v, %v", o, err)
	}
	log, err := os.ReadFile(w.Log.Name())
	if err != nil || !strings.Contains(string(log), "demo-preinfail-1.0-1.el9.noarch cannot be kept for an undo") {
		t.Errorf("%s, %v", log, err)
	}
	t.Run("a lock", func(t *testing.T) {
		s.answers(replay, "", "Running transaction\nTransaction failed: Failed to obtain rpm transaction lock. Another transaction is in progress.\n", 1, "")
		o, err := (Source{LockWait: time.Nanosecond}).Apply(context.Background(), s.machine(), p, w)
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
		_, err := (Source{}).Plan(t.Context(), s.machine(), sel)
		if got, _ := fleet.Explain(err); !strings.Contains(got, because) {
			t.Errorf("%q, want %q", got, because)
		}
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
	if p := s.plan(fleet.Selection{All: true}); len(p.Changes) != 0 {
		t.Errorf("%v", p.Changes)
	}
	s.installed(append(before, "demo-lib 0 1.2 1.el9 x86_64")...)
	refused(fleet.Selection{All: true}, "two versions are installed of demo-lib.x86_64")
}

func TestHoldsAreVersionLocks(t *testing.T) {
	s := newScripted(t)
	s.answers("dnf5 -C versionlock add demo-lib", "", "", 0, "")
	s.answers("dnf5 -C versionlock delete demo-lib", "", "", 0, "")
	for _, hold := range []bool{true, false} {
		if err := (Source{}).Hold(t.Context(), s.machine(), []string{"demo-lib"}, hold); err != nil {
			t.Error(err)
		}
	}
	if err := (Source{}).Hold(t.Context(), s.machine(), []string{"nosuch"}, true); err == nil {
		t.Error("what is not there is held")
	}
}
