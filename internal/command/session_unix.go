//go:build unix

package command

import (
	"os/exec"
	"syscall"
)

// ownSession lets a command outlive the terminal that it was begun on.
func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
