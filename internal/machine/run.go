package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Command is a tool and its arguments. It is never a line for a shell.
type Command struct {
	// Name is looked for in the fixed search path of [Environment], not in the caller's.
	Name string
	Args []string
	// Env is added to [Environment], as KEY=value.
	Env []string
	// Limit bounds what is kept of standard output and of standard error, in bytes each; 0 means DefaultLimit.
	Limit int64
}

// DefaultLimit is how much of an output is kept: apt's plan of 2,000 packages is 3 MB.
const DefaultLimit = 32 << 20

// Result is what a command that ran to its end left behind.
type Result struct {
	Stdout []byte
	Stderr []byte
	// Code is its exit code; -1 when a signal ended it.
	Code int
}

// Runner runs commands. There are two: [Exec], and the player of recordings in sourcetest.
type Runner interface {
	// Run waits for the command's end. A code other than 0 is no error: only the caller knows what it means.
	// A command that is not there is [ErrNotInstalled]; one that was stopped because ctx ended is ctx's error.
	Run(ctx context.Context, c Command) (Result, error)
}

// ErrNotInstalled: there is no such program on the machine.
var ErrNotInstalled = errors.New("not installed")

// Environment is what every child gets: no locale (LC_ALL beats LANG and LANGUAGE, and a translated apt answers nothing that
// can be read), no time zone, no terminal, and no variable of ours but HOME, the proxies, and those by which Windows' own programs find themselves.
func Environment() []string {
	env := []string{
		"LC_ALL=C.UTF-8", "LANGUAGE=", "TZ=UTC", "TERM=dumb", "COLUMNS=500",
		"PATH=" + strings.Join(searchPath(), string(os.PathListSeparator)),
	}
	names := []string{"HOME", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
	for _, name := range append(names, systemVariables...) {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// LookPath finds a program in the fixed search path. An absolute path stands for itself; where no program is, the error is
// [ErrNotInstalled].
func LookPath(name string) (string, error) {
	candidates := []string{name}
	if !filepath.IsAbs(name) {
		candidates = candidates[:0]
		for _, dir := range searchPath() {
			candidates = append(candidates, filepath.Join(dir, name))
		}
	}
	for _, file := range candidates {
		if isProgram(file) {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, ErrNotInstalled)
}

func isProgram(file string) bool {
	info, err := os.Stat(file)
	if err != nil || info.IsDir() {
		return false
	}
	return info.Mode()&0o111 != 0 || runtime.GOOS == "windows" // which has no such bit
}

// Exec runs commands on the computer that we run on: with [Environment], no standard input and a process group of their own.
// When ctx ends, the whole group is killed: never run under it what must not be interrupted.
type Exec struct{}

// Run implements [Runner].
func (Exec) Run(ctx context.Context, c Command) (Result, error) {
	program, err := LookPath(c.Name)
	if err != nil {
		return Result{}, err
	}
	limit := c.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	stdout, stderr := &bounded{limit: limit}, &bounded{limit: limit}
	cmd := exec.CommandContext(ctx, program, c.Args...)
	cmd.Env = append(Environment(), c.Env...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = 2 * time.Second // a grandchild that keeps the pipe open does not keep us
	ownGroup(cmd)
	err = cmd.Run()
	result := Result{Stdout: stdout.kept.Bytes(), Stderr: stderr.kept.Bytes(), Code: cmd.ProcessState.ExitCode()}
	if ctx.Err() != nil {
		return result, fmt.Errorf("run %s: %w", c.Name, ctx.Err())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result, fmt.Errorf("run %s: %w", c.Name, err)
	}
	if stdout.over || stderr.over {
		return result, fmt.Errorf("run %s: output over %d bytes: %w", c.Name, limit, ErrTooLarge)
	}
	return result, nil
}

// bounded keeps the first limit bytes and swallows the rest, so that the child does not block. Its buffer is no embedded one:
// io.Copy would find that one's ReadFrom, which knows no bound.
type bounded struct {
	kept  bytes.Buffer
	limit int64
	over  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.limit - int64(b.kept.Len())
	if int64(len(p)) > room {
		b.over = true
		b.kept.Write(p[:room])
		return len(p), nil
	}
	return b.kept.Write(p)
}
