package rpmtest

import (
	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/source"
)

// ThereAndBack carries a full upgrade out as a job does, and takes it back with another; in the end everything must be as it was. It gives the last step of the
// first job.
func (l *Lab) ThereAndBack(s source.Installer, state func() string) job.Step {
	l.Helper()
	m, installers := l.Machine(), []source.Installer{s}
	before := state()
	carryOut := func(p fleet.Plan, undoes job.ID) job.Job {
		l.Helper()
		j, err := job.New(m, job.Job{Plan: p, CreatedBy: "a test", Undoes: undoes})
		if err != nil {
			l.Fatal(err)
		}
		if err := job.Run(l.Context(), m, j.ID, installers); err != nil {
			l.Fatal(err)
		}
		if j, err = job.Get(m, j.ID); err != nil || j.State != job.Succeeded {
			l.Fatalf("%s: %s, %v", j.State, j.Because, err)
		}
		return j
	}
	done := carryOut(l.Plan(s, fleet.Selection{All: true}), "")
	back, err := job.Undo(l.Context(), m, done, installers)
	if err != nil {
		l.Fatal(err)
	}
	carryOut(back, done.ID)
	if got := state(); got != before {
		l.Errorf("after the undo:\n%s\nwant:\n%s", got, before)
	}
	return job.NewProgress(m, done.ID).Last()
}
