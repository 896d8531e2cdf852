package swarm

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/helper"
	"redflag/internal/wire"
)

// root plays the part of who has root on a simulated host: it plans, and installs with so many lines of output. All that travels is the agent's own.
type root struct {
	m      *member
	lines  int // that each installation says
	server ed25519.PublicKey

	mu     sync.Mutex
	orders map[wire.OrderID]*doing
}

// doing is an order that a host has taken.
type doing struct {
	wire.Order
	state wire.State
	said  int // lines that were said until now
}

// linesALook is how much more a tool has said whenever it is looked.
const linesALook = 40

// Facts implements agent.Root.
func (r *root) Facts(context.Context) (helper.Facts, error) { return helper.Facts{}, nil }

// Refresh implements agent.Root.
func (r *root) Refresh(context.Context) error { return nil }

// Do implements agent.Root: it takes what is signed for this host, once.
func (r *root) Do(_ context.Context, signed wire.SignedOrder) (helper.Report, error) {
	o, err := signed.Open(r.server, r.m.id, time.Now())
	if err != nil {
		return helper.Report{}, &helper.Refused{Reason: err}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.orders[o.ID] == nil {
		r.orders[o.ID] = &doing{Order: o, state: wire.Running}
	}
	return helper.Report{State: r.orders[o.ID].state, Percent: -1}, nil
}

// Look implements agent.Root.
func (r *root) Look(_ context.Context, l helper.Look) (helper.Report, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.orders[l.Order]
	switch {
	case d == nil:
		return helper.Report{}, helper.ErrNoOrder
	case d.Plan != nil:
		return helper.Report{State: wire.Succeeded, Percent: 100, Answer: &wire.Answer{Plans: r.m.plans(d.Plan.Selection), Jobs: []wire.Job{}}}, nil
	case d.Install == nil:
		return helper.Report{State: wire.Succeeded, Percent: 100}, nil
	}
	d.said = min(d.said+linesALook, r.lines)
	report := helper.Report{State: d.state, Step: "Setting up packages", Percent: 100 * d.said / max(r.lines, 1)}
	for i := l.From; i < d.said; i++ {
		report.Lines = append(report.Lines, r.m.line(l.Order, i))
	}
	if d.said < r.lines {
		return report, nil
	}
	if d.state == wire.Running {
		d.state = wire.Succeeded
		r.m.upgrade()
	}
	report.State = d.state
	report.Answer = &wire.Answer{Plans: []fleet.Plan{}, Jobs: []wire.Job{{ID: fmt.Sprint("job-", l.Order), Source: "apt", State: "succeeded", Outcome: r.outcome(d.Install.Plans)}}}
	return report, nil
}

func (r *root) outcome(plans []fleet.Plan) fleet.Outcome {
	o := fleet.NewOutcome()
	for _, p := range plans {
		o.Done = append(o.Done, p.Changes...)
	}
	return o
}

// line is what a host's tools say: another one on every host, in every order and at every number.
func (h *host) line(o wire.OrderID, n int) string {
	return fmt.Sprintf("host %05d, order %d, line %d: Setting up libexample%d (1.2.3-4+deb12u%d) ...", h.n, o, n, n%97, n%7)
}

// plans says what an installation would do: the first of what is pending, as [host.upgrade] does it.
func (h *host) plans(sel fleet.Selection) []fleet.Plan {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := fleet.NewPlan("apt", sel, h.since)
	for _, i := range h.pending[:Changed] {
		pack := h.packages[i]
		p.Changes = append(p.Changes, fleet.Change{Action: fleet.Upgrade, Name: pack.Name, Arch: pack.Arch, From: pack.Version, To: pack.Version[:len(pack.Version)-1] + "2", Security: true, Origin: "Debian-Security/stable-security"})
		p.Download += int64(number(pack.Name)) * 1000
	}
	return []fleet.Plan{p}
}
