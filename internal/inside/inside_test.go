package inside

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"redflag/internal/fleet"
	"redflag/internal/parts"
	"redflag/internal/registry"
)

const (
	debian12 = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"
	alpine   = "ID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME=\"Alpine Linux v3.20\"\n"
	openssl  = "Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.11-1~deb12u2\n"
	libssl   = "Package: libssl3\nStatus: install ok installed\nSource: openssl (3.0.11-1)\nArchitecture: amd64\nVersion: 3.0.11-1+b1\n"
	nginx    = "Package: nginx\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.25.3-1~bookworm\n"
	gone     = "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n"
	busybox  = "C:Q1\nP:ssl_client\nV:1.36.1-r29\nA:x86_64\no:busybox\n\n"
)

func TestPackagesAreReadFromTheLayersOfAnImage(t *testing.T) {
	l := newLab(t)
	release, status := file{name: "usr/lib/os-release", text: debian12}, file{name: "var/lib/dpkg/status", text: strings.Join([]string{openssl, libssl, gone}, "\n")}
	for _, c := range []struct {
		name   string
		layers []v1.Layer
		want   []string
	}{
		{"of Debian; a package of another archive has no ecosystem", []v1.Layer{layer(t, release, file{name: "var/lib/dpkg/status", text: openssl + "\n" + libssl + "\n" + nginx})}, []string{
			"apt|libssl3|3.0.11-1+b1|openssl|3.0.11-1|Debian:12", "apt|nginx|1.25.3-1~bookworm|||", "apt|openssl|3.0.11-1~deb12u2|||Debian:12",
		}},
		{"the uppermost layer counts", []v1.Layer{layer(t, release, file{name: "var/lib/dpkg/status", text: nginx}), layer(t, status), layer(t, file{name: "etc/motd", text: "hello"})}, []string{
			"apt|libssl3|3.0.11-1+b1|openssl|3.0.11-1|Debian:12", "apt|openssl|3.0.11-1~deb12u2|||Debian:12",
		}},
		{"what was taken away is gone, its successor is there", []v1.Layer{
			layer(t, file{name: "var/lib/dpkg/status", text: nginx}, file{name: "etc/os-release", target: "../usr/lib/os-release"}, release),
			layer(t, file{name: "var/lib/.wh.dpkg"}, file{name: "./lib/apk/db/installed", text: busybox}), layer(t, file{name: "/usr/lib/os-release", text: alpine}),
		}, []string{"apk|ssl_client|1.36.1-r29|busybox||Alpine:v3.20"}},
		{"an opaque folder hides those below", []v1.Layer{
			layer(t, status, release), layer(t, file{name: "var/lib/dpkg/.wh..wh..opq"}, file{name: "var/lib/dpkg/status", text: openssl}),
		}, []string{"apt|openssl|3.0.11-1~deb12u2|||Debian:12"}},
		{"a layer that hides all below it", []v1.Layer{
			layer(t, file{name: "lib/apk/db/installed", text: busybox}), layer(t, file{name: ".wh..wh..opq"}, status, release),
		}, []string{"apt|libssl3|3.0.11-1+b1|openssl|3.0.11-1|Debian:12", "apt|openssl|3.0.11-1~deb12u2|||Debian:12"}},
		{"a layer that hides all below it, and has no release", []v1.Layer{
			layer(t, release, file{name: "lib/apk/db/installed", text: busybox}), layer(t, file{name: ".wh..wh..opq"}, file{name: "var/lib/dpkg/status", text: openssl}),
		}, []string{"apt|openssl|3.0.11-1~deb12u2|||"}},
		{"without a package manager", []v1.Layer{layer(t, release, file{name: "var/lib/dpkg/status.d/openssl", text: "Package: openssl\nVersion: 3.0.11-1~deb12u2\nArchitecture: amd64\n"},
			file{name: "var/lib/dpkg/status.d/openssl.md5sums", text: "x"}), layer(t, file{name: "var/lib/dpkg/status.d/libssl3", text: "Package: libssl3\nSource: openssl\nVersion: 3.0.11-1~deb12u2\nArchitecture: amd64\n"})}, []string{
			"apt|libssl3|3.0.11-1~deb12u2|openssl||Debian:12", "apt|openssl|3.0.11-1~deb12u2|||Debian:12",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := l.reader.Look(t.Context(), l.push(c.layers...), linux, true)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, say(found.Packages)); diff != "" || found.By != ByLayers {
				t.Errorf("by %s (-want +got):\n%s", found.By, diff)
			}
			if others := strings.Contains(found.Unknown, "1 of other archives"); others != strings.Contains(strings.Join(c.want, " "), "nginx") {
				t.Errorf("unknown: %q", found.Unknown)
			}
		})
	}
}

func TestAnImageWithoutAPackageDatabaseIsUnknown(t *testing.T) {
	l := newLab(t)
	scratch := l.push(layer(t, file{name: "app", text: "program"}))
	_, err := l.reader.Look(t.Context(), scratch, linux, true)
	if because, remedy := fleet.Explain(err); !strings.Contains(because, "no package database") || remedy == "" {
		t.Error(because, remedy)
	}
	_, err = l.reader.Look(t.Context(), scratch, linux, false)
	if _, remedy := fleet.Explain(err); !errors.Is(err, ErrUndeclared) || !strings.Contains(remedy, "--layers") {
		t.Error(err, remedy)
	}
}

