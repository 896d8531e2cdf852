package agent

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/helper"
	"redflag/internal/wire"
)

// Root does what needs root on the host: a [helper.Helper] in this process, or a [helper.Client] of one in another.
type Root interface {
	Facts(ctx context.Context) (helper.Facts, error)
	Refresh(ctx context.Context) error
	Do(ctx context.Context, signed wire.SignedOrder) (helper.Report, error)
	Look(ctx context.Context, l helper.Look) (helper.Report, error)
}

const (
	// streamEvery is how often it is looked what the tools have said, and so how many batches go up in a second at most.
	streamEvery = 400 * time.Millisecond
	// awayPause is how long to wait for a helper that does not answer: it is being restarted.
	awayPause = 2 * time.Second
	// helperPatience is how long after an order has expired it is waited for one.
	helperPatience = 24 * time.Hour
	// linesPatience is how long after its end an order waits for its last lines to go up.
	linesPatience = time.Hour
)

var errNoRoot = &fleet.Unknown{Because: "the agent of this host may look, and change nothing: it has no root helper", Remedy: "`redflag agent install` on the host, as root, sets it up"}

// attend has an order carried out by who has root, and tells the server how that goes, until it has ended.
func (a *Agent) attend(ctx context.Context, e entry) {
	if a.Root == nil {
		a.over(ctx, e, wire.Failed, errNoRoot, nil)
		return
	}
	up := &upstream{a: a, order: e.Order, next: -1}
	taken := false
	var ended time.Time
	for ctx.Err() == nil {
		r, err := a.hear(ctx, e, &taken, up)
		var no *helper.Refused
		switch {
		case ctx.Err() != nil:
			return
		case errors.As(err, &no):
			a.log.Warn("an order is refused", "order", int64(e.Order), "err", no)
			a.over(ctx, e, wire.Failed, no.Reason, nil)
			return
		case err != nil:
			if e = a.wait(ctx, e, err); e.State.Ended() {
				return
			}
			continue
		}
		whole := up.send(ctx, r)
		if r.State.Ended() {
			if ended.IsZero() {
				ended = time.Now()
			}
			if whole || time.Since(ended) > linesPatience {
				a.finish(ctx, e, r)
				return
			}
		} else if r.State != e.State || r.Because != e.Because {
			e = a.moved(ctx, e, r)
		}
		if !r.More {
			sleep(ctx, streamEvery)
		}
	}
}

// hear asks who has root about an order, and gives it to him if he does not have it.
func (a *Agent) hear(ctx context.Context, e entry, taken *bool, up *upstream) (helper.Report, error) {
	if !*taken {
		if _, err := a.Root.Do(ctx, *e.Signed); err != nil {
			return helper.Report{}, err
		}
		*taken = true
	}
	r, err := a.Root.Look(ctx, helper.Look{Order: e.Order, From: max(up.next, 0)})
	if errors.Is(err, helper.ErrNoOrder) {
		*taken = false
	}
	return r, err
}

// wait is for a helper that does not answer. Whether it has begun an order that has expired since, nobody can tell before it does.
func (a *Agent) wait(ctx context.Context, e entry, why error) entry {
	if time.Since(e.ExpiresAt) > helperPatience {
		a.over(ctx, e, wire.Lost, why, nil)
		e.State = wire.Lost
		return e
	}
	because, remedy := fleet.Explain(why)
	a.log.Warn("an order waits", "order", int64(e.Order), "because", because)
	if e.State == wire.Held && e.Because != because {
		e.Because, e.Remedy, e.Told, e.At = because, remedy, false, now()
		a.say(ctx, e)
	}
	sleep(ctx, awayPause)
	return e
}

// moved tells that an order waits, or has begun.
func (a *Agent) moved(ctx context.Context, e entry, r helper.Report) entry {
	if r.State == wire.Held && r.Because == "" {
		return e // for a moment
	}
	e.State, e.Because, e.Remedy, e.Told, e.At = r.State, r.Because, r.Remedy, false, now()
	a.say(ctx, e)
	return e
}

// finish tells what became of an order; what the host has now is told before that it is done.
func (a *Agent) finish(ctx context.Context, e entry, r helper.Report) {
	var what wire.Order
	if json.Unmarshal(e.Signed.Order, &what) == nil && what.Plan == nil && what.Cancel == nil {
		if err := a.Round(ctx, wire.Scan{}); err != nil && ctx.Err() == nil {
			a.log.Warn("what was changed will be reported with the next round", "err", err)
		}
	}
	if ctx.Err() != nil {
		return
	}
	var why error
	if r.Because != "" {
		why = &fleet.Unknown{Because: r.Because, Remedy: r.Remedy}
	}
	a.over(ctx, e, r.State, why, r.Answer)
}

// upstream gives the server the lines of an order, each once and in their order, whatever is lost on the way: the server says which it waits for.
type upstream struct {
	a     *Agent
	order wire.OrderID
	// next is the number of the line that the server waits for; -1 where that is not known.
	next    int
	step    string
	percent int
	// off: the server does not want them.
	off bool
}

// maxBatchBytes bounds a batch: a line may have 4 KB.
const maxBatchBytes = 1 << 20

// send sends what is new, and says whether the server has all that there is.
func (u *upstream) send(ctx context.Context, r helper.Report) (whole bool) {
	if u.off || len(r.Lines) == 0 && (r.Step == "" || r.Step == u.step && r.Percent == u.percent) {
		return u.off || !r.More
	}
	p := wire.Progress{Session: u.a.session, Order: u.order, Step: r.Step, Percent: r.Percent, From: max(u.next, 0)}
	if u.next >= 0 {
		size := 0
		for _, line := range r.Lines {
			if size += len(line); size > maxBatchBytes {
				break
			}
			p.Lines = append(p.Lines, line)
		}
	}
	next, err := u.a.server.Progress(ctx, p)
	var no *wire.Refusal
	switch {
	case errors.As(err, &no) && no.RetryAfter == 0 && no.Status < 500 && no.Status != 429:
		u.a.log.Warn("the server does not want what the tools say", "order", int64(u.order), "err", err)
		u.off = true
		return true
	case err != nil:
		u.a.log.Debug("what the tools say is sent again", "err", err)
		sleep(ctx, time.Second)
		return false
	}
	sent := u.next >= 0 && next == u.next+len(r.Lines)
	u.next, u.step, u.percent = next, r.Step, r.Percent
	return sent && !r.More
}
