package rpm

import (
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source/sourcetest"
)

func pkg(text string) Package {
	p, ok := CutNEVRA(text)
	if !ok {
		panic(text)
	}
	return p
}

func pkgs(text string) []Package {
	var list []Package
	for _, word := range strings.Fields(text) {
		list = append(list, pkg(word))
	}
	return list
}

func TestWhatChangedIsTheDifferenceOfTheDatabase(t *testing.T) {
	for _, c := range []struct{ name, before, after, want string }{
		{"an upgrade", "a-1-1.noarch b-1-1.noarch", "a-2-1.noarch b-1-1.noarch", "upgrade a 1-1 → 2-1"},
		{"a downgrade of an epoch", "a-1:1-1.noarch", "a-2-1.noarch", "downgrade a 1:1-1 → 2-1"},
		{"two architectures", "a-1-1.x86_64 a-1-1.i686", "a-2-1.x86_64 a-1-1.i686", "upgrade a 1-1 → 2-1"},
		{"a kernel comes and the oldest goes", "k-1-1.x86_64 k-2-1.x86_64", "k-2-1.x86_64 k-3-1.x86_64", "remove k 1-1, install k 3-1"},
		{"a kernel comes beside the first", "k-1-1.x86_64", "k-1-1.x86_64 k-2-1.x86_64", "install k 2-1"},
		{"a kernel goes", "k-1-1.x86_64 k-2-1.x86_64", "k-2-1.x86_64", "remove k 1-1"},
		{"one obsoletes another", "old-1-1.noarch", "new-3-1.noarch", "remove old 1-1, install new 3-1"},
		{"the architecture changes", "a-1-1.noarch", "a-2-1.x86_64", "upgrade a 1-1 → 2-1"},
		{"nothing", "a-1-1.noarch", "a-1-1.noarch", ""},
	} {
		before, after := pkgs(c.before), pkgs(c.after)
		changes := Differences(before, after)
		var lines []string
		for _, one := range changes {
			lines = append(lines, one.String())
		}
		if got := strings.Join(lines, ", "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		out, in := Transaction(before, changes)
		again := After(before, out, in)
		slices.SortFunc(again, compare)
		slices.SortFunc(after, compare)
		if diff := cmp.Diff(after, again); diff != "" {
			t.Errorf("%s: the transaction of its changes leads elsewhere:\n%s", c.name, diff)
		}
		if missing := Missing(changes, changes); len(missing) != 0 {
			t.Errorf("%s: missing of itself: %v", c.name, missing)
		}
	}
}

const updateinfo = `<?xml version="1.0"?><updates>
<update type="security"><id>SA-1</id><severity>Important</severity><references><reference type="cve" id="CVE-2"/><reference type="cve" id="CVE-1"/><reference type="bugzilla" id="1"/></references>
<pkglist><collection><package name="a" epoch="0" version="1.1" release="1" arch="noarch"/></collection></pkglist></update>
<update type="bugfix"><id>BA-2</id><severity>None</severity><reboot_suggested/><pkglist><collection><package name="a" epoch="0" version="1.2" release="1" arch="noarch"/></collection></pkglist></update>
</updates>`

func TestAnUpdateIsForSecurityIfAnyAdvisoryOnTheWayIs(t *testing.T) {
	list, err := parseAdvisories(strings.NewReader(updateinfo))
	if err != nil {
		t.Fatal(err)
	}
	var a Advisories
	a.add(list)
	for _, c := range []struct{ from, to, want string }{
		{"1.0-1", "1.2-1", "BA-2 SA-1"}, {"1.0-1", "1.1-1", "SA-1"}, {"1.1-1", "1.2-1", "BA-2"}, {"1.2-1", "1.3-1", ""}, {"1.0-1", "1.0-2", ""}, {"1:1.0-1", "1:1.2-1", ""},
	} {
		var ids []string
		between := a.Between(Package{Name: "a", Arch: "noarch", EVR: c.from}, c.to)
		for _, one := range between {
			ids = append(ids, one.ID)
		}
		if got := strings.Join(ids, " "); got != c.want || Security(between) != strings.Contains(c.want, "SA") {
			t.Errorf("from %s to %s: %s, want %s", c.from, c.to, got, c.want)
		}
	}
	if len(a.Between(pkg("a-1.0-1.x86_64"), "1.2-1")) != 0 {
		t.Error("another architecture has the same advisories")
	}
	if diff := cmp.Diff([]string{"CVE-1", "CVE-2"}, list[0].CVEs); diff != "" || list[0].Reboot || !list[1].Reboot || list[1].Severity != "" {
		t.Errorf("%+v", list)
	}
}

func TestAdvisoriesAreReadAsRepositoriesCompressThem(t *testing.T) {
	now := time.Now()
	root := t.TempDir()
	m := &machine.Machine{Root: root, Runner: machine.Exec{}, Now: func() time.Time { return now }}
	write := func(name, index string, data []byte) {
		dir := filepath.Join(root, name, "repodata")
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "repomd.xml"), []byte(index), 0o644)); err != nil {
			t.Fatal(err)
		}
		if data != nil {
			if err := os.WriteFile(filepath.Join(dir, "x-updateinfo.xml."+name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	index := func(ending string) string {
		return `<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary"><location href="repodata/p"/></data><data type="updateinfo"><location href="repodata/../../x/x-updateinfo.xml.` + ending + `"/></data></repomd>`
	}
	var gz, zst strings.Builder
	g := gzip.NewWriter(&gz)
	z, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := g.Write([]byte(updateinfo))
	_, err2 := z.Write([]byte(updateinfo))
	if err := errors.Join(err1, err2, g.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	write("gz", index("gz"), []byte(gz.String()))
	write("zst", index("zst"), []byte(zst.String()))
	write("plain", index("plain"), []byte(updateinfo))
	write("none", `<repomd><data type="primary"><location href="p"/></data></repomd>`, nil)
	write("torn", index("torn"), []byte(updateinfo[:300]))
	write("html", "<html></html>", nil)
	for _, name := range []string{"gz", "zst", "plain"} {
		a, at, err := ReadAdvisories(context.Background(), m, []Repository{{ID: name, Dir: "/" + name}, {ID: "none", Dir: "/none"}})
		if err != nil || len(a.Between(pkg("a-1.0-1.noarch"), "1.2-1")) != 2 || !slices.Equal(a.Without, []string{"none"}) || at.IsZero() {
			t.Errorf("%s: %v, %v, %v", name, a, at, err)
		}
	}
	for _, name := range []string{"torn", "html", "absent"} {
		if _, _, err := ReadAdvisories(context.Background(), m, []Repository{{ID: name, Dir: "/" + name}}); err == nil {
			t.Errorf("%s: no word that it cannot be read", name)
		}
	}
}

func TestScriptsThatFailAreFoundInWhatEachManagerSays(t *testing.T) {
	for text, want := range map[string]Script{
		"Error in POSTIN scriptlet in rpm package demo-broken":                                          {"demo-broken", "%post"},
		"warning: %post(demo-broken-2.0-1.el9.noarch) scriptlet failed, exit status 1":                  {"demo-broken", "%post"},
		">>> Non-critical error in %post scriptlet: demo-broken-0:2.0-1.el9.noarch":                     {"demo-broken", "%post"},
		">>> Error in %pre scriptlet: demo-preinfail-0:2.0-1.el9.noarch":                                {"demo-preinfail", "%pre"},
		"error: lua script failed: [string &quot;%prein(demo-preinfail-0:2.0-1.el9.noarch)&quot;]:1: x": {"demo-preinfail", "%pre"},
	} {
		if got := Scripts(text); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if got := Scripts("Running scriptlet: demo-1-1.noarch"); len(got) != 0 {
		t.Errorf("one that runs: %v", got)
	}
}

func TestTheRunningKernelIsNotRemoved(t *testing.T) {
	for _, c := range []struct {
		running string
		gone    fleet.Change
		want    bool
	}{
		{"5.14.0-503.11.1.el9_5.x86_64", fleet.Change{Name: "kernel-core", Arch: "x86_64", From: "5.14.0-503.11.1.el9_5"}, true},
		{"5.14.0-503.11.1.el9_5.x86_64", fleet.Change{Name: "kernel-core", Arch: "x86_64", From: "5.14.0-427.1.1.el9_4"}, false},
		{"6.4.0-150600.21-default", fleet.Change{Name: "kernel-default", Arch: "x86_64", From: "6.4.0-150600.21.3"}, true},
		{"6.4.0-150600.21-default", fleet.Change{Name: "kernel-default", Arch: "x86_64", From: "6.4.0-150600.19.1"}, false},
		{"6.4.0-150600.21-default", fleet.Change{Name: "kernel-rt", Arch: "x86_64", From: "6.4.0-150600.21.3"}, false},
		{"", fleet.Change{Name: "kernel", From: "1-1"}, false},
	} {
		if got := runs(c.running, c.gone); got != c.want {
			t.Errorf("%s and %s: %t", c.running, c.gone, got)
		}
	}
}

func TestTwoVersionsAreOneTooManyUnlessTheyMayStandSideBySide(t *testing.T) {
	root := t.TempDir()
	m := &machine.Machine{Root: root}
	installed := pkgs("kernel-1-1.x86_64 kernel-2-1.x86_64 kmod-x-1-1.x86_64 kmod-x-2-1.x86_64 driver-a-1-1.noarch driver-a-2-1.noarch a-1-1.noarch a-2-1.noarch b-1-1.x86_64 b-1-1.i686")
	twice := func() string { return strings.Join(Duplicates(installed, Beside(m)), " ") }
	if got := twice(); got != "a.noarch driver-a.noarch" {
		t.Error(got)
	}
	conf := filepath.Join(root, "etc/dnf/dnf.conf")
	if err := errors.Join(os.MkdirAll(filepath.Dir(conf), 0o755), os.WriteFile(conf, []byte("[main]\ninstallonlypkgs = kernel, driver-*\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if got := twice(); got != "a.noarch" {
		t.Error(got)
	}
	older := Older(installed, []string{"a.noarch"})
	if len(older) != 1 || older[0].EVR != "1-1" || Whole(installed, Beside(m)) == nil {
		t.Errorf("%v", older)
	}
}

func FuzzParseInstalled(f *testing.F) {
	f.Add("toy-app\t1\t2.0\t3.el9\tx86_64\ttoy-app-2.0-3.el9.src.rpm\tToys\ttoys:1:2:3\ngpg-pubkey\t0\ta\tb\t(none)\t(none)\t(none)\t(none)\n")
	f.Add("x\t0\t\t\t\t\t\t\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseInstalled([]byte(text))
		if err == nil && strings.TrimSpace(text) != "" && len(list) == 0 && !strings.Contains(text, keys) {
			t.Errorf("nothing in %q", text)
		}
		for _, p := range list {
			if p.Name != fleet.Plain(p.Name) || p.EVR != fleet.Plain(p.EVR) {
				t.Errorf("%q", p)
			}
		}
		Differences(list, nil)
	})
}

func FuzzParseAdvisories(f *testing.F) {
	f.Add(updateinfo)
	f.Add("<updates/>")
	f.Add("<html></html>")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseAdvisories(strings.NewReader(text))
		if err == nil && !strings.Contains(text, "updates") {
			t.Errorf("advisories in %q", text)
		}
		var a Advisories
		a.add(list)
	})
}

func FuzzParseIndex(f *testing.F) {
	f.Add(`<repomd><data type="updateinfo"><location href="repodata/a-updateinfo.xml.gz"/></data></repomd>`)
	f.Fuzz(func(t *testing.T, text string) {
		if name, err := parseIndex([]byte(text)); err == nil && (strings.Contains(name, "/") && name != "/" || name == "..") {
			t.Errorf("%q leads elsewhere", name)
		}
	})
}

func FuzzCutNEVRA(f *testing.F) {
	for _, s := range []string{"a-1:2-3.noarch", "a", "-", "a-b-c.d", "", "....---"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, ok := CutNEVRA(text); ok {
			if again, ok := CutNEVRA(p.String()); !ok || again != p {
				t.Errorf("%q is %+v, and then %+v", text, p, again)
			}
		}
		Scripts(text)
	})
}

func TestWhatHasBegunIsNoErrorWhereItsCodeCannotBeKept(t *testing.T) {
	s := sourcetest.NewScript(t)
	s.Answer("dnf upgrade", sourcetest.Reply{Do: `mkdir "$root/job/code"`})
	if err := Patiently(s.Machine(), s.Work(), machine.Command{Name: "dnf", Args: []string{"upgrade"}}, 0, "busy"); err != nil {
		t.Error(err)
	}
}
