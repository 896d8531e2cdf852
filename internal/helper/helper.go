// Package helper is what needs root on a host of a fleet. It takes requests over a local socket from the agent, which has no rights of its own, and believes
// nothing that the agent says: an order counts if it has the signature of the server that root has enrolled at, is for this host, has not expired,
// was not given before, and the host's policy allows it. Then it is written down, and carried out in processes of their own, which neither the end of this one nor its
// upgrade ends. A request names no file and no command.
package helper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/job"
	"redflag/internal/machine"
	"redflag/internal/policy"
	"redflag/internal/wire"
)

// Config is what a helper is made of.
type Config struct {
	Machine *machine.Machine
	// Dir is where it keeps orders.
	Dir string
	// Trust says whose orders are obeyed.
	Trust func() (Trust, error)
	// Begin starts the process that carries a job out.
	Begin func(ctx context.Context, id job.ID) error
	// Outside runs a hidden command of this program outside of any sandbox, gives it what it reads, and gives what it prints. Its end may be lost if this process
	// ends: it changes nothing that would do harm twice.
	Outside func(ctx context.Context, command string, input []byte) ([]byte, error)
	Version string
	Log     *slog.Logger
}

// Helper does for one host what needs root.
type Helper struct {
	Config
	lock interface{ Close() error }

	mu     sync.Mutex
	orders map[wire.OrderID]*order
	// turn is held by the order that changes the machine.
	turn chan struct{}
	// ctx ends with the helper, and work waits for what it has begun.
	ctx  context.Context //nolint:containedctx // it is the helper's own life, and not a request's
	stop context.CancelFunc
	work sync.WaitGroup
	// refresh lets one refresh go on at a time.
	refresh sync.Mutex
}

// lockFile is held by the one helper of a machine.
const lockFile = "helper.lock"

// ErrOther: another helper is at work on this machine.
var ErrOther = errors.New("another helper is at work on this machine")

// Open takes up what was begun, and is ready for requests. There is one helper at a time on a machine.
func Open(c Config) (*Helper, error) {
	lock, err := machine.Lock(filepath.Join(c.Dir, lockFile))
	if errors.Is(err, machine.ErrLocked) {
		return nil, ErrOther
	}
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &Helper{Config: c, lock: lock, orders: map[wire.OrderID]*order{}, turn: make(chan struct{}, 1), ctx: ctx, stop: stop}
	if err := h.readOrders(); err != nil {
		h.Close()
		return nil, err
	}
	for _, o := range h.unended() {
		h.begin(o)
	}
	return h, nil
}

// Close stops watching what is under way, which goes on.
func (h *Helper) Close() {
	h.stop()
	h.work.Wait()
	_ = h.lock.Close() // it ends with us in any case
}

// Facts is what only root can tell of a host.
type Facts struct {
	Version string        `json:"version"`
	Policy  fleet.Policy  `json:"policy"`
	Reboot  fleet.Reboot  `json:"reboot"`
	Restart fleet.Restart `json:"restart"`
}

// Facts tells what the host needs after updates, as root sees it, and what its policy says.
func (h *Helper) Facts(ctx context.Context) (Facts, error) {
	host := machine.Facts(ctx, h.Machine)
	return Facts{Version: h.Version, Policy: policy.Load(h.Machine).Policy, Reboot: host.Reboot, Restart: host.Restart}, nil
}

// Hidden commands that the helper has carried out outside of its sandbox.
const (
	PlanCommand    = "plan-run"    // plans: it reads a wire.Planning, and prints a wire.Answer
	RefreshCommand = "refresh-run" // fetches package lists
	SettleCommand  = "settle-run"  // settles jobs that nobody is at
)

const (
	// refreshLimit and planLimit bound what is waited for; a plan of containers asks registries.
	refreshLimit = 15 * time.Minute
	planLimit    = 15 * time.Minute
	settleLimit  = 5 * time.Minute
)

// Refresh has package lists fetched anew. It is no order, since it changes nothing that runs: whoever may talk to the helper may ask for it.
func (h *Helper) Refresh(ctx context.Context) error {
	h.refresh.Lock()
	defer h.refresh.Unlock()
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	_, err := h.Outside(ctx, RefreshCommand, nil)
	return err
}

// settle has jobs settled that nobody is at any more.
func (h *Helper) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	if _, err := h.Outside(ctx, SettleCommand, nil); err != nil {
		return fmt.Errorf("settle what was interrupted: %w", err)
	}
	return nil
}

// own makes the helper's folder, for root alone to look into.
func own(dir string) error { return machine.MakeFolder(dir) }
