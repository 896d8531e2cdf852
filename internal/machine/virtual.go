package machine

import (
	"io"
	"strings"
)

// Words for where a machine runs, beside the names of what makes it.
const (
	bareMetal     = "none"
	someContainer = "container" // made by an engine that does not say its name
	someVM        = "vm"        // under a hypervisor that does not say its name
	unknownMetal  = "unknown"   // nothing that would tell can be read
)

// virtualisation says in one word what a machine runs in, from what systemd-detect-virt(1) looks at, as far as it is files. The innermost
// counts: a container on a virtual machine is a container.
func (m *Machine) virtualisation() string {
	if word := m.container(); word != "" {
		return word
	}
	release := m.line("/proc/sys/kernel/osrelease")
	if strings.Contains(release, "Microsoft") || strings.Contains(release, "WSL") {
		return "wsl"
	}
	return m.hypervisor()
}

// container names the engine that made the container which the machine is; empty where it is none. Not all that tells can be read without
// root: /proc/1/environ cannot.
func (m *Machine) container() string {
	environ, _ := m.ReadFile("/proc/1/environ", maxFact)
	said := variable(environ, "container") // by systemd's Container Interface
	for _, s := range []string{m.line("/run/systemd/container"), said} {
		if word := containerWord(s); word != "" {
			return word
		}
	}
	switch {
	case m.has("/run/.containerenv"):
		return "podman"
	case m.has("/.dockerenv"):
		return "docker"
	case said != "" || m.has("/run/systemd/container") || variable(environ, "KUBERNETES_SERVICE_HOST") != "":
		return someContainer
	}
	if data, err := m.ReadFile("/proc/1/cgroup", maxFact); err == nil && ownerOf(data, "").kind == container {
		return someContainer
	}
	return ""
}

// containerWord reads the name that a container's manager gives itself; empty for one that is not known.
func containerWord(said string) string {
	switch said {
	case "docker", "podman", "lxc", "systemd-nspawn", "wsl":
		return said
	case "lxc-libvirt":
		return "lxc"
	default:
		return ""
	}
}

// has says whether a file is there.
func (m *Machine) has(name string) bool {
	_, err := m.Stat(name)
	return err == nil
}

// variable gives a variable of a process's environment; empty where it is not set.
func variable(environ []byte, name string) string {
	for v := range strings.SplitSeq(string(environ), "\x00") {
		if value, ok := strings.CutPrefix(v, name+"="); ok && value != "" {
			return value
		}
	}
	return ""
}

// hypervisor names what a virtual machine runs under: none for a real one.
func (m *Machine) hypervisor() string {
	const dmi = "/sys/class/dmi/id/"
	vendor, product := m.line(dmi+"sys_vendor"), m.line(dmi+"product_name")
	capabilities := m.line("/proc/xen/capabilities")
	word := firmwareWord(product, vendor, m.line(dmi+"bios_vendor"))
	switch {
	case strings.Contains(capabilities, "control_d"): // Xen's own first domain drives the real machine
		return bareMetal
	case word != "":
		return word
	case m.line("/sys/hypervisor/type") == "xen":
		return "xen"
	}
	if word := clockWord(m.line("/sys/devices/system/clocksource/clocksource0/available_clocksource")); word != "" {
		return word
	}
	flags := processorFlags(m.head("/proc/cpuinfo", maxProcessor))
	switch {
	case strings.Contains(flags+" ", " hypervisor "):
		return someVM
	case flags != "":
		return bareMetal
	default:
		return boardWord(m.line("/proc/device-tree/model"))
	}
}

// boardWord reads the model of a device tree, which small boards have in place of x86's marks. QEMU's and the partitions of IBM's POWER have
// one too. Without a model nobody can tell: an ARM server and a cloud's ARM look alike.
func boardWord(model string) string {
	switch {
	case strings.HasPrefix(model, "linux,dummy-virt"):
		return someVM
	case model == "" || strings.HasPrefix(model, "IBM"):
		return unknownMetal
	default:
		return bareMetal
	}
}

// firmwareWord reads how hypervisors sign their firmware (DMI), by its product's name, its vendor's and its BIOS's. QEMU signs alike with KVM
// and without, and is taken for KVM. What clouds rent whole calls itself c6g.metal.
func firmwareWord(product, vendor, bios string) string {
	if strings.Contains(product, ".metal") {
		return ""
	}
	if vendor == "Microsoft Corporation" && product == "Virtual Machine" { // its portable computers have the vendor too
		return "hyper-v"
	}
	for _, signed := range []string{product, vendor, bios} {
		for _, s := range []struct{ prefix, word string }{
			{"KVM", "kvm"}, {"QEMU", "kvm"}, {"OpenStack", "kvm"}, {"KubeVirt", "kvm"}, {"Amazon EC2", "kvm"}, {"Google Compute Engine", "kvm"},
			{"VMware", "vmware"}, {"VMW", "vmware"}, {"VirtualBox", "virtualbox"}, {"innotek GmbH", "virtualbox"}, {"Xen", "xen"},
			{"Hyper-V", "hyper-v"}, {"Parallels", "parallels"}, {"BHYVE", "bhyve"}, {"Apple Virtualization", "apple"},
		} {
			if strings.HasPrefix(signed, s.prefix) {
				return s.word
			}
		}
	}
	return ""
}

// clockWord reads the clocks that hypervisors offer to Linux: it helps where a cloud has signed the firmware with its own name.
func clockWord(clocks string) string {
	for clock := range strings.FieldsSeq(clocks) {
		switch {
		case clock == "kvm-clock":
			return "kvm"
		case clock == "xen":
			return "xen"
		case strings.HasPrefix(clock, "hyperv_"):
			return "hyper-v"
		}
	}
	return ""
}

// maxProcessor reaches the flags of the first processor, which stand in its first 3,000 bytes.
const maxProcessor = 16 << 10

// processorFlags gives the first line of flags of /proc/cpuinfo, which x86 alone has; each flag has a space before it.
func processorFlags(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, flags, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "flags" {
			return strings.TrimRight(flags, "\n")
		}
	}
	return ""
}

// head gives the beginning of a file, at most limit bytes; empty when it cannot be read. The kernel writes no more of /proc/cpuinfo than is
// asked for, and takes its time for each processor.
func (m *Machine) head(name string, limit int64) string {
	f, err := m.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, limit))
	return string(data)
}
