package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/wire"
)

// entry is an order in the journal: what was begun, and what became of it. It is on disk before anything is done, so that after a
// crash the agent says what it knows, and does nothing twice that must not be.
type entry struct {
	Order     wire.OrderID `json:"order"`
	State     wire.State   `json:"state"`
	Because   string       `json:"because,omitempty"`
	At        time.Time    `json:"at"`
	ExpiresAt time.Time    `json:"expires_at"`
	Scan      *wire.Scan   `json:"scan,omitempty"`
	// Plan and Install are dropped when the order has ended, and Answer when the server has it: the journal stays small.
	Plan    *wire.Planning `json:"plan,omitempty"`
	Install *wire.Install  `json:"install,omitempty"`
	Answer  *wire.Answer   `json:"answer,omitempty"`
	// Told: the server has acknowledged this state.
	Told bool `json:"told"`
}

// journal is the agent's memory of orders.
type journal struct {
	dir     string
	entries []entry
}

const (
	journalFile = "orders.json"
	// maxJournal bounds it: a server gives an order again only until it has expired, and holds back after 50.
	maxJournal      = 200
	maxJournalBytes = 64 << 20
)

// openJournal reads it. A damaged one is begun anew: for orders to scan nothing is lost by that, and
// those to install are known by their jobs.
func openJournal(dir string) *journal {
	j := &journal{dir: dir}
	if data, err := readFile(filepath.Join(dir, journalFile), maxJournalBytes); err == nil && json.Unmarshal(data, &j.entries) != nil {
		j.entries = nil
	}
	return j
}

func (j *journal) find(id wire.OrderID) *entry {
	for i := range j.entries {
		if j.entries[i].Order == id {
			return &j.entries[i]
		}
	}
	return nil
}

// write puts an entry on disk, in place of the one of the same order. The oldest are dropped.
func (j *journal) write(e entry) error {
	if old := j.find(e.Order); old != nil {
		*old = e
	} else {
		j.entries = append(j.entries, e)
	}
	if extra := len(j.entries) - maxJournal; extra > 0 {
		j.entries = slices.Delete(j.entries, 0, extra)
	}
	data, err := json.Marshal(j.entries)
	if err != nil {
		return err
	}
	if err := machine.WriteFile(filepath.Join(j.dir, journalFile), data, 0o600); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// obey does what the server asks, one order after the other, each once. An order that this host must not obey is passed over, and
// left to expire at the server.
func (a *Agent) obey(ctx context.Context, list []wire.SignedOrder) error {
	for _, signed := range list {
		o, err := signed.Open(a.orderKey, a.host, time.Now())
		if err != nil {
			a.log.Warn("an order is not obeyed", "err", err)
			continue
		}
		if a.journal.find(o.ID) != nil {
			continue // tell says what became of it
		}
		e := entry{Order: o.ID, State: wire.Running, At: now(), ExpiresAt: o.ExpiresAt, Scan: o.Scan, Plan: o.Plan, Install: o.Install}
		if err := a.journal.write(e); err != nil {
			return err
		}
		if err := a.tell(ctx); err != nil {
			return err
		}
		if err := a.carryOut(ctx, e); err != nil {
			return err
		}
	}
	return a.tell(ctx)
}

// carryOut does what an entry says, and writes down what became of it.
func (a *Agent) carryOut(ctx context.Context, e entry) error {
	err := errNotUnderstood
	switch {
	case e.Scan != nil:
		err = a.Round(ctx, *e.Scan)
	case a.Worker == nil:
	case e.Plan != nil:
		e.Answer, err = a.Worker.plan(ctx, *e.Plan)
	case e.Install != nil:
		e.Answer, err = a.Worker.install(ctx, e.Order, e.ExpiresAt, *e.Install)
		if round := a.Round(ctx, wire.Scan{}); round != nil { // what it has now is told before that it is done
			a.log.Warn("what was installed will be reported with the next round", "err", round)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err() // it is done when the agent is started again
	}
	e.State, e.Told, e.At = wire.Succeeded, false, now()
	e.Plan, e.Install = nil, nil
	if err != nil {
		e.State = wire.Failed
		e.Because, _ = fleet.Explain(err)
	}
	return a.journal.write(e)
}

var errNotUnderstood = errors.New("this agent does not understand the order: it is older than the server")

// resume finishes what was begun when the agent last ended. To scan or to plan twice does no harm, and what is installed is a job that is found again.
func (a *Agent) resume(ctx context.Context) error {
	for _, e := range slices.Clone(a.journal.entries) {
		if e.State != wire.Running {
			continue
		}
		if err := a.carryOut(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// tell says what became of orders, as far as the server has not acknowledged it.
func (a *Agent) tell(ctx context.Context) error {
	for _, e := range slices.Clone(a.journal.entries) {
		if e.Told {
			continue
		}
		err := a.server.Result(ctx, wire.Result{Session: a.session, Order: e.Order, State: e.State, Because: e.Because, At: e.At, Answer: e.Answer})
		var r *wire.Refusal
		if err != nil && !(errors.As(err, &r) && r.Code == wire.CodeNoRoute) { // an order that the server has forgotten needs no answer
			return err
		}
		e.Told, e.Answer = true, nil
		if err := a.journal.write(e); err != nil {
			return err
		}
	}
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
