package helper

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/policy"
	"redflag/internal/wire"
)

// jobsOf gives the jobs that an order comes to, as they would be written down.
func (h *Helper) jobsOf(o *order) []job.Job {
	none := fleet.NewPlan("", fleet.Selection{}, o.TakenAt)
	w := o.what
	switch {
	case w.Install != nil:
		var list []job.Job
		for i, p := range w.Install.Plans {
			j := job.Job{Plan: p}
			if i == len(w.Install.Plans)-1 { // after all of them
				j.After = w.Install.After
			}
			list = append(list, j)
		}
		return list
	case w.Hold != nil && w.Hold.Hold:
		return []job.Job{{Kind: job.ToHold, Names: w.Hold.Names, Plan: none}}
	case w.Hold != nil:
		return []job.Job{{Kind: job.ToUnhold, Names: w.Hold.Names, Plan: none}}
	case w.Restart != nil:
		return []job.Job{{Kind: job.ToRestart, Names: w.Restart.Names, Plan: none}}
	case w.Reboot != nil:
		return []job.Job{{Kind: job.ToReboot, IfNeeded: w.Reboot.IfNeeded, Plan: none}}
	default:
		return []job.Job{{Kind: job.ToRepair, Plan: none}}
	}
}

// job gives the order's i-th job. It is written down, if it is not yet, once the policy allows it and its hours have come.
func (h *Helper) job(ctx context.Context, o *order, i int, wanted job.Job) (job.Job, wire.State, error) {
	if i < len(o.Jobs) {
		j, err := job.Get(h.Machine, o.Jobs[i])
		if err == nil && (j.Digest != wanted.Plan.Digest() || j.Kind != wanted.Kind) {
			err = fmt.Errorf("the job %s is not what was ordered", j.ID)
		}
		return j, wire.Lost, err
	}
	for {
		now := h.Machine.Now()
		err := h.allowed(o.what, now)
		switch {
		case o.isCancelled():
			return job.Job{}, wire.Cancelled, errCancelled
		case err != nil:
			return job.Job{}, wire.Failed, err
		case !now.Before(o.ExpiresAt):
			return job.Job{}, wire.Expired, &fleet.Unknown{Because: "it could not begin before it expired"}
		}
		err = h.hours(o.what, wanted, now)
		if err == nil {
			break
		}
		because, _ := fleet.Explain(err)
		if err := h.note(o, wire.Held, because, "", nil); err != nil {
			return job.Job{}, wire.Failed, err
		}
		select {
		case <-time.After(hoursEvery):
		case <-o.cancel:
		case <-ctx.Done():
			return job.Job{}, wire.Lost, ctx.Err()
		}
	}
	wanted.Order, wanted.CreatedBy, wanted.ExpiresAt = strconv.FormatInt(int64(o.Order), 10), "the server", o.ExpiresAt
	wanted.After = policy.Load(h.Machine).After(wanted.After)
	if w := o.what.Install; w != nil && w.Undoes != 0 {
		wanted.Undoes = h.undone(w.Undoes, wanted.Plan.Source)
	}
	j, err := job.New(h.Machine, wanted)
	if err != nil {
		return j, wire.Failed, err
	}
	h.mu.Lock()
	o.Jobs = append(o.Jobs, j.ID)
	h.mu.Unlock()
	return j, "", nil
}

// hours says whether the hour for a job has come.
func (h *Helper) hours(what wire.Order, wanted job.Job, now time.Time) error {
	p := policy.Load(h.Machine)
	switch {
	case what.Install != nil:
		return p.MayInstall(wanted.Plan, now)
	case what.Restart != nil:
		return p.MayRestart(now)
	case what.Reboot != nil:
		return p.MayReboot(now)
	case what.Repair != nil:
		return p.MayRepair(now)
	}
	return nil
}

// find finds the jobs that were made for an order before we came: they bear its number.
func (h *Helper) find(o *order) error {
	list, err := job.List(h.Machine)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, j := range slices.Backward(list) { // the first that was made is the first
		if j.Order == strconv.FormatInt(int64(o.Order), 10) {
			o.Jobs = append(o.Jobs, j.ID)
		}
	}
	return nil
}

// undone gives the job of an order that an undo takes back.
func (h *Helper) undone(id wire.OrderID, source string) job.ID {
	list, err := job.List(h.Machine)
	if err != nil {
		return ""
	}
	for _, j := range list {
		if j.Order == strconv.FormatInt(int64(id), 10) && j.Plan.Source == source {
			return j.ID
		}
	}
	return ""
}
