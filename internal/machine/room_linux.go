package machine

import "syscall"

// Room gives how much an unprivileged program may still write where a file is, in bytes; 0 where that is not known.
func Room(file string) int64 {
	var fs syscall.Statfs_t
	if syscall.Statfs(file, &fs) != nil {
		return 0
	}
	return int64(fs.Bavail) * int64(fs.Bsize) //nolint:gosec,unconvert // no disk has 2^63 bytes; its type differs between processors
}
