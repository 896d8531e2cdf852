package machine

import (
	"path/filepath"
	"strings"
	"testing"
)

const (
	dmi       = "/sys/class/dmi/id/"
	clocks    = "/sys/devices/system/clocksource/clocksource0/available_clocksource"
	osrelease = "/proc/sys/kernel/osrelease"
	virtualPC = "processor\t: 0\nflags\t\t: fpu sse hypervisor lahf_lm\nvmx flags\t: x\n"
	realPC    = "processor\t: 0\nflags\t\t: fpu sse vmx\nvmx flags\t: hypervisor\n"
)

// withFiles makes a machine of a few files.
func withFiles(t testing.TB, files map[string]string) *Machine {
	t.Helper()
	m := &Machine{Root: t.TempDir()}
	for name, content := range files {
		if err := WriteFile(filepath.Join(m.Root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestAMachineIsKnownByWhatItRunsIn(t *testing.T) {
	for name, c := range map[string]struct {
		want  string
		files map[string]string
	}{
		"nothing":                   {"unknown", nil},
		"a computer":                {"none", map[string]string{"/proc/cpuinfo": realPC, dmi + "sys_vendor": "Dell Inc.\n", clocks: "tsc hpet acpi_pm \n"}},
		"a portable computer":       {"none", map[string]string{"/proc/cpuinfo": realPC, dmi + "sys_vendor": "Microsoft Corporation\n", dmi + "product_name": "Surface Pro 7\n"}},
		"a board":                   {"none", map[string]string{"/proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd\n", "/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\x00"}},
		"a POWER partition":         {"unknown", map[string]string{"/proc/cpuinfo": "cpu\t: POWER9\n", "/proc/device-tree/model": "IBM,9009-22A\x00"}},
		"an ARM server":             {"unknown", map[string]string{"/proc/cpuinfo": "Features\t: fp\n", dmi + "sys_vendor": "Hetzner\n"}},
		"QEMU's device tree":        {"vm", map[string]string{"/proc/device-tree/model": "linux,dummy-virt\x00"}},
		"QEMU":                      {"kvm", map[string]string{"/proc/cpuinfo": virtualPC, dmi + "sys_vendor": "QEMU\n"}},
		"Amazon":                    {"kvm", map[string]string{dmi + "sys_vendor": "Amazon EC2\n", dmi + "product_name": "m5.large\n"}},
		"Amazon's metal":            {"none", map[string]string{"/proc/cpuinfo": realPC, dmi + "sys_vendor": "Amazon EC2\n", dmi + "product_name": "m7i.metal-24xl\n"}},
		"Amazon on Xen":             {"xen", map[string]string{dmi + "sys_vendor": "Xen\n", dmi + "product_name": "HVM domU\n"}},
		"Google":                    {"kvm", map[string]string{dmi + "sys_vendor": "Google\n", dmi + "product_name": "Google Compute Engine\n"}},
		"VMware":                    {"vmware", map[string]string{dmi + "sys_vendor": "VMware, Inc.\n", dmi + "product_name": "VMware7,1\n"}},
		"VirtualBox":                {"virtualbox", map[string]string{dmi + "sys_vendor": "innotek GmbH\n", dmi + "product_name": "VirtualBox\n"}},
		"Azure":                     {"hyper-v", map[string]string{dmi + "sys_vendor": "Microsoft Corporation\n", dmi + "product_name": "Virtual Machine\n"}},
		"a BIOS alone":              {"bhyve", map[string]string{dmi + "bios_vendor": "BHYVE\n"}},
		"Xen without firmware":      {"xen", map[string]string{"/proc/cpuinfo": virtualPC, "/sys/hypervisor/type": "xen\n"}},
		"Xen's first domain":        {"none", map[string]string{"/proc/cpuinfo": virtualPC, "/sys/hypervisor/type": "xen\n", "/proc/xen/capabilities": "control_d\n"}},
		"a cloud's own signature":   {"kvm", map[string]string{"/proc/cpuinfo": virtualPC, dmi + "sys_vendor": "Hetzner\n", clocks: "kvm-clock tsc acpi_pm \n"}},
		"Hyper-V's clock":           {"hyper-v", map[string]string{"/proc/cpuinfo": virtualPC, clocks: "hyperv_clocksource_tsc_page acpi_pm \n"}},
		"a hypervisor without name": {"vm", map[string]string{"/proc/cpuinfo": virtualPC, clocks: "tsc \n"}},
		"WSL 1":                     {"wsl", map[string]string{osrelease: "4.4.0-19041-Microsoft\n", "/proc/cpuinfo": virtualPC}},
		"WSL 2":                     {"wsl", map[string]string{osrelease: "5.15.153.1-microsoft-standard-WSL2\n", "/proc/cpuinfo": virtualPC}},
		"Docker on WSL":             {"docker", map[string]string{osrelease: "5.15.153.1-microsoft-standard-WSL2\n", "/.dockerenv": ""}},
		"Docker on KVM":             {"docker", map[string]string{"/.dockerenv": "", dmi + "sys_vendor": "QEMU\n"}},
		"Podman":                    {"podman", map[string]string{"/run/.containerenv": "engine=\"podman-4.3.1\"\n"}},
		"Podman, by its variable":   {"podman", map[string]string{"/proc/1/environ": "PATH=/bin\x00container=podman\x00"}},
		"an OCI runtime's word":     {"docker", map[string]string{"/proc/1/environ": "container=oci\x00", "/.dockerenv": ""}},
		"systemd-nspawn":            {"systemd-nspawn", map[string]string{"/run/systemd/container": "systemd-nspawn"}},
		"LXC":                       {"lxc", map[string]string{"/run/systemd/container": "lxc\n"}},
		"LXC by libvirt":            {"lxc", map[string]string{"/proc/1/environ": "container=lxc-libvirt\x00"}},
		"another engine":            {"container", map[string]string{"/run/systemd/container": "pouch\n"}},
		"hostile":                   {"container", map[string]string{"/run/systemd/container": "\x1b[2J\n"}},
		"Kubernetes":                {"container", map[string]string{"/proc/1/environ": "KUBERNETES_SERVICE_HOST=10.0.0.1\x00"}},
		"a container's cgroup":      {"container", map[string]string{"/proc/1/cgroup": "0::/kubepods/" + strings.Repeat("0123", 16) + "\n"}},
	} {
		if got := withFiles(t, c.files).virtualisation(); got != c.want {
			t.Errorf("%s runs in %q, want %q", name, got, c.want)
		}
	}
}

func TestOfManyProcessorsTheFirstIsRead(t *testing.T) {
	m := withFiles(t, map[string]string{"/proc/cpuinfo": strings.Repeat(realPC, 100_000)})
	if got := m.virtualisation(); got != "none" {
		t.Errorf("it runs in %q", got)
	}
}
