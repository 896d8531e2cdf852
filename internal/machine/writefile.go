package machine

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile puts a whole file in place, or leaves what was there: a reader sees the old content or the new one and never a part,
// also after a crash or a power cut, and of two writers one wins whole. The folder is made where it is missing, for its
// owner only. A process that is killed while it writes may leave a file named .NAME.*.tmp behind.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	if err := MakeFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return WriteFileBy(path, perm, func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
}

// WriteFileBy is [WriteFile] for content that write writes, into a folder that there is.
func WriteFileBy(path string, perm fs.FileMode, write func(*os.File) error) error {
	dir, name := filepath.Split(path)
	f, err := os.CreateTemp(filepath.Clean(dir), "."+name+".*.tmp")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = fill(f, perm, write)
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// fill writes a temporary file down to the disk and closes it: a rename may reach the disk before what was only buffered.
func fill(f *os.File, perm fs.FileMode, write func(*os.File) error) error {
	defer f.Close()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// CopyFile makes a copy of a file with its permissions, whole or not at all.
func CopyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	return WriteFileBy(to, info.Mode().Perm(), func(f *os.File) error {
		_, err := io.Copy(f, in)
		return err
	})
}
