package parts

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Snapd starts Debian's snapd on a folder of its own, in which it takes these files for its state: no snap is mounted, and its store cannot be reached. It gives
// the folder, whose run/snapd.socket it listens at. The program is taken out of its package and not installed: that would start services.
func Snapd(t testing.TB, files map[string]string) string {
	t.Helper()
	NeedRoot(t)
	for _, program := range []string{"apt-get", "dpkg-deb", "flock", "unshare"} {
		Need(t, program)
	}
	dir := filepath.Join("/var/cache/redflag-test", "snapd-1")
	if out, err := exec.CommandContext(t.Context(), "flock", lockOf(t, dir), "sh", "-ec", unpackSnapd, "sh", dir).CombinedOutput(); err != nil {
		Missing(t, "snapd's package cannot be had: "+err.Error()+"\n"+tail(out))
	}
	root, err := os.MkdirTemp("", "snapd") // the address of a socket has at most 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	startSnapd(t, filepath.Join(dir, "usr/lib/snapd"), root)
	return root
}

// unpackSnapd puts the files of the package into the folder $1, unless they are there.
const unpackSnapd = `
test ! -e "$1.complete" || exit 0
rm -rf --one-file-system "$1" "$1.deb"
mkdir -p "$1" "$1.deb"
cd "$1.deb"
apt-get download -q -o APT::Sandbox::User=root snapd
dpkg-deb -x snapd_*.deb "$1"
rm -r "$1.deb"
touch "$1.complete"
`

// startSnapd starts it until the test ends, and waits until it listens.
func startSnapd(t testing.TB, programs, root string) {
	t.Helper()
	for _, folder := range []string{"run", "etc", "usr/lib", "var/lib/snapd", "proc"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(programs, filepath.Join(root, "usr/lib/snapd")); err != nil {
		t.Fatal(err)
	}
	// Some of its helpers know of no other folder than /var/lib/snapd: theirs is an empty one.
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "sh", "-c", `mount -t tmpfs tmpfs /var/lib && exec "$0"`, filepath.Join(programs, "snapd"))
	cmd.Env = []string{"SNAPPY_GLOBAL_ROOT=" + root, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + root, "http_proxy=http://127.0.0.1:9", "https_proxy=http://127.0.0.1:9"}
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		var text strings.Builder
		for lines := bufio.NewScanner(said); lines.Scan(); {
			text.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "started snapd/") {
				select {
				case ready <- "":
				default:
				}
			}
		}
		select {
		case ready <- text.String():
		default:
		}
	}()
	t.Cleanup(func() { _ = cmd.Wait() }) // it is killed with the test's context
	select {
	case failed := <-ready:
		if failed != "" {
			Missing(t, "snapd does not start here:\n"+failed)
		}
	case <-time.After(startLimit):
		Missing(t, "snapd does not start here")
	}
}
