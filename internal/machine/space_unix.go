//go:build unix

package machine

import (
	"fmt"
	"os"
	"path"
	"syscall"
)

// Space says how many bytes may still be written where a file or folder of the machine is or will be, and tells that file system from others.
func (m *Machine) Space(name string) (free int64, device uint64, err error) {
	for {
		var info os.FileInfo
		if info, err = m.Stat(name); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				device = uint64(st.Dev) //nolint:unconvert // its type differs between systems
			}
			break
		}
		if name == "/" || !os.IsNotExist(err) {
			return 0, 0, err
		}
		name = path.Dir(name)
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(m.Path(name), &s); err != nil {
		return 0, 0, fmt.Errorf("ask for the free space of %s: %w", name, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), device, nil //nolint:unconvert // their types differ between systems
}
