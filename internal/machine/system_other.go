//go:build !windows

package machine

import (
	"io/fs"
	"os"
	"os/exec"
	"slices"
)

// rootFolder is where this computer's file system begins.
func rootFolder() string { return "/" }

// searchPath is where programs are looked for: fixed, so that neither a bare cron environment nor a user's own programs matter.
func searchPath() []string {
	list := []string{"/usr/local/sbin", "/usr/local/bin"}
	if Administers() {
		list = slices.DeleteFunc(list, isAnothers)
	}
	return append(list, "/usr/sbin", "/usr/bin", "/sbin", "/bin")
}

// isAnothers says whether a folder is somebody's who is not root, as /usr/local/bin is of whoever has installed Homebrew on a Mac with Intel's processor: root would
// run whatever sudo or plutil that one has put there.
func isAnothers(dir string) bool {
	uid, err := OwnerOf(dir)
	return err == nil && uid > 0
}

// systemVariables are those without which programs do not work here.
var systemVariables []string

// ourName gives the name that one of RedFlag's own files has on this system.
func ourName(name string) string { return name }

// Administers says whether we may change this computer: whether we are root.
func Administers() bool { return os.Geteuid() == 0 }

// MakeFolder makes a folder, and those above it, for its owner only. One that is there stays as it is.
func MakeFolder(dir string) error { return os.MkdirAll(dir, fs.FileMode(0o700)) }

// trusted refuses nothing: nobody else may make a folder in those of root.
func trusted(string) error { return nil }

// give lets a command that is begun have files beyond the three usual ones, as its descriptors 3 and up.
func give(cmd *exec.Cmd, files []*os.File) { cmd.ExtraFiles = files }

// uptime is how long this computer has run, in seconds; 0 where it does not say.
func uptime() float64 { return 0 }
