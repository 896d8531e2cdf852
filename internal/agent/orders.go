package agent

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// obey takes up what the server asks, each order once. Those to look are carried out here, and all others by who has root; none waits for another here. An
// order that this host must not obey is refused, and the server is told why.
func (a *Agent) obey(ctx context.Context, list []wire.SignedOrder) error {
	for _, signed := range list {
		o, err := signed.Open(a.orderKey, a.host, time.Now())
		if err != nil {
			if err := a.refuse(ctx, signed, err); err != nil {
				return err
			}
			continue
		}
		if a.journal.has(o.ID) {
			continue // tell says what became of it
		}
		e := entry{Order: o.ID, State: wire.Held, At: now(), ExpiresAt: o.ExpiresAt, Scan: o.Scan, Told: true}
		if o.Scan != nil {
			e.State, e.Told = wire.Running, false
		} else {
			e.Signed = &signed
		}
		if err := a.journal.write(e); err != nil {
			return err
		}
		a.begin(ctx, e)
	}
	return a.tell(ctx)
}

// begin goes on with an order, beside all others.
func (a *Agent) begin(ctx context.Context, e entry) {
	a.orders.Go(func() {
		if e.Signed != nil {
			a.attend(ctx, e)
			return
		}
		err := errNotUnderstood
		if e.Scan != nil {
			err = a.Round(ctx, *e.Scan)
		}
		if ctx.Err() != nil {
			return // it is done when the agent is started again
		}
		state := wire.Succeeded
		if err != nil {
			state = wire.Failed
		}
		a.over(ctx, e, state, err, nil)
	})
}

var errNotUnderstood = errors.New("this agent does not understand the order: it is older than the server")

// refuse tells the server why an order is not obeyed. It is not written down: what claims to be an order must not keep the true one of the same number from being
// obeyed.
func (a *Agent) refuse(ctx context.Context, signed wire.SignedOrder, why error) error {
	a.log.Warn("an order is not obeyed", "err", why)
	var claims struct {
		ID wire.OrderID `json:"id"`
	}
	err := json.Unmarshal(signed.Order, &claims)
	if err == nil && claims.ID != 0 && !a.journal.has(claims.ID) {
		r := wire.Result{Session: a.session, Order: claims.ID, State: wire.Failed, At: now()}
		r.Because, r.Remedy = fleet.Explain(why)
		return known(a.server.Result(ctx, r))
	}
	return nil // nobody could tell which order that was, or another has its number
}

// known passes over that the server does not know an order (any more): then it needs no answer.
func known(err error) error {
	var r *wire.Refusal
	if errors.As(err, &r) && r.Code == wire.CodeNoRoute {
		return nil
	}
	return err
}

// over writes down what became of an order, and tells the server.
func (a *Agent) over(ctx context.Context, e entry, state wire.State, why error, answer *wire.Answer) {
	e.State, e.Told, e.At, e.Signed, e.Answer, e.Because, e.Remedy = state, false, now(), nil, answer, "", ""
	if why != nil {
		e.Because, e.Remedy = fleet.Explain(why)
	}
	a.say(ctx, e)
}

// say writes an entry down and tells the server. What cannot be told now is told later: see takeOrders.
func (a *Agent) say(ctx context.Context, e entry) {
	for ctx.Err() == nil {
		err := a.journal.write(e)
		if err == nil {
			break
		}
		a.log.Error("what became of an order is not written down, and will be", "order", int64(e.Order), "err", err)
		sleep(ctx, orderPause)
	}
	for range sayAgain {
		if ctx.Err() != nil || a.tell(ctx) == nil {
			return
		}
		sleep(ctx, time.Second)
	}
}

// sayAgain is how often a state is told at once, where an answer was lost.
const sayAgain = 3

// resume goes on with what was begun when the agent last ended. To scan twice does no harm, and whoever has root does nothing twice.
func (a *Agent) resume(ctx context.Context) {
	for _, e := range a.journal.all() {
		if !e.State.Ended() {
			a.begin(ctx, e)
		}
	}
}

// tell says what became of orders, as far as the server has not acknowledged it.
func (a *Agent) tell(ctx context.Context) error {
	a.telling.Lock()
	defer a.telling.Unlock()
	for _, e := range a.journal.all() {
		if e.Told {
			continue
		}
		r := wire.Result{Session: a.session, Order: e.Order, State: e.State, Because: e.Because, Remedy: e.Remedy, At: e.At, Answer: e.Answer}
		if err := known(a.server.Result(ctx, r)); err != nil {
			return err
		}
		if err := a.journal.told(e); err != nil {
			return err
		}
	}
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
