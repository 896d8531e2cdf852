package machine

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"redflag/internal/fleet"
)

// recorded unpacks a recorded machine: its file system, as far as facts are read from it.
func recorded(t testing.TB, name string) *Machine {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := txtar.Write(archive, root); err != nil {
		t.Fatal(err)
	}
	return &Machine{Root: root, Runner: Exec{}, Now: time.Now}
}

func TestFactsOfAServerAfterAnUpgrade(t *testing.T) {
	got := factsOfLinux(t.Context(), recorded(t, "bookworm-upgraded"))
	const pcre = "/usr/lib/x86_64-linux-gnu/libpcre2-8.so.0.11.2"
	want := fleet.Host{
		Name: "web1", OS: "Debian GNU/Linux 12 (bookworm)", OSID: "debian", OSVersion: "12",
		Kernel: "6.1.0-28-amd64", Arch: runtime.GOARCH, BootedAt: time.Date(2026, 3, 1, 6, 30, 0, 0, time.UTC),
		Virtualisation: "kvm", Addresses: []string{},
		Reboot: fleet.Reboot{Needed: fleet.Needed, Because: []string{
			"updated packages ask for it: libc6, linux-image-6.1.0-30-amd64",
			"kernel 6.1.0-30-amd64 is installed, 6.1.0-28-amd64 is running",
			"process 1 still runs replaced files: libpcre2-8.so.0.11.2",
			"dbus.service, which only a reboot restarts safely, still runs replaced files: libpcre2-8.so.0.11.2",
		}},
		Restart: fleet.Restart{Needed: fleet.Needed, Services: []fleet.Service{
			{Name: "8f3a5c1d9e2b", Kind: "container", PIDs: []int{400}, Files: []string{"/usr/lib/libssl.so.3"}},
			{Name: "backup\ufffd[2J", Kind: "process", PIDs: []int{500}, Files: []string{"/opt/backup/bin/backup"}},
			{Name: "dbus.service", Kind: "unit", PIDs: []int{71}, Files: []string{pcre}},
			{Name: "init.scope", Kind: "unit", PIDs: []int{1}, Files: []string{pcre}},
			{Name: "nginx.service", Kind: "unit", PIDs: []int{86, 88}, Files: []string{pcre, "/usr/sbin/nginx"}},
			{Name: "session-3.scope", Kind: "session", PIDs: []int{300}, Files: []string{"/usr/bin/tmux"}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFactsOfAServerThatNeedsNothing(t *testing.T) {
	got := factsOfLinux(t.Context(), recorded(t, "noble-clean"))
	want := fleet.Host{
		Name: "db1", OS: "Ubuntu 24.04.1 LTS", OSID: "ubuntu", OSVersion: "24.04", Kernel: "6.8.0-49-generic", Arch: runtime.GOARCH,
		Virtualisation: "none", Addresses: []string{},
		BootedAt: time.Date(2026, 3, 1, 6, 30, 0, 0, time.UTC),
		Reboot:   fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}},
		Restart:  fleet.Restart{Needed: fleet.NotNeeded, Services: []fleet.Service{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheKernelOfAContainerIsItsHosts(t *testing.T) {
	got := factsOfLinux(t.Context(), recorded(t, "container"))
	if diff := cmp.Diff(fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}}, got.Reboot); diff != "" {
		t.Error(diff)
	}
	if got.Virtualisation != "container" {
		t.Errorf("it runs in %q", got.Virtualisation)
	}
	want := []fleet.Service{{Name: "app", Kind: "process", PIDs: []int{7}, Files: []string{"/usr/bin/app"}}}
	if diff := cmp.Diff(want, got.Restart.Services); diff != "" {
		t.Errorf("our own container is no owner to name:\n%s", diff)
	}
}

func TestAMachineThatTellsNothingIsUnknown(t *testing.T) {
	got := factsOfLinux(t.Context(), &Machine{Root: t.TempDir(), Runner: Exec{}, Now: time.Now})
	if got.Name == "" || got.OS != "Linux" || got.OSID != "linux" || got.Kernel != "" || !got.BootedAt.IsZero() {
		t.Errorf("got %+v", got)
	}
	if got.Virtualisation != "unknown" || got.Addresses == nil {
		t.Errorf("it runs in %q and has the addresses %#v", got.Virtualisation, got.Addresses)
	}
	if got.Reboot.Needed != fleet.NeedUnknown || len(got.Reboot.Because) == 0 {
		t.Errorf("reboot: %+v", got.Reboot)
	}
	if got.Restart.Needed != fleet.NeedUnknown || got.Restart.Because == "" || got.Restart.Services == nil {
		t.Errorf("restart: %+v", got.Restart)
	}
}

func TestOtherSystemsSayThatTheyCannotTell(t *testing.T) {
	got := factsElsewhere(&Machine{Root: t.TempDir()}, "windows")
	if got.Virtualisation != "unknown" || got.Addresses == nil {
		t.Errorf("it runs in %q and has the addresses %#v", got.Virtualisation, got.Addresses)
	}
	if got.Name == "" || got.OS != "Windows" || got.OSID != "windows" || got.Arch != runtime.GOARCH {
		t.Errorf("got %+v", got)
	}
	if got.Reboot.Needed != fleet.NeedUnknown || got.Restart.Needed != fleet.NeedUnknown || got.Restart.Services == nil {
		t.Errorf("got %+v", got)
	}
}

func TestAnInterruptedLookIsNotTakenForAWholeOne(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := factsOfLinux(ctx, recorded(t, "noble-clean"))
	if got.Restart.Needed != fleet.NeedUnknown || got.Reboot.Needed != fleet.NeedUnknown {
		t.Errorf("reboot %+v, restart %+v", got.Reboot, got.Restart)
	}
}

// TestAReplacedProgramIsSeen runs a real process, replaces its program on disk and finds it by its number.
func TestAReplacedProgramIsSeen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	dir := outsideOfTmp(t)
	program := filepath.Join(dir, "redflag-test-service")
	install(t, program)
	cmd := exec.CommandContext(t.Context(), program, "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	m := Local()
	if s, ok := serviceOf(m, cmd.Process.Pid); ok {
		t.Errorf("before it was replaced: %+v", s)
	}
	install(t, program+".new")
	if err := os.Rename(program+".new", program); err != nil {
		t.Fatal(err)
	}
	s, ok := serviceOf(m, cmd.Process.Pid)
	if !ok || !slices.Contains(s.Files, program) {
		t.Errorf("got %+v, want %s among its files", s, program)
	}
}

// outsideOfTmp makes a folder whose files count: those below /tmp are no package's.
func outsideOfTmp(t *testing.T) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err == nil {
		err = os.MkdirAll(base, 0o700)
	}
	if err != nil {
		base = "."
	}
	dir, err := os.MkdirTemp(base, "redflag-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if dir, err = filepath.Abs(dir); err != nil || strings.HasPrefix(dir, "/tmp/") {
		t.Skipf("no folder outside of /tmp: %s, %v", dir, err)
	}
	return dir
}

// install copies sleep to a path.
func install(t *testing.T, path string) {
	t.Helper()
	sleep, err := LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	data, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o700); err != nil {
		t.Fatal(err)
	}
}

func serviceOf(m *Machine, pid int) (fleet.Service, bool) {
	for _, s := range Facts(context.Background(), m).Restart.Services {
		if slices.Contains(s.PIDs, pid) {
			return s, true
		}
	}
	return fleet.Service{}, false
}

func BenchmarkFacts(b *testing.B) {
	m := Local()
	var found inUse
	for b.Loop() {
		found = m.replacedInUse(b.Context())
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(max(1, found.seen)), "µs/process")
}
