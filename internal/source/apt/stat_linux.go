package apt

import (
	"io/fs"
	"syscall"
	"time"
)

// inode numbers a file on its file system.
func inode(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}

// changed is when the file's inode was last written.
func changed(info fs.FileInfo) time.Time {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(int64(s.Ctim.Sec), int64(s.Ctim.Nsec)).UTC() //nolint:unconvert // 32 bits on arm
	}
	return info.ModTime().UTC()
}
