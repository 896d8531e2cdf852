package fleet

import "time"

// Host is a machine as it stands: what it is, and what it needs after updates that were installed already.
type Host struct {
	Name string `json:"name"`
	// OS is the system's name for people: Debian GNU/Linux 12 (bookworm).
	OS string `json:"os"`
	// OSID and OSVersion are os-release's ID and VERSION_ID: debian, 12. For other systems GOOS and a version.
	OSID      string `json:"os_id"`
	OSVersion string `json:"os_version"`
	// Kernel is the running kernel's release: 6.1.0-28-amd64.
	Kernel string `json:"kernel"`
	// Arch is the machine's architecture as Go names it: amd64, arm64.
	Arch string `json:"arch"`
	// Virtualisation is one word for what it runs in: docker, podman, lxc, systemd-nspawn, wsl or container; kvm, vmware, hyper-v, xen,
	// virtualbox, parallels, bhyve, apple or vm; none for a real machine; unknown where nothing tells.
	Virtualisation string `json:"virtualisation"`
	// Addresses are its own global unicast addresses, IPv4 first, at most 32; those of networks that container engines make are not.
	Addresses []string `json:"addresses"`
	// Engines are the container engines that answered; absent where none was asked.
	Engines  []Engine  `json:"engines,omitempty"`
	BootedAt time.Time `json:"booted_at,omitzero"`
	Reboot   Reboot    `json:"reboot"`
	Restart  Restart   `json:"restart"`
	// Policy is what a fleet's server may have done there; absent where the agent does not say.
	Policy *Policy `json:"policy,omitempty"`
}

// Engine is a container engine on a host.
type Engine struct {
	// Name is that of its source of updates: docker, podman.
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Need is one of three answers to whether something is needed.
type Need string

// The three answers.
const (
	Needed      Need = "yes"
	NotNeeded   Need = "no"
	NeedUnknown Need = "unknown"
)

// Reboot says whether the host must be rebooted for updates that are installed to take effect.
type Reboot struct {
	Needed Need `json:"needed"`
	// Because names the reasons: the packages that ask for it, a newer kernel. For unknown, why it is so.
	Because []string `json:"because"`
}

// Restart says which services still run code from files that an update has replaced.
type Restart struct {
	Needed Need `json:"needed"`
	// Because says why the answer is unknown or not whole, for instance that other users' processes cannot be read.
	Because  string    `json:"because"`
	Services []Service `json:"services"`
}

// Service is something that runs: a unit of the service manager, a container, or a process of a user's session.
type Service struct {
	// Name is the unit (nginx.service), the container (its short id), or the command where it belongs to neither.
	Name string `json:"name"`
	// Kind is unit, container, session or process.
	Kind string `json:"kind"`
	PIDs []int  `json:"pids"`
	// Files are the replaced files that it still runs, sorted.
	Files []string `json:"files"`
	// StartedAt is when the first of its processes that run them was started; absent where that is not known.
	StartedAt time.Time `json:"started_at,omitzero"`
	// Replaced are the packages of those files with the version that it still runs, as far as it is known; ReplacedUnknown says of what it is not, and why.
	Replaced        []Replaced `json:"replaced,omitempty"`
	ReplacedUnknown string     `json:"replaced_unknown,omitempty"`
}

// Replaced is an installed package of which something still runs an older version.
type Replaced struct {
	Package
	// Before is the version that runs, and SourceBefore its source package's; empty where that is its own.
	Before       string `json:"before"`
	SourceBefore string `json:"source_before,omitempty"`
}

// Was gives the package as it runs.
func (r Replaced) Was() Package {
	p := r.Package
	p.Version, p.FromVersion = r.Before, r.SourceBefore
	return p
}
