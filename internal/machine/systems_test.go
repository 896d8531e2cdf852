package machine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/fleet"
)

// programs is what those of a machine answer, by their command lines; any other is not there.
type programs map[string]string

// Run implements Runner.
func (s programs) Run(_ context.Context, c Command) (Result, error) {
	line := strings.Join(append([]string{c.Name}, c.Args...), " ")
	if out, ok := s[line]; ok {
		return Result{Stdout: []byte(out)}, nil
	}
	return Result{Code: 1, Stderr: []byte("unknown oid")}, nil
}

func mac() programs {
	return programs{
		"sw_vers -productVersion": "14.5\n", "sw_vers -buildVersion": "23F79\n", "sysctl -n kern.osrelease": "23.5.0\n",
		"sysctl -n kern.boottime": "{ sec = 1772346600, usec = 250000 } Sun Mar  1 06:30:00 2026\n", "sysctl -n kern.hv_vmm_present": "0\n", "sysctl -n hw.model": "Mac14,3\n",
		"ioreg -rd1 -c IOPlatformExpertDevice": "+-o Mac14,3  <class IOPlatformExpertDevice>\n    {\n" + strings.Repeat("      \"compatible\" = <\"Mac14,3\">\n", 60) + "      \"IOPlatformSerialNumber\" = \"X\"\n      \"IOPlatformUUID\" = \"E646F33F-0C8D-4F4B-9C7C-8BB62B8C33CD\"\n    }\n",
	}
}

// beastie is FreeBSD 14.1 after a new kernel was installed.
func beastie(t *testing.T) (*Machine, programs) {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"etc/os-release": "NAME=FreeBSD\nVERSION=\"14.1-RELEASE-p3\"\nVERSION_ID=\"14.1\"\nID=freebsd\nPRETTY_NAME=\"FreeBSD 14.1-RELEASE-p3\"\n",
		"etc/hostid":     "774b2382-fb5f-4cb2-966b-e2beae8c9d51\n", "etc/hostname": "db2\n", "boot/modules/drm.ko": "", "boot/modules/linker.hints": "", "var/run/dmesg.boot": "",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	answers := programs{
		"sysctl -n kern.osrelease": "14.1-RELEASE-p2\n", "sysctl -n kern.boottime": "{ sec = 1772346600, usec = 0 } Sun Mar  1 06:30:00 2026\n",
		"sysctl -n kern.vm_guest": "bhyve\n", "sysctl -n security.jail.jailed": "0\n", "freebsd-version -k": "14.1-RELEASE-p2\n",
		"stat -f %c %N /sbin/init /boot/modules/drm.ko": "1772000000 /sbin/init\n1772000000 /boot/modules/drm.ko\n",
	}
	return &Machine{Root: root, Runner: answers, Now: time.Now}, answers
}

