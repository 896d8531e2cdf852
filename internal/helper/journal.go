package helper

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"redflag/internal/job"
	"redflag/internal/machine"
	"redflag/internal/wire"
)

// entry is an order as it is written down before anything is done for it, and what became of it. It outlives the order: what was given once is
// never begun again.
type entry struct {
	Order     wire.OrderID      `json:"order"`
	Signed    *wire.SignedOrder `json:"signed,omitempty"`
	TakenAt   time.Time         `json:"taken_at"`
	ExpiresAt time.Time         `json:"expires_at"`
	State     wire.State        `json:"state"`
	Because   string            `json:"because,omitempty"`
	Remedy    string            `json:"remedy,omitempty"`
	At        time.Time         `json:"at"`
	Answer    *wire.Answer      `json:"answer,omitempty"`
	// Jobs are those that were made for it, in turn.
	Jobs []job.ID `json:"jobs,omitempty"`
}

// order is an entry at work.
type order struct {
	entry
	what wire.Order
	// cancel is closed when the order is to be ended, if it can.
	cancel    chan struct{}
	cancelled bool
	lines     *lines
}

const (
	ordersDir = "orders"
	// maxOrders bounds how many are kept. One that has not expired is kept in any case, so more than that are not taken.
	maxOrders = 2000
	// wholeOrders is how many keep their answers.
	wholeOrders = 50
	// maxEntry bounds one: the plan of a distribution upgrade has 1 MB.
	maxEntry = 64 << 20
	// clockSlack is by how much a clock may go back without an order being taken twice.
	clockSlack = 30 * 24 * time.Hour
)

var entryName = regexp.MustCompile(`^-?[0-9]{1,19}\.json$`)

func (h *Helper) entryFile(id wire.OrderID) string {
	return filepath.Join(h.Dir, ordersDir, strconv.FormatInt(int64(id), 10)+".json")
}

// save writes an order down.
func (h *Helper) save(e entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := machine.WriteFile(h.entryFile(e.Order), data, 0o600); err != nil {
		return fmt.Errorf("write the order down: %w", err)
	}
	return nil
}

// readOrders reads what was written down. A file that cannot be read is an error: nobody may take its order for a new one.
func (h *Helper) readOrders() error {
	dir := filepath.Join(h.Dir, ordersDir)
	if err := own(dir); err != nil {
		return err
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	for _, f := range files {
		if !entryName.MatchString(f.Name()) {
			continue
		}
		e, err := readEntry(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		h.orders[e.Order] = opened(e)
	}
	return nil
}

func readEntry(file string) (entry, error) {
	var e entry
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxEntry {
		err = machine.ErrTooLarge
	}
	if err != nil {
		return e, fmt.Errorf("read %s: %w", file, err)
	}
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	if err != nil {
		return e, fmt.Errorf("read %s: %w", file, err)
	}
	return e, nil
}

// opened reads what an entry orders. It was verified before it was written down.
func opened(e entry) *order {
	o := &order{entry: e, cancel: make(chan struct{}), lines: &lines{}}
	if e.Signed == nil || json.Unmarshal(e.Signed.Order, &o.what) != nil {
		o.what = wire.Order{ID: e.Order}
	}
	return o
}

// unended gives the orders to go on with, the oldest first.
func (h *Helper) unended() []*order {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []*order
	for _, o := range h.orders {
		if !o.State.Ended() {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *order) int { return a.TakenAt.Compare(b.TakenAt) })
	return list
}

// errFull: the host has taken as many orders as it can remember.
var errFull = errors.New("this host has taken more orders than it can remember, and none of them has expired")

// makeRoom forgets the oldest of the orders that have long expired, and the answers of those that ended long ago. The caller holds mu.
func (h *Helper) makeRoom(now time.Time) error {
	var ended []*order
	for _, o := range h.orders {
		if o.State.Ended() {
			ended = append(ended, o)
		}
	}
	slices.SortFunc(ended, func(a, b *order) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Order, b.Order)) })
	for _, o := range ended[min(len(ended), wholeOrders):] {
		if o.Answer == nil && o.Signed == nil {
			continue
		}
		o.Answer, o.Signed = nil, nil
		if err := h.save(o.entry); err != nil {
			return err
		}
	}
	for i := len(ended) - 1; i >= 0 && len(h.orders) >= maxOrders; i-- {
		if o := ended[i]; now.Sub(o.ExpiresAt) > clockSlack {
			if err := os.Remove(h.entryFile(o.Order)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			delete(h.orders, o.Order)
		}
	}
	if len(h.orders) >= maxOrders {
		return errFull
	}
	return nil
}
