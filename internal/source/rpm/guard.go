package rpm

import (
	"regexp"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// protected are packages without which a machine cannot be reached, started or updated any more. No plan of ours removes one.
var protected = regexp.MustCompile(`^(openssh|openssh-server|dropbear|systemd|sysvinit|glibc|filesystem|setup|basesystem|.*-release|bash|coreutils|coreutils-single|sudo|` +
	`shadow|shadow-utils|util-linux|util-linux-core|pam|rpm|librpm.*|dnf|dnf5|yum|python3-dnf|libdnf.*|microdnf|zypper|libzypp|transactional-update|` +
	`grub2?(-.*)?|shim(-.*)?|systemd-boot|dracut|NetworkManager|wicked|dhcp-client|selinux-policy(-.*)?|` +
	`docker|docker-ce|docker-ee|moby-engine|containerd|containerd\.io|podman|redflag|redflag-agent)$`)

// Guard refuses plans that remove what the machine stands on.
func Guard(m *machine.Machine, p fleet.Plan, look string) error {
	running := m.Kernel()
	return source.GuardRemovals(p, func(c fleet.Change) bool {
		return protected.MatchString(c.Name) || runs(running, c)
	}, "choose other updates, or do this by hand after a look at what `"+look+"` says")
}

// runs says whether a package is the kernel that runs. Red Hat's releases are the version and the architecture; SUSE's the beginning of the version, and
// the flavour.
func runs(running string, c fleet.Change) bool {
	if running == "" || !strings.HasPrefix(c.Name, "kernel") {
		return false
	}
	if running == c.From+"."+c.Arch {
		return true
	}
	release, flavour, found := cutLast(running, "-")
	return found && c.Name == "kernel-"+flavour && (c.From == release || strings.HasPrefix(c.From, release+"."))
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}

// restarts are packages that take effect with the next start (dnf needs-restarting -r has the same).
var restarts = regexp.MustCompile(`^(kernel|kernel-(core|rt|rt-core|default|azure|uek|uek-core|lt|ml)|glibc|linux-firmware|kernel-firmware.*|systemd|udev|dbus|dbus-broker|dbus-daemon|` +
	`microcode_ctl|ucode-(intel|amd))$`)

// RebootFor says whether a plan is known to need a reboot, by its packages and by what advisories say. What it is not known to need may turn out
// afterwards.
func RebootFor(p fleet.Plan, advisories *Advisories, newest map[string]Package) fleet.Reboot {
	r := fleet.Reboot{Needed: fleet.NeedUnknown, Because: []string{}}
	for _, c := range p.Changes {
		if c.To == "" {
			continue
		}
		why := ""
		if restarts.MatchString(c.Name) {
			why = c.Name
		}
		for _, a := range advisories.Between(replaced(newest, c), c.To) {
			if a.Reboot {
				why = c.Name + " (" + a.ID + ")"
			}
		}
		if why != "" {
			r.Needed = fleet.Needed
			r.Because = append(r.Because, why)
		}
	}
	return r
}

// MarkSecurity notes which changes of a plan bring an advisory for security.
func MarkSecurity(p *fleet.Plan, advisories *Advisories, newest map[string]Package) {
	for i, c := range p.Changes {
		if old := replaced(newest, c); old.EVR != "" && c.To != "" {
			p.Changes[i].Security = Security(advisories.Between(old, c.To))
		}
	}
}

// replaced gives the newest installed version of what a change is about; without a version where there is none.
func replaced(newest map[string]Package, c fleet.Change) Package {
	p := Package{Name: c.Name, Arch: c.Arch}
	if old, ok := newest[p.Key()]; ok {
		return old
	}
	return p
}
