package parts

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/moby/moby/client"

	"redflag/internal/machine"
)

// Quadlets gives a machine of Debian's trixie with a systemd and a Podman that has quadlets (5.4), and its engine as root's socket shows it. Its network is this machine's. It is shut down
// when the test ends.
func Quadlets(t testing.TB) (*machine.Machine, Daemon) {
	t.Helper()
	NeedRoot(t)
	for _, tool := range []string{"debootstrap", "unshare", "nsenter"} {
		Need(t, tool)
	}
	archive, _ := DebianArchives(t)
	dir := filepath.Join("/var/cache/redflag-test", "trixie-podman-1")
	if out, err := exec.CommandContext(t.Context(), "flock", lockOf(t, dir), "sh", "-ec", makeDebian, "sh", dir, "trixie", archive, "systemd-sysv,dbus,podman,crun,catatonit").CombinedOutput(); err != nil {
		Missing(t, "debootstrap of trixie with podman fails: "+err.Error()+"\n"+tail(out))
	}
	root := Copy(t, dir)
	for name, text := range podmanFiles {
		file := filepath.Join(root, "etc/containers", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := BootHere(t, root)
	if r, err := m.Run(t.Context(), machine.Command{Name: "systemctl", Args: []string{"start", "podman.socket"}}); err != nil || r.Code != 0 {
		Missing(t, "podman's socket does not start there: "+tail(r.Stderr))
	}
	d := Daemon{Host: "unix://" + m.Path("/run/podman/podman.sock")}
	var err error
	if d.Client, err = client.New(client.WithHost(d.Host)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Client.Close() })
	return m, d
}

// podmanFiles let Podman run there: an overlay over an overlay is not possible, control groups of version 2 may have no controllers, and the tests' registries have no TLS.
var podmanFiles = map[string]string{
	"storage.conf":                    "[storage]\ndriver = \"vfs\"\nrunroot = \"/run/containers/storage\"\ngraphroot = \"/var/lib/containers/storage\"\n",
	"containers.conf":                 "[containers]\npids_limit = 0\n",
	"registries.conf.d/loopback.conf": "[[registry]]\nlocation = \"127.0.0.1\"\ninsecure = true\n",
	"systemd/.keep":                   "",
}
