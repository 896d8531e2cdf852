//go:build unix

package machine

import (
	"cmp"
	"fmt"
	"os"
	"syscall"
)

// Holder names who holds a lock of fcntl(2) on a file of the machine, as dpkg and apt take them: its process and program. It is empty where nobody does, or
// that cannot be told.
func (m *Machine) Holder(file string) string {
	f, err := os.OpenFile(m.Path(file), os.O_RDWR, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock); err != nil || lock.Type == syscall.F_UNLCK {
		return ""
	}
	pid, here := int(lock.Pid), &Machine{Root: "/"} // the number is of our namespace; 0 is of another
	if pid <= 0 {
		return "another program"
	}
	return fmt.Sprintf("%s (process %d)", cmp.Or(here.line(procFile(pid, "comm")), "another program"), pid)
}
