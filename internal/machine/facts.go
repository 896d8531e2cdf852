package machine

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// maxFact bounds the small files that facts are read from; /proc/stat of a machine with 1,024 processors is the largest.
const maxFact = 4 << 20

// Facts tells what a machine is, and whether it must be rebooted or its services restarted for what is installed to take
// effect. It does not fail: what cannot be learnt is empty, or unknown with the reason. Without root it sees fewer
// processes, and says how many are missing.
func Facts(ctx context.Context, m *Machine) fleet.Host {
	switch runtime.GOOS {
	case "linux":
		return factsOfLinux(ctx, m)
	case "darwin":
		return factsOfMacOS(ctx, m)
	case "freebsd":
		return factsOfFreeBSD(ctx, m)
	case "windows":
		return factsOfWindows(ctx, m)
	}
	return factsElsewhere(m, runtime.GOOS)
}

func factsOfLinux(ctx context.Context, m *Machine) fleet.Host {
	h := identity(m, "Linux", "linux")
	h.Kernel = m.Kernel()
	h.BootedAt = m.bootedAt()
	found := m.replacedInUse(ctx)
	h.Restart = found.restart()
	h.Reboot = m.reboot(h.Kernel, found)
	return h
}

// factsElsewhere is what the standard library knows of a system that is none of those.
func factsElsewhere(m *Machine, goos string) fleet.Host {
	name := systemName(goos)
	why := "RedFlag cannot tell on " + name
	h := identity(m, name, goos)
	h.Reboot = fleet.Reboot{Needed: fleet.NeedUnknown, Because: []string{why}}
	h.Restart = fleet.Restart{Needed: fleet.NeedUnknown, Because: why, Services: []fleet.Service{}}
	return h
}

// systemName is what people call a system.
func systemName(goos string) string {
	switch goos {
	case "darwin":
		return "macOS"
	case "windows":
		return "Windows"
	case "freebsd":
		return "FreeBSD"
	}
	return goos
}

// identity gives a host's name, system and place, with what stands for them where no os-release does.
func identity(m *Machine, system, id string) fleet.Host {
	h := fleet.Host{
		Name: m.hostname(), OS: system, OSID: id, Arch: runtime.GOARCH, Virtualisation: m.virtualisation(), Addresses: m.addresses(),
	}
	if r := osRelease(m.OSRelease()); r != nil {
		h.OS, h.OSID, h.OSVersion = r.title(system), r.id(id), fleet.Plain(r["VERSION_ID"])
	}
	return h
}

func (m *Machine) hostname() string {
	for _, file := range []string{"/proc/sys/kernel/hostname", "/etc/hostname"} {
		if name := m.line(file); name != "" {
			return name
		}
	}
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return fleet.Plain(name)
}

// line gives the first line of a file, safe to show; empty when it cannot be read.
func (m *Machine) line(file string) string {
	data, err := m.ReadFile(file, maxFact)
	if err != nil {
		return ""
	}
	first, _, _ := bytes.Cut(data, []byte("\n"))
	return fleet.Plain(string(first))
}

// bootedAt is when the kernel started; zero when nobody says.
func (m *Machine) bootedAt() time.Time {
	data, err := m.ReadFile("/proc/stat", maxFact)
	if err != nil {
		return time.Time{}
	}
	return parseBootTime(data)
}

// parseBootTime reads the line "btime SECONDS" of /proc/stat (proc_stat(5)).
func parseBootTime(stat []byte) time.Time {
	for line := range strings.Lines(string(stat)) {
		value, ok := strings.CutPrefix(line, "btime ")
		if !ok {
			continue
		}
		seconds, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil || seconds <= 0 || seconds > maxUnix {
			return time.Time{}
		}
		return time.Unix(seconds, 0).UTC()
	}
	return time.Time{}
}

// maxUnix is the end of the year 9999, the last that a time's JSON can hold.
const maxUnix = 253402300799

// Kernel gives the running kernel's release; empty where it cannot be told.
func (m *Machine) Kernel() string { return m.line("/proc/sys/kernel/osrelease") }
