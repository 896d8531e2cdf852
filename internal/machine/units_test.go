//go:build linux

package machine_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
)

func TestServicesOfASystemdAreListedAndRestarted(t *testing.T) {
	if testing.Short() {
		t.Skip("long: it boots a systemd")
	}
	m := parts.Systemd(t, "bookworm")
	ctx := context.Background()
	sh := func(script string) string {
		t.Helper()
		r, err := m.Run(ctx, machine.Command{Name: "sh", Args: []string{"-ec", script}})
		if err != nil || r.Code != 0 {
			t.Fatalf("%s: %v %d %s", script, err, r.Code, r.Stderr)
		}
		return strings.TrimSpace(string(r.Stdout))
	}
	unit := func(name, command string) {
		t.Helper()
		text := "[Service]\nExecStart=/bin/sh -c '" + command + "'\n[Install]\nWantedBy=multi-user.target\n"
		if err := os.WriteFile(filepath.Join(m.Root, "etc/systemd/system", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	unit("works.service", "exec sleep 1000")
	unit("works@a b.service", "exec sleep 1000")
	unit("breaks.service", "test ! -e /broken && exec sleep 1000")
	unit("asleep.service", "exec sleep 1000")
	sh("systemctl daemon-reload; systemctl enable --now works.service breaks.service; systemd-run --unit=passing sleep 1000")
	running, err := m.RunningServices(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"works.service", "breaks.service", "cron.service", "systemd-journald.service"} {
		if !slices.Contains(running, name) {
			t.Errorf("%s is not among %q", name, running)
		}
	}
	if slices.Contains(running, "passing.service") || slices.Contains(running, "asleep.service") {
		t.Errorf("those come and go: %q", running)
	}

	sh("touch /broken")
	before := sh("systemctl show -P MainPID works.service")
	dbus := sh("systemctl show -P ActiveEnterTimestampMonotonic dbus.service")
	restarted, err := m.RestartServices(ctx, []string{"works.service", "breaks.service", "asleep.service", "dbus.service", "no-such.service", "-H evil.service"})
	if strings.Join(restarted, " ") != "works.service" {
		t.Errorf("restarted %q", restarted)
	}
	because, _ := fleet.Explain(err)
	for _, want := range []string{
		"breaks.service does not run after its restart", "asleep.service does not run, so there is nothing to restart", "dbus.service is not restarted",
		"no-such.service does not run", `"-H evil.service" is no name of a service`,
	} {
		if !strings.Contains(because, want) {
			t.Errorf("it does not say %q: %s", want, because)
		}
	}
	if sh("systemctl show -P MainPID works.service") == before || sh("systemctl show -P ActiveEnterTimestampMonotonic dbus.service") != dbus {
		t.Error("the wrong one was restarted")
	}

	sh("systemd-run --unit=inhibit systemd-inhibit --what=shutdown --who=APT --why='it installs packages' sleep 1000; for i in $(seq 100); do systemd-inhibit --list | grep -q APT && break; sleep 0.05; done")
	if because, _ := fleet.Explain(m.Reboot(ctx)); !strings.Contains(because, "forbidden now by APT: it installs packages") {
		t.Errorf("rebooted while apt works: %q", because)
	}
	sh("systemctl stop inhibit; for i in $(seq 100); do systemd-inhibit --list | grep -q APT || break; sleep 0.05; done")
	boot := m.BootID()
	if boot == "" || boot == machine.Local().BootID() {
		t.Errorf("its boot is %q, ours %q", boot, machine.Local().BootID())
	}
	if err := m.Reboot(ctx); err != nil {
		t.Error(err)
	}
	for range 1000 { // it goes down, which ends its namespaces
		if _, err := m.Stat("/run/systemd/system"); err != nil {
			return
		}
		sleep()
	}
	t.Error("it has not gone down")
}

func TestWithoutSystemdItIsUnknownWhatRuns(t *testing.T) {
	m := &machine.Machine{Root: t.TempDir(), Runner: machine.Exec{}}
	if _, err := m.RunningServices(t.Context()); err == nil || !strings.Contains(err.Error(), "not managed by systemd") {
		t.Error(err)
	}
	if names, err := m.RestartServices(t.Context(), []string{"nginx.service"}); err == nil || len(names) > 0 {
		t.Error(names, err)
	}
	if m.BootID() != "" {
		t.Error("a machine without a process 1 has a boot")
	}
}

func TestWhatMustNotBeRestartedUnaskedIsLeft(t *testing.T) {
	for _, name := range []string{
		"dbus.service", "dbus-broker.service", "systemd-logind.service", "gdm3.service", "display-manager.service", "docker.service", "containerd.service", "podman.service",
		"redflag.service", "redflag-agent.service", "user@1000.service", "getty@tty1.service", "serial-getty@ttyS0.service", "NetworkManager.service",
		"", "nginx", "nginx.socket", "-nginx.service", "--help.service", "a b.service", "../../x.service", "a;b.service", "a\n.service", "*.service", strings.Repeat("a", 300) + ".service",
	} {
		if machine.MayRestart(name) == "" {
			t.Errorf("%q may be restarted", name)
		}
	}
	for _, name := range []string{"nginx.service", "ssh.service", "postgresql@15-main.service", `dev-disk-by\x2duuid.service`, "systemd-journald.service", "cron.service", "dovecot.service"} {
		if because := machine.MayRestart(name); because != "" {
			t.Errorf("%s: %s", name, because)
		}
	}
}

func sleep() { time.Sleep(20 * time.Millisecond) }
