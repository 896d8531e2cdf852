package pacman

import (
	"io/fs"
	"syscall"
	"time"
)

// placed is when a file was put where it is: pacman gives what it fetches the server's time of change.
func placed(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(int64(st.Ctim.Sec), int64(st.Ctim.Nsec)) //nolint:unconvert // their types differ between architectures
	}
	return info.ModTime()
}
