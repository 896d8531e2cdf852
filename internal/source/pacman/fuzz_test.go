package pacman

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"redflag/internal/machine"
)

// archive makes a database of descriptions, as repo-add does.
func archive(t testing.TB, descs ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i, d := range descs {
		dir := string(rune('a'+i)) + "-1-1/"
		if err := w.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Name: dir + "desc", Typeflag: tar.TypeReg, Size: int64(len(d)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(d)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const toyDesc = "%FILENAME%\ntoy-1.0-1-x86_64.pkg.tar.zst\n\n%NAME%\ntoy\n\n%VERSION%\n1:1.0-1\n\n%CSIZE%\n30592\n\n%ISIZE%\n30100\n\n%ARCH%\nany\n\n%REPLACES%\nold>=2\nolder\n\n%DEPENDS%\nlib: so that it works\n\n"

func TestADatabaseIsReadInEveryFormThatItIsWrittenIn(t *testing.T) {
	plain := archive(t, toyDesc)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for form, data := range map[string][]byte{"plain": plain, "gz": packed.Bytes(), "zst": e.EncodeAll(plain, nil)} {
		list, err := parseDatabase(bytes.NewReader(data))
		if err != nil || len(list) != 1 {
			t.Errorf("%s: %d packages, %v", form, len(list), err)
			continue
		}
		if p := list[0]; p.name != "toy" || p.version != "1:1.0-1" || p.arch != "any" || p.download != 30592 || p.size != 30100 || len(p.replaces) != 2 {
			t.Errorf("%s: %+v", form, p)
		}
	}
	if list, err := parseDatabase(bytes.NewReader(archive(t))); err != nil || len(list) != 0 {
		t.Errorf("an empty one: %v, %v", list, err)
	}
	for what, data := range map[string][]byte{"html": []byte("<html>not found</html>"), "no name": archive(t, "%VERSION%\n1-1\n\n"), "half": packed.Bytes()[:packed.Len()/2], "a path": archive(t, "%NAME%\n../x\n\n%VERSION%\n1-1\n")} {
		if list, err := parseDatabase(bytes.NewReader(data)); err == nil {
			t.Errorf("%s is read as %d packages", what, len(list))
		}
	}
}

func TestADependencyIsMetAsPacmanMeetsIt(t *testing.T) {
	p := &pkg{name: "toy", version: "1:2.0-3", provides: []string{"tool=5", "thing"}}
	for text, want := range map[string]bool{
		"toy": true, "toy>=1:2.0": true, "toy=1:2.0": true, "toy=1:2.0-3": true, "toy>1:2.0-3": false, "toy<1:2.0": false, "toy<=1:2.0-3": true, "toy>9": true,
		"tool": true, "tool>=5": true, "tool>5": false, "thing": true, "thing=1": false, "other": false, "": false,
	} {
		if got := parseDependency(text).isMet(p); got != want {
			t.Errorf("%q is met: %t", text, got)
		}
	}
}

func FuzzDatabase(f *testing.F) {
	f.Add(archive(f, toyDesc))
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0})
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Add([]byte("BZh9"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseDatabase(bytes.NewReader(data))
		for _, p := range list {
			if err == nil && (!packageName.MatchString(p.name) || !versionText.MatchString(p.version)) {
				t.Errorf("%q %q is no package", p.name, p.version)
			}
		}
	})
}

func FuzzDescription(f *testing.F) {
	f.Add([]byte(toyDesc))
	f.Add([]byte("%FILES%\nusr/\nusr/bin/toy\n\n%BACKUP%\netc/toy.conf\t0cc175b9c0f1b6a831c399e269772661\n"))
	f.Add([]byte("%%\n\n%NAME%\n%NAME%\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		p := &pkg{}
		p.parse(data)
		_ = p.check()
		for _, d := range append(p.depends, p.provides...) {
			parseDependency(d).isMet(p)
		}
	})
}

func FuzzPrinted(f *testing.F) {
	f.Add([]byte("demo-lib|1.1-1|demo|30592\n:: Replace demo-old with demo/demo-replacement? [Y/n] \n"))
	f.Add([]byte("loading packages...\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		list, err := parsePrinted(out)
		for _, p := range list {
			if err == nil && p.check() != nil {
				t.Errorf("%q %q is no package", p.name, p.version)
			}
		}
	})
}

func FuzzTransaction(f *testing.F) {
	f.Add("upgrading demo-broken...\nerror: command failed to execute correctly\n(1/2) Arming ConditionNeedsUpdate...\nerror: command terminated by signal 9: Killed\n")
	f.Add("warning: /etc/demo-pac.conf installed as /etc/demo-pac.conf.pacnew\n:: demo-lib and demo are in conflict\n")
	f.Fuzz(func(t *testing.T, said string) {
		failed, kept := readTransaction(said)
		if len(failed) > maxTold || len(kept) > maxTold {
			t.Error("too much is told")
		}
		if explain(said, "otherwise") == nil {
			t.Error("no reason")
		}
	})
}

func FuzzConfiguration(f *testing.F) {
	f.Add([]byte("[options]\nIgnorePkg = a* b\nIgnoreGroup=[!x]\nDBPath = /x/\n# c\n[core]\nUsage = Sync Search\nInclude = /etc/pacman.d/*\n"))
	f.Add([]byte("Include = /etc/pacman.conf\n[\n[]\n=\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "etc", "pacman.conf"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := readConfig(&machine.Machine{Root: dir, Now: time.Now})
		if err == nil {
			c.holds(&pkg{name: "abc", groups: []string{"x"}})
		}
	})
}
