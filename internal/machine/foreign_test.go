//go:build unix

package machine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Where this fails, it waits for good.
func TestAPipeInTheHandsOfAUserKeepsNobody(t *testing.T) {
	m := &Machine{Root: t.TempDir()}
	if err := syscall.Mkfifo(filepath.Join(m.Root, "pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := m.OpenForeign("/pipe"); err == nil {
		t.Error("a pipe is a file")
	}
	writer, err := os.OpenFile(filepath.Join(m.Root, "pipe"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if data, err := m.ReadForeign("/pipe", 10); err == nil {
		t.Errorf("%q", data)
	}
	if err := os.WriteFile(filepath.Join(m.Root, "file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := m.ReadForeign("/file", 4); err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := m.ReadForeign("/file", 3); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := m.ReadForeign("/none", 3); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	f, err := m.OpenForeign("/")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if names, err := f.Readdirnames(0); err != nil || len(names) != 2 {
		t.Errorf("%q, %v", names, err)
	}
}

func TestRootRunsNothingOfAFolderThatIsAnothers(t *testing.T) {
	dir := t.TempDir()
	if isAnothers("/usr/bin") || isAnothers(filepath.Join(dir, "none")) {
		t.Error("the system's own programs are another's")
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(dir, 501, 20); err != nil {
		t.Fatal(err)
	}
	if !isAnothers(dir) {
		t.Error("root runs programs of a user's")
	}
}
