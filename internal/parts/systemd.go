package parts

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"redflag/internal/machine"
)

// Systemd gives a machine whose process 1 is a real systemd, booted from a copy of a Debian root in namespaces of its own, without a network.
// Its services are cron and what a test writes. It is shut down when the test ends.
func Systemd(t testing.TB, suite string) *machine.Machine {
	t.Helper()
	return Boot(t, SystemdRoot(t, suite))
}

// SystemdRoot gives a copy of a Debian root that has a systemd, to be booted.
func SystemdRoot(t testing.TB, suite string) string {
	t.Helper()
	NeedRoot(t)
	for _, tool := range []string{"debootstrap", "unshare", "nsenter"} {
		Need(t, tool)
	}
	archive, _ := DebianArchives(t)
	dir := filepath.Join("/var/cache/redflag-test", suite+"-systemd-"+debianVersion)
	if out, err := exec.CommandContext(t.Context(), "flock", lockOf(t, dir), "sh", "-ec", makeDebian, "sh", dir, suite, archive, "systemd-sysv,dbus,cron,python3-minimal").CombinedOutput(); err != nil {
		Missing(t, "debootstrap of "+suite+" with systemd fails: "+err.Error()+"\n"+tail(out))
	}
	return Copy(t, dir)
}

// BootHere is [Boot] for a machine that shares the network of this one.
func BootHere(t testing.TB, root string) *machine.Machine {
	t.Helper()
	return boot(t, root, "")
}

// Boot starts the systemd of a root file system, and gives the machine that it then is. It waits until it has started what it starts.
func Boot(t testing.TB, root string) *machine.Machine {
	t.Helper()
	return boot(t, root, "--net")
}

func boot(t testing.TB, root, network string) *machine.Machine {
	t.Helper()
	cgroup := cgroup2(t)
	log := filepath.Join(t.TempDir(), "boot.log")
	cmd := exec.Command("setsid", "sh", "-c", bootSystemd, "sh", root, filepath.Join(cgroup, "redflag-test-"+strconv.Itoa(os.Getpid())+"-"+filepath.Base(filepath.Dir(root))), log, network) //nolint:noctx // it is ended below
	leash, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		leash.Close()
		_ = cmd.Wait()
	})
	for until := time.Now().Add(startLimit); ; time.Sleep(50 * time.Millisecond) {
		if m := inside(childOf(t.Context(), log+".pid")); m != nil && isUp(t.Context(), m) {
			return m
		}
		if time.Now().After(until) {
			said, _ := os.ReadFile(log)
			Missing(t, "systemd does not boot in namespaces here:\n"+tail(said))
		}
	}
}

// childOf gives the only child of the process that a file names; empty where it has none.
func childOf(ctx context.Context, pidFile string) string {
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		return ""
	}
	out, err := exec.CommandContext(ctx, "pgrep", "-P", strings.TrimSpace(string(pid))).Output()
	if child := strings.TrimSpace(string(out)); err == nil && !strings.Contains(child, "\n") {
		return child
	}
	return ""
}

// inside gives the machine that a process of its namespaces is in.
func inside(pid string) *machine.Machine {
	if pid == "" {
		return nil
	}
	enter := []string{"nsenter", "-t", pid, "-p", "-m", "-u", "-i", "-C", "--root", "env", "-C", "/"}
	return &machine.Machine{Root: "/proc/" + pid + "/root", Runner: within(enter), Prefix: enter, Now: time.Now}
}

func isUp(ctx context.Context, m *machine.Machine) bool {
	if _, err := m.Stat("/run/systemd/private"); err != nil {
		return false
	}
	r, err := m.Run(ctx, machine.Command{Name: "systemctl", Args: []string{"is-system-running", "--wait"}})
	said := string(bytes.TrimSpace(r.Stdout))
	return err == nil && (said == "running" || said == "degraded")
}

// within runs commands behind a prefix.
type within []string

// Run implements machine.Runner.
func (w within) Run(ctx context.Context, c machine.Command) (machine.Result, error) {
	words := append(append(append([]string{}, w[1:]...), c.Name), c.Args...)
	return machine.Exec{}.Run(ctx, machine.Command{Name: w[0], Args: words, Env: c.Env, Limit: c.Limit})
}

// cgroup2 gives where control groups of version 2 are mounted.
func cgroup2(t testing.TB) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[2] == "cgroup2" {
			return fields[1]
		}
	}
	Missing(t, "no control groups of version 2 are mounted")
	return ""
}

// bootSystemd boots the root $1 in the control group $2, with an option of unshare $4, and writes what it says to the file $3, until its standard input ends, which it does when
// the test is gone, killed or not.
const bootSystemd = `
mkdir -p "$2"
( echo 0 >"$2/cgroup.procs"
exec unshare --kill-child -f -p -m -u -i -C $4 sh -ec '
mount --make-rprivate /
mountpoint -q "$1" || mount --bind "$1" "$1"
exec >"$2" 2>&1
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for d in null zero full random urandom tty; do touch dev/$d; mount --bind /dev/$d dev/$d; done
mkdir -p dev/pts dev/shm old
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs tmpfs dev/shm
hostname redflag-test
pivot_root . old
umount -l /old
container=other exec /sbin/init </dev/null
' sh "$1" "$3" ) </dev/null &
echo $! >"$3.pid"
cat >/dev/null
kill -KILL $!
wait
for try in 1 2 3 4 5 6 7 8 9; do
	find "$2" -depth -type d -exec rmdir {} + 2>/dev/null && break
	sleep 0.2
done
`
