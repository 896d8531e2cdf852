package dnf5

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"redflag/internal/source/sourcetest"
)

// scripted is a machine with dnf 5, which is not to be had on Debian's stable release; the recordings are of dnf5 5.4.6.
type scripted struct{ *sourcetest.Script }

func newScripted(t *testing.T) scripted {
	t.Helper()
	s := scripted{sourcetest.NewScript(t)}
	s.Replace("s/redflag-dnf5-[0-9]*/redflag-dnf5-X/g")
	s.Write("var/lib/rpm/rpmdb.sqlite", "")
	s.Write("usr/bin/dnf5", "")
	s.Write("tmp/there", "")
	s.installed(before...)
	s.answers("dnf5 -q repo list --enabled --json", `[{"id":"base","name":"Base","is_enabled":true},{"id":"updates","name":"Updates","is_enabled":true}]`, "", 0, "")
	return s
}

// answers tells the machine an answer. Do is a script for what is done first, with $root as the machine's root.
func (s scripted) answers(line, stdout, stderr string, code int, do string) {
	s.Helper()
	s.Answer(line, sourcetest.Reply{Stdout: stdout, Stderr: stderr, Code: code, Do: do})
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
const query = `rpm -qa --qf %{NAME}\t%|EPOCH?{%{EPOCH}}:{0}|\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{VENDOR}\t%{MODULARITYLABEL}\n`

func inventory(packages []string) string {
	var b strings.Builder
	for _, p := range packages {
		f := strings.Fields(p)
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\t%s\t%s-%s-%s.src.rpm\tAlmaLinux\t(none)\n", f[0], f[1], f[2], f[3], f[4], f[0], f[2], f[3])
	}
	return b.String()
}

func (s scripted) installed(packages ...string) {
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
const updateinfo = `<updates><update from="security@example.com" type="security"><id>RHSA-2026:1001</id><severity>Important</severity><references><reference type="cve" id="CVE-2026-11111"/></references><pkglist><collection><package name="demo-lib" epoch="0" version="1.1" release="1.el9" arch="x86_64"/></collection></pkglist></update></updates>`

// offering tells the machine what is on offer, and what a full upgrade would do.
func (s scripted) offering() {
	s.Helper()
	list := strings.ReplaceAll(recorded(s, "repoquery-upgrades.stdout"), `\t`, "\t")
	var asked, hidden strings.Builder
	for line := range strings.Lines(list) {
		f := strings.SplitN(strings.TrimRight(line, "\n"), "\t", 10)
		line = strings.Join(append(f[:7:7], f[8], "AlmaLinux", f[9]), "\t")
		fmt.Fprintln(&hidden, line)
		if f[0] != "demo-locked" {
			fmt.Fprintln(&asked, line)
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
		s.Write("var/cache/libdnf5/"+repo+"-0123456789abcdef/repodata/repomd.xml", index)
	}
	s.Write("var/cache/libdnf5/updates-0123456789abcdef/repodata/u.xml", updateinfo)
}
