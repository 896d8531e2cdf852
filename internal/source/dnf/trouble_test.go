package dnf

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
)

func TestFailuresAreToldAsTheyAre(t *testing.T) {
	newLab(t, "toy-post-*", "toy-pre-*", "toy-conf-*").ToldToFail("toy-conf")
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
	newLab(t, "toy-slow-*", "toy-conf-*").LosesPower("request.json")
}