func TestFactsOfAMac(t *testing.T) {
	m := &Machine{Root: t.TempDir(), Runner: mac(), Now: time.Now}
	got := factsOfMacOS(t.Context(), m)
	got.Name = ""
	want := fleet.Host{
		OS: "macOS 14.5 (23F79)", OSID: "darwin", OSVersion: "14.5", Kernel: "23.5.0", Arch: runtime.GOARCH, Virtualisation: "none", Addresses: []string{},
		BootedAt: time.Date(2026, 3, 1, 6, 30, 0, 0, time.UTC),
		Reboot:   fleet.Reboot{Needed: fleet.NeedUnknown, Because: []string{"macOS does not say whether something that was installed waits for a restart"}},
		Restart:  fleet.Restart{Needed: fleet.NeedUnknown, Because: "which files processes run cannot be seen on macOS", Services: []fleet.Service{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if id := m.macID(); id != "E646F33F-0C8D-4F4B-9C7C-8BB62B8C33CD" {
		t.Errorf("its ID is %q", id)
	}
	nobody := &Machine{Root: t.TempDir(), Runner: programs{}, Now: time.Now}
	if got := factsOfMacOS(t.Context(), nobody); got.OS != "macOS" || got.Virtualisation != "unknown" || !got.BootedAt.IsZero() || nobody.macID() != "" {
		t.Errorf("%+v", got)
	}
	for model, word := range map[string]string{"VMware7,1": "vmware", "Parallels16,1": "parallels", "VirtualMac2,1": "apple", "MacPro7,1": "vm"} {
		if got := macWord("1", model); got != word {
			t.Errorf("%s: %s, want %s", model, got, word)
		}
	}
}

func TestFactsOfFreeBSD(t *testing.T) {
	m, answers := beastie(t)
	got := factsOfFreeBSD(t.Context(), m)
	got.Name = ""
	want := fleet.Host{
		OS: "FreeBSD 14.1-RELEASE-p3", OSID: "freebsd", OSVersion: "14.1", Kernel: "14.1-RELEASE-p2", Arch: runtime.GOARCH, Virtualisation: "bhyve", Addresses: []string{},
		BootedAt: time.Date(2026, 3, 1, 6, 30, 0, 0, time.UTC),
		Reboot:   fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}},
		Restart:  fleet.Restart{Needed: fleet.NeedUnknown, Because: "which files processes run cannot be seen on FreeBSD", Services: []fleet.Service{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if runtime.GOOS == "linux" && Fingerprint(m) == "" {
		t.Error("it has no fingerprint")
	}
	if id := m.messagesAt(); id == "" {
		t.Error("its starts cannot be told apart")
	}
	answers["sysctl -n security.jail.jailed"], answers["freebsd-version -k"] = "1\n", ""
	if got := factsOfFreeBSD(t.Context(), m); got.Virtualisation != "container" || got.Reboot.Needed != fleet.NotNeeded {
		t.Errorf("a jail: %+v", got)
	}
	for guest, word := range map[string]string{"none": "none", "hv": "hyper-v", "vbox": "virtualbox", "kvm": "kvm", "generic": "vm", "": "unknown"} {
		if got := guestWord(guest); got != word {
			t.Errorf("%s: %s, want %s", guest, got, word)
		}
	}
}

func TestWhetherFreeBSDNeedsARebootHasThreeAnswers(t *testing.T) {
	const line = "stat -f %c %N /sbin/init /boot/modules/drm.ko"
	cases := map[string]struct {
		change func(programs)
		need   fleet.Need
		why    string
	}{
		"a new kernel":               {func(s programs) { s["freebsd-version -k"] = "14.1-RELEASE-p5\n" }, fleet.Needed, "kernel 14.1-RELEASE-p5 is installed, 14.1-RELEASE-p2 is running"},
		"a module that was replaced": {func(s programs) { s[line] = "1772000000 /sbin/init\n1773000000 /boot/modules/drm.ko\n" }, fleet.Needed, "replaced since the start: /boot/modules/drm.ko"},
		"an init that was replaced, and no kernel known": {func(s programs) {
			s[line] = "1773000000 /sbin/init\n1772000000 /boot/modules/drm.ko\n"
			delete(s, "freebsd-version -k")
		}, fleet.Needed, "replaced since the start: /sbin/init"},
		"no kernel known":         {func(s programs) { delete(s, "freebsd-version -k") }, fleet.NeedUnknown, "cannot be told"},
		"no time of the start":    {func(s programs) { delete(s, "sysctl -n kern.boottime") }, fleet.NeedUnknown, "cannot be told"},
		"an answer that is none":  {func(s programs) { s[line] = "gestern /sbin/init\n" }, fleet.NeedUnknown, "cannot be told"},
		"an answer that is short": {func(s programs) { s[line] = "1772000000 /sbin/init\n" }, fleet.NeedUnknown, "cannot be told"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, answers := beastie(t)
			c.change(answers)
			r := factsOfFreeBSD(t.Context(), m).Reboot
			if r.Needed != c.need || !strings.Contains(strings.Join(r.Because, "; "), c.why) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestWhenTheKernelStartedIsReadOrNotKnown(t *testing.T) {
	if at := parseBoot("{ sec = 1772346600, usec = 5 } Sun Mar  1 06:30:00 2026"); at.Unix() != 1772346600 {
		t.Error(at)
	}
	for _, text := range []string{"", "sec = -1", "{ sec = 999999999999999, usec = 0 }", "{ sec = 999999999999, usec = 0 }", "usec = 5"} {
		if at := parseBoot(text); !at.IsZero() {
			t.Errorf("%q: %s", text, at)
		}
	}
	if parseUptime("350735.47 234388.90") != 350735.47 || parseUptime("") != 0 {
		t.Error("the time since the start is read otherwise")
	}
}

func FuzzKernelSays(f *testing.F) {
	f.Add("{ sec = 1772346600, usec = 5 } Sun Mar  1 06:30:00 2026", "350735.47 234388.90")
	f.Fuzz(func(t *testing.T, boot, up string) {
		if at := parseBoot(boot); !at.IsZero() && fmt.Sprint(at.Year()) > "9999" {
			t.Error(at)
		}
		parseUptime(up)
	})
}
