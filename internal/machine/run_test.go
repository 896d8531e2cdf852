//go:build unix

package machine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func run(t *testing.T, c Command) Result {
	t.Helper()
	r, err := Exec{}.Run(t.Context(), c)
	if err != nil {
		t.Fatalf("%s %q: %v", c.Name, c.Args, err)
	}
	return r
}

func TestACommandLeavesItsOutputAndItsCode(t *testing.T) {
	r := run(t, Command{Name: "sh", Args: []string{"-c", "echo out; echo err >&2; exit 3"}})
	if string(r.Stdout) != "out\n" || string(r.Stderr) != "err\n" || r.Code != 3 {
		t.Errorf("got %q, %q, %d", r.Stdout, r.Stderr, r.Code)
	}
	if r := run(t, Command{Name: "sh", Args: []string{"-c", "kill -9 $$"}}); r.Code != -1 {
		t.Errorf("the code of a killed command is %d", r.Code)
	}
}

func TestAnOutputOverItsBoundIsCutAndSaidSo(t *testing.T) {
	const limit = 100_000 // more than a pipe holds, so that the command would block if nobody read on
	for _, stream := range []string{"", " >&2"} {
		script := func(n string) Command {
			return Command{Name: "sh", Args: []string{"-c", "head -c " + n + " /dev/zero" + stream}, Limit: limit}
		}
		if r := run(t, script("100000")); len(r.Stdout)+len(r.Stderr) != limit {
			t.Errorf("at the bound%s: %d bytes", stream, len(r.Stdout)+len(r.Stderr))
		}
		r, err := Exec{}.Run(t.Context(), script("1000000"))
		if !errors.Is(err, ErrTooLarge) || len(r.Stdout)+len(r.Stderr) != limit || r.Code != 0 {
			t.Errorf("over the bound%s: %d bytes, code %d, %v", stream, len(r.Stdout)+len(r.Stderr), r.Code, err)
		}
	}
}

func TestACommandGetsOurEnvironmentAndNoOther(t *testing.T) {
	for name, value := range map[string]string{"LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "de", "SECRET": "x", "https_proxy": "http://proxy:3128", "HOME": "/home/ada"} {
		t.Setenv(name, value)
	}
	r := run(t, Command{Name: "env", Env: []string{"DEBIAN_FRONTEND=noninteractive"}})
	got := strings.Split(strings.TrimSpace(string(r.Stdout)), "\n")
	for _, want := range []string{"LC_ALL=C.UTF-8", "LANGUAGE=", "TZ=UTC", "https_proxy=http://proxy:3128", "HOME=/home/ada", "DEBIAN_FRONTEND=noninteractive"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing in %q", want, got)
		}
	}
	if bytes.Contains(r.Stdout, []byte("SECRET")) {
		t.Errorf("a variable of the caller's was passed on: %q", got)
	}
}

func TestACommandHasNothingToRead(t *testing.T) {
	if r := run(t, Command{Name: "cat"}); len(r.Stdout) != 0 || r.Code != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestAProgramThatIsNotThereIsNotInstalled(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"redflag-no-such-program", filepath.Join(dir, "none"), dir} {
		if _, err := (Exec{}).Run(t.Context(), Command{Name: name}); !errors.Is(err, ErrNotInstalled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(dir, "text")
	if err := os.WriteFile(file, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LookPath(file); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("a file that cannot be run: %v", err)
	}
}

func TestACommandThatEndsItsContextIsThatContextsError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Exec{}).Run(ctx, Command{Name: "sleep", Args: []string{"600"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestWhoIsCancelledTakesItsChildrenAlong waits on a named pipe that a child and a grandchild hold open: it ends when both are dead.
func TestWhoIsCancelledTakesItsChildrenAlong(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := Exec{}.Run(ctx, Command{Name: "sh", Args: []string{"-c", `exec 3>"$0"; (echo ready >&3; exec sleep 600) & wait`, fifo}})
		ended <- err
	}()
	pipe, err := os.Open(fifo) // until the command opens the other end
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	alive := bufio.NewReader(pipe)
	if line, err := alive.ReadString('\n'); line != "ready\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	cancel()
	if _, err := alive.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the pipe is still open: %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
