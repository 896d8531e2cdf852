package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// lockFile is held by whoever is at work: this process, and the tools that it has begun, which go on if it is killed.
const lockFile = "lock"

// lockPatience is how long a job waits for another one.
const lockPatience = 10 * time.Minute

// lock waits until nobody is at work.
func lock(ctx context.Context, m *machine.Machine, patience time.Duration) (io.Closer, error) {
	deadline := time.Now().Add(patience)
	for {
		l, err := machine.Lock(m.Path(path.Join(Dir, lockFile)))
		if !errors.Is(err, machine.ErrLocked) || time.Now().After(deadline) {
			return l, err
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Run carries an approved job out, to its end. While it fetches, the end of ctx cancels it; after that nothing does. It is called once for a job: one
// that has begun is settled, and never begun again.
func Run(ctx context.Context, m *machine.Machine, id ID, installers []source.Installer) error {
	held, err := lock(ctx, m, lockPatience)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	defer held.Close()
	j, err := read(m, id)
	if err != nil {
		return err
	}
	installer, err := of(installers, j.Plan.Source)
	if err != nil {
		return errors.Join(err, j.end(ctx, m, nil, Failed, err))
	}
	log, err := os.OpenFile(m.Path(id.Log()), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	w := source.Work{Dir: id.dir(), Log: log}
	if f, ok := held.(*os.File); ok {
		w.Held = []*os.File{f}
	}
	switch {
	case j.State.Ended():
		return nil
	case j.State != Approved:
		return j.settle(ctx, m, installer, w)
	}
	return j.run(ctx, m, installer, w)
}

func (j *Job) run(ctx context.Context, m *machine.Machine, installer source.Installer, w source.Work) error {
	certain := context.WithoutCancel(ctx)
	j.State, j.PID = Fetching, os.Getpid()
	if err := j.save(m); err != nil {
		return err
	}
	if err := installer.Fetch(ctx, m, j.Plan, w); err != nil {
		if ctx.Err() != nil {
			return j.end(certain, m, nil, Cancelled, &fleet.Unknown{Because: "it was cancelled before it changed anything"})
		}
		return j.end(certain, m, nil, Failed, err)
	}
	now, err := installer.Plan(ctx, m, j.Plan.Selection)
	switch {
	case ctx.Err() != nil:
		return j.end(certain, m, nil, Cancelled, &fleet.Unknown{Because: "it was cancelled before it changed anything"})
	case err != nil:
		return j.end(certain, m, nil, Failed, err)
	case now.Digest() != j.Digest:
		return j.end(certain, m, nil, Failed, &fleet.Unknown{
			Because: "what it would do now is not what was approved: " + strings.Join(j.Plan.Differences(now), "; "), Remedy: "plan again, and approve what is planned now",
		})
	}
	j.State = Running
	if err := j.save(m); err != nil { // on the disk before anything is touched
		return err
	}
	o, err := installer.Apply(certain, m, j.Plan, w)
	if err != nil {
		return j.end(certain, m, nil, Failed, err)
	}
	return j.end(certain, m, &o, stateOf(o), nil)
}

// settle ends a job that somebody began and did not end: by what is there.
func (j *Job) settle(ctx context.Context, m *machine.Machine, installer source.Installer, w source.Work) error {
	if j.State == Fetching {
		return j.end(ctx, m, nil, Cancelled, &fleet.Unknown{Because: "it was ended before it changed anything"})
	}
	o, err := installer.Settle(ctx, m, j.Plan, w)
	if err != nil {
		return j.end(ctx, m, nil, Unknown, err)
	}
	return j.end(ctx, m, &o, stateOf(o), nil)
}

// Recover settles the jobs that nobody is at any more, if nobody is at work. It begins none.
func Recover(ctx context.Context, m *machine.Machine, installers []source.Installer) error {
	list, err := List(m)
	if err != nil {
		return err
	}
	var problems []error
	for _, j := range list {
		if j.State != Fetching && j.State != Running {
			continue
		}
		held, err := lock(ctx, m, 0)
		if err != nil {
			return nil //nolint:nilerr // somebody is at work, and will end it
		}
		installer, err := of(installers, j.Plan.Source)
		if err == nil {
			err = j.settle(ctx, m, installer, source.Work{Dir: j.ID.dir()})
		}
		problems = append(problems, err, held.Close())
	}
	return errors.Join(problems...)
}

func of(installers []source.Installer, name string) (source.Installer, error) {
	for _, i := range installers {
		if i.Name() == name {
			return i, nil
		}
	}
	return nil, &fleet.Unknown{Because: fmt.Sprintf("%s installs nothing here", fleet.Plain(name))}
}

// Undo plans the way back from a job.
func Undo(ctx context.Context, m *machine.Machine, j Job, installers []source.Installer) (fleet.Plan, error) {
	installer, err := of(installers, j.Plan.Source)
	if err != nil {
		return fleet.Plan{}, err
	}
	if !j.State.Ended() || j.Outcome == nil {
		return fleet.Plan{}, &fleet.Unknown{Because: fmt.Sprintf("the job %s has changed nothing that could be undone", j.ID)}
	}
	sel, err := installer.Undo(m, j.Plan, *j.Outcome, source.Work{Dir: j.ID.dir()})
	if err != nil {
		return fleet.Plan{}, err
	}
	return installer.Plan(ctx, m, sel)
}

// Repair lets a source finish what was interrupted, as a job of its own.
func Repair(ctx context.Context, m *machine.Machine, r source.Repairer, by string) (Job, error) {
	held, err := lock(ctx, m, 0)
	if err != nil {
		return Job{}, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	defer held.Close()
	j, err := New(m, Job{Plan: fleet.Plan{Source: r.Name(), Changes: []fleet.Change{}}, CreatedBy: by})
	if err != nil {
		return j, err
	}
	log, err := os.OpenFile(m.Path(j.ID.Log()), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return j, err
	}
	defer log.Close()
	j.State = Running
	if err := j.save(m); err != nil {
		return j, err
	}
	o, err := r.Repair(ctx, m, source.Work{Dir: j.ID.dir(), Log: log})
	if err != nil {
		return j, errors.Join(err, j.end(ctx, m, nil, Failed, err))
	}
	return j, j.end(ctx, m, &o, stateOf(o), nil)
}

// AtWork names the job that somebody is at; empty where nobody is.
func AtWork(m *machine.Machine) ID {
	list, err := List(m)
	if err != nil {
		return ""
	}
	for _, j := range list {
		if j.State != Fetching && j.State != Running {
			continue
		}
		if held, err := lock(context.Background(), m, 0); errors.Is(err, machine.ErrLocked) {
			return j.ID
		} else if err == nil {
			_ = held.Close() // nobody is, and it will be settled
		}
	}
	return ""
}
