//go:build !linux

package apt

import (
	"io/fs"
	"time"
)

func inode(fs.FileInfo) uint64 { return 0 }

func changed(info fs.FileInfo) time.Time { return info.ModTime().UTC() }
