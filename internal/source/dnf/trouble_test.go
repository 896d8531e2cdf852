package dnf

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source/rpm/rpmtest"
	"redflag/internal/source/sourcetest"
)

func TestFailuresAreToldAsTheyAre(t *testing.T) {
	l := newLab(t, "toy-post-*", "toy-pre-*", "toy-conf-*")
	s := quick()
	o := l.CarryOut(s, l.Plan(s, fleet.Selection{Names: []string{"toy-post"}}), l.Work())
	if o.Succeeded() || len(o.Missing) > 0 || !slices.Equal(o.HalfDone, []string{"toy-post"}) || !strings.Contains(o.Because, "the %post script of toy-post failed; its files are installed all the same") {
		t.Errorf("a script that fails afterwards: %+v", o)
	}
	w := l.Work()
	o = l.CarryOut(s, l.Plan(s, fleet.Selection{Names: []string{"toy-pre", "toy-conf"}}), w)
	if o.Succeeded() || sourcetest.Lines(o.Missing) != "upgrade toy-pre.noarch 1.0-1.el9 → 2.0-1.el9" || !strings.Contains(o.Because, "the %pre script of toy-pre failed") {
		t.Errorf("a script that fails before: %+v\n%s", o, l.Said(w))
	}
	if got := l.Installed("toy-pre", "toy-conf"); got != "toy-conf-2.0-1.el9.noarch toy-pre-1.0-1.el9.noarch" {
		t.Error(got)
	}
}

func TestALockIsWaitedForAndTold(t *testing.T) {
	l := newLab(t, "toy-conf-*")
	s := quick()
	p := l.Plan(s, fleet.Selection{All: true})
	holder := exec.CommandContext(context.Background(), "chroot", l.Root, "sh", "-c", "echo $$ >/var/lib/dnf/rpmdb_lock.pid; echo held; read x")
	stdin, _ := holder.StdinPipe()
	stdout, _ := holder.StdoutPipe()
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = stdout.Read(make([]byte, 5))
	w := l.Work()
	o := l.CarryOut(s, p, w)
	if len(o.Done) > 0 || !strings.Contains(o.Because, "is at work on the packages") {
		t.Errorf("%+v\n%s", o, l.Said(w))
	}
	done := make(chan fleet.Outcome, 1)
	patient := Source{LockWait: time.Hour}
	go func() { done <- l.CarryOut(patient, p, l.Work()) }()
	stdin.Close()
	_ = holder.Wait()
	if o := <-done; !o.Succeeded() {
		t.Errorf("%+v", o)
	}
}

func TestWhatWasKilledIsToldByWhatIsThere(t *testing.T) {
	l := newLab(t, "toy-slow-*", "toy-conf-*")
	s := quick()
	p := l.Plan(s, fleet.Selection{All: true})
	w := l.Work()
	if o, err := s.Settle(context.Background(), l.Machine(), p, w); err != nil || len(o.Missing) != 2 || !strings.Contains(o.Because, "before it began") {
		t.Errorf("before: %+v, %v", o, err)
	}
	if err := s.Fetch(context.Background(), l.Machine(), p, w); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = s.Apply(context.Background(), l.Machine(), p, w) // what it says is not what this is about
	}()
	for {
		if _, err := os.Stat(l.Path("/tmp/slow-began")); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	kill(l)
	<-done
	l.Write("/tmp/slow-ends", "")
	if err := os.Remove(l.Path(filepath.Join(w.Dir, "code"))); err != nil {
		t.Fatal(err)
	}
	o, err := s.Settle(context.Background(), l.Machine(), p, w)
	if err != nil || o.Succeeded() || len(o.HalfDone) == 0 || !strings.Contains(o.Remedy, "redflag repair") {
		t.Fatalf("after: %+v, %v\n%s", o, err, l.Everything())
	}
	l.Refused(s, fleet.Selection{All: true}, "an installation was interrupted")
	if o, err := s.Repair(context.Background(), l.Machine(), l.Work()); err != nil || !o.Succeeded() {
		t.Errorf("repair: %+v, %v", o, err)
	}
	l.Succeeds(s, l.Plan(s, fleet.Selection{All: true}))
}

func kill(l *rpmtest.Lab) {
	l.Helper()
	found, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range found {
		root, _ := os.Readlink(dir + "/root")
		line, _ := os.ReadFile(dir + "/cmdline")
		if root == l.Root && strings.Contains(string(line), "redflag.py") || root == l.Root && strings.Contains(string(line), "request.json") {
			_ = exec.CommandContext(context.Background(), "kill", "-KILL", filepath.Base(dir)).Run()
		}
	}
}
