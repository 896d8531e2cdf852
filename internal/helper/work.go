package helper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/policy"
	"redflag/internal/wire"
)

func later(err error) bool { return errors.Is(err, policy.ErrHours) }

// begin goes on with an order, beside all others.
func (h *Helper) begin(o *order) {
	h.work.Go(func() {
		state, answer, err := h.carryOut(h.ctx, o)
		if h.ctx.Err() != nil {
			return // who comes next goes on with it
		}
		h.end(o, state, answer, err)
	})
}

// end writes down what became of an order. Until that is on the disk it is not said to have ended.
func (h *Helper) end(o *order, state wire.State, answer *wire.Answer, err error) {
	because, remedy := "", ""
	if err != nil {
		because, remedy = fleet.Explain(err)
	}
	for h.ctx.Err() == nil {
		err := h.note(o, state, because, remedy, answer)
		if err == nil {
			return
		}
		h.Log.Error("what became of an order is not written down, and will be", "order", int64(o.Order), "err", err)
		select {
		case <-time.After(retryEvery):
		case <-h.ctx.Done():
		}
	}
}

// note changes the state of an order, on the disk first.
func (h *Helper) note(o *order, state wire.State, because, remedy string, answer *wire.Answer) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o.State == state && o.Because == because && answer == nil {
		return nil
	}
	e := o.entry
	e.State, e.Because, e.Remedy, e.At = state, because, remedy, h.Machine.Now().UTC()
	if answer != nil {
		e.Answer = answer
	}
	if err := h.save(e); err != nil {
		return err
	}
	o.entry = e
	return nil
}

const (
	// lookEvery is how often a job is looked at, and retryEvery how long to wait after what failed.
	lookEvery  = 300 * time.Millisecond
	retryEvery = 5 * time.Second
	// hoursEvery is how often the policy is asked whether its hours have come.
	hoursEvery = 2 * time.Second
	// beginAgain is after how long a job that nobody has begun is begun once more: whoever was to may have been killed.
	beginAgain = 30 * time.Second
)

var errCancelled = &fleet.Unknown{Because: "it was cancelled before it changed anything"}

// carryOut does what an order says.
func (h *Helper) carryOut(ctx context.Context, o *order) (wire.State, *wire.Answer, error) {
	switch w := o.what; {
	case w.Plan != nil:
		return h.plan(ctx, o)
	case w.Cancel != nil:
		err := h.cancelOrder(w.Cancel.Order, o.ExpiresAt)
		if err != nil {
			return wire.Failed, nil, err
		}
		return wire.Succeeded, nil, nil
	default:
		return h.change(ctx, o)
	}
}

// plan has it planned, by a process outside of the sandbox: registries are asked, and the jobs of an undo are root's.
func (h *Helper) plan(ctx context.Context, o *order) (wire.State, *wire.Answer, error) {
	if err := h.note(o, wire.Running, "", "", nil); err != nil {
		return wire.Failed, nil, err
	}
	input, err := json.Marshal(o.what.Plan)
	if err != nil {
		return wire.Failed, nil, err
	}
	ctx, stop := context.WithTimeout(ctx, planLimit)
	defer stop()
	go func() {
		select {
		case <-o.cancel:
			stop()
		case <-ctx.Done():
		}
	}()
	output, err := h.Outside(ctx, PlanCommand, input)
	switch {
	case o.isCancelled():
		return wire.Cancelled, nil, errCancelled
	case err != nil:
		return wire.Failed, nil, err
	}
	answer := &wire.Answer{}
	if err := json.Unmarshal(output, answer); err != nil {
		return wire.Failed, nil, fmt.Errorf("read the plan: %w", err)
	}
	return wire.Succeeded, answer, nil
}

func (o *order) isCancelled() bool {
	select {
	case <-o.cancel:
		return true
	default:
		return false
	}
}

