package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/policy"
	"redflag/internal/source"
)

// lockFile is held by whoever is at work: this process, and the tools that it has begun, which go on if it is killed.
const lockFile = "lock"

func take(m *machine.Machine) (io.Closer, error) {
	return machine.Lock(m.Path(path.Join(Dir, lockFile)))
}

// runner carries jobs out.
type runner struct {
	m          *machine.Machine
	installers []source.Installer
	// at is told what was just done; a test ends the process there.
	at func(step string)
}

// Run carries an approved job out, to its end. While it waits and fetches, the end of ctx cancels it; after that nothing does. However often it
// is called for a job, that is begun once: one that was begun by a process that is gone is settled.
func Run(ctx context.Context, m *machine.Machine, id ID, installers []source.Installer) error {
	r := runner{m, installers, func(string) {}}
	return r.run(ctx, id)
}

func (r runner) run(ctx context.Context, id ID) error {
	held, err := r.wait(ctx, id)
	if err != nil || held == nil {
		return err
	}
	defer held.Close()
	r.at("lock")
	j, err := read(r.m, id)
	if err != nil || j.State.Ended() || j.State == Rebooting && !Abandoned(r.m, j) {
		return err
	}
	if j.State != Approved && j.State != Held {
		return r.settle(ctx, &j)
	}
	log, err := os.OpenFile(r.m.Path(id.Log()), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	defer watch(log)()
	w := source.Work{Dir: id.dir(), Log: log}
	if f, ok := held.(*os.File); ok {
		w.Held = []*os.File{f}
	}
	switch {
	case j.late(r.m):
		return j.end(r.m, nil, Expired, &fleet.Unknown{Because: "it could not begin before it expired"})
	case j.Kind == ToInstall:
		return r.install(ctx, &j, w)
	default:
		return r.act(context.WithoutCancel(ctx), &j, w)
	}
}

// lookEvery is how often it is looked whether another job has ended, or this one is cancelled.
const lookEvery = 300 * time.Millisecond

// wait takes the lock, as soon as nobody is at work. It gives none where the job has ended before.
func (r runner) wait(ctx context.Context, id ID) (io.Closer, error) {
	for {
		held, err := take(r.m)
		if !errors.Is(err, machine.ErrLocked) {
			return held, err
		}
		j, err := read(r.m, id)
		switch {
		case err != nil:
			return nil, err
		case j.State.Ended():
			return nil, nil
		case j.State != Approved && j.State != Held:
			return nil, fmt.Errorf("%w: it is at %s already", ErrBusy, id)
		case ctx.Err() != nil || j.cancelled(r.m):
			return nil, j.end(r.m, nil, Cancelled, errCancelled)
		case j.late(r.m):
			return nil, j.end(r.m, nil, Expired, &fleet.Unknown{Because: "it could not begin before it expired: another job was at work"})
		case j.State == Approved:
			j.State, j.Because = Held, "another job is at work on this machine"
			if err := j.save(r.m); err != nil {
				return nil, err
			}
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
		}
	}
}

// late says whether it is too late to begin.
func (j *Job) late(m *machine.Machine) bool {
	return !j.ExpiresAt.IsZero() && !m.Now().Before(j.ExpiresAt)
}

var errCancelled = &fleet.Unknown{Because: "it was cancelled before it changed anything"}

// cancelFile asks for a job to be cancelled.
const cancelFile = "cancel"

// Cancel asks for a job to be ended, which it is if it has not begun to change the machine.
func Cancel(m *machine.Machine, id ID) error {
	return machine.WriteFile(m.Path(path.Join(id.dir(), cancelFile)), nil, 0o600)
}

func (j *Job) cancelled(m *machine.Machine) bool {
	_, err := m.Stat(path.Join(j.ID.dir(), cancelFile))
	return err == nil
}

// untilCancelled gives a context that ends when the job is cancelled.
func (r runner) untilCancelled(ctx context.Context, j *Job) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	if j.cancelled(r.m) {
		stop()
	}
	go func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(lookEvery):
				if j.cancelled(r.m) {
					stop()
				}
			}
		}
	}()
	return ctx, stop
}

// install carries a plan out.
func (r runner) install(ctx context.Context, j *Job, w source.Work) error {
	installer, err := of(r.installers, j.Plan.Source)
	if err != nil {
		return errors.Join(err, j.end(r.m, nil, Failed, err))
	}
	certain := context.WithoutCancel(ctx)
	j.State, j.PID, j.Because = Fetching, os.Getpid(), ""
	if err := j.save(r.m); err != nil {
		return err
	}
	r.at("fetching")
	if err := r.prepare(ctx, j, installer, w); err != nil {
		if errors.Is(err, errCancelled) {
			return j.end(r.m, nil, Cancelled, errCancelled)
		}
		return j.end(r.m, nil, Failed, err)
	}
	r.at("fetched")
	if err := r.noteServices(certain, j); err != nil {
		return j.end(r.m, nil, Failed, err)
	}
	j.State = Running
	if err := j.save(r.m); err != nil { // on the disk before anything is touched
		return err
	}
	r.at("running")
	o, err := installer.Apply(certain, r.m, j.Plan, w)
	if err != nil {
		return j.end(r.m, nil, Failed, err)
	}
	r.at("applied")
	return r.finish(certain, j, o, w)
}

