//go:build unix

package apt

import "syscall"

// writable says whether we may write to a folder.
func writable(dir string) bool {
	const write = 2 // W_OK of access(2)
	return syscall.Access(dir, write) == nil
}
