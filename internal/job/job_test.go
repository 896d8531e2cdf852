package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	"redflag/internal/source/apt"
)

// The tests' program is also what apt runs as its hook, and the process that carries a job out, ended at a step.
const (
	rootVariable = "REDFLAG_TEST_ROOT"
	jobVariable  = "REDFLAG_TEST_JOB"
	stepVariable = "REDFLAG_TEST_STEP"
	// killed is the exit code of one that was ended.
	killed = 9
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "apt-hook":
		os.Exit(apt.Hook(os.Args[2]))
	case os.Getenv(jobVariable) != "":
		os.Exit(carryOut(os.Getenv(rootVariable), ID(os.Getenv(jobVariable)), os.Getenv(stepVariable)))
	}
	os.Exit(m.Run())
}

// carryOut is a process that carries a job out in a root, and is killed at a step.
func carryOut(root string, id ID, step string) int {
	r := runner{chrooted(root), []source.Installer{aptSource()}, func(at string) {
		if at == step {
			p, _ := os.FindProcess(os.Getpid())
			_ = p.Kill()
			select {}
		}
	}}
	if err := r.run(context.Background(), id); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

const hookInRoot = "/usr/local/bin/job-test"

func aptSource() apt.Source { return apt.Source{Hook: []string{hookInRoot, "apt-hook"}} }

// chrooted is a machine in a folder.
func chrooted(root string) *machine.Machine {
	return &machine.Machine{Root: root, Runner: within(root), Prefix: []string{"chroot", root}, Now: time.Now}
}

type within string

// Run implements machine.Runner.
func (w within) Run(ctx context.Context, c machine.Command) (machine.Result, error) {
	return machine.Exec{}.Run(ctx, machine.Command{Name: "chroot", Args: append([]string{string(w), c.Name}, c.Args...), Env: c.Env, Limit: c.Limit})
}

// root is a Debian with a package of which there is an update.
type root struct {
	*testing.T
	dir string
	m   *machine.Machine
}

func newRoot(t *testing.T) *root {
	t.Helper()
	r := &root{T: t, dir: parts.Debian(t, "bookworm")}
	r.m = chrooted(r.dir)
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	r.write(hookInRoot, string(self), 0o755)
	r.write("/etc/apt/sources.list", "deb [trusted=yes] file:/srv/toys ./\n", 0o644)
	r.offer("1")
	r.sh("apt-get install -yq toy")
	r.offer("2")
	return r
}

// copy gives another root like this one.
func (r *root) copy(t *testing.T) *root {
	t.Helper()
	c := &root{T: t, dir: parts.Copy(t, r.dir)}
	c.m = chrooted(c.dir)
	return c
}

func (r *root) write(name, text string, mode fs.FileMode) {
	r.Helper()
	file := filepath.Join(r.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), mode)); err != nil {
		r.Fatal(err)
	}
}

func (r *root) sh(script string) string {
	r.Helper()
	cmd := exec.CommandContext(context.Background(), "chroot", r.dir, "sh", "-ec", script)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// offer makes a version of the package be what the archive has.
func (r *root) offer(version string) {
	r.Helper()
	r.write("/srv/toy/DEBIAN/control", "Package: toy\nVersion: "+version+"\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a toy\n", 0o644)
	r.write("/srv/toy/DEBIAN/postinst", "#!/bin/sh\necho ran >>/srv/ran\n", 0o755)
	r.sh(`rm -rf /srv/toys; mkdir /srv/toys; cd /srv/toys; dpkg-deb -b /srv/toy toy.deb
(dpkg-deb -f toy.deb; echo Filename: toy.deb; echo Size: $(stat -c %s toy.deb); echo SHA256: $(sha256sum toy.deb | cut -d' ' -f1); echo) >Packages
apt-get update -q`)
}

// approve writes down a job that installs all.
func (r *root) approve(j Job) Job {
	r.Helper()
	plan, err := aptSource().Plan(r.Context(), r.m, fleet.Selection{All: true})
	if err != nil || len(plan.Changes) != 1 {
		r.Fatalf("%+v, %v", plan, err)
	}
	j.Plan = plan
	if j, err = New(r.m, j); err != nil {
		r.Fatal(err)
	}
	return j
}

// process carries a job out in a process of its own, and gives its exit code.
func (r *root) process(id ID, step string) int {
	r.Helper()
	self, err := os.Executable()
	if err != nil {
		r.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), self)
	cmd.Env = append(os.Environ(), rootVariable+"="+r.dir, jobVariable+"="+string(id), stepVariable+"="+step)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState.ExitCode() == 1 {
		r.Logf("%s", out)
	}
	if cmd.ProcessState.Exited() {
		return cmd.ProcessState.ExitCode()
	}
	return killed
}

