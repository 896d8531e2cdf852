package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// act does what is no installation. It is written down before: what is killed in the middle is told so, and not done again.
func (r runner) act(ctx context.Context, j *Job, w source.Work) error {
	if j.cancelled(r.m) {
		return j.end(r.m, nil, Cancelled, errCancelled)
	}
	j.State, j.PID, j.Because = Running, os.Getpid(), ""
	if err := j.save(r.m); err != nil {
		return err
	}
	r.at("running")
	o := fleet.NewOutcome()
	var err error
	switch j.Kind {
	case ToRepair:
		o, err = r.repair(ctx, j, w)
	case ToHold, ToUnhold:
		err = r.hold(ctx, j)
	case ToRestart:
		err = r.restart(ctx, j, &o, w)
	case ToReboot:
		return r.reboot(ctx, j, o, w)
	default:
		err = &fleet.Unknown{Because: fmt.Sprintf("this program does not know how to %q: it is older than what asked for it", fleet.Plain(string(j.Kind)))}
	}
	r.at("done")
	if err != nil {
		return j.end(r.m, nil, Failed, err)
	}
	r.verify(ctx, j, &o)
	return j.end(r.m, &o, stateOf(o), nil)
}

// repair lets the sources finish what was interrupted.
func (r runner) repair(ctx context.Context, j *Job, w source.Work) (fleet.Outcome, error) {
	i, err := r.repairer(j)
	if err != nil {
		return fleet.Outcome{}, err
	}
	return i.(source.Repairer).Repair(ctx, r.m, w) //nolint:forcetypeassert // see repairer
}

// repairer gives the source that a repair is of: the one that the job names, or the first that repairs.
func (r runner) repairer(j *Job) (source.Installer, error) {
	for _, i := range r.installers {
		if _, ok := i.(source.Repairer); ok && (j.Plan.Source == "" || j.Plan.Source == i.Name()) {
			return i, nil
		}
	}
	return nil, &fleet.Unknown{Because: "no source on this machine needs repair"}
}

// Repair lets a source finish what was interrupted, in this process, as a job of its own.
func Repair(ctx context.Context, m *machine.Machine, p source.Repairer, by string) (Job, error) {
	held, err := take(m)
	if err != nil {
		return Job{}, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	defer held.Close()
	installer, ok := p.(source.Installer)
	if !ok {
		return Job{}, fmt.Errorf("%s repairs, and installs nothing", p.Name())
	}
	j, err := New(m, Job{Kind: ToRepair, Plan: fleet.NewPlan(p.Name(), fleet.Selection{}, m.Now()), CreatedBy: by})
	if err != nil {
		return j, err
	}
	log, err := os.OpenFile(m.Path(j.ID.Log()), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return j, errors.Join(err, j.end(m, nil, Failed, err))
	}
	defer log.Close()
	r := runner{m, []source.Installer{installer}, func(string) {}}
	err = r.act(ctx, &j, source.Work{Dir: j.ID.dir(), Log: log})
	return j, err
}

// hold holds packages, or lets go of them.
func (r runner) hold(ctx context.Context, j *Job) error {
	holders, err := source.Holders(r.installers)
	if err != nil {
		return err
	}
	return source.HoldEach(ctx, r.m, holders, j.Names, j.Kind == ToHold)
}

// restart restarts services, and says which.
func (r runner) restart(ctx context.Context, j *Job, o *fleet.Outcome, w source.Work) error {
	names := j.Names
	if len(names) == 0 {
		names = restartable(machine.Facts(ctx, r.m).Restart)
	}
	if len(names) == 0 {
		return nil
	}
	fmt.Fprintf(w.Log, "# restart %s\n", strings.Join(names, " "))
	restarted, err := r.m.RestartServices(ctx, names)
	o.Restarted = append(o.Restarted, restarted...)
	if err != nil && len(restarted) > 0 {
		o.Because, o.Remedy = fleet.Explain(err)
		return nil
	}
	return err
}

// restartable are the services that run replaced files and may be restarted unasked.
func restartable(f fleet.Restart) []string {
	names := []string{}
	for _, s := range f.Services {
		if s.Kind == "unit" && machine.MayRestart(s.Name) == "" {
			names = append(names, s.Name)
		}
	}
	return names
}

// rebootPatience is how long a machine may take to go down: services that do not end are killed after 90 s, one after the other in the worst case.
const rebootPatience = 15 * time.Minute

// rebootGrace lets an agent that watches the job tell its server that the host goes down.
const rebootGrace = 3 * time.Second

// reboot writes down that the machine is told to reboot, and tells it. The job ends when it is back.
func (r runner) reboot(ctx context.Context, j *Job, o fleet.Outcome, w source.Work) error {
	if r.facts(ctx, &o); j.IfNeeded && o.Reboot.Needed != fleet.Needed {
		if o.Reboot.Needed == fleet.NotNeeded {
			return j.end(r.m, &o, Succeeded, nil)
		}
		return j.end(r.m, &o, Failed, &fleet.Unknown{
			Because: "whether a reboot is needed is not known: " + strings.Join(o.Reboot.Because, "; "), Remedy: "look at the host, or have it rebooted whether it needs that or not",
		})
	}
	j.State, j.Boot, j.Uptime, j.PID, j.Outcome = Rebooting, r.m.BootID(), r.m.Uptime(), 0, &o
	if j.Boot == "" {
		return j.end(r.m, &o, Failed, &fleet.Unknown{Because: "this machine's boots cannot be told apart, so nobody could say that it has come back", Remedy: "reboot it by hand"})
	}
	if err := r.noteServices(ctx, j); err != nil {
		return j.end(r.m, &o, Failed, err)
	}
	if err := j.save(r.m); err != nil { // on the disk before it goes down
		return err
	}
	r.at("rebooting")
	fmt.Fprintf(w.Log, "# reboot\n")
	time.Sleep(rebootGrace)
	if err := r.m.Reboot(ctx); err != nil {
		r.facts(ctx, &o)
		return j.end(r.m, &o, Failed, err)
	}
	return nil
}

// awoken ends a job that was waiting for a boot.
func (r runner) awoken(ctx context.Context, j *Job) error {
	o := fleet.NewOutcome()
	if j.Outcome != nil {
		o = *j.Outcome
	}
	if r.m.BootID() == j.Boot {
		r.facts(ctx, &o)
		return j.end(r.m, &o, Failed, &fleet.Unknown{
			Because: fmt.Sprintf("the machine was told to reboot, and has not gone down within %s", rebootPatience), Remedy: "see what keeps it: systemctl list-jobs",
		})
	}
	o.Rebooted = true
	r.verify(ctx, j, &o)
	return j.end(r.m, &o, stateOf(o), nil)
}
