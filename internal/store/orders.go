package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Order is what was asked of a host, and what became of it.
type Order struct {
	ID   wire.OrderID `json:"id"`
	Host fleet.HostID `json:"host"`
	// Exactly one of these is set.
	Scan    *wire.Scan     `json:"scan,omitempty"`
	Plan    *wire.Planning `json:"plan,omitempty"`
	Install *Installation  `json:"install,omitempty"`

	State wire.State `json:"state"`
	// Because says why it failed; empty when it did not.
	Because   string    `json:"because"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	ExpiresAt time.Time `json:"expires_at"`
	// ChangedAt is when it came into its state.
	ChangedAt time.Time `json:"changed_at"`
	// Answer is what the host had to say of it. It is given with one order, and not in lists.
	Answer *wire.Answer `json:"answer,omitempty"`
	// Approved is the order that carries out the plans of this one; absent while nobody has approved them, and in lists.
	Approved wire.OrderID `json:"approved,omitempty"`
}

// Installation is what an order to install is about.
type Installation struct {
	Sources []string `json:"sources"`
	Changes int      `json:"changes"`
}

// NewOrderID makes an order's ID.
func NewOrderID() wire.OrderID { return wire.OrderID(newID()) }

// maxWaiting bounds what waits for one host: who asks more of it than this asks for the same again and again.
const maxWaiting = 50

// ErrManyOrders: so many orders wait for a host already that there is no use in one more.
var ErrManyOrders = errors.New("too many orders wait for this host already")

// Order keeps an order, signed, until its host fetches it.
func (s *Store) Order(ctx context.Context, id fleet.HostID, o wire.Order, signed wire.SignedOrder, by string, now time.Time) error {
	body, err := json.Marshal(signed)
	if err != nil {
		return err
	}
	err = s.inTx(ctx, func(c conn) error {
		if _, err := lockHost(ctx, c, id); err != nil {
			return err
		}
		return insertOrder(ctx, c, id, o, body, by, now)
	})
	if err != nil {
		return fmt.Errorf("give an order to %s: %w", id, err)
	}
	return nil
}

// insertOrder keeps an order of a host that is locked.
func insertOrder(ctx context.Context, c conn, id fleet.HostID, o wire.Order, body []byte, by string, now time.Time) error {
	var waiting int
	if err := c.one(ctx, []any{&waiting}, `SELECT COUNT(*) FROM orders WHERE state = $1 AND host_id = $2`, string(wire.Waiting), id); err != nil {
		return err
	}
	if waiting >= maxWaiting {
		return ErrManyOrders
	}
	_, err := c.exec(ctx, `INSERT INTO orders (id, host_id, state, body, because, created_at, created_by, expires_at, changed_at)
		VALUES ($1, $2, $3, $4, '', $5, $6, $7, $5)`, int64(o.ID), id, string(wire.Waiting), string(body), now.UnixMilli(), by, millis(o.ExpiresAt))
	return err
}

// ErrNoPlan: an order has no plans that could be approved.
var ErrNoPlan = errors.New("there is no such plan: ask the host for one")

// Approve keeps the order that carries out the plans of another one, once: who approves them again gets the order that there is.
func (s *Store) Approve(ctx context.Context, plan wire.OrderID, id fleet.HostID, o wire.Order, signed wire.SignedOrder, by string, now time.Time) (wire.OrderID, error) {
	body, err := json.Marshal(signed)
	if err != nil {
		return 0, err
	}
	given := o.ID
	err = s.inTx(ctx, func(c conn) error {
		if _, err := lockHost(ctx, c, id); err != nil {
			return err
		}
		var before int64
		if err := c.one(ctx, []any{&before}, `SELECT a.approved FROM answers AS a JOIN orders AS o ON o.id = a.order_id WHERE a.order_id = $1 AND o.host_id = $2`, int64(plan), id); err != nil {
			return notFound(err, ErrNoPlan)
		}
		if before != 0 {
			given = wire.OrderID(before)
			return nil
		}
		if _, err := c.exec(ctx, `UPDATE answers SET approved = $1 WHERE order_id = $2`, int64(o.ID), int64(plan)); err != nil {
			return err
		}
		return insertOrder(ctx, c, id, o, body, by, now)
	})
	if err != nil {
		return 0, fmt.Errorf("approve a plan of %s: %w", id, err)
	}
	return given, nil
}

// WaitingHosts names the hosts that have orders to fetch.
func (s *Store) WaitingHosts(ctx context.Context) (map[fleet.HostID]bool, error) {
	hosts := map[fleet.HostID]bool{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var id fleet.HostID
		err := scan(&id)
		hosts[id] = true
		return err
	}, `SELECT DISTINCT host_id FROM orders WHERE state = $1`, string(wire.Waiting))
	return hosts, err
}

// WaitingOrders gives what a host has not begun, oldest first.
func (s *Store) WaitingOrders(ctx context.Context, id fleet.HostID, now time.Time) ([]wire.SignedOrder, error) {
	return bodies[wire.SignedOrder](ctx, s.reader(), `SELECT body FROM orders WHERE state = $1 AND host_id = $2 AND expires_at > $3 ORDER BY created_at, id`,
		string(wire.Waiting), id, now.UnixMilli())
}

// ErrNoOrder: there is no such order of this host.
var ErrNoOrder = errors.New("no such order")

// Result notes what became of an order, as its host says. An order that has ended stays as it is: a result that comes late or twice
// changes nothing.
func (s *Store) Result(ctx context.Context, id fleet.HostID, r wire.Result, now time.Time) error {
	err := s.inTx(ctx, func(c conn) error {
		var state wire.State
		err := c.one(ctx, []any{&state}, `SELECT state FROM orders WHERE id = $1 AND host_id = $2`+c.forUpdate(), int64(r.Order), id)
		if err != nil {
			return notFound(err, ErrNoOrder)
		}
		if !follows(state, r.State) {
			return nil
		}
		if _, err := c.exec(ctx, `UPDATE orders SET state = $1, because = $2, changed_at = $3 WHERE id = $4`, string(r.State), r.Because, now.UnixMilli(), int64(r.Order)); err != nil {
			return err
		}
		return saveAnswer(ctx, c, r)
	})
	if err != nil {
		return fmt.Errorf("note the result of an order: %w", err)
	}
	return nil
}

func saveAnswer(ctx context.Context, c conn, r wire.Result) error {
	if r.Answer == nil {
		return nil
	}
	body, err := json.Marshal(r.Answer)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `INSERT INTO answers (order_id, body, approved) VALUES ($1, $2, 0) ON CONFLICT (order_id) DO UPDATE SET body = excluded.body`, int64(r.Order), string(body))
	return err
}

// follows says whether a host may bring an order from one state to another. One that was given up as lost may yet turn up.
func follows(from, to wire.State) bool {
	switch from {
	case wire.Waiting:
		return true
	case wire.Running, wire.Lost:
		return to != wire.Running
	}
	return false
}

// lostAfter is how long after its expiry an order that was begun is given up.
const lostAfter = time.Hour

// ExpireOrders ends the orders that no host fetched in time, and those that were begun and of which nothing was heard.
func (s *Store) ExpireOrders(ctx context.Context, now time.Time) error {
	return s.inTx(ctx, func(c conn) error {
		if _, err := c.exec(ctx, `UPDATE orders SET state = $1, because = 'the host did not come for it in time', changed_at = $2 WHERE state = $3 AND expires_at <= $2`,
			string(wire.Expired), now.UnixMilli(), string(wire.Waiting)); err != nil {
			return err
		}
		_, err := c.exec(ctx, `UPDATE orders SET state = $1, because = 'the host began it, and has not said what became of it', changed_at = $2
			WHERE state = $3 AND expires_at <= $4`, string(wire.Lost), now.UnixMilli(), string(wire.Running), now.Add(-lostAfter).UnixMilli())
		return err
	})
}

const orderColumns = `id, host_id, state, body, because, created_at, created_by, expires_at, changed_at`

func scanOrder(scan func(...any) error) (Order, error) {
	var o Order
	var id, created, expires, changed int64
	var body string
	if err := scan(&id, &o.Host, &o.State, &body, &o.Because, &created, &o.CreatedBy, &expires, &changed); err != nil {
		return o, err
	}
	o.ID, o.CreatedAt, o.ExpiresAt, o.ChangedAt = wire.OrderID(id), moment(created), moment(expires), moment(changed)
	var signed wire.SignedOrder
	var order wire.Order
	if err := json.Unmarshal([]byte(body), &signed); err != nil {
		return o, err
	}
	err := json.Unmarshal(signed.Order, &order)
	o.Scan, o.Plan = order.Scan, order.Plan
	if i := order.Install; i != nil {
		o.Install = &Installation{Sources: []string{}}
		for _, p := range i.Plans {
			o.Install.Sources = append(o.Install.Sources, p.Source)
			o.Install.Changes += len(p.Changes)
		}
	}
	return o, err
}

// Orders gives what was asked of a host, newest first.
func (s *Store) Orders(ctx context.Context, id fleet.HostID, limit int) ([]Order, error) {
	list := []Order{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		o, err := scanOrder(scan)
		list = append(list, o)
		return err
	}, `SELECT `+orderColumns+` FROM orders WHERE host_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2`, id, limit)
	return list, err
}

// OneOrder gives one order.
func (s *Store) OneOrder(ctx context.Context, id wire.OrderID) (Order, error) {
	var o Order
	found := false
	err := s.reader().all(ctx, func(scan func(...any) error) (err error) {
		o, err = scanOrder(scan)
		found = true
		return err
	}, `SELECT `+orderColumns+` FROM orders WHERE id = $1`, int64(id))
	if err == nil && !found {
		err = notFound(sql.ErrNoRows, ErrNoOrder)
	}
	if err != nil {
		return o, err
	}
	return o, s.reader().all(ctx, func(scan func(...any) error) error {
		var body string
		var approved int64
		if err := scan(&body, &approved); err != nil {
			return err
		}
		o.Answer, o.Approved = &wire.Answer{}, wire.OrderID(approved)
		return json.Unmarshal([]byte(body), o.Answer)
	}, `SELECT body, approved FROM answers WHERE order_id = $1`, int64(id))
}

// OrderOnHost is an order, with the name of its host.
type OrderOnHost struct {
	Order
	HostName string `json:"host_name"`
}

// OrderFilter chooses orders; what is empty chooses all.
type OrderFilter struct {
	// State is waiting, running, or failed: those that failed, expired or were lost.
	State string
}

// AllOrders gives a page of what was asked of all hosts, by when it last changed, the newest first.
func (s *Store) AllOrders(ctx context.Context, f OrderFilter, p Page) (orders []OrderOnHost, next string, err error) {
	key, err := p.key("nn")
	if err != nil {
		return nil, "", err
	}
	l := &list{}
	switch f.State {
	case "":
	case string(wire.Failed):
		l.add("o.state IN (?, ?, ?)", string(wire.Failed), string(wire.Expired), string(wire.Lost))
	default:
		l.add("o.state = ?", f.State)
	}
	rows := []OrderOnHost{}
	if err := s.reader().all(ctx, func(scan func(...any) error) error {
		var on OrderOnHost
		o, err := scanOrder(func(into ...any) error { return scan(append(into, &on.HostName)...) })
		on.Order = o
		rows = append(rows, on)
		return err
	}, `SELECT o.id, o.host_id, o.state, o.body, o.because, o.created_at, o.created_by, o.expires_at, o.changed_at, h.name FROM orders AS o JOIN hosts AS h ON h.id = o.host_id`+
		l.page(p, key, true, "o.changed_at", "o.id"), l.args...); err != nil {
		return nil, "", fmt.Errorf("list orders: %w", err)
	}
	orders, more := cut(p, rows)
	if more {
		last := orders[len(orders)-1]
		next = cursor(millis(last.ChangedAt), int64(last.ID))
	}
	return orders, next, nil
}
