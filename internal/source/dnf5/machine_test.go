package dnf5

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/source"
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
