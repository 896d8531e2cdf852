package machine

import (
	"context"
	"regexp"
	"strings"

	"redflag/internal/fleet"
)

// factsOfMacOS asks the kernel and sw_vers(1).
func factsOfMacOS(ctx context.Context, m *Machine) fleet.Host {
	h := identity(m, "macOS", "darwin")
	if version := m.output(ctx, "sw_vers", "-productVersion"); version != "" {
		h.OS, h.OSVersion = "macOS "+version, version
		if build := m.output(ctx, "sw_vers", "-buildVersion"); build != "" {
			h.OS += " (" + build + ")"
		}
	}
	h.Kernel, h.BootedAt = m.sysctl(ctx, "kern.osrelease"), parseBoot(m.sysctl(ctx, "kern.boottime"))
	h.Virtualisation = macWord(m.sysctl(ctx, "kern.hv_vmm_present"), m.sysctl(ctx, "hw.model"))
	// An update of the system is installed while the Mac restarts. Until then it is on offer, and what runs is what is installed; only other things could wait.
	h.Reboot = fleet.Reboot{Needed: fleet.NeedUnknown, Because: []string{"macOS does not say whether something that was installed waits for a restart"}}
	h.Restart = fleet.Restart{Needed: fleet.NeedUnknown, Because: unseen("macOS"), Services: []fleet.Service{}}
	return h
}

// macWord says what a Mac runs in, by whether there is a hypervisor and by the model that it pretends to be.
func macWord(present, model string) string {
	switch {
	case present == "0":
		return bareMetal
	case present != "1":
		return unknownMetal
	case strings.HasPrefix(model, "VMware"):
		return "vmware"
	case strings.HasPrefix(model, "Parallels"):
		return "parallels"
	case strings.HasPrefix(model, "VirtualMac"):
		return "apple"
	}
	return someVM
}

// platformUUID is in what ioreg says of a Mac.
var platformUUID = regexp.MustCompile(`"IOPlatformUUID" = "([0-9A-Fa-f-]{36})"`)

// macID gives a Mac's own ID, which its hardware has; empty where it cannot be told.
func (m *Machine) macID() string {
	r, err := m.Run(context.Background(), Command{Name: "ioreg", Args: []string{"-rd1", "-c", "IOPlatformExpertDevice"}})
	found := platformUUID.FindSubmatch(r.Stdout)
	if err != nil || found == nil {
		return ""
	}
	return string(found[1])
}
