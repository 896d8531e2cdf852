package inside

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/static"

	"redflag/internal/fleet"
)

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// header is a tar file's first entry that claims a size and brings nothing.
func header(t testing.TB, name string, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestALayerThatLiesIsRefusedWithAReason(t *testing.T) {
	l := newLab(t)
	for name, data := range map[string][]byte{
		"no archive":                   []byte("hello, I am a layer of 512 bytes or more" + strings.Repeat(".", 1000)),
		"truncated":                    gzipped(t, header(t, dpkgStatus, 1000))[:60],
		"shorter than it says":         gzipped(t, header(t, dpkgStatus, 1000)),
		"a database beyond its bounds": gzipped(t, append(header(t, dpkgStatus, maxDatabase+1), make([]byte, 4096)...)),
		"zstd that wants 2 GiB":        {0x28, 0xb5, 0x2f, 0xfd, 0x04, 0xa8, 0x01, 0x00, 0x00},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := l.reader.Look(t.Context(), l.push(static.NewLayer(data, "application/vnd.oci.image.layer.v1.tar+gzip")), linux, true)
			if because, remedy := fleet.Explain(err); err == nil || remedy == "" || !strings.Contains(because, "unpacked") {
				t.Errorf("because %q, remedy %q", because, remedy)
			}
		})
	}
}

func TestNothingOfALayerIsWrittenElsewhere(t *testing.T) {
	dir := t.TempDir()
	x := &extraction{root: filepath.Join(dir, "root"), settled: map[string]bool{}, hidden: map[string]bool{}}
	content, err := layer(t,
		file{name: "../../../" + dir + "/var/lib/dpkg/status", text: "x"}, file{name: "var/lib/dpkg/status.d/../../../../../out", text: "x"},
		file{name: "var/lib/dpkg", target: dir}, file{name: "var/lib/dpkg/status", text: openssl},
	).Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	if err := x.layer(t.Context(), content); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Error(entries, err)
	}
}

func TestAnSBOMCannotTalkWithoutEnd(t *testing.T) {
	var urls []string
	for n := range 10_000 {
		urls = append(urls, fmt.Sprintf("pkg:kind%d/x@1", n))
	}
	if found, err := fromURLs(urls); err != nil || len(found.Unknown) > 2000 || !strings.HasSuffix(found.Unknown, ", 9960 more") {
		t.Errorf("%.2000s, %v", found.Unknown, err)
	}
}

func FuzzALayer(f *testing.F) {
	content, err := layer(f, file{name: "usr/lib/os-release", text: debian12}, file{name: "var/lib/dpkg/status", text: openssl}, file{name: "lib/apk/.wh.db"}).Uncompressed()
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(content); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(gzipped(f, b.Bytes()))
	f.Fuzz(func(t *testing.T, data []byte) {
		x := &extraction{root: t.TempDir(), settled: map[string]bool{}, hidden: map[string]bool{}}
		if err := x.layer(t.Context(), bytes.NewReader(data)); err != nil {
			return
		}
		if _, err := (Reader{Now: time.Now}).packages(t.Context(), x.root); err != nil {
			if _, remedy := fleet.Explain(err); remedy == "" {
				t.Errorf("%v has no remedy", err)
			}
		}
	})
}

func FuzzAnSBOM(f *testing.F) {
	f.Add([]byte(`{"predicate":{"packages":[{"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:rpm/almalinux/bash@5.1.8-6.el9?epoch=1&upstream=bash-5.1.8-6.el9.src.rpm&distro=almalinux-9.2"}]}]}}`))
	f.Add([]byte(`{"predicate":{"components":[{"purl":"pkg:apk/alpine/busybox@1.36.1-r5?upstream=busybox&distro=alpine-3.18.4"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := parseSBOM(data)
		if err != nil {
			return
		}
		for _, p := range found.Packages {
			if p.Name == "" || p.Version == "" || fleet.Plain(p.Name) != p.Name {
				t.Errorf("%q is a package", p)
			}
		}
	})
}
