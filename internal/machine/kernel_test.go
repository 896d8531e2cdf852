package machine

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"redflag/internal/fleet"
)

func TestFlavourIsWhatStaysFromVersionToVersion(t *testing.T) {
	cases := map[string]string{
		"6.1.0-28-amd64":                     "amd64",
		"6.1.0-28-cloud-amd64":               "cloud-amd64",
		"6.1.0-28-rt-amd64":                  "rt-amd64",
		"6.12.43+deb13-amd64":                "amd64",
		"6.1.0-0.deb11.13-amd64":             "amd64",
		"6.7-rc3-amd64":                      "amd64",
		"6.8.0-49-generic":                   "generic",
		"6.8.0-49-generic-64k":               "generic-64k",
		"6.8.0-1008-raspi":                   "raspi",
		"6.6.31+rpt-rpi-v8":                  "rpi-v8",
		"6.6.31+rpt-rpi-2712":                "rpi-2712",
		"6.1.21-v8+":                         "v8+",
		"6.5.11-7-pve":                       "pve",
		"6.4.0-150600.21-default":            "default",
		"6.6.8-0-lts":                        "lts",
		"6.6.8-arch1-1":                      "",
		"6.6.8-zen1-1-zen":                   "zen",
		"6.6.8_1":                            "",
		"6.18.44-fc-v595":                    "fc-v595",
		"5.15.133.1-microsoft-standard-WSL2": "microsoft-standard-WSL2",
		"5.14.0-362.8.1.el9_3.x86_64":        ".x86_64",
		"5.14.0-362.8.1.el9_3.x86_64+debug":  ".x86_64+debug",
		"6.6.8-200.fc39.x86_64":              ".x86_64",
		"5.15.0-200.131.27.el9uek.x86_64":    "uek.x86_64",
		"":                                   "",
	}
	for release, want := range cases {
		if got := flavour(release); got != want {
			t.Errorf("flavour(%s) = %q, want %q", release, got, want)
		}
	}
}

// ordered is a list of releases from old to new.
var ordered = []string{
	"5.9.0-1-amd64", "5.10.0-9-amd64", "5.10.0-26-amd64", "6.1.0-0.deb11.13-amd64", "6.1.0-9-amd64", "6.1.0-28-amd64", "6.7-rc3-amd64",
	"6.7-rc12-amd64", "6.7-amd64", "6.7.1-amd64", "6.7.12+bpo-amd64", "6.7.18446744073709551616-amd64",
}

