//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"redflag/internal/parts"
)

// root is a Debian in a folder, with this program and an archive of its own in it.
type root struct {
	testing.TB
	dir string
}

func newRoot(t *testing.T) *root {
	t.Helper()
	if testing.Short() {
		t.Skip("long: it installs packages in a root of its own")
	}
	r := &root{t, parts.Debian(t, "bookworm")}
	r.furnish(t)
	return r
}

// furnish puts this program and an archive into a root.
func (r *root) furnish(t *testing.T) {
	t.Helper()
	program, err := os.ReadFile(build(t))
	if err != nil {
		t.Fatal(err)
	}
	r.write("/usr/local/bin/redflag", string(program))
	r.write("/etc/apt/sources.list", "deb [trusted=yes] file:/srv/toys ./\n")
	r.sh("chmod 755 /usr/local/bin/redflag; mount -t proc proc /proc")
	t.Cleanup(func() {
		_ = exec.CommandContext(context.Background(), "umount", "-l", filepath.Join(r.dir, "proc")).Run()
	})
	r.offer("1", "")
	r.sh("apt-get install -yq toy-plain toy-slow")
}

func (r *root) write(name, text string) {
	r.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.Fatal(err)
	}
}

// offer makes the archive: toy-plain, and toy-slow whose script after the installation is given.
func (r *root) offer(version, script string) {
	r.Helper()
	for _, name := range []string{"toy-plain", "toy-slow"} {
		r.write("/srv/"+name+"/DEBIAN/control", fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a toy\n", name, version))
	}
	r.write("/srv/toy-slow/DEBIAN/postinst", "#!/bin/sh\n"+script+"\n")
	r.sh(`chmod 755 /srv/toy-slow/DEBIAN/postinst; rm -rf /srv/toys; mkdir /srv/toys; cd /srv/toys
for n in toy-plain toy-slow; do dpkg-deb -b /srv/$n $n.deb; (dpkg-deb -f $n.deb; echo Filename: $n.deb; echo Size: $(stat -c %s $n.deb); echo SHA256: $(sha256sum $n.deb | cut -d' ' -f1); echo) >>Packages; done
apt-get update -q`)
}

func (r *root) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), "chroot", append([]string{r.dir}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"}
	return cmd
}

