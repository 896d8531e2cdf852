package server

import (
	"context"
	"crypto/ed25519"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/store"
	"redflag/internal/wire"
)

// known remembers of each host what a check-in needs, so that one which says that nothing has changed costs no SQL.
type known struct {
	store *store.Store

	mu    sync.Mutex
	hosts map[fleet.HostID]host
	seen  map[fleet.HostID]store.Seen // not yet written down
}

// host is what is remembered of one.
type host struct {
	store.Known
	read time.Time
}

// maxAge is how long a host is believed to be as it was read. Another process may have given it another key, or have forgotten it.
const maxAge = time.Minute

func newKnown(s *store.Store) *known {
	return &known{store: s, hosts: map[fleet.HostID]host{}, seen: map[fleet.HostID]store.Seen{}}
}

// get gives what is known of a host, from memory where it is young enough.
func (k *known) get(ctx context.Context, id fleet.HostID, now time.Time) (store.Known, error) {
	k.mu.Lock()
	h, ok := k.hosts[id]
	k.mu.Unlock()
	if ok && now.Sub(h.read) < maxAge && !now.Before(h.read) {
		return h.Known, nil
	}
	return k.readAgain(ctx, id, now)
}

// readAgain asks the store.
func (k *known) readAgain(ctx context.Context, id fleet.HostID, now time.Time) (store.Known, error) {
	got, err := k.store.Known(ctx, id)
	k.mu.Lock()
	defer k.mu.Unlock()
	if errors.Is(err, store.ErrNoHost) {
		delete(k.hosts, id)
	}
	if err != nil {
		return store.Known{}, err
	}
	k.hosts[id] = host{got, now}
	return got, nil
}

// drop forgets a host, so that it is read again.
func (k *known) drop(id fleet.HostID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.hosts, id)
}

// key gives a host's public key.
func (k *known) key(ctx context.Context, id fleet.HostID, now time.Time) (ed25519.PublicKey, error) {
	h, err := k.get(ctx, id, now)
	return h.Key, err
}

// session says whether a session may speak for a host. For the one that did so before that is known without asking.
func (k *known) session(ctx context.Context, id fleet.HostID, session store.Session, now time.Time) error {
	h, err := k.get(ctx, id, now)
	if err != nil || h.Session == session.Name {
		return err
	}
	k.drop(id)
	return k.store.Session(ctx, id, session)
}

// missing names the parts of a host that are not known as it says they are.
func (k *known) missing(ctx context.Context, id fleet.HostID, in wire.CheckIn, now time.Time) ([]string, error) {
	h, err := k.get(ctx, id, now)
	if err != nil {
		return nil, err
	}
	said := in.Digests
	switch {
	case len(said) > 0 && len(differences(said, h.Digests)) == 0:
		return nil, nil
	case len(said) == 0 && in.State == h.Digests.State():
		return nil, nil
	}
	// It may have reported at another process.
	if h, err = k.readAgain(ctx, id, now); err != nil {
		return nil, err
	}
	if len(said) == 0 && in.State != h.Digests.State() {
		return []string{wire.SendDigests}, nil
	}
	if len(said) == 0 {
		return nil, nil
	}
	return differences(said, h.Digests), nil
}

func differences(said, known wire.Digests) []string {
	var parts []string
	for part, digest := range said {
		if known[part] != digest {
			parts = append(parts, part)
		}
	}
	for part := range known {
		if _, ok := said[part]; !ok && strings.HasPrefix(part, "finding/") {
			parts = append(parts, part) // of a source that the host does not have any more
		}
	}
	slices.Sort(parts)
	return parts
}

// note remembers a check-in until it is written down.
func (k *known) note(id fleet.HostID, s store.Seen) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen[id] = s
}

// flush writes check-ins down. Those of a failed attempt are kept for the next, unless there is a newer one.
func (k *known) flush(ctx context.Context) error {
	k.mu.Lock()
	batch := k.seen
	k.seen = map[fleet.HostID]store.Seen{}
	k.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := k.store.Seen(ctx, batch)
	if err != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		maps.Copy(batch, k.seen)
		k.seen = batch
	}
	return err
}
