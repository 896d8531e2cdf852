package machine

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// factsOfFreeBSD asks the kernel and freebsd-version(1); os-release has the rest.
func factsOfFreeBSD(ctx context.Context, m *Machine) fleet.Host {
	h := identity(m, "FreeBSD", "freebsd")
	h.Kernel, h.BootedAt = m.sysctl(ctx, "kern.osrelease"), parseBoot(m.sysctl(ctx, "kern.boottime"))
	jail := m.jailed(ctx)
	h.Virtualisation = guestWord(m.sysctl(ctx, "kern.vm_guest"))
	if jail {
		h.Virtualisation = someContainer
	}
	h.Reboot = fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}} // of a jail: its kernel is its host's
	if !jail {
		h.Reboot = m.rebootOfFreeBSD(ctx, h.Kernel, h.BootedAt)
	}
	h.Restart = fleet.Restart{Needed: fleet.NeedUnknown, Because: unseen("FreeBSD"), Services: []fleet.Service{}}
	return h
}

func (m *Machine) jailed(ctx context.Context) bool {
	return m.sysctl(ctx, "security.jail.jailed") == "1"
}

// guestWord gives the kernel's word for a hypervisor in ours.
func guestWord(guest string) string {
	switch guest {
	case "none":
		return bareMetal
	case "kvm", "vmware", "xen", "bhyve", "parallels":
		return guest
	case "hv":
		return "hyper-v"
	case "vbox":
		return "virtualbox"
	case "":
		return unknownMetal
	}
	return someVM
}

// maxModules bounds how many kernel modules of packages are looked at; there are a handful.
const maxModules = 200

// rebootOfFreeBSD says whether the kernel that is installed runs, and whether what only a start brings in was replaced since: process 1, and modules of packages.
func (m *Machine) rebootOfFreeBSD(ctx context.Context, running string, booted time.Time) fleet.Reboot {
	var reasons, doubts []string
	switch installed := m.output(ctx, "freebsd-version", "-k"); {
	case running == "" || installed == "":
		doubts = append(doubts, "which kernel is installed, or which runs, cannot be told")
	case installed != running:
		reasons = append(reasons, fmt.Sprintf("kernel %s is installed, %s is running", installed, running))
	}
	files := []string{"/sbin/init"}
	for _, name := range m.names("/boot/modules") {
		if path.Ext(name) == ".ko" && len(files) < maxModules {
			files = append(files, path.Join("/boot/modules", name))
		}
	}
	replaced, ok := m.changedSince(ctx, booted, files)
	if !ok {
		doubts = append(doubts, "whether process 1 or kernel modules were replaced since the start cannot be told")
	}
	if len(replaced) > 0 {
		reasons = append(reasons, "replaced since the start: "+enumerate(replaced))
	}
	switch {
	case len(reasons) > 0:
		return fleet.Reboot{Needed: fleet.Needed, Because: reasons}
	case len(doubts) > 0:
		return fleet.Reboot{Needed: fleet.NeedUnknown, Because: doubts}
	}
	return fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}}
}

// changedSince gives those of the files that were put in place after a time. A package brings a file with the time at which it was built; when it was put there is the
// time of its last change of status, which stat(1) has as %c.
func (m *Machine) changedSince(ctx context.Context, then time.Time, files []string) (changed []string, ok bool) {
	r, err := m.Run(ctx, Command{Name: "stat", Args: append([]string{"-f", "%c %N"}, files...)})
	if err != nil || r.Code != 0 || then.IsZero() {
		return nil, false
	}
	n := 0
	for line := range strings.Lines(string(r.Stdout)) {
		at, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		unix, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return nil, false
		}
		n++
		if time.Unix(unix, 0).After(then) {
			changed = append(changed, fleet.Plain(name))
		}
	}
	return changed, n == len(files)
}