func TestAPackageDatabaseThatNamesNothingIsUnknown(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"var/lib/dpkg/status", "lib/apk/db/installed"} {
		found, err := l.reader.Look(t.Context(), l.push(layer(t, file{name: "usr/lib/os-release", text: debian12}, file{name: name})), linux, true)
		if because, remedy := fleet.Explain(err); err == nil || remedy == "" {
			t.Errorf("%s: %+v, %q", name, found, because)
		}
	}
}

func TestWhatAnImageDeclaresIsReadWithoutItsLayers(t *testing.T) {
	l := newLab(t)
	image, err := mutate.AppendLayers(empty.Image, layer(t, file{name: "var/lib/dpkg/status", text: nginx}))
	if err != nil {
		t.Fatal(err)
	}
	urls := []string{
		"pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&upstream=openssl&distro=debian-12", "pkg:deb/debian/libc6@2.36-9%2Bdeb12u3?arch=amd64&upstream=glibc&distro=debian-12",
		"pkg:deb/debian/dash@0.5.12-2%2Bb1?arch=amd64&upstream=dash%400.5.12-2&distro=debian-12",
		"pkg:npm/left-pad@1.3.0", "pkg:golang/stdlib@1.21.3", "nonsense",
	}
	spdx, cdx := []any{}, []any{}
	for _, u := range urls {
		spdx = append(spdx, map[string]any{"name": "x", "externalRefs": []any{map[string]any{"referenceType": "purl", "referenceLocator": u}, map[string]any{"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a"}}})
		cdx = append(cdx, map[string]any{"purl": u})
	}
	want := []string{"apt|dash|0.5.12-2+b1||0.5.12-2|Debian:12", "apt|libc6|2.36-9+deb12u3|glibc||Debian:12", "apt|libssl3|3.0.11-1~deb12u2|openssl||Debian:12"}
	for kind, sbom := range map[string]any{predicateSPDX: map[string]any{"packages": spdx}, predicateCDX: map[string]any{"components": cdx}} {
		l.reader.Dir = t.TempDir()
		ref := l.attested(image, kind, sbom)
		found, err := l.reader.Look(t.Context(), ref, linux, false)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, say(found.Packages)); diff != "" || found.By != BySBOM || found.Distribution != "debian 12" {
			t.Errorf("%s: by %s of %s (-want +got):\n%s", kind, found.By, found.Distribution, diff)
		}
		if found.Unknown != "packages that are not compared: 1 of golang, 1 of npm, 1 that cannot be read" {
			t.Errorf("%q", found.Unknown)
		}
		// Layers go before a declaration, which nobody has verified.
		if found, err = l.reader.Look(t.Context(), ref, linux, true); err != nil || found.By != ByLayers {
			t.Error(found, err)
		}
		if found, err = l.reader.Look(t.Context(), ref, linux, false); err != nil || found.By != ByLayers {
			t.Error("what the layers said is forgotten", found, err)
		}
	}
}

func TestWhatWasReadOfAnImageIsKept(t *testing.T) {
	l := newLab(t)
	ref := l.push(layer(t, file{name: "usr/lib/os-release", text: debian12}, file{name: "var/lib/dpkg/status", text: openssl}))
	first, err := l.reader.Look(t.Context(), ref, linux, true)
	if err != nil {
		t.Fatal(err)
	}
	again, ok := l.reader.Recall(first.Digest, linux)
	if diff := cmp.Diff(first, again); !ok || diff != "" {
		t.Error(ok, diff)
	}
	file := filepath.Join(l.reader.Dir, fileOf(first.Digest, registry.Platform{}))
	if err := os.WriteFile(file, []byte(`{"digest":"sha256:`), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := l.reader.Look(t.Context(), ref, linux, true); err != nil || len(again.Packages) != 1 {
		t.Error("a damaged file is not read anew", again, err)
	}
}

func TestRPMsOfAnImageAreReadByTheMachinesOwnRPM(t *testing.T) {
	parts.Need(t, "rpm")
	root := t.TempDir()
	spec := filepath.Join(root, "demo.spec")
	if err := os.WriteFile(spec, []byte("Name: demo\nVersion: 1.2\nRelease: 3.el9\nSummary: x\nLicense: x\nVendor: AlmaLinux\nBuildArch: noarch\n%description\n%files\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"rpmbuild", "-bb", "--define", "_topdir " + root, spec},
		{"sh", "-c", "rpm --dbpath " + root + "/db --initdb && rpm --dbpath " + root + "/db --nodeps --justdb -i " + root + "/RPMS/noarch/*.rpm"},
	} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	db, err := os.ReadFile(filepath.Join(root, "db/rpmdb.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	release := file{name: "usr/lib/os-release", text: "ID=almalinux\nVERSION_ID=9.4\n"}
	ref := l.push(layer(t, release, file{name: "var/lib/rpm", target: "../../usr/lib/sysimage/rpm"}, file{name: "usr/lib/sysimage/rpm/rpmdb.sqlite", text: string(db)}))
	found, err := l.reader.Look(t.Context(), ref, linux, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"dnf|demo|1.2-3.el9|||AlmaLinux:9"}, say(found.Packages)); diff != "" {
		t.Error(diff)
	}
	l.reader.Dir, l.reader.Runner = t.TempDir(), nobody{}
	_, err = l.reader.Look(t.Context(), ref, linux, true)
	if because, remedy := fleet.Explain(err); !strings.Contains(because, "no rpm on this machine") || remedy == "" {
		t.Error(because, remedy)
	}
}
