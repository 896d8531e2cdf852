//go:build unix

package machine

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the command a process group of its own, so that its children can be ended with it and a Ctrl-C on our
// terminal does not reach it by itself.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
