package rpm

import (
	"errors"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Changeable says why packages are not installed here one by one, which is nil where they are: on some machines they are an image, of which something else makes the
// next one, for the next start.
func Changeable(m *machine.Machine) error {
	if _, err := m.Stat("/run/ostree-booted"); err == nil { // libostree's word, rpm-ostree(1)
		return &fleet.Unknown{
			Because: "this machine's packages are an image, which rpm-ostree or bootc replaces for the next start, and which RedFlag does not drive",
			Remedy:  "rpm-ostree upgrade, or bootc upgrade, and a reboot",
		}
	}
	for _, file := range []string{"/usr/lib/systemd/system/transactional-update.service", "/usr/sbin/transactional-update"} {
		if _, err := m.Stat(file); err == nil && readOnly(m) {
			return &fleet.Unknown{
				Because: "this machine's packages are changed by transactional-update, in a snapshot for the next start, which RedFlag does not drive",
				Remedy:  "transactional-update, and a reboot",
			}
		}
	}
	return nil
}

// maxTable bounds /etc/fstab.
const maxTable = 1 << 20

// readOnly says whether the machine's root file system is meant to be mounted for reading alone. (How it is mounted says less: a sandbox makes it so too.)
func readOnly(m *machine.Machine) bool {
	if strings.Contains(m.OSRelease()["ID"], "micro") { // opensuse-microos, sle-micro, sl-micro
		return true
	}
	data, err := m.ReadFile("/etc/fstab", maxTable)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 3 && f[1] == "/" && slices.Contains(strings.Split(f[3], ","), "ro") {
			return true
		}
	}
	return false
}

// Leave marks the updates that are not installed one by one on this machine, with the reason.
func Leave(m *machine.Machine, f *fleet.Finding) {
	var why *fleet.Unknown
	if !errors.As(Changeable(m), &why) {
		return
	}
	for i := range f.Updates {
		if f.Updates[i].Blocked == fleet.Held {
			continue
		}
		f.Updates[i].Blocked, f.Updates[i].BlockedBecause = fleet.KeptBack, why.Because+": "+why.Remedy
	}
}
