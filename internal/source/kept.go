package source

import (
	"io/fs"
	"os"
	"path"
	"slices"

	"redflag/internal/machine"
)

// KeptDir is where packages lie that an undo would need: repositories keep only their newest versions.
const KeptDir = "/var/lib/redflag/packages"

// maxKept bounds them, in bytes: the oldest go first, and with them the way back from old jobs.
const maxKept = 4 << 30

// Keep copies a file into [KeptDir] under a name. One that is there already stays.
func Keep(m *machine.Machine, file, name string) error {
	if err := os.MkdirAll(m.Path(KeptDir), 0o755); err != nil {
		return err
	}
	if Kept(m, name) != "" {
		return nil
	}
	return machine.CopyFile(m.Path(file), m.Path(path.Join(KeptDir, name)))
}

// Kept gives where a file is kept under a name; empty where it is not.
func Kept(m *machine.Machine, name string) string {
	file := path.Join(KeptDir, name)
	if info, err := m.Stat(file); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return file
}

// PruneKept deletes the oldest packages that are kept, where they are too many, but for the files that are needed, by their names.
func PruneKept(m *machine.Machine, needed map[string]bool) {
	entries, err := m.ReadDir(KeptDir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
			total += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if total <= maxKept {
			return
		}
		if !needed[f.Name()] && os.Remove(m.Path(path.Join(KeptDir, f.Name()))) == nil {
			total -= f.Size()
		}
	}
}