func (r *root) get(id ID) Job {
	r.Helper()
	j, err := Get(r.m, id)
	if err != nil {
		r.Fatal(err)
	}
	return j
}

func (r *root) version() string {
	r.Helper()
	return r.sh("dpkg-query -W -f '${Version} ${db:Status-Abbrev}' toy")
}

func (r *root) recover() {
	r.Helper()
	if err := Recover(r.Context(), r.m, []source.Installer{aptSource()}); err != nil {
		r.Fatal(err)
	}
}

func TestAJobThatIsKilledAtAnyStepEndsTruthfullyAndAptRunsOnceAtMost(t *testing.T) {
	first := newRoot(t)
	for _, c := range []struct {
		step  string
		state State // after it was settled
		runs  int   // of apt, all told
	}{
		{"lock", Succeeded, 1}, // it had not begun: who begins it again does it
		{"fetching", Cancelled, 0},
		{"fetched", Cancelled, 0},
		{"running", Failed, 0},
		{"applied", Succeeded, 1},
		{"noted", Succeeded, 1},
		{"restarted", Succeeded, 1},
		{"never", Succeeded, 1},
	} {
		t.Run(c.step, func(t *testing.T) {
			r := first.copy(t)
			j := r.approve(Job{After: fleet.After{RestartServices: true}})
			code := r.process(j.ID, c.step)
			if (code == killed) != (c.step != "never") {
				t.Fatalf("exit code %d", code)
			}
			if c.step == "lock" {
				r.recover() // which begins nothing
				if got := r.get(j.ID); got.State != Approved {
					t.Errorf("it is %s", got.State)
				}
			}
			for range 2 { // begun again, as by a helper that does not know better
				if code := r.process(j.ID, ""); code != 0 {
					t.Errorf("begun again: exit code %d", code)
				}
				r.recover()
			}
			got := r.get(j.ID)
			if got.State != c.state || got.State != Succeeded && got.Because == "" {
				t.Errorf("it is %s because %q", got.State, got.Because)
			}
			want := map[int]string{0: "1 ii ", 1: "2 ii "}[c.runs]
			if v := r.version(); v != want {
				t.Errorf("the package is %q, want %q", v, want)
			}
			if got.Outcome != nil && len(got.Outcome.Done) != c.runs {
				t.Errorf("done: %v", got.Outcome.Done)
			}
			if n := strings.Count(r.sh("cat /srv/ran"), "ran"); n != 1+c.runs {
				t.Errorf("the package's script ran %d times since", n-1)
			}
		})
	}
}

func TestWhatIsNoInstallationIsDoneOnceTooOrToldThatNobodyKnows(t *testing.T) {
	first := newRoot(t)
	for _, c := range []struct {
		job   Job
		step  string
		state State
	}{
		{Job{Kind: ToRepair}, "running", Failed},
		{Job{Kind: ToRepair}, "done", Succeeded},
		{Job{Kind: ToRepair}, "never", Succeeded},
		{Job{Kind: ToHold, Names: []string{"toy"}}, "running", Unknown},
		{Job{Kind: ToHold, Names: []string{"toy"}}, "done", Unknown},
		{Job{Kind: ToHold, Names: []string{"toy"}}, "never", Succeeded},
		{Job{Kind: ToHold, Names: []string{"nonsense"}}, "never", Failed},
		{Job{Kind: ToRestart, Names: []string{"toy.service"}}, "never", Failed}, // there is no systemd
		{Job{Kind: ToReboot}, "rebooting", Rebooting},                           // it waits for the boot
		{Job{Kind: ToReboot}, "never", Failed},                                  // a folder cannot reboot
		{Job{Kind: "dance"}, "never", Failed},
	} {
		t.Run(fmt.Sprintf("%s %v at %s", c.job.Kind, c.job.Names, c.step), func(t *testing.T) {
			r := first.copy(t)
			r.proc()
			c.job.Plan = fleet.NewPlan("", fleet.Selection{}, time.Now())
			j, err := New(r.m, c.job)
			if err != nil {
				t.Fatal(err)
			}
			r.process(j.ID, c.step)
			r.recover()
			r.process(j.ID, "")
			r.recover()
			if got := r.get(j.ID); got.State != c.state || c.state.Ended() && got.State != Succeeded && got.Because == "" {
				t.Errorf("it is %s because %q", got.State, got.Because)
			}
		})
	}
}

