package apk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"testing"

	"redflag/internal/fleet"
)

// index makes an APKINDEX.tar.gz as Alpine's are: a signature by a key, and the list.
func index(t *testing.T, key, list string) string {
	t.Helper()
	var b bytes.Buffer
	for _, files := range [][][2]string{{{".SIGN.RSA." + key, "signature"}}, {{"DESCRIPTION", "v3.20.3-10-g0123456789a"}, {"APKINDEX", list}}} {
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for _, f := range files {
			if err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), Typeflag: tar.TypeReg}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(f[1])); err != nil {
				t.Fatal(err)
			}
		}
		err := w.Flush()
		if files[0][0] == "DESCRIPTION" {
			err = w.Close()
		}
		if err != nil || z.Close() != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestWhatIsInstalledIsOfTheReleaseThatOffersIt(t *testing.T) {
	const alpine, mine = "alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub", "ada@example.org-6165ee59.rsa.pub"
	stanza := func(name, version, origin string) string {
		return "P:" + name + "\nV:" + version + "\nA:x86_64\no:" + origin + "\n\n"
	}
	s := newScripted(t, "v2")
	s.Write("/etc/apk/repositories", "http://dl-cdn.alpinelinux.org/alpine/v3.12/main\n@edge https://dl-cdn.alpinelinux.org/alpine/edge/testing/\n# https://dl-cdn.alpinelinux.org/alpine/v3.12/community\nhttps://mine.example/alpine/v3.12/main\n")
	// The first name is the one that apk 2 gives that address.
	s.Write("/var/cache/apk/APKINDEX.2c4ac24e.tar.gz", index(t, alpine, stanza("musl", "1.2.5-r1", "musl")+stanza("libssl3", "3.3.2-r1", "openssl")+stanza("other", "2-r0", "new")))
	s.Write("/var/cache/apk/APKINDEX.abdc3b12.tar.gz", index(t, alpine, stanza("rare", "1-r0", "rare")))
	s.Write("/var/cache/apk/APKINDEX.7f1b780e.tar.gz", index(t, mine, stanza("tool", "1-r0", "tool")))
	s.Write("/var/cache/apk/APKINDEX.00000000.tar.gz", index(t, alpine, stanza("lost", "1-r0", "lost")))
	s.Write("/lib/apk/db/installed", stanza("musl", "1.2.5-r1", "musl")+stanza("libssl3", "3.3.1-r0", "openssl")+stanza("other", "1-r0", "old")+stanza("rare", "1-r0", "rare")+
		stanza("tool", "1-r0", "tool")+stanza("lost", "1-r0", "lost")+stanza("gone", "1-r0", "gone"))
	list, err := Source{}.Packages(t.Context(), s.Machine())
	if err != nil {
		t.Fatal(fleet.Explain(err))
	}
	want := map[string]string{"musl": "Alpine:v3.12", "libssl3": "Alpine:v3.12", "rare": "Alpine:edge"}
	for _, p := range list {
		if p.Ecosystem != want[p.Name] {
			t.Errorf("%s is of %q, want %q", p.Name, p.Ecosystem, want[p.Name])
		}
	}
	s.Write("/etc/os-release", "ID=alpine\nVERSION_ID=3.20.3\n")
	for repository, want := range map[string]string{
		"https://dl-cdn.alpinelinux.org/alpine/latest-stable/main": "Alpine:v3.20", "https://mirror.example/v3.19/community/": "Alpine:v3.19", "https://mine.example/v3.19/mine": "", "/srv/edge": "",
	} {
		if got := ecosystem(s.Machine(), repository); got != want {
			t.Errorf("%s is of %q, want %q", repository, got, want)
		}
	}
	offers, _, err := readIndexes(s.Machine())
	if err != nil {
		t.Fatal(err)
	}
	b := newOrigins(offers).build(&pkg{name: "libssl3", version: "3.3.1-r0", origin: "openssl"}, "3.3.2-r1")
	if *b != (fleet.Build{Ecosystem: "Alpine:v3.12", Package: "openssl", From: "3.3.1-r0", To: "3.3.2-r1"}) {
		t.Errorf("%+v", b)
	}
}
