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
	// Job is whose delivery it is; absent for an order of its own.
	Job JobID `json:"job,omitempty"`
	// Exactly one of these is set.
	Scan    *wire.Scan     `json:"scan,omitempty"`
	Plan    *wire.Planning `json:"plan,omitempty"`
	Install *Installation  `json:"install,omitempty"`
	Hold    *wire.Hold     `json:"hold,omitempty"`
	Restart *wire.Restart  `json:"restart,omitempty"`
	Reboot  *wire.Reboot   `json:"reboot,omitempty"`
	Repair  *wire.Repair   `json:"repair,omitempty"`
	Cancel  *wire.Cancel   `json:"cancel,omitempty"`

	State wire.State `json:"state"`
	// Because says why it failed; empty when it did not.
	Because   string    `json:"because"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	ExpiresAt time.Time `json:"expires_at"`
	// ChangedAt is when it came into its state.
	ChangedAt time.Time `json:"changed_at"`
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
		return insertOrder(ctx, c, newOrder{order: o, body: body, by: by}, now)
	})
	if err != nil {
		return fmt.Errorf("give an order to %s: %w", id, err)
	}
	return nil
}

// newOrder is an order on its way into the table.
type newOrder struct {
	order wire.Order
	body  []byte // signed
	by    string
	job   JobID
}

// insertOrder keeps an order of a host that is locked, or whose job is.
func insertOrder(ctx context.Context, c conn, o newOrder, now time.Time) error {
	var waiting int
	if err := c.one(ctx, []any{&waiting}, `SELECT COUNT(*) FROM orders WHERE state = $1 AND host_id = $2`, string(wire.Waiting), o.order.Host); err != nil {
		return err
	}
	if waiting >= maxWaiting {
		return ErrManyOrders
	}
	_, err := c.exec(ctx, `INSERT INTO orders (id, host_id, state, body, because, created_at, created_by, expires_at, changed_at, job_id, given_at)
		VALUES ($1, $2, $3, $4, '', $5, $6, $7, $5, $8, 0)`, int64(o.order.ID), o.order.Host, string(wire.Waiting), string(o.body), now.UnixMilli(), o.by, millis(o.order.ExpiresAt), int64(o.job))
	return err
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

// maxGiven bounds the bytes of the orders that a host is given at once: an agent reads 4 MiB. One is given however large it is.
const maxGiven = 3 << 20

// WaitingOrders gives what a host has not begun, oldest first, and notes that it was given. An order that somebody wishes to end is not given: the host is told
// by the order of that wish alone.
func (s *Store) WaitingOrders(ctx context.Context, id fleet.HostID, now time.Time) ([]wire.SignedOrder, error) {
	var list []wire.SignedOrder
	err := s.inTx(ctx, func(c conn) error {
		list = []wire.SignedOrder{}
		var ids []int64
		size := 0
		if err := c.all(ctx, func(scan func(...any) error) error {
			var order int64
			var body string
			if err := scan(&order, &body); err != nil {
				return err
			}
			if size += len(body); size > maxGiven && len(list) > 0 {
				return nil
			}
			var signed wire.SignedOrder
			err := json.Unmarshal([]byte(body), &signed)
			ids, list = append(ids, order), append(list, signed)
			return err
		}, `SELECT id, body FROM orders AS o WHERE state = $1 AND host_id = $2 AND expires_at > $3
			AND NOT EXISTS (SELECT 1 FROM jobs AS j WHERE j.id = o.job_id AND j.work_order = o.id AND j.cancel_order <> 0) ORDER BY created_at, id`+c.forUpdate(),
			string(wire.Waiting), id, now.UnixMilli()); err != nil || len(ids) == 0 {
			return err
		}
		_, err := c.exec(ctx, `UPDATE orders SET given_at = $1 WHERE id IN (`+numbers(ids)+`) AND given_at = 0`, now.UnixMilli())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("give %s its orders: %w", id, err)
	}
	return list, nil
}

// ErrNoOrder: there is no such order of this host.
var ErrNoOrder = errors.New("no such order")

const orderColumns = `id, host_id, state, body, because, created_at, created_by, expires_at, changed_at, job_id`

func scanOrder(scan func(...any) error) (Order, error) {
	var o Order
	var id, created, expires, changed int64
	var body string
	if err := scan(&id, &o.Host, &o.State, &body, &o.Because, &created, &o.CreatedBy, &expires, &changed, &o.Job); err != nil {
		return o, err
	}
	o.ID, o.CreatedAt, o.ExpiresAt, o.ChangedAt = wire.OrderID(id), moment(created), moment(expires), moment(changed)
	var signed wire.SignedOrder
	var order wire.Order
	if err := json.Unmarshal([]byte(body), &signed); err != nil {
		return o, err
	}
	err := json.Unmarshal(signed.Order, &order)
	o.Scan, o.Plan, o.Hold, o.Restart, o.Reboot, o.Repair, o.Cancel = order.Scan, order.Plan, order.Hold, order.Restart, order.Reboot, order.Repair, order.Cancel
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
	return o, err
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
	}, `SELECT o.id, o.host_id, o.state, o.body, o.because, o.created_at, o.created_by, o.expires_at, o.changed_at, o.job_id, h.name FROM orders AS o JOIN hosts AS h ON h.id = o.host_id`+
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