func TestAJobDoesNotBeginWhereItMustNot(t *testing.T) {
	first := newRoot(t)
	t.Run("cancelled", func(t *testing.T) {
		r := first.copy(t)
		j := r.approve(Job{})
		if err := Cancel(r.m, j.ID); err != nil {
			t.Fatal(err)
		}
		r.process(j.ID, "")
		if got := r.get(j.ID); got.State != Cancelled || r.version() != "1 ii " {
			t.Errorf("%s because %s, %s", got.State, got.Because, r.version())
		}
	})
	t.Run("expired", func(t *testing.T) {
		r := first.copy(t)
		j := r.approve(Job{ExpiresAt: time.Now().Add(-time.Second)})
		r.process(j.ID, "")
		if got := r.get(j.ID); got.State != Expired || r.version() != "1 ii " {
			t.Errorf("%s because %s, %s", got.State, got.Because, r.version())
		}
	})
	t.Run("called security by its server alone", func(t *testing.T) {
		r := first.copy(t)
		r.write("/etc/redflag/policy.toml", "allow = \"security\"\n", 0o644)
		plan, err := aptSource().Plan(t.Context(), r.m, fleet.Selection{All: true})
		if err != nil {
			t.Fatal(err)
		}
		plan.Changes[0].Security, plan.Changes[0].Automatic = true, true
		j, err := New(r.m, Job{Plan: plan, Order: "7"})
		if err != nil {
			t.Fatal(err)
		}
		r.process(j.ID, "")
		if got := r.get(j.ID); got.State != Failed || !strings.Contains(got.Because, "install what is not for security: upgrade toy 1 → 2") || r.version() != "1 ii " {
			t.Errorf("%s because %s, %s", got.State, got.Because, r.version())
		}
	})
	t.Run("held while another is at work", func(t *testing.T) {
		r := first.copy(t)
		j := r.approve(Job{})
		held, err := take(r.m)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan int)
		go func() { done <- r.process(j.ID, "") }()
		for r.get(j.ID).State != Held {
			time.Sleep(20 * time.Millisecond)
		}
		held.Close()
		if code := <-done; code != 0 || r.get(j.ID).State != Succeeded {
			t.Errorf("exit code %d: %+v", code, r.get(j.ID))
		}
	})
	t.Run("a full disk", func(t *testing.T) {
		r := first.copy(t)
		r.fill()
		plan, err := aptSource().Plan(t.Context(), r.m, fleet.Selection{All: true})
		if err != nil {
			t.Fatal(err)
		}
		if j, err := New(r.m, Job{Plan: plan}); err == nil {
			t.Errorf("it is written down where there is no room: %+v", j)
		}
		if list, err := List(r.m); err != nil || len(list) != 0 || r.version() != "1 ii " {
			t.Errorf("%v, %v, %s", list, err, r.version())
		}
	})
}

// proc gives the root a view of what runs.
func (r *root) proc() {
	r.Helper()
	dir := r.m.Path("/proc")
	if out, err := exec.CommandContext(r.Context(), "mount", "-t", "proc", "proc", dir).CombinedOutput(); err != nil {
		r.Fatalf("%v: %s", err, out)
	}
	r.Cleanup(func() { _ = exec.CommandContext(context.Background(), "umount", "-l", dir).Run() })
}

// fill leaves no room where jobs are written down.
func (r *root) fill() {
	r.Helper()
	dir := r.m.Path(Dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.Fatal(err)
	}
	if out, err := exec.CommandContext(r.Context(), "mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", dir).CombinedOutput(); err != nil {
		r.Fatalf("%v: %s", err, out)
	}
	r.Cleanup(func() { _ = exec.CommandContext(context.Background(), "umount", "-l", dir).Run() })
	for i := 0; os.WriteFile(filepath.Join(dir, fmt.Sprint("full", i)), make([]byte, 4096), 0o600) == nil; i++ {
	}
}

// folder is a machine that is nothing but a folder.
func folder(t *testing.T) *machine.Machine {
	t.Helper()
	return &machine.Machine{Root: t.TempDir(), Runner: machine.Exec{}, Now: time.Now}
}

func TestJobsAreInTheirOrderWhateverTheClockDoesAndTheOldestAreForgotten(t *testing.T) {
	m := folder(t)
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	m.Now = func() time.Time { now = now.Add(-time.Hour); return now } // it goes back and back
	var last ID
	for n := range maxJobs + 5 {
		j, err := New(m, Job{Plan: fleet.Plan{Source: "apt"}})
		if err != nil || j.ID <= last {
			t.Fatalf("job %d: %s after %s, %v", n, j.ID, last, err)
		}
		if n > 0 { // the first one stays at work
			if err := j.end(m, nil, Failed, errors.New("no")); err != nil {
				t.Fatal(err)
			}
		}
		last = j.ID
	}
	list, err := List(m)
	if err != nil || len(list) != maxJobs+1 || list[0].ID != last || list[len(list)-1].State != Approved {
		t.Errorf("%d jobs, %v", len(list), err)
	}
}
