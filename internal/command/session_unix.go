//go:build unix

package command

import (
	"os"
	"os/exec"
	"syscall"
)

// ownSession lets a command outlive the terminal that it was begun on.
func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// ownerOf gives the user that a file belongs to; -1 where that cannot be told.
func ownerOf(file string) (int, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return -1, err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid), nil
	}
	return -1, nil
}