func TestReleasesAreOrderedAsDpkgOrdersVersions(t *testing.T) {
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := sign(compareReleases(a, b)), sign(i-j); got != want {
				t.Errorf("compareReleases(%s, %s) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestLeadingZerosDoNotCount(t *testing.T) {
	if c := compareReleases("6.01.0-028-amd64", "6.1.0-28-amd64"); c != 0 {
		t.Errorf("got %d", c)
	}
}

func sign(n int) int { return min(1, max(-1, n)) }

func TestTheOrderOfReleasesIsOne(t *testing.T) {
	release := rapid.StringMatching(`[0-9]{1,2}(\.[0-9]{1,2}){1,2}(-rc[0-9])?([-+~][0-9a-z]{1,3}){0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := release.Draw(t, "a"), release.Draw(t, "b"), release.Draw(t, "c")
		ab, ba := sign(compareReleases(a, b)), sign(compareReleases(b, a))
		if ab != -ba || compareReleases(a, a) != 0 {
			t.Fatalf("%s to %s: %d; back: %d", a, b, ab, ba)
		}
		if ab <= 0 && compareReleases(b, c) <= 0 && compareReleases(a, c) > 0 {
			t.Fatalf("%s ≤ %s ≤ %s, and the first is greater than the last", a, b, c)
		}
	})
}

func TestANewerKernelOfTheSameFlavourIsAReason(t *testing.T) {
	cases := []struct {
		name, running string
		k             kernels
		want          string
	}{
		{"nothing installed", "6.1.0-28-amd64", kernels{}, ""},
		{"unknown kernel", "", kernels{images: []string{"6.1.0-28-amd64"}}, ""},
		{"the newest runs", "6.1.0-28-amd64", kernels{images: []string{"6.1.0-9-amd64", "6.1.0-28-amd64"}}, ""},
		{"a newer one", "6.1.0-9-amd64", kernels{images: []string{"6.1.0-28-amd64", "6.1.0-9-amd64"}}, "kernel 6.1.0-28-amd64 is installed, 6.1.0-9-amd64 is running"},
		{"another flavour", "6.1.0-9-cloud-amd64", kernels{images: []string{"6.1.0-28-amd64", "6.1.0-9-cloud-amd64"}}, ""},
		{"a kernel of the hypervisor's", "6.18.44-fc-v595", kernels{images: []string{"6.1.0-28-amd64"}, modules: []string{"6.1.0-28-amd64"}}, ""},
		{"modules of a removed kernel do not count", "6.1.0-9-amd64", kernels{images: []string{"6.1.0-9-amd64"}, modules: []string{"6.1.0-28-amd64", "6.1.0-9-amd64"}}, ""},
		{"Arch after an upgrade", "6.6.7-arch1-1", kernels{modules: []string{"6.6.8-arch1-1"}}, "kernel 6.6.8-arch1-1 is installed, 6.6.7-arch1-1 is running"},
		{"Arch after a downgrade", "6.6.8-arch1-1", kernels{modules: []string{"6.6.7-arch1-1"}}, "the running kernel 6.6.8-arch1-1 is no longer installed, 6.6.7-arch1-1 is"},
		{"Alpine", "6.6.8-0-lts", kernels{modules: []string{"6.6.9-0-lts"}}, "kernel 6.6.9-0-lts is installed, 6.6.8-0-lts is running"},
	}
	for _, c := range cases {
		if got := c.k.outdated(c.running); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestInstalledKernelsAreToldFromOtherFiles(t *testing.T) {
	m := &Machine{Root: t.TempDir()}
	for _, name := range []string{
		"boot/vmlinuz-6.1.0-28-amd64", "boot/vmlinux-6.1.0-28-powerpc64le", "boot/vmlinuz-linux", "boot/vmlinuz-6.1.0-29-amd64.dpkg-new",
		"boot/vmlinuz-0-rescue-0123", "boot/initrd.img-6.1.0-30-amd64", "boot/vmlinuz-", "lib/modules/6.1.0-28-amd64/modules.dep", "lib/modules/extra/x",
	} {
		if err := WriteFile(filepath.Join(m.Root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := kernels{images: []string{"6.1.0-28-powerpc64le", "6.1.0-28-amd64"}, modules: []string{"6.1.0-28-amd64"}}
	if diff := cmp.Diff(want, m.kernels(), cmp.AllowUnexported(kernels{})); diff != "" {
		t.Error(diff)
	}
}

// image makes the head of a kernel image as x86's boot protocol has it.
func image(text string) []byte {
	const at = 0x300
	head := make([]byte, at, at+len(text)+2)
	copy(head[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(head[0x20e:], at-0x200)
	return append(append(head, text...), 0, 'x')
}

func TestAKernelThatWasRebuiltUnderItsOldNameIsAReason(t *testing.T) {
	const running = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)"
	cases := []struct {
		name    string
		content []byte
		want    bool
	}{
		{"the same build", image("6.1.0-28-amd64 (debian-kernel@lists.debian.org) " + running), false},
		{"another build", image("6.1.0-28-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC Debian 6.1.120-1 (2024-12-01)"), true},
		{"no build", image("6.1.0-28-amd64"), false},
		{"another architecture's image", []byte("MZ\x00\x00"), false},
		{"empty", nil, false},
	}
	for _, c := range cases {
		m := &Machine{Root: t.TempDir()}
		write := func(name string, data []byte) {
			if err := WriteFile(filepath.Join(m.Root, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("proc/sys/kernel/version", []byte(running+"\n"))
		write("boot/vmlinuz-6.1.0-28-amd64", c.content)
		if got := m.rebuilt("6.1.0-28-amd64"); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestRebootRequiredNamesItsPackagesOnce(t *testing.T) {
	m := &Machine{Root: t.TempDir()}
	if got := m.askedForReboot(); len(got) != 0 {
		t.Errorf("without the file: %q", got)
	}
	flag := filepath.Join(m.Root, "run", "reboot-required")
	steps := []struct{ file, content, want string }{
		{flag, "", "an updated package asks for it (/run/reboot-required)"},
		{flag + ".pkgs", "\n \n", "an updated package asks for it (/run/reboot-required)"},
		{flag + ".pkgs", "libc6\nlinux-base\nlibc6\n", "updated packages ask for it: libc6, linux-base"},
		{flag + ".pkgs", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n", "updated packages ask for it: a, b, c, d, e, f, g, h, i, j and 2 more"},
	}
	for _, s := range steps {
		if err := WriteFile(s.file, []byte(s.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{s.want}, m.askedForReboot()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAContainerIsKnownByItsMarks(t *testing.T) {
	marks := map[string]string{
		".dockerenv":            "",
		"run/.containerenv":     "",
		"run/systemd/container": "lxc\n",
		"proc/1/environ":        "PATH=/bin\x00container=podman\x00",
		"proc/1/cgroup":         "12:pids:/kubepods/besteffort/pod1/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n",
	}
	for name, content := range marks {
		m := &Machine{Root: t.TempDir()}
		if m.contained() {
			t.Fatal("an empty folder is a container")
		}
		path := filepath.Join(m.Root, name)
		if err := WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if !m.contained() {
			t.Errorf("%s is no mark", name)
		}
	}
	m := &Machine{Root: t.TempDir()}
	if err := WriteFile(filepath.Join(m.Root, "proc/1/environ"), []byte("container=\x00xcontainer=lxc\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m.contained() {
		t.Error("an empty variable is a mark")
	}
}

func TestARootOfItsOwnIsAChroot(t *testing.T) {
	m := &Machine{Root: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(m.Root, "proc/1"), 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(m.Root, "proc/1/root")
	for target, want := range map[string]bool{m.Root: false, t.TempDir(): true} {
		if err := os.Symlink(target, link); err != nil {
			t.Skip(err)
		}
		if got := m.chrooted(); got != want {
			t.Errorf("root %s of %s: %v, want %v", target, m.Root, got, want)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzKernel(f *testing.F) {
	for _, r := range ordered {
		f.Add(r, "6.1.0-28-amd64", image(r+" #1 SMP"))
	}
	f.Add("5.14.0-362.8.1.el9_3.x86_64", "6.6.8-arch1-1", []byte("HdrS"))
	f.Fuzz(func(t *testing.T, a, b string, head []byte) {
		if sign(compareReleases(a, b)) != -sign(compareReleases(b, a)) {
			t.Fatalf("%q and %q have two orders", a, b)
		}
		kernels{images: []string{a}, modules: []string{b}}.outdated(a)
		buildOf(head)
	})
}

func FuzzPackageNames(f *testing.F) {
	f.Add([]byte("linux-image-6.1.0-30-amd64\nlibc6\nlibc6\n"))
	f.Add([]byte("\x1b[2J\n\xff\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for i, name := range parsePackageNames(data) {
			if name == "" || name != fleet.Plain(name) {
				t.Fatalf("name %d is %q", i, name)
			}
		}
	})
}
