package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"redflag/internal/fleet"
)

// tally is by how much an offer's counters change with a report.
type tally struct {
	update         fleet.Update
	hosts, blocked int
	more           bool // the host says more of it than before
}

// imageKey names a row of images.
type imageKey struct {
	name, platform string
	answer         fleet.Answer
}

// shared is an update without what is a single host's own, so that it is the same on all hosts that have it.
func shared(u fleet.Update) fleet.Update {
	u.Blocked, u.BlockedBecause, u.StaleSince, u.Advice = "", "", time.Time{}, nil
	if u.ImageUpdate != nil {
		i := *u.ImageUpdate
		i.Containers = []string{}
		u.ImageUpdate = &i
	}
	return u
}

// offerID gives the same number for the same update, on whichever host and in whichever process: the first bits of a hash.
func offerID(u fleet.Update) int64 {
	k := keyOf(u)
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %q %q %q %t", u.Source, k.name, k.arch, k.kind, k.level, k.platform, u.From, u.To, u.Security))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 14)
}

// count notes that a host has an update more (1) or less (-1), and gives the offer's ID.
func (w *saving) count(u fleet.Update, n int) int64 {
	id := offerID(u)
	t, ok := w.offers[id]
	if !ok {
		t = &tally{}
		w.offers[id] = t
	}
	if n > 0 || !ok {
		t.update = u
	}
	t.hosts += n
	if u.Blocked != "" {
		t.blocked += n
	}
	return id
}

// countOffers writes the fleet's counters of updates down, in one order, so that two reports never wait for each other. Of a package's update the fullest
// description counts: an older agent says nothing of its source package, and not every host has read its changelog.
func (w *saving) countOffers(ctx context.Context) error {
	var changed rows
	var less []int64
	for _, id := range slices.Sorted(maps.Keys(w.offers)) {
		t := w.offers[id]
		if t.hosts == 0 && t.blocked == 0 && !t.more {
			continue
		}
		if t.hosts < 0 {
			less = append(less, id)
		}
		u := shared(t.update)
		body, err := json.Marshal(u)
		if err != nil {
			return err
		}
		changed.add(id, u.Source, u.Name, keyOf(u).kind, number(u.Security), string(body), t.hosts, t.blocked, w.now.UnixMilli())
	}
	if err := changed.write(ctx, w.c, `INSERT INTO offers (id, source, name, kind, security, body, hosts, blocked, first_seen)`,
		`ON CONFLICT (id) DO UPDATE SET hosts = offers.hosts + excluded.hosts, blocked = offers.blocked + excluded.blocked,
			body = CASE WHEN offers.kind = '' AND LENGTH(excluded.body) > LENGTH(offers.body) THEN excluded.body ELSE offers.body END`); err != nil {
		return err
	}
	for ids := range slices.Chunk(less, batch) {
		if _, err := w.c.exec(ctx, `DELETE FROM offers WHERE id IN (`+numbers(ids)+`) AND hosts <= 0`); err != nil {
			return err
		}
	}
	return nil
}

// countImages writes the fleet's counters of images down.
func (w *saving) countImages(ctx context.Context) error {
	keys := slices.SortedFunc(maps.Keys(w.images), func(a, b imageKey) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.platform, b.platform), cmp.Compare(a.answer, b.answer))
	})
	var changed rows
	for _, k := range keys {
		if n := w.images[k]; n != 0 {
			changed.add(k.name, k.platform, string(k.answer), n)
		}
	}
	if err := changed.write(ctx, w.c, `INSERT INTO images (name, platform, answer, hosts)`,
		`ON CONFLICT (name, platform, answer) DO UPDATE SET hosts = images.hosts + excluded.hosts`); err != nil {
		return err
	}
	for _, k := range keys {
		if w.images[k] >= 0 {
			continue
		}
		if _, err := w.c.exec(ctx, `DELETE FROM images WHERE name = $1 AND platform = $2 AND answer = $3 AND hosts <= 0`, k.name, k.platform, string(k.answer)); err != nil {
			return err
		}
	}
	return nil
}
