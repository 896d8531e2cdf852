package parts

import (
	"io"
	"os"
	"os/exec"
)

// onLeash starts a shell script in a folder of its own, its first argument, for all tests of the process. The script must end,
// and take the folder away, when its standard input does, which is when the process is gone, killed or not. The leash must be
// held, and is never written to.
func onLeash(name, script string) (dir string, leash io.Closer, err error) {
	// Not t.TempDir: it outlives the test, and a socket's path must be shorter than 108 bytes.
	if dir, err = os.MkdirTemp("", name); err != nil {
		return "", nil, err
	}
	// A session of its own: a Ctrl-C that ends the tests must not end the script before it has tidied up.
	cmd := exec.Command("setsid", "sh", "-c", script, "sh", dir) //nolint:noctx // it outlives every context
	if leash, err = cmd.StdinPipe(); err != nil {
		return "", nil, err
	}
	return dir, leash, cmd.Start()
}
