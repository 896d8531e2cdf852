package machine

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// settle is how long a restarted service has to fail in: a program that cannot read its configuration ends within a moment, and most
// services count as started before they have read it.
const settle = 3 * time.Second

// serviceName is a unit's name as systemd.unit(5) has it, and nothing that a tool could take for an option.
var serviceName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,246}\.service$`)

// unitState is what systemd says of a service.
type unitState struct {
	name, active, sub, file string
	restarts                string // how often systemd has restarted it by itself
	triggered               bool   // a socket, timer or the like starts it
	wanted                  bool   // a target or another unit has it started
	transient               bool
}

// RunningServices names the services that are active now and are meant to stay so, sorted. What is started on demand and ends by itself, users'
// sessions and transient units are not among them, so a name that is missing later is a service that stopped. Where there is no systemd, the error is a *fleet.Unknown.
func (m *Machine) RunningServices(ctx context.Context) ([]string, error) {
	states, err := m.units(ctx, "*.service")
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, u := range states {
		if u.active == "active" && u.stays() {
			names = append(names, u.name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// stays says whether a service that runs is expected to run until somebody stops it.
func (u unitState) stays() bool {
	switch {
	case u.transient, strings.HasPrefix(u.name, "user@"), strings.HasPrefix(u.name, "user-runtime-dir@"), strings.Contains(u.name, "getty@"):
		return false
	case u.wanted, strings.HasPrefix(u.file, "enabled"), u.file == "generated":
		return true
	case u.file == "disabled":
		return !u.triggered // somebody has started it by hand, and not a socket
	default:
		return false // static and wanted by nobody: D-Bus has started it
	}
}

// units asks systemd for the state of services: loaded ones by a pattern, or the named ones.
func (m *Machine) units(ctx context.Context, names ...string) ([]unitState, error) {
	if _, err := m.Stat("/run/systemd/system"); err != nil { // sd_booted(3)
		return nil, &fleet.Unknown{Because: "services are not managed by systemd here, so RedFlag cannot tell or change what runs"}
	}
	const properties = "Id,ActiveState,SubState,UnitFileState,Transient,WantedBy,RequiredBy,TriggeredBy,NRestarts"
	args := append([]string{"show", "--no-pager", "--property=" + properties, "--"}, names...)
	r, err := m.Run(ctx, Command{Name: "systemctl", Args: args})
	if err != nil {
		return nil, fmt.Errorf("ask systemd for services: %w", err)
	}
	if r.Code != 0 {
		return nil, &fleet.Unknown{Because: "systemd does not answer: " + said(r.Stderr)}
	}
	return parseUnits(r.Stdout), nil
}

// parseUnits reads systemctl show: a paragraph of Name=value lines for each unit.
func parseUnits(output []byte) []unitState {
	var list []unitState
	for paragraph := range strings.SplitSeq(string(output), "\n\n") {
		var u unitState
		for line := range strings.Lines(paragraph) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			switch name {
			case "Id":
				u.name = value
			case "ActiveState":
				u.active = value
			case "SubState":
				u.sub = value
			case "UnitFileState":
				u.file = value
			case "NRestarts":
				u.restarts = value
			case "Transient":
				u.transient = value == "yes"
			case "WantedBy", "RequiredBy":
				u.wanted = u.wanted || value != ""
			case "TriggeredBy":
				u.triggered = value != ""
			}
		}
		if serviceName.MatchString(u.name) {
			list = append(list, u)
		}
	}
	return list
}

// RestartServices restarts those of the named services that run or have failed, and may be restarted. It gives those that are active
// afterwards; of each other one the error says why it is not among them.
func (m *Machine) RestartServices(ctx context.Context, names []string) (restarted []string, err error) {
	var problems []error
	allowed := []string{}
	for _, name := range names {
		if because := MayRestart(name); because != "" {
			problems = append(problems, &fleet.Unknown{Because: because, Remedy: "reboot when it suits, or restart it yourself"})
			continue
		}
		allowed = append(allowed, name)
	}
	restarted = []string{}
	if len(allowed) == 0 {
		return restarted, errors.Join(problems...)
	}
	before, err := m.units(ctx, allowed...)
	if err != nil {
		return restarted, err
	}
	begun := []string{}
	for _, u := range before {
		if err := m.restartUnit(ctx, u); err != nil {
			problems = append(problems, err)
			continue
		}
		begun = append(begun, u.name)
	}
	if len(begun) == 0 {
		return restarted, errors.Join(problems...)
	}
	first, err := m.units(ctx, begun...)
	if err != nil {
		return restarted, err
	}
	if err := sleep(ctx, settle); err != nil {
		return restarted, fmt.Errorf("wait for restarted services: %w", err)
	}
	after, err := m.units(ctx, begun...)
	if err != nil {
		return restarted, err
	}
	for i, u := range after {
		if u.active == "active" && u.restarts == first[i].restarts {
			restarted = append(restarted, u.name)
			continue
		}
		problems = append(problems, &fleet.Unknown{
			Because: fmt.Sprintf("%s does not run after its restart: it is %s (%s)", u.name, u.active, u.sub),
			Remedy:  "see why with: journalctl -u " + u.name,
		})
	}
	return restarted, errors.Join(problems...)
}

func (m *Machine) restartUnit(ctx context.Context, u unitState) error {
	if u.active == "inactive" {
		return &fleet.Unknown{Because: u.name + " does not run, so there is nothing to restart", Remedy: "start it with: systemctl start " + u.name}
	}
	r, err := m.Run(ctx, Command{Name: "systemctl", Args: []string{"restart", "--no-ask-password", "--", u.name}})
	if err != nil {
		return fmt.Errorf("restart %s: %w", u.name, err)
	}
	if r.Code != 0 {
		return &fleet.Unknown{Because: u.name + " could not be restarted: " + said(r.Stderr), Remedy: "see why with: journalctl -u " + u.name}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// said gives what a tool has complained of in one line.
func said(stderr []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(stderr)), "\n")
	if line = fleet.Plain(line); line != "" {
		return line
	}
	return "it does not say why"
}

// left are the services that a restart would hurt: by the beginning of their names, and why. The list is needrestart's (its override_rc), and ours.
var left = []struct{ prefix, because string }{
	{"dbus", "everything else hangs on it"},
	{"systemd-logind", "it keeps the sessions of those who are logged in"},
	{"elogind", "it keeps the sessions of those who are logged in"},
	{"gdm", ""}, {"kdm", ""}, {"sddm", ""}, {"lightdm", ""}, {"lxdm", ""}, {"nodm", ""}, {"slim", ""}, {"wdm", ""}, {"xdm", ""}, {"greetd", ""}, {"ly.", ""}, {"display-manager", ""},
	{"getty@", "somebody may be logged in there"}, {"serial-getty@", "somebody may be logged in there"}, {"console-getty", "somebody may be logged in there"}, {"container-getty@", "somebody may be logged in there"},
	{"user@", "it is a user's session"}, {"user-runtime-dir@", "it is a user's session"}, {"session-", "it is a user's session"},
	{"docker", containers}, {"containerd", containers}, {"podman", containers}, {"crio", containers}, {"cri-o", containers}, {"kubelet", containers},
	{"k3s", containers}, {"lxc", containers}, {"lxd", containers}, {"incus", containers},
	{"libvirt", machines}, {"virtlo", machines}, {"virtqemu", machines}, {"xen", machines}, {"qemu", machines},
	{"network", network}, {"NetworkManager", network}, {"systemd-networkd", network}, {"ifup@", network}, {"wpa_supplicant", network}, {"ModemManager", network}, {"iwd", network},
	{"dhclient", network}, {"dhcpcd", network}, {"openvpn", network}, {"wg-quick@", network}, {"strongswan", network}, {"ipsec", network}, {"tinc", network}, {"tailscaled", network}, {"bird", network}, {"frr", network}, {"quagga", network},
	{"zfs-fuse", "file systems hang on it"}, {"emergency", "it is for a rescue"}, {"rescue", "it is for a rescue"},
	{"apt-daily", updater}, {"unattended-upgrades", updater}, {"packagekit", updater}, {"cloud-", "it is for the first start"}, {"rc-local", "what it does is not known"},
	{"redflag", "it is RedFlag's own"},
}

const (
	display    = "it would end the sessions of those who sit there"
	containers = "it would stop what runs in it"
	machines   = "it would stop the machines that run in it"
	network    = "it may cut this machine off from the network"
	updater    = "it may be installing updates"
)

// MayRestart says why a service must not be restarted unasked; it is empty where one may be.
func MayRestart(name string) (because string) {
	if !serviceName.MatchString(name) {
		return fmt.Sprintf("%q is no name of a service", fleet.Plain(name))
	}
	for _, l := range left {
		if !strings.HasPrefix(name, l.prefix) {
			continue
		}
		why := l.because
		if why == "" {
			why = display
		}
		return name + " is not restarted: " + why
	}
	return ""
}
