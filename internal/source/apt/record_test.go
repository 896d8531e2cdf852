package apt

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/source"
)

func TestDpkgTellsWhoseAFileIs(t *testing.T) {
	parts.Need(t, "dpkg-query")
	files := []string{"/usr/bin/dpkg", "/usr/bin/ls", "/bin/no-such-file", "/usr/bin/*", "relative"}
	got, err := Source{}.Owners(t.Context(), machine.Local(), files)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["/usr/bin/dpkg"].Name != "dpkg" || got["/usr/bin/ls"].Name != "coreutils" {
		t.Errorf("%+v", got)
	}
}

func TestOwnersAreNeitherDiversionsNorShared(t *testing.T) {
	out := "diversion by dash from: /bin/sh\nlibssl3:amd64: /usr/lib/libssl.so.3\na, b: /usr/share/x\ncoreutils: /bin/ls\n"
	got := parseOwners([]byte(out), []string{"/usr/lib/libssl.so.3", "/usr/share/x", "/usr/bin/ls", "/bin/sh"})
	if want := "map[/usr/bin/ls:{coreutils } /usr/lib/libssl.so.3:{libssl3 amd64}]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestDpkgsLogsTellWhatWasUpgraded(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "var/log")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if strings.HasSuffix(name, ".gz") {
			z := gzip.NewWriter(f)
			defer z.Close()
			_, err = z.Write([]byte(text))
		} else {
			_, err = f.WriteString(text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("dpkg.log", "2026-03-02 08:00:00 startup archives unpack\n2026-03-02 08:00:01 upgrade libssl3:amd64 2-1 3-1\n2026-03-02 08:00:02 status unpacked libssl3:amd64 3-1\nnonsense\n2026-03-02 08:00:03 upgrade curl:amd64 1-1 2-1\n")
	write("dpkg.log.1", "2026-02-01 08:00:00 upgrade libssl3:i386 1-1 2-1\n2026-02-01 08:00:00 upgrade libssl3:amd64 1-1 2-1\n")
	write("dpkg.log.2.gz", "2026-01-01 08:00:00 upgrade libssl3:amd64 0-1 1-1\n")
	write("dpkg.log.4.gz", "2025-11-01 08:00:00 upgrade libssl3:amd64 0-0 0-1\n") // behind a gap
	m := &machine.Machine{Root: root}
	got, err := Source{}.Upgrades(t.Context(), m, []source.Owner{{Name: "libssl3", Arch: "amd64"}})
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, u := range got {
		text += u.From + ">" + u.To + " "
	}
	if text != "2-1>3-1 1-1>2-1 0-1>1-1 " || got[0].Slack != zones {
		t.Errorf("%s %+v", text, got)
	}
	write("dpkg.log.1", "not a log at all")
	write("dpkg.log.2.gz", "")
	if err := os.WriteFile(filepath.Join(dir, "dpkg.log.2.gz"), []byte("no gzip"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := (Source{}).Upgrades(t.Context(), m, []source.Owner{{Name: "libssl3", Arch: "amd64"}}); err == nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte("2026-03-02 08:00:01 upgrade libssl3:amd64 2-1 3-1\n"), []byte("libssl3:amd64: /usr/lib/libssl.so.3\n"))
	f.Fuzz(func(_ *testing.T, log, owners []byte) {
		_, _ = parseLog(strings.NewReader(string(log)), []source.Owner{{Name: "libssl3"}})
		_ = parseOwners(owners, []string{"/usr/lib/libssl.so.3"})
	})
}
