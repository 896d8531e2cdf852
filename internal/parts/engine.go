package parts

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// Daemon is a container engine that tests may do anything to.
type Daemon struct {
	// Host is where it listens, as DOCKER_HOST has it.
	Host string
	// Client speaks to it. It is shared by the tests of a process and must not be closed.
	Client *client.Client
}

// Engine gives a real dockerd with a containerd of its own, for all tests of the process. Its images and containers are in a
// throw-away folder, it makes no bridge and no firewall rules (containers have the network none or host), and it
// takes loopback registries without TLS. It ends, and takes its folder with it, when the process does, however it ends.
func Engine(t testing.TB) Daemon {
	t.Helper()
	Need(t, "dockerd")
	Need(t, "containerd")
	return dockerd.get(t)
}

// Podman gives a real `podman system service` for all tests of the process, like [Engine].
func Podman(t testing.TB) Daemon {
	t.Helper()
	Need(t, "podman")
	return podman.get(t)
}

var (
	dockerd = &daemon{script: runDockerd}
	podman  = &daemon{script: runPodman}
)

// The scripts run a daemon in the folder $1 until their standard input ends, which it does when the test process is gone,
// killed or not; then they take away all that the daemon leaves behind.
const (
	runDockerd = `
cd "$1"
dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" --host "unix://$1/engine.sock" \
	--bridge none --iptables=false --ip6tables=false >"$1/log" 2>&1 </dev/null &
daemon=$!
cat >/dev/null
kill $daemon
wait $daemon
` + takeAway

	runPodman = `
cd "$1"
cat >registries.conf <<end
unqualified-search-registries = ["docker.io"]
[[registry]]
location = "127.0.0.1"
insecure = true
end
cat >containers.conf <<end
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
end
export CONTAINERS_REGISTRIES_CONF="$1/registries.conf" CONTAINERS_CONF="$1/containers.conf"
podman="podman --root $1/data --runroot $1/run --tmpdir $1/tmp"
$podman system service --time=0 "unix://$1/engine.sock" >"$1/log" 2>&1 </dev/null &
daemon=$!
cat >/dev/null
kill $daemon
wait $daemon
$podman rm --force --all --time 0 >/dev/null 2>&1
` + takeAway

	takeAway = `
cd /
grep -o " $1/[^ ]*" /proc/self/mounts | sort -r | while read -r mount; do umount "$mount"; done
rm -rf --one-file-system "$1"
`
)

// daemon is a container engine that is started when the first test asks for it.
type daemon struct {
	script string
	once   sync.Once
	Daemon
	failure string
	// leash is the script's standard input: it is held, and never written to.
	leash any
}

func (d *daemon) get(t testing.TB) Daemon {
	t.Helper()
	NeedRoot(t)
	d.once.Do(d.start)
	if d.failure != "" {
		Missing(t, d.failure)
	}
	return d.Daemon
}

func (d *daemon) start() {
	dir, leash, err := onLeash("engine", d.script)
	if err != nil {
		d.failure = "the engine cannot be started: " + err.Error()
		return
	}
	d.leash = leash
	d.Host = "unix://" + filepath.Join(dir, "engine.sock")
	if d.Client, err = client.New(client.WithHost(d.Host)); err == nil {
		err = d.wait()
	}
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		d.failure = "the engine does not start: " + err.Error() + "\n" + string(log[max(0, len(log)-2000):])
	}
}

// startLimit is how long an engine may take to answer: 2 s on an idle machine, and tests share theirs.
const startLimit = time.Minute

func (d *daemon) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		_, err := d.Client.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}
