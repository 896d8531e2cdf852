package parts

import (
	_ "embed"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed pacman.sh
var pacmanToys string

// Pacman gives a fresh, writable root file system with a real pacman, a shell and what scripts need, and nothing else: no package is installed. In /srv/toys
// lie the packages that are installed from old, and the repository new, toys.db. The root is made once, of this machine's own programs, and kept
// below /var/cache/redflag-test; what a test gets is a [Copy].
func Pacman(t testing.TB) string {
	t.Helper()
	NeedRoot(t)
	for _, program := range []string{"pacman", "repo-add", "bsdtar", "flock"} {
		Need(t, program)
	}
	dir := filepath.Join("/var/cache/redflag-test", "pacman-"+pacmanVersion)
	if out, err := exec.CommandContext(t.Context(), "flock", lockOf(t, dir), "bash", "-ec", pacmanToys, "bash", dir).CombinedOutput(); err != nil {
		Missing(t, "the root with pacman cannot be made: "+err.Error()+"\n"+tail(out))
	}
	return Copy(t, dir)
}

// pacmanVersion goes up when pacman.sh changes.
const pacmanVersion = "1"
