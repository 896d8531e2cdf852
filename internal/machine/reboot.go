package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"redflag/internal/fleet"
)

// reboot answers whether the machine must be rebooted. There is one answer for all reasons: yes as soon as one is known, no
// only when every one of them is ruled out.
func (m *Machine) reboot(kernel string, found inUse) fleet.Reboot {
	reasons := m.askedForReboot()
	var doubts []string
	if !m.contained() { // a container's kernel, and what starts it, are its host's
		if kernel == "" {
			doubts = append(doubts, "the running kernel is unknown: /proc/sys/kernel/osrelease cannot be read")
		}
		if reason := m.kernels().outdated(kernel); reason != "" {
			reasons = append(reasons, reason)
		} else if m.rebuilt(kernel) {
			reasons = append(reasons, fmt.Sprintf("kernel %s was replaced by a newer build of the same name", kernel))
		}
		reasons = append(reasons, found.rebootReasons("still runs replaced files")...)
		if !found.initSeen {
			doubts = append(doubts, "whether process 1 runs replaced files cannot be seen"+found.hint())
		}
	}
	switch {
	case len(reasons) > 0:
		return fleet.Reboot{Needed: fleet.Needed, Because: reasons}
	case len(doubts) > 0:
		return fleet.Reboot{Needed: fleet.NeedUnknown, Because: doubts}
	default:
		return fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}}
	}
}

// askedForReboot gives the reason where a package asked for a reboot, as Debian's and Ubuntu's hooks record it.
func (m *Machine) askedForReboot() []string {
	for _, file := range []string{"/run/reboot-required", "/var/run/reboot-required"} {
		if _, err := m.Stat(file); err != nil {
			continue
		}
		data, err := m.ReadFile(file+".pkgs", maxFact)
		names := parsePackageNames(data)
		if err != nil || len(names) == 0 {
			return []string{"an updated package asks for it (" + file + ")"}
		}
		return []string{"updated packages ask for it: " + enumerate(names)}
	}
	return []string{}
}

// parsePackageNames reads reboot-required.pkgs: a package a line, some of them several times.
func parsePackageNames(data []byte) []string {
	names := []string{}
	for line := range strings.Lines(string(data)) {
		if name := fleet.Plain(line); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// maxEnumerated is how many names a sentence can bear.
const maxEnumerated = 10

func enumerate(names []string) string {
	if more := len(names) - maxEnumerated; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxEnumerated], ", "), more)
	}
	return strings.Join(names, ", ")
}

// rebuilt says whether the image of the running kernel on disk is another build than the one that runs: an update may keep
// a kernel's release. Where the image cannot be read or does not say, it is not.
func (m *Machine) rebuilt(release string) bool {
	running := m.line("/proc/sys/kernel/version")
	if release == "" || strings.ContainsRune(release, '/') || !strings.HasPrefix(running, "#") {
		return false
	}
	f, err := m.Open("/boot/vmlinuz-" + release)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, maxImageHead)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	onDisk := fleet.Plain(buildOf(head[:n]))
	return onDisk != "" && onDisk != running
}

// contained says whether the machine is a container, a jail or a chroot: something whose kernel is not its own.
func (m *Machine) contained() bool {
	return m.container() != "" || m.chrooted() || runtime.GOOS == "freebsd" && m.jailed(context.Background())
}

// chrooted says whether process 1 has another root folder than we have; without root nobody can tell.
func (m *Machine) chrooted() bool {
	first, err := m.Stat("/proc/1/root")
	if err != nil {
		return false
	}
	ours, err := m.Stat("/")
	return err == nil && !os.SameFile(first, ours)
}
