//go:build unix

package machine

import (
	"os"
	"syscall"
)

// OwnerOf gives the user that a file of this computer belongs to, and not what a link points to; -1 where that cannot be told.
func OwnerOf(file string) (uid int, err error) {
	info, err := os.Lstat(file)
	if err != nil {
		return -1, err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid), nil
	}
	return -1, nil
}