// prepare downloads, and plans again: what would be done is still what was approved, and allowed by what this host says of it, not by what the server has sent.
func (r runner) prepare(ctx context.Context, j *Job, installer source.Installer, w source.Work) error {
	ctx, stop := r.untilCancelled(ctx, j)
	defer stop()
	err := installer.Fetch(ctx, r.m, j.Plan, w)
	if ctx.Err() != nil {
		return errCancelled
	}
	if err != nil {
		return err
	}
	now, err := installer.Plan(ctx, r.m, j.Plan.Selection)
	switch {
	case ctx.Err() != nil:
		return errCancelled
	case err != nil:
		return err
	case now.Digest() != j.Digest:
		return &fleet.Unknown{
			Because: "what it would do now is not what was approved: " + strings.Join(j.Plan.Differences(now), "; "), Remedy: "plan again, and approve what is planned now",
		}
	case j.Order != "":
		return policy.Load(r.m).MayInstall(now, r.m.Now())
	}
	return nil
}

// settle ends a job that somebody began and did not end: by what is there. It does nothing that the job has left undone.
func (r runner) settle(ctx context.Context, j *Job) error {
	switch {
	case j.State == Fetching:
		return j.end(r.m, nil, Cancelled, &fleet.Unknown{Because: "it was ended before it changed anything"})
	case j.State == Rebooting:
		return r.awoken(ctx, j)
	case j.Kind == ToInstall:
	case j.Kind == ToRepair:
	default:
		return j.end(r.m, j.Outcome, Unknown, &fleet.Unknown{Because: "it was ended while it was at it, and whether it came to its end cannot be told", Remedy: "look at the host, and ask for it again if need be"})
	}
	o, err := r.outcome(ctx, j)
	if err != nil {
		return j.end(r.m, nil, Unknown, err)
	}
	r.verify(ctx, j, &o)
	return j.end(r.m, &o, stateOf(o), nil)
}

// outcome asks the source what became of a job that was not ended by who began it.
func (r runner) outcome(ctx context.Context, j *Job) (fleet.Outcome, error) {
	if j.Outcome != nil {
		return *j.Outcome, nil // it was done, and what came after that was not ended
	}
	installer, err := of(r.installers, j.Plan.Source)
	if j.Kind == ToRepair {
		installer, err = r.repairer(j)
	}
	if err != nil {
		return fleet.Outcome{}, err
	}
	w := source.Work{Dir: j.ID.dir()}
	if log, err := os.OpenFile(r.m.Path(j.ID.Log()), os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		defer log.Close()
		w.Log = log
	}
	return installer.Settle(ctx, r.m, j.Plan, w)
}

// Recover settles the jobs that nobody is at any more, if nobody is at work. It begins none.
func Recover(ctx context.Context, m *machine.Machine, installers []source.Installer) error {
	list, err := List(m)
	if err != nil {
		return err
	}
	r := runner{m, installers, func(string) {}}
	var problems []error
	for _, j := range list {
		if !Abandoned(m, j) {
			continue
		}
		held, err := take(m)
		if errors.Is(err, machine.ErrLocked) {
			return nil // somebody has begun since, and will end it
		}
		if err != nil {
			return err
		}
		was := j.State
		if j, err = read(m, j.ID); err == nil && j.State == was { // nobody has ended it meanwhile
			err = r.settle(ctx, &j)
		}
		problems = append(problems, err, held.Close())
	}
	return errors.Join(problems...)
}

// Abandoned says whether a job was begun, and nobody is at it any more: it is to be settled. One that waits for a boot is so when the machine has
// booted, or does not.
func Abandoned(m *machine.Machine, j Job) bool {
	switch j.State {
	case Rebooting:
		return m.BootID() != j.Boot || m.Uptime()-j.Uptime > rebootPatience.Seconds()
	case Fetching, Running:
		return !Busy(m)
	}
	return false
}

// Busy says whether somebody is at work: this program, or a tool that it has begun.
func Busy(m *machine.Machine) bool {
	if _, err := m.Stat(path.Join(Dir, lockFile)); errors.Is(err, fs.ErrNotExist) {
		return false
	}
	held, err := take(m)
	if err == nil {
		_ = held.Close() // it is ours for a moment, and empty
	}
	return errors.Is(err, machine.ErrLocked)
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

// AtWork names the job that somebody is at; empty where nobody is.
func AtWork(m *machine.Machine) ID {
	list, err := List(m)
	if err != nil || !Busy(m) {
		return ""
	}
	for _, j := range list {
		if j.State == Fetching || j.State == Running {
			return j.ID
		}
	}
	return ""
}
