package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/machine"
	"redflag/internal/policy"
	"redflag/internal/source"
	"redflag/internal/wire"
)

// Worker does what changes the host, as far as its policy lets a server ask for it.
type Worker struct {
	Machine *machine.Machine
	// Installers gives the sources that can install on the machine now.
	Installers func() []source.Installer
	// Begin starts the process that carries a job out, which neither this agent's end nor its upgrade ends.
	Begin func(ctx context.Context, id job.ID) error
}

// plan says what an installation would do.
func (w *Worker) plan(ctx context.Context, o wire.Planning) (*wire.Answer, error) {
	p, err := policy.Load(w.Machine)
	if err == nil {
		err = p.MayPlan()
	}
	if err != nil {
		return nil, err
	}
	answer := &wire.Answer{Plans: []fleet.Plan{}, Jobs: []wire.Job{}}
	var problems []error
	for _, i := range w.Installers() {
		plan, err := i.Plan(ctx, w.Machine, o.Selection)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if len(plan.Changes) > 0 || len(plan.Warnings) > 0 {
			answer.Plans = append(answer.Plans, plan)
		}
	}
	if len(problems) > 0 && (len(answer.Plans) == 0 || len(o.Selection.Names) == 0) {
		return nil, errors.Join(problems...)
	}
	return answer, nil
}

// install carries the plans of an order out, one after the other, each once whatever happens meanwhile: a job that knows the order is the order's.
func (w *Worker) install(ctx context.Context, id wire.OrderID, expires time.Time, o wire.Install) (*wire.Answer, error) {
	answer := &wire.Answer{Plans: []fleet.Plan{}, Jobs: []wire.Job{}}
	for _, plan := range o.Plans {
		j, err := w.job(id, expires, plan)
		if err != nil {
			return answer, err
		}
		if j, err = w.await(ctx, j); err != nil {
			return answer, err
		}
		answer.Jobs = append(answer.Jobs, told(j))
		if j.State != job.Succeeded {
			return answer, &fleet.Unknown{Because: fmt.Sprintf("%s: %s", plan.Source, j.Because), Remedy: j.Remedy}
		}
	}
	return answer, nil
}

// job gives the order's job for a plan. It is written down, if it is not yet, once the policy allows it.
func (w *Worker) job(id wire.OrderID, expires time.Time, plan fleet.Plan) (job.Job, error) {
	order := strconv.FormatInt(int64(id), 10)
	list, err := job.List(w.Machine)
	if err != nil {
		return job.Job{}, err
	}
	if i := slices.IndexFunc(list, func(j job.Job) bool { return j.Order == order && j.Plan.Source == plan.Source }); i >= 0 {
		if list[i].Digest != plan.Digest() {
			return job.Job{}, errors.New("the order has another plan than before")
		}
		return list[i], nil
	}
	p, err := policy.Load(w.Machine)
	if err == nil {
		err = p.MayInstall(plan, w.Machine.Now())
	}
	switch {
	case err != nil:
		return job.Job{}, err
	case !w.Machine.Now().Before(expires):
		return job.Job{}, &fleet.Unknown{Because: "the order has expired before it was begun"}
	}
	return job.New(w.Machine, job.Job{Plan: plan, CreatedBy: "the server", Order: order})
}

const (
	// lookEvery is how often a job is looked at.
	lookEvery = 300 * time.Millisecond
	// beginAgain is after how long a job that nobody has begun is begun once more: whoever was to may have been killed.
	beginAgain = 2 * time.Minute
)

// await begins a job, and waits until it has ended. Where ctx ends the job goes on, and is found again.
func (w *Worker) await(ctx context.Context, j job.Job) (job.Job, error) {
	var begun time.Time
	for {
		var err error
		switch {
		case j.State.Ended():
			return j, nil
		case j.State == job.Approved && time.Since(begun) > beginAgain:
			err, begun = w.Begin(ctx, j.ID), time.Now()
		default:
			err = job.Recover(ctx, w.Machine, w.Installers())
		}
		if err != nil {
			return j, err
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return j, ctx.Err()
		}
		if j, err = job.Get(w.Machine, j.ID); err != nil {
			return j, err
		}
	}
}

// told is a job as the server gets it.
func told(j job.Job) wire.Job {
	t := wire.Job{ID: string(j.ID), Source: j.Plan.Source, State: string(j.State), Outcome: fleet.NewOutcome()}
	if j.Outcome != nil {
		t.Outcome = *j.Outcome
	}
	return t
}
