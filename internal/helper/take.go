package helper

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/policy"
	"redflag/internal/wire"
)

// Report is what there is to say of an order.
type Report struct {
	State   wire.State   `json:"state"`
	Because string       `json:"because,omitempty"`
	Remedy  string       `json:"remedy,omitempty"`
	At      time.Time    `json:"at"`
	Answer  *wire.Answer `json:"answer,omitempty"`
	// Step and Percent say what is being done; -1 where that is not known.
	Step    string `json:"step,omitempty"`
	Percent int    `json:"percent"`
	// Lines are what the tools say, from the one that was asked for; More says that there are further ones already.
	Lines []string `json:"lines,omitempty"`
	More  bool     `json:"more,omitempty"`
}

// Refused is why an order is not taken, for good.
type Refused struct{ Reason error }

func (r *Refused) Error() string { return r.Reason.Error() }
func (r *Refused) Unwrap() error { return r.Reason }

func refused(format string, args ...any) error {
	return &Refused{fmt.Errorf("%w: %s", wire.ErrOrder, fmt.Sprintf(format, args...))}
}

// Do takes an order up, once: that it is given again changes nothing, and gives what has become of it. An order that is not to be obeyed is a *[Refused]; another
// error says that it could not be taken now.
func (h *Helper) Do(_ context.Context, signed wire.SignedOrder) (Report, error) {
	what, err := h.verify(signed)
	if err != nil {
		return Report{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if o, known := h.orders[what.ID]; known {
		if o.Signed != nil && !bytes.Equal(o.Signed.Order, signed.Order) {
			return Report{}, refused("another order was given under this number")
		}
		return o.report(), nil
	}
	now := h.Machine.Now()
	if !now.Before(what.ExpiresAt) {
		return Report{}, refused("it expired at %s", what.ExpiresAt.Format(time.RFC3339))
	}
	if err := h.makeRoom(now); err != nil {
		return Report{}, err
	}
	e := entry{Order: what.ID, Signed: &signed, TakenAt: now.UTC(), ExpiresAt: what.ExpiresAt, State: wire.Held, At: now.UTC()}
	if err := h.allowed(what, now); err != nil {
		e.State = wire.Failed
		e.Because, e.Remedy = fleet.Explain(err)
		h.Log.Warn("an order is refused", "order", int64(what.ID), "because", e.Because)
	}
	if err := h.save(e); err != nil { // on the disk before anything is done
		return Report{}, err
	}
	o := opened(e)
	h.orders[e.Order] = o
	if !o.State.Ended() {
		h.begin(o)
	}
	return o.report(), nil
}

// verify holds an order to the signature, the host and the form.
func (h *Helper) verify(signed wire.SignedOrder) (wire.Order, error) {
	trust, err := h.Trust()
	if err != nil {
		return wire.Order{}, &Refused{err}
	}
	what, err := signed.Open(ed25519.PublicKey(trust.OrderKey), trust.Host, time.Time{}) // whether it has expired counts for new ones alone
	if err != nil {
		return wire.Order{}, &Refused{err}
	}
	asks := 0
	for _, is := range []bool{what.Plan != nil, what.Install != nil, what.Hold != nil, what.Restart != nil, what.Reboot != nil, what.Repair != nil, what.Cancel != nil} {
		if is {
			asks++
		}
	}
	switch {
	case what.ID == 0:
		return what, refused("it has no number")
	case asks == 0:
		return what, &Refused{&fleet.Unknown{Because: "this host does not understand the order: its program is older than the server's", Remedy: "update the program on the host"}}
	case asks > 1 || what.Scan != nil:
		return what, refused("it orders more than one thing")
	}
	if err := bounded(what); err != nil {
		return what, err
	}
	return what, nil
}

const (
	// maxNames bounds the packages or services of an order, and maxName the length of a name.
	maxNames = 1000
	maxName  = 256
)

// bounded refuses an order that is larger than any honest one, and names that are none: they never come to where a tool could take them for an option.
func bounded(what wire.Order) error {
	var names []string
	switch {
	case what.Hold != nil:
		names = what.Hold.Names
		if len(names) == 0 {
			return refused("it names nothing to hold")
		}
	case what.Restart != nil:
		names = what.Restart.Names
	case what.Plan != nil:
		names = what.Plan.Selection.Names
	case what.Install != nil:
		if len(what.Install.Plans) == 0 || len(what.Install.Plans) > wire.MaxSources {
			return refused("it has %d plans", len(what.Install.Plans))
		}
		seen := map[string]bool{}
		for _, p := range what.Install.Plans {
			if len(p.Changes) > wire.MaxUpdates || seen[p.Source] {
				return refused("a plan of %d changes, or two of one source", len(p.Changes))
			}
			seen[p.Source] = true
			for _, c := range p.Changes {
				names = append(names, c.Name)
			}
		}
		return badName(names)
	}
	if len(names) > maxNames {
		return refused("it has %d names", len(names))
	}
	return badName(names)
}

func badName(names []string) error {
	for _, n := range names {
		if n == "" || len(n) > maxName || strings.HasPrefix(n, "-") || n != fleet.Plain(n) || strings.ContainsAny(n, " \t;|&$`<>\"'\\") {
			return refused("%q is no name", fleet.Plain(n))
		}
	}
	return nil
}

// allowed asks the host's policy. What it would allow at another hour is allowed, and waits.
func (h *Helper) allowed(what wire.Order, now time.Time) error {
	p := policy.Load(h.Machine)
	var err error
	switch {
	case what.Plan != nil:
		return p.MayPlan()
	case what.Install != nil:
		for _, plan := range what.Install.Plans {
			if err = p.MayInstall(plan, now); err != nil && !later(err) {
				return err
			}
		}
	case what.Hold != nil:
		err = p.MayHold(what.Hold.Names)
	case what.Restart != nil:
		err = p.MayRestart(now)
	case what.Reboot != nil:
		err = p.MayReboot(now)
	case what.Repair != nil:
		err = p.MayRepair(now)
	}
	if later(err) {
		return nil
	}
	return err
}

func (o *order) report() Report {
	return Report{State: o.State, Because: o.Because, Remedy: o.Remedy, At: o.At, Answer: o.Answer, Percent: -1}
}
