package docker

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"redflag/internal/machine"
)

// socket makes a socket on a machine whose root is a folder.
func socket(t *testing.T, m *machine.Machine, name string) {
	t.Helper()
	path := m.Path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	// A socket's path is bound to 108 bytes, and a test's folder is long: it is made under a short name.
	short, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	l, err := net.Listen("unix", filepath.Join(short, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Rename(filepath.Join(short, "s"), path); err != nil {
		t.Fatal(err)
	}
}

func TestEachEngineIsAskedOnceAndByItsOwnSource(t *testing.T) {
	const (
		dockerSock = "/var/run/docker.sock"
		podmanSock = "/run/podman/podman.sock"
		ownDocker  = "/run/user/1000/docker.sock"
		ownPodman  = "/run/user/1000/podman/podman.sock"
	)
	link := func(from, to string) func(*testing.T, *machine.Machine) {
		return func(t *testing.T, m *machine.Machine) {
			if err := os.MkdirAll(filepath.Dir(m.Path(from)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(m.Path(to), m.Path(from)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name           string
		sockets        []string
		link           func(*testing.T, *machine.Machine)
		env            map[string]string
		docker, podman []string
	}{
		{name: "nothing"},
		{name: "docker", sockets: []string{dockerSock}, docker: []string{dockerSock}},
		{
			name: "rootless beside the system's", sockets: []string{dockerSock, ownDocker}, env: map[string]string{"XDG_RUNTIME_DIR": "/run/user/1000"},
			docker: []string{dockerSock, ownDocker},
		},
		{name: "podman-docker", sockets: []string{podmanSock}, link: link(dockerSock, podmanSock), podman: []string{podmanSock}},
		{
			name: "rootless podman under docker's name", sockets: []string{ownPodman}, link: link(ownDocker, ownPodman),
			env: map[string]string{"XDG_RUNTIME_DIR": "/run/user/1000"}, podman: []string{ownPodman},
		},
		{name: "one socket under two names", sockets: []string{dockerSock}, link: link(ownDocker, dockerSock), env: map[string]string{"XDG_RUNTIME_DIR": "/run/user/1000"}, docker: []string{dockerSock}},
		{name: "DOCKER_HOST", sockets: []string{dockerSock, podmanSock}, env: map[string]string{"DOCKER_HOST": "unix://" + ownDocker}, docker: []string{ownDocker}, podman: []string{podmanSock}},
		{name: "DOCKER_HOST is podman's", sockets: []string{podmanSock}, env: map[string]string{"DOCKER_HOST": "unix://" + podmanSock}, podman: []string{podmanSock}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &machine.Machine{Root: t.TempDir()}
			for _, s := range c.sockets {
				socket(t, m, s)
			}
			if c.link != nil {
				c.link(t, m)
			}
			getenv := func(name string) string { return c.env[name] }
			for s, want := range map[*Source][]string{New(nil, Options{Getenv: getenv}): c.docker, NewPodman(nil, Options{Getenv: getenv}): c.podman} {
				hosts := make([]string, 0, len(want))
				for _, path := range want {
					hosts = append(hosts, "unix://"+m.Path(path))
				}
				if diff := cmp.Diff(hosts, s.hosts(m), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s: %s", s.Name(), diff)
				}
				if s.Present(m) != (len(want) > 0) {
					t.Errorf("%s: present is %v", s.Name(), s.Present(m))
				}
			}
		})
	}
}

func TestADockerThatIsInstalledAndStoppedIsPresent(t *testing.T) {
	m := &machine.Machine{Root: t.TempDir()}
	for _, program := range []string{"/usr/bin/dockerd", "/usr/bin/podman"} {
		if err := os.MkdirAll(filepath.Dir(m.Path(program)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(m.Path(program), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := New(nil, Options{Getenv: noEnv})
	if !s.Present(m) {
		t.Error("dockerd without a socket is not present")
	}
	if _, err := s.Scan(t.Context(), m); err == nil {
		t.Error("a stopped engine is an empty list")
	}
	if NewPodman(nil, Options{Getenv: noEnv}).Present(m) {
		t.Error("podman without its API service is present")
	}
}

// write puts a file on a machine.
func write(t *testing.T, m *machine.Machine, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.Path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.Path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPodmanWithContainersAndWithoutItsServiceIsUnknown(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		present          bool
	}{
		{"the system's", "/var/lib/containers/storage/overlay-containers/containers.json", `[{"id":"1"}]`, true},
		{"one's own", "/home/anna/.local/share/containers/storage/vfs-containers/containers.json", `[{"id":"1"}]`, true},
		{"volatile", "/var/lib/containers/storage/overlay-containers/volatile-containers.json", `[{"id":"1"}]`, true},
		{"damaged", "/var/lib/containers/storage/overlay-containers/containers.json", `[{`, true},
		{"none", "/var/lib/containers/storage/overlay-containers/containers.json", `[]`, false},
		{"images only", "/var/lib/containers/storage/overlay-images/images.json", `[{"id":"1"}]`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &machine.Machine{Root: t.TempDir()}
			write(t, m, c.file, c.text)
			getenv := func(name string) string { return map[string]string{"HOME": "/home/anna"}[name] }
			s := NewPodman(nil, Options{Getenv: getenv})
			if got := s.Present(m); got != c.present {
				t.Errorf("present is %v", got)
			}
			if _, err := s.Scan(t.Context(), m); err == nil {
				t.Error("it is an empty list")
			}
			if New(nil, Options{Getenv: getenv}).Present(m) {
				t.Error("it is Docker's")
			}
		})
	}
}

func TestTheSocketOfDockersContextIsAsked(t *testing.T) {
	const meta = "/home/anna/.docker/contexts/meta/fe9c6bd7a66301f49ca9b6a70b217107cd1284598bfc254700c989b916da791e/meta.json" // SHA-256 of desktop-linux
	const own = `{"Name":"desktop-linux","Endpoints":{"docker":{"Host":"unix:///home/anna/d.sock"}}}`
	for _, c := range []struct {
		name   string
		env    map[string]string
		config string
		meta   string
		want   []string
	}{
		{"in use", nil, `{"currentContext":"desktop-linux"}`, own, []string{"/home/anna/d.sock"}},
		{"by the environment", map[string]string{"DOCKER_CONTEXT": "desktop-linux"}, `{}`, own, []string{"/home/anna/d.sock"}},
		{"the default one", map[string]string{"DOCKER_CONTEXT": "default"}, `{"currentContext":"desktop-linux"}`, own, nil},
		{"another machine's", nil, `{"currentContext":"desktop-linux"}`, `{"Endpoints":{"docker":{"Host":"ssh://far"}}}`, nil},
		{"damaged", nil, `{"currentContext":"desktop-linux"}`, `{`, nil},
		{"not there", nil, `{"currentContext":"other"}`, own, nil},
		{"behind DOCKER_HOST", map[string]string{"DOCKER_HOST": "unix:///x.sock"}, `{"currentContext":"desktop-linux"}`, own, []string{"/x.sock"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &machine.Machine{Root: t.TempDir()}
			socket(t, m, "/home/anna/d.sock")
			write(t, m, "/home/anna/.docker/config.json", c.config)
			write(t, m, meta, c.meta)
			s := New(nil, Options{Getenv: func(name string) string {
				if name == "HOME" {
					return "/home/anna"
				}
				return c.env[name]
			}})
			var want []string
			for _, path := range c.want {
				want = append(want, "unix://"+m.Path(path))
			}
			if diff := cmp.Diff(want, s.hosts(m), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestASecretInAnAddressIsNotShown(t *testing.T) {
	for host, want := range map[string]string{
		"tcp://user:secret@127.0.0.1:1": "tcp://user:xxxxx@127.0.0.1:1",
		"unix:///var/run/docker.sock":   "unix:///var/run/docker.sock",
		"tcp://a:secret@[::1":           "its address",
	} {
		if got := addressOf(host); got != want {
			t.Errorf("%s is shown as %s", host, got)
		}
	}
}