// change does what changes the machine, one order at a time.
func (h *Helper) change(ctx context.Context, o *order) (wire.State, *wire.Answer, error) {
	if len(o.Jobs) == 0 {
		if err := h.find(o); err != nil {
			return wire.Failed, nil, err
		}
	}
	if state, err := h.takeTurn(ctx, o); err != nil {
		return state, nil, err
	}
	defer func() { <-h.turn }()
	answer := &wire.Answer{Plans: []fleet.Plan{}, Jobs: []wire.Job{}}
	for i, wanted := range h.jobsOf(o) {
		j, state, err := h.job(ctx, o, i, wanted)
		if err != nil {
			return state, answer, err
		}
		if j, err = h.await(ctx, o, j); err != nil {
			return wire.Lost, answer, err
		}
		answer.Jobs = append(answer.Jobs, told(j))
		if j.State != job.Succeeded {
			because := j.Because
			if j.Plan.Source != "" {
				because = j.Plan.Source + ": " + because
			}
			return stateOf(j), answer, &fleet.Unknown{Because: because, Remedy: j.Remedy}
		}
	}
	return wire.Succeeded, answer, nil
}

// takeTurn waits until no other order is at work.
func (h *Helper) takeTurn(ctx context.Context, o *order) (wire.State, error) {
	select {
	case h.turn <- struct{}{}:
		return "", nil
	default:
	}
	if len(o.Jobs) == 0 {
		if err := h.note(o, wire.Held, "another order is at work on this host", "", nil); err != nil {
			return wire.Failed, err
		}
	}
	var expired <-chan time.Time
	if len(o.Jobs) == 0 {
		timer := time.NewTimer(o.ExpiresAt.Sub(h.Machine.Now()))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case h.turn <- struct{}{}:
		return "", nil
	case <-expired:
		return wire.Expired, &fleet.Unknown{Because: "it could not begin before it expired: another order was at work"}
	case <-o.cancel:
		return wire.Cancelled, errCancelled
	case <-ctx.Done():
		return wire.Lost, ctx.Err()
	}
}

// await begins a job, and waits until it has ended. What is killed meanwhile is begun again if it had not begun, and settled if it had.
func (h *Helper) await(ctx context.Context, o *order, j job.Job) (job.Job, error) {
	var begun time.Time
	for {
		var err error
		switch {
		case j.State.Ended():
			return j, nil
		case o.isCancelled() && !o.cancelled:
			if err = job.Cancel(h.Machine, j.ID); err == nil {
				o.cancelled = true
			}
		case j.State == job.Approved && time.Since(begun) > beginAgain:
			begun = time.Now()
			err = h.Begin(ctx, j.ID)
		case j.State == job.Held && time.Since(begun) > beginAgain && !job.Busy(h.Machine):
			begun = time.Now()
			err = h.Begin(ctx, j.ID)
		case job.Abandoned(h.Machine, j):
			err = h.settle(ctx)
		}
		if ctx.Err() != nil {
			return j, ctx.Err()
		}
		pause := lookEvery
		if err != nil {
			h.Log.Warn("a job does not go on, and is tried again", "job", string(j.ID), "err", err)
			pause = retryEvery
		}
		if err := h.follow(o, j); err != nil {
			h.Log.Warn("the state of an order is not written down", "order", int64(o.Order), "err", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return j, ctx.Err()
		}
		next, err := job.Get(h.Machine, j.ID)
		switch {
		case errors.Is(err, job.ErrNoJob):
			return j, err
		case err == nil:
			j = next
		}
	}
}

// follow says of the order what its job says.
func (h *Helper) follow(o *order, j job.Job) error {
	if j.State == job.Held {
		return h.note(o, wire.Held, j.Because, "", nil)
	}
	return h.note(o, wire.Running, "", "", nil)
}

// stateOf is what a job's state is called by the fleet.
func stateOf(j job.Job) wire.State {
	switch j.State {
	case job.Succeeded:
		return wire.Succeeded
	case job.RolledBack:
		return wire.RolledBack
	case job.Cancelled:
		return wire.Cancelled
	case job.Expired:
		return wire.Expired
	case job.Unknown:
		return wire.Lost
	default:
		return wire.Failed
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
