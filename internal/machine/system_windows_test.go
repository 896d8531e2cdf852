package machine

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asHolder makes this test's program, started again, hold what it was given until its input ends.
const asHolder = "REDFLAG_TEST_AS_HOLDER"

func TestMain(m *testing.M) {
	if os.Getenv(asHolder) != "" {
		_, _ = os.Stdin.Read(make([]byte, 1)) // until whoever has started us closes it
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// folder gives one. t.TempDir fails where its folder cannot be deleted, and Wine 8 lacks what Go deletes with.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "redflag")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestWindowsLockIsHeldByWhoWasBegunWithIt(t *testing.T) {
	file := filepath.Join(folder(t), "lock")
	held, err := Lock(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(file); !errors.Is(err, ErrLocked) {
		t.Errorf("a second one has it too: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(Environment(), asHolder+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	give(cmd, []*os.File{held.(*os.File)})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	held.Close()
	if _, err := Lock(file); !errors.Is(err, ErrLocked) {
		t.Errorf("it is free while its child lives: %v", err)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if again, err := Lock(file); err != nil {
		t.Errorf("it is not free when all have ended: %v", err)
	} else {
		again.Close()
	}
}

func TestWindowsFilesAreReplacedWhole(t *testing.T) {
	file := filepath.Join(folder(t), "a", "b", "key")
	for _, text := range []string{"old", "new"} {
		if err := WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); err != nil || len(left) > 0 {
		t.Errorf("%v are left behind, %v", left, err)
	}
}

func TestWindowsFolderIsClosedAndTrusted(t *testing.T) {
	if !Administers() {
		t.Fatal("this is no administrator")
	}
	dir := filepath.Join(folder(t), "ours")
	if err := MakeFolder(filepath.Join(dir, "state")); err != nil {
		t.Fatal(err)
	}
	if err := trusted(dir); err != nil {
		t.Error(err)
	}
	if sid, err := ownerSID(dir); err != nil || !strings.HasPrefix(sid, "S-1-5-") {
		t.Errorf("%q, %v", sid, err)
	}
}

func TestWindowsProgramsOfChocolateyAreAdministrators(t *testing.T) {
	root := folder(t)
	if err := MakeFolder(filepath.Join(root, "ProgramData", "chocolatey", "bin")); err != nil {
		t.Fatal(err)
	}
	if got := ofChocolatey(root); len(got) != 1 || !strings.HasSuffix(got[0], `chocolatey\bin`) {
		t.Errorf("%q", got)
	}
}

func TestWindowsPathsAreOnItsDisk(t *testing.T) {
	m := Local()
	for name, want := range map[string]string{"/var/lib/redflag/jobs": `C:\ProgramData\redflag\state\jobs`, "/etc/redflag": `C:\ProgramData\redflag\config`, "/Windows": `C:\Windows`, "/etc/redflagx": `C:\etc\redflagx`} {
		if got := m.Path(name); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
	if m.Uptime() <= 0 {
		t.Error("how long it runs is not known")
	}
	if file, err := LookPath("reg.exe"); err != nil || !filepath.IsAbs(file) {
		t.Errorf("%q, %v", file, err)
	}
}
