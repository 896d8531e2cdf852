//go:build unix

package apt

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"redflag/internal/fleet"
)

func TestWhatKeepsUsFromAFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	for _, own := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(own, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if at, _ := barrier(dir, &fs.PathError{Path: dir}); at != dir {
		t.Fatalf("others may not look into %s: set TMPDIR to a folder that they may", at)
	}
	shut := filepath.Join(dir, "shut")
	if err := os.Mkdir(shut, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, because, remedy string }{
		"a folder above": {filepath.Join(shut, "list"), shut + " cannot be read", "chmod o+rx " + shut},
		"the folder":     {shut, shut + " cannot be read", "chmod o+rx " + shut},
		"the file":       {filepath.Join(dir, "list"), dir + "/list cannot be read", "chmod o+r " + dir + "/list"},
	} {
		because, remedy := fleet.Explain(unreadable(c.file, &fs.PathError{Op: "open", Path: c.file, Err: syscall.EACCES}))
		if !strings.HasPrefix(because, c.because) || !strings.HasSuffix(remedy, c.remedy) {
			t.Errorf("%s: %q, %q", name, because, remedy)
		}
	}
}
