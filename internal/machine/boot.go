package machine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"redflag/internal/fleet"
)

// BootID differs after every start of the machine, also in a container that shares its kernel with others: it is the kernel's own number of
// this boot and when process 1 was started, in ticks of that kernel. On Windows it is the number that Windows counts its starts by. It is empty where nobody
// says.
func (m *Machine) BootID() string {
	if runtime.GOOS == "windows" {
		return m.windowsBootID()
	}
	boot := m.line("/proc/sys/kernel/random/boot_id")
	started := ""
	if stat, err := m.ReadFile("/proc/1/stat", maxFact); err == nil {
		started = parseStartTime(stat)
	}
	if boot == "" && started == "" {
		return ""
	}
	return boot + "/" + started
}

// parseStartTime reads field 22 of /proc/PID/stat (proc_pid_stat(5)). The second is a name in brackets that may hold anything.
func parseStartTime(stat []byte) string {
	const at = 22 - 3 // of those behind the name
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) <= at {
		return ""
	}
	return fleet.Plain(fields[at])
}

// Reboot has the machine rebooted: it returns when that was begun. Where something forbids a shutdown, as apt does while it installs, it is refused.
func (m *Machine) Reboot(ctx context.Context) error {
	if runtime.GOOS == "windows" {
		return m.rebootWindows(ctx)
	}
	if who := m.inhibitors(); len(who) > 0 {
		return &fleet.Unknown{Because: "a shutdown is forbidden now by " + enumerate(who), Remedy: "wait until it is done, then try again"}
	}
	command := Command{Name: "shutdown", Args: []string{"-r", "now"}}
	if _, err := m.Stat("/run/systemd/system"); err == nil {
		command = Command{Name: "systemctl", Args: []string{"--no-wall", "--no-ask-password", "reboot"}}
	} else if m.contained() {
		return &fleet.Unknown{Because: "this is a container without an init of its own, which cannot reboot itself", Remedy: "restart the container from its host"}
	}
	r, err := m.Run(ctx, command)
	if errors.Is(err, ErrNotInstalled) {
		return &fleet.Unknown{Because: "this machine has no command to reboot it (" + command.Name + ")", Remedy: "reboot it by hand", Err: err}
	}
	if err != nil {
		return fmt.Errorf("reboot: %w", err)
	}
	if r.Code != 0 {
		return &fleet.Unknown{Because: "the reboot was refused: " + said(r.Stderr), Remedy: "reboot it by hand"}
	}
	return nil
}

// inhibitors names who forbids a shutdown, as systemd-logind writes it down: files of NAME=value lines in /run/systemd/inhibit.
func (m *Machine) inhibitors() []string {
	var who []string
	entries, _ := m.ReadDir("/run/systemd/inhibit")
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue // the pipe by which logind knows that the holder lives
		}
		data, err := m.ReadFile("/run/systemd/inhibit/"+e.Name(), maxFact)
		if err != nil {
			continue // it has ended
		}
		r := map[string]string{}
		for line := range strings.Lines(string(data)) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			r[key] = value
		}
		if r["MODE"] == "block" && strings.Contains(":"+r["WHAT"]+":", ":shutdown:") {
			who = append(who, fleet.Plain(r["WHO"]+": "+r["WHY"]))
		}
	}
	return who
}

// maxUptime bounds /proc/uptime, which has two numbers.
const maxUptime = 1 << 10

// Uptime is how long the kernel has run, in seconds: a clock that nobody sets. It is 0 where nobody says.
func (m *Machine) Uptime() float64 {
	data, err := m.ReadFile("/proc/uptime", maxUptime)
	if err != nil {
		return uptime()
	}
	text, _, _ := strings.Cut(string(data), " ")
	seconds, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return 0
	}
	return seconds
}
