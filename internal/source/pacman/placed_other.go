//go:build !linux

package pacman

import (
	"io/fs"
	"time"
)

func placed(info fs.FileInfo) time.Time { return info.ModTime() }
