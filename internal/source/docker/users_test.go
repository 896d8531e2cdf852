package docker

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
)

func TestRootSeesEveryUsersPodmanAndSaysWhoseItDoesNot(t *testing.T) {
	m := &machine.Machine{Root: t.TempDir()}
	socket(t, m, "/run/podman/podman.sock")
	socket(t, m, "/run/user/1000/podman/podman.sock")
	write(t, m, "/run/user/1001/bus", "")
	write(t, m, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nben:x:1001:1001::/home/ben:/bin/sh\nnobody\n")
	for _, home := range []string{"/home/ann", "/home/ben"} {
		write(t, m, home+"/.local/share/containers/storage/overlay-containers/containers.json", `[{"id": "x"}]`)
	}
	s := NewPodman(nil, Options{Getenv: noEnv})
	s.root = true
	if got, want := s.hosts(m), []string{"unix://" + m.Path("/run/podman/podman.sock"), "unix://" + m.Path("/run/user/1000/podman/podman.sock")}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	because, remedy := fleet.Explain(s.unseen(m))
	if !strings.Contains(because, "of ben,") || !strings.Contains(remedy, "--machine=ben@") {
		t.Errorf("%s; %s", because, remedy)
	}
	s.root = false
	if got := s.hosts(m); len(got) != 1 || s.unseen(m) != nil {
		t.Errorf("who is not root: %q %v", got, s.unseen(m))
	}
}

func TestWhatIsDoneForAUserIsDoneAsThatUser(t *testing.T) {
	for host, want := range map[string]string{
		"unix:///run/podman/podman.sock":             " |  | ",
		"unix:///run/user/4242/podman/podman.sock":   "setpriv --reuid=4242 --regid=4242 --clear-groups env -i HOME=/ XDG_RUNTIME_DIR=/run/user/4242 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin | --user --machine=4242@.host | sudo -u '#4242' ",
		"unix:///x/run/user/4242/podman/podman.sock": "setpriv --reuid=4242 --regid=4242 --clear-groups env -i HOME=/ XDG_RUNTIME_DIR=/run/user/4242 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin | --user --machine=4242@.host | sudo -u '#4242' ",
	} {
		e := &engine{owner: ownerOfSocket(host)}
		if os.Geteuid() == 4242 {
			continue
		}
		if got := strings.Join(e.asUser(), " ") + " | " + strings.Join(e.managerOf(), " ") + " | " + e.asOwner(); got != want {
			t.Errorf("%s: %s", host, got)
		}
	}
}

func TestTheUnitOfAProcessIsReadFromItsControlGroup(t *testing.T) {
	m := &machine.Machine{Root: t.TempDir()}
	for cgroup, want := range map[string]string{
		"0::/system.slice/container-web.service\n":                                          "container-web.service",
		"0::/system.slice/web.service/runtime\n":                                            "web.service",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/my\\x2dweb.service\n":   "my\\x2dweb.service",
		"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon.scope\n": "",
		"0::/machine.slice/libpod-conmon-1.scope\n":                                         "",
		"0::/system.slice/podman.service\n":                                                 "podman.service",
		"12:pids:/\n1:name=systemd:/system.slice/web.service\n0::/\n":                       "web.service",
		"": "",
	} {
		write(t, m, "/proc/7/cgroup", cgroup)
		if got := unitOfProcess(m, "7"); got != want {
			t.Errorf("%q: %q", cgroup, got)
		}
	}
	if got := unitOfProcess(m, "8"); got != "" {
		t.Errorf("a process that is gone: %q", got)
	}
}

func TestAnotherUsersContainerIsMadeAnewAsThatUserAndHasItsNameForIt(t *testing.T) {
	dir, err := os.MkdirTemp("", "u")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	engine := parts.Podman(t)
	r := &relay{t: t, at: filepath.Join(dir, "run/user/4242/podman/podman.sock"), to: strings.TrimPrefix(engine.Host, "unix://")}
	if err := errors.Join(os.MkdirAll(filepath.Dir(r.at), 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	r.open()
	t.Cleanup(func() { r.cut(); r.wg.Wait() })
	if err := os.Chmod(r.at, 0o666); err != nil {
		t.Fatal(err)
	}
	w := newWorkshopOf(t, parts.Daemon{Host: "unix://" + r.at, Client: engine.Client}, NewPodman)
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("FOR_ROOT=alone\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	id := w.podmanWeb("theirs:1", recipe{})
	w.podman("create", "--name=nosy", "--network=none", "--env-file="+secret, w.ref("theirs:1"))
	w.push("theirs:1", recipe{content: "3", program: idleProgram(t)})
	if list, err := w.source.Containers(t.Context(), w.m); err != nil || len(list) != 2 || list[1].Name != "web@4242" {
		t.Errorf("%+v, %v", list, err)
	}
	p := w.plan(fleet.Selection{Names: []string{"web@4242"}})
	o, k := w.carryOut(p)
	if !o.Succeeded() || w.inspect("web").ID == id || w.names() != "nosy created, web running" {
		t.Fatalf("%s: %+v %q\n%s", w.names(), o, p.Warnings, w.log(k))
	}
	// What a user's container is made from is read as that user, who may not read this.
	if o, k := w.carryOut(w.plan(fleet.Selection{Names: []string{"nosy@4242"}})); o.Succeeded() || !o.RolledBack || !strings.Contains(o.Because, "permission denied") {
		t.Errorf("%s: %+v\n%s", w.names(), o, w.log(k))
	}
}
