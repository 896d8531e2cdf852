//go:build unix

package flatpak

import (
	"path/filepath"
	"syscall"
	"testing"

	"redflag/internal/source/sourcetest"
)

// Where this fails, it waits for good.
func TestAPipeInAUsersInstallationKeepsNobody(t *testing.T) {
	s := sourcetest.NewScript(t)
	s.Write("etc/passwd", "ann:x:0:0:ann:/home/ann:/bin/sh\n")
	s.Write("home/ann/.local/share/flatpak/repo/config", "")
	if err := syscall.Mkfifo(filepath.Join(s.Root(), "home/ann/.local/share/flatpak/app"), 0o666); err != nil {
		t.Fatal(err)
	}
	if list, err := (Source{}).Packages(t.Context(), s.Machine()); root() && err == nil {
		t.Errorf("an installation that cannot be read has nothing in it: %v", list)
	}
}
