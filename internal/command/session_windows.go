package command

import (
	"os/exec"
	"syscall"
)

// noWindow is CREATE_NO_WINDOW (winbase.h): a console of its own, which nobody sees and nobody closes.
const noWindow = 0x08000000

// ownSession lets a command outlive the terminal, and the service, that it was begun by.
func ownSession(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | noWindow}
}
