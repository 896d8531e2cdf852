package freebsd

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source/sourcetest"
)

// dir gives where freebsd-update keeps what it has for the folder /: by the SHA-256 of "/" and a line's end, as sha256(1) gives it.
func dir(kind string) string {
	return "var/db/freebsd-update/f465c3739385890c221dff1a05e578c6cae0d0430e46996d319db7439f884336-" + kind
}

const (
	oldHash = "1111111111111111111111111111111111111111111111111111111111111111"
	newHash = "2222222222222222222222222222222222222222222222222222222222222222"
	anyHash = "3333333333333333333333333333333333333333333333333333333333333333"
)

// scripted is FreeBSD 14.1-RELEASE-p3, for which p5 is on offer and ready.
func scripted(t *testing.T) *sourcetest.Script {
	t.Helper()
	s := sourcetest.NewScript(t)
	s.Write("usr/sbin/freebsd-update", "")
	s.Write("bin/freebsd-version", "")
	s.Write("etc/freebsd-update.conf", "# WorkDir /elsewhere\nComponents src world kernel\n")
	says(s, "14.1-RELEASE-p3", "14.1-RELEASE-p2")
	s.Answer("freebsd-version -r", sourcetest.Reply{Stdout: "14.1-RELEASE-p2\n"})
	fetched(s, "14.1-RELEASE", 5, time.Now().Add(90*24*time.Hour))
	script(t, s, oldHash, "14.1-RELEASE-p3")
	script(t, s, newHash, "14.1-RELEASE-p5")
	staged(s, ready, "/boot/kernel/kernel|f|0|0|0555|0|"+anyHash+"|\n")
	return s
}

func says(s *sourcetest.Script, userland, kernel string) {
	s.Answer("freebsd-version -u", sourcetest.Reply{Stdout: userland + "\n"})
	r := sourcetest.Reply{Stdout: kernel + "\n"}
	if kernel == "" {
		r = sourcetest.Reply{Stderr: "freebsd-version: unable to locate kernel\n", Code: 1}
	}
	s.Answer("freebsd-version -k", r)
}

func fetched(s *sourcetest.Script, release string, patch int, until time.Time) {
	s.Write("var/db/freebsd-update/tag", fmt.Sprintf("freebsd-update|amd64|%s|%d|%s|%d\n", release, patch, anyHash, until.Unix()))
}

// script puts a packed freebsd-version where freebsd-update has it.
func script(t *testing.T, s *sourcetest.Script, hash, version string) {
	t.Helper()
	s.Write("var/db/freebsd-update/files/"+hash+".gz", string(packed(t, "#!/bin/sh\n\nset -e\n\nUSERLAND_VERSION=\""+version+"\"\n\n: ${ROOT:=}\n")))
}

func packed(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// staged writes a manifest in which freebsd-version changes, and more.
func staged(s *sourcetest.Script, kind, more string) {
	s.Write(dir(kind)+"/INDEX-OLD", "/bin/freebsd-version|f|0|0|0555|0|"+oldHash+"|\n"+more)
	s.Write(dir(kind)+"/INDEX-NEW", "/bin/freebsd-version|f|0|0|0555|0|"+newHash+"|\n"+more+"/usr/share/new|d|0|0|0755|0||\n")
}

// withFlaws installs pkg, and has it know of flaws.
func withFlaws(s *sourcetest.Script, have, remain string) {
	s.Write("usr/local/sbin/pkg", "")
	s.Answer("pkg audit --raw=json-compact FreeBSD-14.1_3 FreeBSD-kernel-14.1_2", sourcetest.Reply{Stdout: have, Code: 1})
	s.Answer("pkg audit --raw=json-compact FreeBSD-14.1_5 FreeBSD-kernel-14.1_5", sourcetest.Reply{Stdout: remain})
}

func remove(t *testing.T, s *sourcetest.Script, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(s.Root(), name)); err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, s *sourcetest.Script, sel fleet.Selection, because string) {
	t.Helper()
	_, err := Source{}.Plan(t.Context(), s.Machine(), sel)
	if got, _ := fleet.Explain(err); !strings.Contains(got, because) {
		t.Errorf("refused because %q, want %q", got, because)
	}
}

func plan(t *testing.T, s *sourcetest.Script, sel fleet.Selection) fleet.Plan {
	t.Helper()
	p, err := Source{}.Plan(t.Context(), s.Machine(), sel)
	if err != nil {
		t.Fatal(fleet.Explain(err))
	}
	return p
}
