package rpmtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// LosesPower tries that an installation which ends in its middle, with all its programs, is told by what is there, and finished. It needs the old toy-slow and
// toy-conf. Programs are what the command lines of those programs have in them.
func (l *Lab) LosesPower(programs ...string) {
	l.Helper()
	s := l.kit.Source
	p := l.Plan(s, fleet.Selection{All: true})
	w := l.Work()
	if o, err := s.Settle(context.Background(), l.Machine(), p, w); err != nil || len(o.Missing) != 2 || !strings.Contains(o.Because, "before it began") {
		l.Errorf("before: %+v, %v", o, err)
	}
	if err := s.Fetch(context.Background(), l.Machine(), p, w); err != nil {
		l.Fatal(fleet.Explain(err))
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
		select {
		case <-done:
			l.Fatal("it ended before it had begun")
		case <-time.After(20 * time.Millisecond):
		}
	}
	l.kill(programs...)
	<-done
	l.Write("/tmp/slow-ends", "")
	if err := os.Remove(l.Path(filepath.Join(w.Dir, "code"))); err != nil {
		l.Fatal(err)
	}
	o, err := s.Settle(context.Background(), l.Machine(), p, w)
	if err != nil || o.Succeeded() || len(o.HalfDone) == 0 || !strings.Contains(o.Remedy, "redflag repair") {
		l.Fatalf("after: %+v, %v\n%s", o, err, l.Everything())
	}
	l.Refused(s, fleet.Selection{All: true}, "an installation was interrupted")
	if o, err := s.Repair(context.Background(), l.Machine(), l.Work()); err != nil || !o.Succeeded() {
		l.Errorf("repair: %+v, %v", o, err)
	}
	l.Succeeds(s, l.Plan(s, fleet.Selection{All: true}))
}

// kill ends what runs in the lab, as a machine that loses its power does.
func (l *Lab) kill(programs ...string) {
	l.Helper()
	found, _ := filepath.Glob("/proc/[0-9]*") // the pattern is ours
	for _, dir := range found {
		root, _ := os.Readlink(dir + "/root") // a process that has ended meanwhile has none
		line, _ := os.ReadFile(dir + "/cmdline")
		if root == l.Root && slices.ContainsFunc(programs, func(p string) bool { return strings.Contains(string(line), p) }) {
			_ = exec.CommandContext(context.Background(), "kill", "-KILL", filepath.Base(dir)).Run() // it may have ended by itself
		}
	}
}
