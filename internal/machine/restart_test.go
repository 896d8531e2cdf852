package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/fleet"
)

func TestWhatCouldNotBeSeenIsNeverANo(t *testing.T) {
	nginx := sight{state: seen, owner: owner{unit, "nginx.service"}, files: []string{"/usr/sbin/nginx"}}
	clean, other, ended := sight{state: seen}, sight{state: hidden}, sight{state: gone}
	service := []fleet.Service{{Name: "nginx.service", Kind: "unit", PIDs: []int{2}, Files: []string{"/usr/sbin/nginx"}}}
	none := []fleet.Service{}
	const others = "1 of 2 processes belong to other users: run as root to see them"
	cases := []struct {
		name   string
		sights []sight
		before inUse
		want   fleet.Restart
	}{
		{"all seen", []sight{clean, clean}, inUse{}, fleet.Restart{Needed: fleet.NotNeeded, Services: none}},
		{"one ended", []sight{clean, ended}, inUse{}, fleet.Restart{Needed: fleet.NotNeeded, Services: none}},
		{"one found", []sight{clean, nginx}, inUse{}, fleet.Restart{Needed: fleet.Needed, Services: service}},
		{"one hidden", []sight{other, clean}, inUse{}, fleet.Restart{Needed: fleet.NeedUnknown, Because: others, Services: none}},
		{"one found, one hidden", []sight{other, nginx}, inUse{}, fleet.Restart{Needed: fleet.Needed, Because: others, Services: service}},
		{"hidden from root", []sight{other, clean}, inUse{root: true}, fleet.Restart{
			Needed: fleet.NeedUnknown, Services: none,
			Because: "1 of 2 processes cannot be read, not even by root: a container or a security module keeps them apart",
		}},
		{"cut short", []sight{clean, clean}, inUse{cut: "interrupted"}, fleet.Restart{Needed: fleet.NeedUnknown, Because: "interrupted", Services: none}},
		{"one is too large", []sight{clean, {state: seen, partial: true}}, inUse{}, fleet.Restart{
			Needed: fleet.NeedUnknown, Because: "process 2 has more memory mappings than are read", Services: none,
		}},
	}
	for _, c := range cases {
		found := c.before
		found.add([]int{1, 2}, c.sights)
		if diff := cmp.Diff(c.want, found.restart()); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

// withProcess makes a machine with process 1 and another one that has the given mappings.
func withProcess(t *testing.T, maps string) *Machine {
	t.Helper()
	m := &Machine{Root: t.TempDir()}
	for name, content := range map[string]string{"proc/1/maps": "x\n", "proc/9/maps": maps, "proc/9/comm": "daemon\n"} {
		if err := WriteFile(filepath.Join(m.Root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestAFileThatIsStillThereWasNotReplaced(t *testing.T) {
	m := withProcess(t, "")
	write := func(name, content string) {
		if err := WriteFile(filepath.Join(m.Root, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("usr/bin/daemon", "")
	info, err := m.Stat("/usr/bin/daemon")
	if err != nil {
		t.Fatal(err)
	}
	inode, ok := inodeOf(info)
	if !ok {
		t.Skip("files have no numbers here")
	}
	cases := []struct {
		name   string
		inode  uint64
		cgroup string
		want   int
	}{
		{"the file of that name", inode, "0::/system.slice/daemon.service\n", 0},
		{"another file", inode + 1, "0::/system.slice/daemon.service\n", 1},
		{"a container's name for another file", inode, "0::/docker/" + id, 1},
	}
	for _, c := range cases {
		write("proc/9/maps", fmt.Sprintf("7f3bd8d00000-7f3bd8d1d000 r-xp 00004000 fe:00 %d                   /usr/bin/daemon (deleted)\n", c.inode))
		write("proc/9/cgroup", c.cgroup)
		if found := m.replacedInUse(t.Context()); len(found.services) != c.want {
			t.Errorf("%s: %+v", c.name, found.services)
		}
	}
}

func TestAScanDoesNotLookAtItself(t *testing.T) {
	m := Local()
	pids, err := m.pids()
	if err != nil {
		t.Skip(err)
	}
	if slices.Contains(pids, os.Getpid()) || !slices.Contains(pids, os.Getppid()) {
		t.Errorf("we are %d, started by %d: %v", os.Getpid(), os.Getppid(), pids)
	}
}

func TestWhereProcessesAreHiddenTheAnswerSaysSo(t *testing.T) {
	m := withProcess(t, "x\n")
	if err := os.RemoveAll(filepath.Join(m.Root, "proc/1")); err != nil {
		t.Fatal(err)
	}
	got := m.replacedInUse(t.Context()).restart()
	if got.Needed != fleet.NeedUnknown || !strings.Contains(got.Because, "hidepid") {
		t.Errorf("got %+v", got)
	}
}

func TestAProcessThatCannotBeReadDidNotEnd(t *testing.T) {
	m := withProcess(t, "x\n")
	if err := os.MkdirAll(filepath.Join(m.Root, "proc/10/maps"), 0o700); err != nil { // reading a folder fails, for root too
		t.Fatal(err)
	}
	if found := m.replacedInUse(t.Context()); found.hidden != 1 || found.seen != 2 {
		t.Errorf("%d seen, %d hidden", found.seen, found.hidden)
	}
}

func TestAProcessOfEndlessMappingsIsReadInPart(t *testing.T) {
	m := withProcess(t, "7f3bd8d00000-7f3bd8d1d000 r-xp 00004000 fe:00 7 /usr/bin/daemon (deleted)\n")
	if err := os.Truncate(filepath.Join(m.Root, "proc/9/maps"), maxMaps+1); err != nil {
		t.Fatal(err)
	}
	got := m.replacedInUse(t.Context()).restart()
	want := fleet.Restart{
		Needed: fleet.Needed, Because: "process 9 has more memory mappings than are read",
		Services: []fleet.Service{{Name: "daemon", Kind: "process", PIDs: []int{9}, Files: []string{"/usr/bin/daemon"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAProcessWasStartedSomeTicksAfterTheKernel(t *testing.T) {
	m := withProcess(t, "7f3bd8d00000-7f3bd8d1d000 r-xp 00004000 fe:00 7 /usr/bin/daemon (deleted)\n")
	for stat, want := range map[string]int64{
		"9 (a) R (b) S 1 9 9 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1\n": 1700000123,
		"9 (a) S 1\n": 0, "": 0, "9 (a) S 1 9 9 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 -5 1 1\n": 0,
	} {
		for name, content := range map[string]string{"proc/stat": "cpu 1\nbtime 1700000000\n", "proc/9/stat": stat} {
			if err := WriteFile(filepath.Join(m.Root, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got := m.replacedInUse(t.Context()).services[0].StartedAt
		if want == 0 != got.IsZero() || want != 0 && got.Unix() != want {
			t.Errorf("%q: %s, want %d", stat, got, want)
		}
	}
}
