package machine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// kernels are what a machine has installed, by release (6.1.0-28-amd64).
type kernels struct {
	images  []string // those with an image in /boot
	modules []string // those with a folder of modules
}

// kernels lists what is installed. What cannot be read counts as absent: containers and small boards have neither.
func (m *Machine) kernels() kernels {
	var k kernels
	for _, name := range m.names("/boot") {
		image, release, ok := strings.Cut(name, "-")
		if ok && (image == "vmlinuz" || image == "vmlinux") && isRelease(release) {
			k.images = append(k.images, release)
		}
	}
	k.modules = slices.DeleteFunc(m.names("/lib/modules"), func(name string) bool { return !isRelease(name) })
	return k
}

// names lists a folder; nothing when it cannot be read.
func (m *Machine) names(dir string) []string {
	entries, _ := m.ReadDir(dir)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// isRelease tells a kernel's release from other names (vmlinuz-linux, vmlinuz-6.1.0-28-amd64.dpkg-new, a rescue image).
func isRelease(name string) bool {
	return name != "" && '1' <= name[0] && name[0] <= '9' && !strings.Contains(name, ".dpkg-")
}

// outdated gives the reason why the running kernel is not the one that the next start would bring, or nothing. Only kernels of
// the same flavour count: who runs cloud-amd64 does not wait for amd64.
func (k kernels) outdated(running string) string {
	same := func(release string) bool { return flavour(release) == flavour(running) }
	installed := k.images
	if !slices.ContainsFunc(installed, same) {
		installed = k.modules // Arch, Alpine and Raspberry Pi name their images without a release
	}
	newest := ""
	for _, release := range installed {
		if same(release) && (newest == "" || compareReleases(release, newest) > 0) {
			newest = release
		}
	}
	switch {
	case running == "" || newest == "":
		return ""
	case compareReleases(newest, running) > 0:
		return fmt.Sprintf("kernel %s is installed, %s is running", newest, running)
	case !slices.Contains(k.images, running) && !slices.Contains(k.modules, running):
		return fmt.Sprintf("the running kernel %s is no longer installed, %s is", running, newest)
	default:
		return ""
	}
}

// rpmArch is where the flavour begins in the releases of RPM's world: 5.14.0-362.8.1.el9_3.x86_64+debug.
var rpmArch = regexp.MustCompile(`\.(?:x86_64|aarch64|ppc64le|s390x|riscv64|i[3-6]86|armv7hl)(?:[+._-].*)?$`)

// counter is a part of a release that belongs to its version: 28, rc3, arch1.
var counter = regexp.MustCompile(`^(?:[0-9]|(?:rc|arch|zen|hardened)[0-9])`)

// flavour is the part of a release that stays from one version to the next: amd64, cloud-amd64, generic, rpi-v8. It is
// empty where a release is a version alone.
func flavour(release string) string {
	if at := rpmArch.FindStringIndex(release); at != nil {
		if strings.Contains(release, "uek.") { // Oracle Linux offers two kernels side by side
			return "uek" + release[at[0]:]
		}
		return release[at[0]:]
	}
	parts := strings.Split(release, "-")
	for i, part := range parts {
		if i > 0 && !counter.MatchString(part) {
			return strings.Join(parts[i:], "-")
		}
	}
	return ""
}

// compareReleases orders two releases as dpkg orders versions (deb-version(7)); a release candidate comes before its release.
func compareReleases(a, b string) int {
	a, b = strings.ReplaceAll(a, "-rc", "~rc"), strings.ReplaceAll(b, "-rc", "~rc")
	for a != "" || b != "" {
		var x, y string
		x, a = cutRun(a, false)
		y, b = cutRun(b, false)
		if c := compareText(x, y); c != 0 {
			return c
		}
		x, a = cutRun(a, true)
		y, b = cutRun(b, true)
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
			return c
		}
	}
	return 0
}

// cutRun cuts the leading digits, or what is none, off a text.
func cutRun(s string, digits bool) (run, rest string) {
	end := strings.IndexFunc(s, func(r rune) bool { return ('0' <= r && r <= '9') != digits })
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

// compareText compares what is no digit: a tilde before the end, the end before letters, letters before all others.
func compareText(a, b string) int {
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(rank(a, i), rank(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func rank(s string, i int) int {
	if i >= len(s) {
		return 0
	}
	switch c := s[i]; {
	case c == '~':
		return -1
	case 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z':
		return int(c)
	default:
		return int(c) + 256
	}
}

// buildOf gives the build that the head of a kernel image names, such as "#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)",
// or nothing: only x86's boot protocol has it (Documentation/arch/x86/boot.rst, kernel_version).
func buildOf(image []byte) string {
	const magicAt, pointerAt, base = 0x202, 0x20e, 0x200
	if len(image) < pointerAt+2 || !bytes.Equal(image[magicAt:magicAt+4], []byte("HdrS")) {
		return ""
	}
	at := base + int(binary.LittleEndian.Uint16(image[pointerAt:]))
	if at >= len(image) {
		return ""
	}
	text, _, ended := bytes.Cut(image[at:], []byte{0})
	_, build, ok := strings.Cut(string(text), "#")
	if !ok || !ended {
		return ""
	}
	return "#" + build
}

// maxImageHead reaches the version that a 16-bit pointer in the head names, and the 64 characters behind it.
const maxImageHead = 0x200 + 0xffff + 512
