package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// servicesFile has the services that ran before a job.
const servicesFile = "services.json"

const (
	// maxServices bounds it: a machine has some hundred of 50 bytes.
	maxServices = 1 << 20
	// startPatience is how long services may take to run again that a package's script has restarted, or a boot has started.
	startPatience = 90 * time.Second
)

// noteServices writes down which services run before anything is touched. Where services cannot be told, nothing is written, and nothing verified.
func (r runner) noteServices(ctx context.Context, j *Job) error {
	running, err := r.m.RunningServices(ctx)
	if err != nil {
		return nil //nolint:nilerr // a machine without systemd: what stopped there cannot be told
	}
	data, err := json.Marshal(running)
	if err != nil {
		return err
	}
	return machine.WriteFile(r.m.Path(path.Join(j.ID.dir(), servicesFile)), data, 0o600)
}

// finish does what was approved for after the plan, and ends the job.
func (r runner) finish(ctx context.Context, j *Job, o fleet.Outcome, w source.Work) error {
	j.Outcome = &o
	if err := j.save(r.m); err != nil { // what was done is known from here on, whatever becomes of the rest
		return err
	}
	r.at("noted")
	r.verify(ctx, j, &o)
	if stateOf(o) != Succeeded {
		return j.end(r.m, &o, stateOf(o), nil)
	}
	if names := restartable(o.Restart); j.After.RestartServices && len(names) > 0 {
		fmt.Fprintf(w.Log, "# restart %s\n", strings.Join(names, " "))
		restarted, err := r.m.RestartServices(ctx, names)
		o.Restarted = append(o.Restarted, restarted...)
		if err != nil {
			o.Because, o.Remedy = fleet.Explain(err)
		}
		r.facts(ctx, &o)
	}
	r.at("restarted")
	if j.After.Reboot && o.Reboot.Needed == fleet.Needed && stateOf(o) == Succeeded {
		return r.reboot(ctx, j, o, w)
	}
	return j.end(r.m, &o, stateOf(o), nil)
}

// verify says which services ran before and do not run any more, and what the machine needs now.
func (r runner) verify(ctx context.Context, j *Job, o *fleet.Outcome) {
	r.facts(ctx, o)
	var before []string
	data, err := r.m.ReadFile(path.Join(j.ID.dir(), servicesFile), maxServices)
	if errors.Is(err, fs.ErrNotExist) || err != nil || json.Unmarshal(data, &before) != nil {
		return // nobody has looked before
	}
	for _, name := range r.stopped(ctx, before) {
		if !slices.Contains(o.Stopped, name) {
			o.Stopped = append(o.Stopped, name)
		}
	}
	if len(o.Stopped) > 0 && o.Because == "" {
		o.Because = "these ran before, and do not run any more: " + strings.Join(o.Stopped, ", ")
		o.Remedy = "see why: journalctl -u " + o.Stopped[0]
	}
}

// stopped gives those services that do not run, after they had time to.
func (r runner) stopped(ctx context.Context, before []string) []string {
	for began := time.Now(); ; {
		running, err := r.m.RunningServices(ctx)
		if err != nil {
			return nil
		}
		gone := slices.DeleteFunc(slices.Clone(before), func(name string) bool { return slices.Contains(running, name) || strings.HasPrefix(name, "redflag-") })
		if gone = r.meantToRun(ctx, gone); len(gone) == 0 || time.Since(began) > startPatience {
			return gone
		}
		if settled := r.atRest(ctx, gone); settled {
			return gone
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return gone
		}
	}
}

// meantToRun leaves out those whose unit is not there any more: they were removed, as planned.
func (r runner) meantToRun(ctx context.Context, names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return r.property(ctx, name, "LoadState") == "not-found" })
}

// atRest says whether none of the services is about to start.
func (r runner) atRest(ctx context.Context, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		state := r.property(ctx, name, "ActiveState")
		return state == "activating" || state == "reloading" || state == "deactivating"
	}) && r.started(ctx)
}

// started says whether the machine has started all that it starts.
func (r runner) started(ctx context.Context) bool {
	result, err := r.m.Run(ctx, machine.Command{Name: "systemctl", Args: []string{"is-system-running"}})
	said := strings.TrimSpace(string(result.Stdout))
	return err != nil || said != "initializing" && said != "starting"
}

func (r runner) property(ctx context.Context, unit, name string) string {
	result, err := r.m.Run(ctx, machine.Command{Name: "systemctl", Args: []string{"show", "--property=" + name, "--value", "--", unit}})
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(result.Stdout))
}

// facts says what the machine needs now.
func (r runner) facts(ctx context.Context, o *fleet.Outcome) {
	h := machine.Facts(ctx, r.m)
	o.Reboot, o.Restart = h.Reboot, h.Restart
}
