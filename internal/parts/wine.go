package parts

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"redflag/internal/machine"
)

// Windows is a place in which programs of Windows run, as far as Wine goes.
type Windows struct {
	testing.TB
	dir, wine string
}

// Wine gives a Windows to one test at a time. It is made once, in 15 s, and kept below /var/cache/redflag-test; what RedFlag keeps in it is deleted before.
// Wine 8 lacks bcryptprimitives.dll, from which Go programs have had their random numbers since 1.21: the prefix gets one that has nothing but a name
// for the function of advapi32.dll that gives them.
func Wine(t testing.TB) *Windows {
	t.Helper()
	NeedRoot(t)
	Need(t, "x86_64-w64-mingw32-ld")
	w := &Windows{TB: t, dir: filepath.Join("/var/cache/redflag-test", "wine-"+wineVersion), wine: Need(t, "wine")}
	lock := w.lock()
	t.Cleanup(func() { lock.Close() })
	prepare := exec.CommandContext(t.Context(), "sh", "-ec", makeWine, "sh", w.dir)
	prepare.Env = w.env()
	if out, err := prepare.CombinedOutput(); err != nil {
		Missing(t, "wine cannot be made ready: "+err.Error()+"\n"+tail(out))
	}
	if err := os.RemoveAll(w.Disk("ProgramData/redflag")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end := exec.CommandContext(context.Background(), "wineserver", "-k")
		end.Env = w.env()
		_ = end.Run() // it ends by itself, later
	})
	return w
}

const (
	// wineVersion goes up when makeWine changes.
	wineVersion = "1"
	// makeWine makes the prefix $1, unless it is there.
	makeWine = `
test ! -e "$1.complete" || exit 0
rm -rf --one-file-system "$1"
mkdir -p "$1"
wineboot --init
wineserver --wait
cd "$1/drive_c/windows/system32"
printf 'LIBRARY bcryptprimitives.dll\nEXPORTS\nProcessPrng = ADVAPI32.SystemFunction036\n' >"$1/random.def"
x86_64-w64-mingw32-ld -shared -e 0 -o bcryptprimitives.dll "$1/random.def"
touch "$1.complete"
`
)

// lock waits until no other test is in there.
func (w *Windows) lock() io.Closer {
	w.Helper()
	for {
		lock, err := machine.Lock(w.dir + ".lock")
		if err == nil {
			return lock
		}
		if !errors.Is(err, machine.ErrLocked) || w.Context().Err() != nil {
			w.Fatal(err)
		}
		if out, err := exec.CommandContext(w.Context(), "flock", w.dir+".lock", "true").CombinedOutput(); err != nil {
			w.Fatalf("%v: %s", err, out)
		}
	}
}

func (w *Windows) env() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + w.dir, "WINEPREFIX=" + w.dir, "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=", "DISPLAY="}
}

// Disk gives the place on this computer of a file on disk C.
func (w *Windows) Disk(name string) string { return filepath.Join(w.dir, "drive_c", name) }

// Build makes a program of ours for Windows, and gives its file. With test it is the package's tests.
func (w *Windows) Build(pkg string, test bool) string {
	w.Helper()
	exe := filepath.Join(w.TempDir(), filepath.Base(pkg)+".exe")
	words := []string{"build", "-o", exe, pkg}
	if test {
		words = []string{"test", "-c", "-o", exe, pkg}
	}
	build := exec.CommandContext(w.Context(), "go", words...)
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		w.Fatalf("%v: %s", err, out)
	}
	return exe
}

// Run runs a program to its end, and gives what it has printed and its exit code.
func (w *Windows) Run(exe string, args ...string) (stdout, stderr string, code int) {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), w.wine, append([]string{exe}, args...)...) //nolint:gosec // a test's own program
	var out, complaints bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = w.env(), w.TempDir(), &out, &complaints
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.Fatal(err)
	}
	return strings.ReplaceAll(out.String(), "\r\n", "\n"), strings.ReplaceAll(complaints.String(), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}
