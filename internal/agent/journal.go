package agent

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"redflag/internal/machine"
	"redflag/internal/wire"
)

// entry is an order in the journal: what was begun, and what became of it. It is on disk before anything is done, so that after a
// crash the agent says what it knows, and does nothing twice that must not be.
type entry struct {
	Order     wire.OrderID `json:"order"`
	State     wire.State   `json:"state"`
	Because   string       `json:"because,omitempty"`
	Remedy    string       `json:"remedy,omitempty"`
	At        time.Time    `json:"at"`
	ExpiresAt time.Time    `json:"expires_at"`
	Scan      *wire.Scan   `json:"scan,omitempty"`
	// Signed is the order for who has root. It is dropped when the order has ended, and Answer when the server has it: the journal stays small.
	Signed *wire.SignedOrder `json:"signed,omitempty"`
	Answer *wire.Answer      `json:"answer,omitempty"`
	// Told: the server has acknowledged this state.
	Told bool `json:"told"`
}

// journal is the agent's memory of orders. It is safe for many goroutines.
type journal struct {
	dir     string
	mu      sync.Mutex
	entries []entry
}

const (
	journalFile = "orders.json"
	// maxJournal bounds it: a server gives an order again only until it has expired, and holds back after 50.
	maxJournal      = 200
	maxJournalBytes = 64 << 20
)

// openJournal reads it. A damaged one is begun anew: for orders to scan nothing is lost by that, and
// what changes the host is known by the journal of who has root.
func openJournal(dir string) *journal {
	j := &journal{dir: dir}
	if data, err := readFile(filepath.Join(dir, journalFile), maxJournalBytes); err == nil && json.Unmarshal(data, &j.entries) != nil {
		j.entries = nil
	}
	return j
}

// has says whether an order was taken before.
func (j *journal) has(id wire.OrderID) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.find(id) != nil
}

func (j *journal) find(id wire.OrderID) *entry {
	for i := range j.entries {
		if j.entries[i].Order == id {
			return &j.entries[i]
		}
	}
	return nil
}

// all gives the entries as they are now.
func (j *journal) all() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}

// awaited says whether somebody waits for what becomes of an order.
func (j *journal) awaited() bool {
	return slices.ContainsFunc(j.all(), func(e entry) bool { return !e.State.Ended() || !e.Told })
}

// write puts an entry on disk, in place of the one of the same order. The oldest that have ended are dropped.
func (j *journal) write(e entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if old := j.find(e.Order); old != nil {
		*old = e
	} else {
		j.entries = append(j.entries, e)
	}
	for i := 0; len(j.entries) > maxJournal && i < len(j.entries); {
		if j.entries[i].State.Ended() {
			j.entries = slices.Delete(j.entries, i, i+1)
		} else {
			i++
		}
	}
	return j.save()
}

// told notes that the server has acknowledged a state, unless there is a newer one.
func (j *journal) told(e entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.find(e.Order)
	if now == nil || now.State != e.State || now.Because != e.Because || !now.At.Equal(e.At) {
		return nil
	}
	now.Told, now.Answer = true, nil
	return j.save()
}

func (j *journal) save() error {
	data, err := json.Marshal(j.entries)
	if err != nil {
		return err
	}
	if err := machine.WriteFile(filepath.Join(j.dir, journalFile), data, 0o600); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}
