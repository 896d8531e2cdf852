//go:build unix

package machine

import (
	"io/fs"
	"syscall"
)

// inodeOf gives a file's number on its file system, where the system has such.
func inodeOf(info fs.FileInfo) (uint64, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Ino, true
}