func (r *root) sh(script string) string {
	r.Helper()
	out, err := r.command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		r.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// redflag runs the program, and gives what it prints; it fails the test unless its exit code is the one that is wanted.
func (r *root) redflag(code int, args ...string) string {
	r.Helper()
	cmd := r.command(append([]string{"redflag"}, args...)...)
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		r.Fatalf("redflag %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

// says fails the test unless a text has all the words.
func (r *root) says(text string, words ...string) {
	r.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			r.Errorf("%q is not in:\n%s", w, text)
		}
	}
}

func (r *root) versions() string {
	r.Helper()
	return strings.TrimSpace(r.sh("dpkg-query -W -f '${Version} ${db:Status-Abbrev};' toy-plain toy-slow"))
}

func TestAPersonInstallsLooksBackAndUndoes(t *testing.T) {
	r := newRoot(t)
	r.says(r.redflag(0, "install", "--yes"), "apt: nothing to do")
	r.offer("2", "echo it works")
	r.says(r.redflag(0, "plan"), "2 changes", "upgrade", "toy-plain", "1 → 2", "plan ")
	r.says(r.redflag(0, "plan", "toy-plain", "--format", "json"), `"action": "upgrade"`, `"name": "toy-plain"`)
	r.says(r.redflag(2, "install"), "there is nobody to ask")
	r.redflag(0, "hold", "toy-plain")
	r.says(r.redflag(1, "install", "toy-plain", "--yes"), "toy-plain is on hold")
	r.redflag(0, "unhold", "toy-plain")
	r.says(r.redflag(1, "plan", "nonsense"), `no update of "nonsense" is on offer`)
	r.says(r.redflag(0, "install", "--yes"), "Installed toy-slow", "succeeded, 2 changes")
	if got := r.versions(); got != "2 ii ;2 ii ;" {
		t.Fatal(got)
	}
	id := strings.Fields(r.redflag(0, "history"))[0]
	r.says(r.redflag(0, "log", id), "it works", "apt-get", "succeeded, 2 changes")
	r.offer("2", "") // version 1 is nowhere but here
	r.says(r.redflag(0, "undo", "--yes"), "downgrade", "2 → 1", "succeeded, 2 changes")
	if got := r.versions(); got != "1 ii ;1 ii ;" {
		t.Fatal(got)
	}
	r.says(r.redflag(0, "history"), "undo of "+id)
	r.says(r.redflag(0, "undo", "--yes"), "upgrade", "1 → 2", "succeeded") // the undo is undone
}

// begun installs, and comes back when the slow script runs.
func (r *root) begun() (done chan string) {
	r.Helper()
	done = make(chan string, 1)
	go func() {
		out, _ := r.command("redflag", "install", "--yes").CombinedOutput()
		done <- string(out)
	}()
	r.until("the slow script runs", func() bool { return r.exists("/tmp/slow") })
	return done
}

func (r *root) exists(name string) bool {
	_, err := os.Stat(filepath.Join(r.dir, name))
	return err == nil
}

func (r *root) until(what string, done func() bool) {
	r.Helper()
	for range 2400 {
		if done() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	r.Fatalf("it never came to it that %s", what)
}

// kill ends the programs in the root with one of these words in their command line, at once.
func (r *root) kill(words ...string) {
	r.Helper()
	inside, _ := filepath.Glob("/proc/[0-9]*/root")
	killed := 0
	for _, link := range inside {
		if dir, err := os.Readlink(link); err != nil || dir != r.dir {
			continue
		}
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
		if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(string(line), w) }) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	if killed == 0 {
		r.Fatalf("nothing like %q ran", words)
	}
}

// slowly says that it has begun, and waits until it may go on.
const slowly = "touch /tmp/slow; while [ ! -e /tmp/go ]; do sleep 0.1; done"

func TestAJobGoesOnWhateverWatchesItOrBeganIt(t *testing.T) {
	r := newRoot(t)
	r.offer("2", slowly)
	done := r.begun()
	r.says(r.redflag(1, "install", "--yes"), "is at work", "redflag log")
	r.says(r.redflag(1, "undo"), "is at work")
	r.kill("install", "job-run") // who watches, and who began it
	<-done
	r.says(r.redflag(0, "history"), "running")
	r.says(r.redflag(1, "install", "--yes"), "is at work")
	r.write("/tmp/go", "")
	r.until("apt ends by itself", func() bool { return !strings.Contains(r.redflag(0, "history"), "running") })
	r.says(r.redflag(0, "history"), "succeeded")
	if got := r.versions(); got != "2 ii ;2 ii ;" {
		t.Error(got)
	}
	if n := strings.Count(r.sh("cat /var/log/apt/history.log"), "Upgrade: toy-"); n != 1 {
		t.Errorf("it ran %d times", n)
	}
}

func TestAMachineThatDiesInTheMiddleIsToldAndRepaired(t *testing.T) {
	r := newRoot(t)
	r.offer("2", slowly)
	done := r.begun()
	r.kill("")
	<-done
	var text string
	r.until("nobody is at it", func() bool { text = r.redflag(0, "history"); return !strings.Contains(text, "running") })
	r.says(text, "failed")
	r.says(r.redflag(1, "log", strings.Fields(text)[0]), "left half done: toy-plain, toy-slow", "redflag repair")
	r.says(r.redflag(1, "install", "--yes"), "dpkg was interrupted, and has not finished with toy-plain, toy-slow", "redflag repair")
	r.write("/tmp/go", "")
	r.says(r.redflag(0, "repair", "--yes"), "succeeded")
	if got := r.versions(); got != "2 ii ;2 ii ;" {
		t.Error(got)
	}
	r.says(r.redflag(0, "install", "--yes"), "nothing to do")
}
