//go:build unix

package docker

import (
	"io/fs"
	"syscall"
)

// uidOf gives the user to whom a file belongs.
func uidOf(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return 0
}
