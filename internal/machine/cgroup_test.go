package machine

import (
	"strings"
	"testing"
)

const (
	id    = "8f3a5c1d9e2b0123456789abcdef0123456789abcdef0123456789abcdef0123"
	other = "aaaaaaaaaaaa0123456789abcdef0123456789abcdef0123456789abcdef0123"
)

func TestAProcessBelongsToItsUnitItsSessionOrItsContainer(t *testing.T) {
	const short = "8f3a5c1d9e2b"
	cases := []struct {
		cgroup string
		want   owner
	}{
		{"0::/system.slice/nginx.service\n", owner{unit, "nginx.service"}},
		{"0::/system.slice/system-getty.slice/getty@tty1.service", owner{unit, "getty@tty1.service"}},
		{"0::/system.slice/foo.service/workers/1", owner{unit, "foo.service"}},
		{"0::/custom.slice/foo.service", owner{unit, "foo.service"}},
		{"0::/init.scope\n", owner{unit, "init.scope"}},
		{"0::/user.slice/user-1000.slice/session-3.scope", owner{session, "session-3.scope"}},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-1.scope", owner{session, "user@1000.service"}},
		{"12:pids:/system.slice/cron.service\n1:name=systemd:/system.slice/cron.service\n0::/system.slice/cron.service\n", owner{unit, "cron.service"}},
		{"9:name=systemd:/\n4:memory:/process_api/ef2e444541d3c8b349dc506c6ad55c03\n0::/\n", owner{}},
		{"4:memory:/system.slice/other.service\n1:name=systemd:/system.slice/cron.service\n", owner{unit, "cron.service"}},
		{"0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator", owner{unit, "machine-qemu\\x2d1\\x2dvm.scope"}},

		{"0::/system.slice/docker-" + id + ".scope", owner{container, short}},
		{"0::/docker/" + id, owner{container, short}},
		{"0::/docker/" + id + "/system.slice/nginx.service", owner{container, short}},
		{"12:pids:/docker/" + id + "\n1:name=systemd:/docker/" + id + "\n", owner{container, short}},
		{"0::/machine.slice/libpod-" + id + ".scope/container", owner{container, short}},
		{"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id + ".scope", owner{container, short}},
		{"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-" + id + ".scope", owner{container, short}},
		{"0::/kubepods/besteffort/pod12345678-1234-1234-1234-123456789abc/" + id, owner{container, short}},
		{"0::/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:x/" + id, owner{container, short}},
		{"0::/kubepods.slice/crio-" + id + ".scope", owner{container, short}},
		{"0::/lxc.payload.web/system.slice/nginx.service", owner{container, "web"}},
		{"0::/lxc/web/init.scope", owner{container, "web"}},
		{"0::/machine.slice/machine-web.scope/payload/system.slice", owner{container, "web"}},
		{"0::/machine.slice/systemd-nspawn@web.service/payload/init.scope", owner{container, "systemd-nspawn@web.service"}},
		// What an engine runs beside a container is a program of the host's.
		{"0::/machine.slice/libpod-conmon-" + id + ".scope", owner{unit, "libpod-conmon-" + id + ".scope"}},
		{"0::/lxc.monitor.web", owner{}},
		{"0::/system.slice/docker.service", owner{unit, "docker.service"}},

		// The container that we run in ourselves is no news.
		{"0::/docker/" + other, owner{}},
		{"0::/docker/" + other + "/system.slice/nginx.service", owner{unit, "nginx.service"}},

		{"", owner{}},
		{"nonsense\n0:\n::\n", owner{}},
	}
	for _, c := range cases {
		if got := ownerOf([]byte(c.cgroup), other[:shortID]); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.cgroup, got, c.want)
		}
	}
}

func FuzzCgroup(f *testing.F) {
	f.Add([]byte("0::/system.slice/nginx.service\n"), "")
	f.Add([]byte("12:pids:/docker/"+id+"\n1:name=systemd:/docker/"+id+"\n"), id[:shortID])
	f.Add([]byte("0::/user.slice/user-1000.slice/session-3.scope\n"), "x")
	f.Add([]byte("0::/machine.slice/machine-web.scope/payload/system.slice\n"), "")
	f.Fuzz(func(t *testing.T, data []byte, inside string) {
		o := ownerOf(data, inside)
		if (o.kind == "") != (o.name == "") {
			t.Fatalf("%+v", o)
		}
		if o.kind == container && o.name == inside && inside != "" {
			t.Fatalf("%q is our own container", inside)
		}
		if strings.Contains(o.name, "/") {
			t.Fatalf("%+v is a path", o)
		}
	})
}
