package pacman

import (
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/source"
)

func TestAJobCarriesAPlanOutAndAnotherTakesItBack(t *testing.T) {
	l := newLab(t)
	l.refresh()
	m, installers := l.Machine(), []source.Installer{quick()}
	was := l.installed()
	carryOut := func(p fleet.Plan, undoes job.ID) job.Job {
		t.Helper()
		j, err := job.New(m, job.Job{Plan: p, CreatedBy: "a test", Undoes: undoes})
		if err != nil {
			t.Fatal(err)
		}
		if err := job.Run(t.Context(), m, j.ID, installers); err != nil {
			t.Fatal(err)
		}
		if j, err = job.Get(m, j.ID); err != nil || j.State != job.Succeeded {
			t.Fatalf("%s: %s, %v", j.State, j.Because, err)
		}
		return j
	}
	done := carryOut(l.Plan(quick(), fleet.Selection{All: true}), "")
	back, err := job.Undo(t.Context(), m, done, installers)
	if err != nil {
		t.Fatal(err)
	}
	carryOut(back, done.ID)
	if got := l.installed(); got != was {
		t.Errorf("after the undo:\n%s\nwant:\n%s", got, was)
	}
}
