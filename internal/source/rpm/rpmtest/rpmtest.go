// Package rpmtest is a machine of RPM's world for tests: a root with real dnf, zypper and rpm, in which toy packages are installed and newer ones are on
// offer. What a source says is held against what rpm says.
package rpmtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/source"
	"redflag/internal/source/sourcetest"
)

// Lab is a root file system with real programs in it.
type Lab struct {
	sourcetest.Bench
	Root string
	// User is who runs commands there; empty is root.
	User string
	// Env is added to the environment of commands, as a user's shell would have it.
	Env []string
	// Later is how far the clock goes ahead.
	Later time.Duration
	jobs  int
	kit   Kit
}

// New gives a lab in which the toys of the base repository are installed that the words name, by rpm alone.
func New(t testing.TB, words ...string) *Lab {
	t.Helper()
	l := At(t, parts.RPM(t))
	l.mountProc()
	if len(words) > 0 {
		l.Sh("cd /srv/toys/base && rpm -i --nodeps " + strings.Join(words, " "))
	}
	return l
}

// At gives a lab in a root that is there.
func At(t testing.TB, root string) *Lab {
	t.Helper()
	l := &Lab{Root: root}
	l.Bench = sourcetest.Bench{TB: t, On: l.Machine, In: l.Work}
	if err := os.MkdirAll(l.Path("/var/lib/redflag/jobs"), 0o700); err != nil {
		t.Fatal(err)
	}
	return l
}

// mountProc lets programs see processes: dnf's lock is of no use without.
func (l *Lab) mountProc() {
	l.Helper()
	if out, err := exec.CommandContext(context.Background(), "mount", "-t", "proc", "proc", l.Path("/proc")).CombinedOutput(); err != nil {
		l.Fatalf("mount proc: %v: %s", err, out)
	}
	l.Cleanup(func() { _ = exec.Command("umount", "--lazy", l.Path("/proc")).Run() }) //nolint:noctx // the test's context has ended
}

// ReadOnly does something while nothing but /tmp and /var/tmp may be written in the lab, as in a sandboxed service.
func (l *Lab) ReadOnly(do func()) {
	l.Helper()
	mount := func(args ...string) {
		if out, err := exec.CommandContext(context.Background(), "mount", args...).CombinedOutput(); err != nil {
			l.Fatalf("mount %v: %v: %s", args, err, out)
		}
	}
	mount("--rbind", l.Root, l.Root)
	defer func() { _ = exec.Command("umount", "--lazy", "--recursive", l.Root).Run() }() //nolint:noctx // whatever became of the test
	mount("-o", "remount,ro,bind", l.Root)
	mount("-t", "tmpfs", "tmpfs", l.Path("/tmp"))
	mount("-t", "tmpfs", "tmpfs", l.Path("/var/tmp"))
	do()
}

// Path gives a file's place on this computer.
func (l *Lab) Path(name string) string { return filepath.Join(l.Root, name) }

// Write writes a file of the lab.
func (l *Lab) Write(name, text string) {
	l.Helper()
	if err := os.MkdirAll(filepath.Dir(l.Path(name)), 0o755); err != nil {
		l.Fatal(err)
	}
	if err := os.WriteFile(l.Path(name), []byte(text), 0o644); err != nil {
		l.Fatal(err)
	}
}

// Sh runs a script as root in the lab, and gives its standard output.
func (l *Lab) Sh(script string) string {
	l.Helper()
	cmd := exec.CommandContext(context.Background(), "chroot", l.Root, "sh", "-ec", script)
	cmd.Env = []string{"LC_ALL=C.UTF-8", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		l.Fatalf("%s: %v\n%s%s", script, err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String()
}

// Run implements machine.Runner: it runs the command in the root, as the lab's user.
func (l *Lab) Run(ctx context.Context, c machine.Command) (machine.Result, error) {
	args := []string{l.Root, c.Name}
	if l.User != "" {
		args = append([]string{"--userspec=" + l.User}, args...)
		// What this process has written for the command would be the user's.
		l.Sh("chown -R " + l.User + " /tmp")
	}
	env := append(append([]string{}, l.Env...), machine.Environment()...)
	result, err := machine.Exec{}.Run(ctx, machine.Command{Name: "chroot", Args: append(args, c.Args...), Env: append(env, c.Env...), Limit: c.Limit})
	if err == nil && result.Code == 127 {
		err = fmt.Errorf("%s: %w", c.Name, machine.ErrNotInstalled)
	}
	return result, err
}

// Machine gives the lab as a machine.
func (l *Lab) Machine() *machine.Machine {
	return &machine.Machine{Root: l.Root, Runner: l, Prefix: []string{"chroot", l.Root}, Now: func() time.Time { return time.Now().Add(l.Later) }}
}

// Work makes the folder of a job.
func (l *Lab) Work() source.Work {
	l.Helper()
	l.jobs++
	dir := fmt.Sprintf("/var/lib/redflag/jobs/%d", l.jobs)
	if err := os.MkdirAll(l.Path(dir), 0o700); err != nil {
		l.Fatal(err)
	}
	log, err := os.OpenFile(l.Path(dir+"/log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { log.Close() })
	return source.Work{Dir: dir, Log: log}
}

// Installed gives what rpm says is installed of some packages, sorted, in one line.
func (l *Lab) Installed(names ...string) string {
	l.Helper()
	return strings.Join(strings.Fields(l.Sh("rpm -q --qf '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\\n' "+strings.Join(names, " ")+" | grep -v 'not installed' | sort || true")), " ")
}

// Everything gives all that rpm says is installed.
func (l *Lab) Everything() string {
	l.Helper()
	return l.Sh("rpm -qa | sort")
}

// BehindToys is that of some toys, where what is not foreign is the distribution's own.
const BehindToys = `toy-conf.noarch: toy-conf 1.0-1.el9→2.0-1.el9 AlmaLinux:9
toy-foreign.noarch: toy-foreign 1.0-1.el9→1.1-1.el9
toy-lib.x86_64: toy-lib 1.0-1.el9→1.2-1.el9 AlmaLinux:9; TOYBA-2026:1002 by example.com  [] in 1.2-1.el9; TOYSA-2026:1001 by example.com high [CVE-2026-11111 CVE-2026-11112] in 1.1-1.el9
toy-part.noarch: toy-sub 3.0-1.el9→3.1-1.el9 AlmaLinux:9
toy-stream.noarch: toy-stream 1.0-1.module_el9+1+aa→1.1-1.module_el9+2+bb AlmaLinux:9 toys:1
toy-sub.noarch: toy-sub 3.0-1.el9→3.1-1.el9 AlmaLinux:9`

// Behind writes what is behind updates for a comparison: the source package with its versions, the ecosystem, the stream, and the advisories.
func Behind(f fleet.Finding) string {
	var list []string
	for _, u := range f.Updates {
		text := u.Name + "." + u.Arch + ":"
		if b := u.Build; b != nil {
			text += strings.TrimRight(fmt.Sprintf(" %s %s→%s %s %s", b.Package, b.From, b.To, b.Ecosystem, b.Module), " ")
		}
		for _, n := range u.Notices {
			text += fmt.Sprintf("; %s by %s %s %v in %s", n.ID, n.By, n.Severity, n.CVEs, n.FixedIn)
		}
		list = append(list, text)
	}
	return strings.Join(list, "\n")
}
