package helper

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/wire"
)

// cancelOrder ends an order that has not begun to change the host.
func (h *Helper) cancelOrder(id wire.OrderID, expires time.Time) error {
	h.mu.Lock()
	o, known := h.orders[id]
	if known && !o.State.Ended() && !o.isCancelled() {
		close(o.cancel)
	}
	h.mu.Unlock()
	if !known {
		return h.shut(id, expires)
	}
	for began := time.Now(); time.Since(began) < cancelPatience; { // what can be cancelled ends soon
		h.mu.Lock()
		state, jobs := o.State, slices.Clone(o.Jobs)
		h.mu.Unlock()
		if state.Ended() {
			break
		}
		if len(jobs) > 0 {
			if j, err := job.Get(h.Machine, jobs[len(jobs)-1]); err == nil && (j.State == job.Running || j.State == job.Rebooting) {
				return &fleet.Unknown{Because: "it changes the host already, and goes on: that is not interrupted"}
			}
		}
		select {
		case <-time.After(lookEvery):
		case <-h.ctx.Done():
			return h.ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if o.State != wire.Cancelled {
		return &fleet.Unknown{Because: fmt.Sprintf("it is %s", o.State)}
	}
	return nil
}

// shut keeps an order that has not come yet from ever being begun: it may have been lost on its way, and be given again.
func (h *Helper) shut(id wire.OrderID, expires time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.Machine.Now().UTC()
	if _, known := h.orders[id]; known {
		return errors.New("the order came while it was cancelled: ask for that again")
	}
	if err := h.makeRoom(now); err != nil {
		return err
	}
	e := entry{Order: id, TakenAt: now, ExpiresAt: expires, State: wire.Cancelled, At: now, Because: "it was cancelled before it came"}
	if err := h.save(e); err != nil {
		return err
	}
	h.orders[id] = opened(e)
	return nil
}

// cancelPatience is how long a download may take to end.
const cancelPatience = time.Minute
