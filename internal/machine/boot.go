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
// this boot and when process 1 was started, in ticks of that kernel. macOS has a number for it too, and Windows counts its starts; on FreeBSD, whose clock of the start moves
// with the clock, it is when rc.d/dmesg wrote down the kernel's messages. It is empty where nothing of it can be read.
func (m *Machine) BootID() string {
	switch runtime.GOOS {
	case "darwin":
		return m.sysctl(context.Background(), "kern.bootsessionuuid")
	case "freebsd":
		return m.messagesAt()
	case "windows":
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

// messagesAt says when the kernel's messages were written down, which is done once in each start.
func (m *Machine) messagesAt() string {
	info, err := m.Stat("/var/run/dmesg.boot")
	if err != nil {
		return ""
	}
	return strconv.FormatInt(info.ModTime().UnixNano(), 10)
}

// Uptime is how long the kernel has run, in seconds: on Linux and Windows by a clock that nobody sets. It is 0 where that cannot be told.
func (m *Machine) Uptime() float64 {
	switch runtime.GOOS {
	case "linux":
		return parseUptime(m.line("/proc/uptime"))
	case "windows":
		return uptime()
	}
	booted := parseBoot(m.sysctl(context.Background(), "kern.boottime"))
	if booted.IsZero() {
		return 0
	}
	return m.Now().Sub(booted).Seconds()
}

// parseUptime reads the first of the two numbers of /proc/uptime (proc_uptime(5)).
func parseUptime(line string) float64 {
	text, _, _ := strings.Cut(line, " ")
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return seconds
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
