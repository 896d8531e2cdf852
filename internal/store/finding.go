package store

import (
	"context"
	"encoding/json"

	"redflag/internal/fleet"
)

// offer is an update as it is kept.
type offer struct {
	update    fleet.Update
	body      string
	firstSeen int64
}

// offerKey is what makes an update the same one in two findings of a host's source.
type offerKey struct{ name, arch, kind, level, platform string }

func keyOf(u fleet.Update) offerKey {
	k := offerKey{name: u.Name, arch: u.Arch}
	if u.ImageUpdate != nil {
		k.kind, k.level, k.platform = string(u.Kind), string(u.Level), u.Platform
	}
	return k
}

// finding lays a finding over the one before it, and writes the difference.
func (w *saving) finding(ctx context.Context, f fleet.Finding) error {
	old, err := w.onOffer(ctx, f.Source)
	if err != nil {
		return err
	}
	before := fleet.Finding{Source: f.Source}
	for _, o := range old {
		before.Updates = append(before.Updates, o.update)
	}
	f = f.After(before)
	var n counters
	var fresh rows
	seen := map[offerKey]bool{}
	for _, u := range f.Updates {
		k := keyOf(u)
		if seen[k] {
			continue // one odd item never loses the rest
		}
		seen[k] = true
		u.Advice = nil // what is to be done first the server says, by its own feeds
		n.count(u)
		o, known := old[k]
		if err := w.offer(ctx, k, u, o, known, &fresh); err != nil {
			return err
		}
	}
	if err := fresh.write(ctx, w.c, `INSERT INTO updates (host_id, source, name, arch, kind, level, platform, security, blocked, body, offer_id, first_seen)`, ""); err != nil {
		return err
	}
	for k, o := range old {
		if seen[k] {
			continue
		}
		if err := w.gone(ctx, f.Source, k, o); err != nil {
			return err
		}
	}
	if err := w.checks(ctx, f); err != nil {
		return err
	}
	return w.said(ctx, f, n)
}

// absent ends a source that the host does not have any more: what it had on offer leaves.
func (w *saving) absent(ctx context.Context, source string) error {
	if err := w.finding(ctx, fleet.Finding{Source: source, State: fleet.OK}); err != nil {
		return err
	}
	delete(w.host.digests, partFinding+source)
	_, err := w.c.exec(ctx, `DELETE FROM findings WHERE host_id = $1 AND source = $2`, w.id, source)
	return err
}

// counters are the totals of one finding.
type counters struct{ updates, security, blocked, unconfirmed int }

func (n *counters) count(u fleet.Update) {
	n.updates++
	if u.Security {
		n.security++
	}
	if u.Blocked != "" {
		n.blocked++
	}
	if !u.StaleSince.IsZero() {
		n.unconfirmed++
	}
}

func (w *saving) onOffer(ctx context.Context, source string) (map[offerKey]offer, error) {
	old := map[offerKey]offer{}
	err := w.c.all(ctx, func(scan func(...any) error) error {
		var k offerKey
		var o offer
		if err := scan(&k.name, &k.arch, &k.kind, &k.level, &k.platform, &o.body, &o.firstSeen); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(o.body), &o.update); err != nil {
			return err
		}
		old[k] = o
		return nil
	}, `SELECT name, arch, kind, level, platform, body, first_seen FROM updates WHERE host_id = $1 AND source = $2`, w.id, source)
	return old, err
}

// offer writes one update, if it is not there as it is; a new one with the others that are.
func (w *saving) offer(ctx context.Context, k offerKey, u fleet.Update, old offer, known bool, fresh *rows) error {
	body, err := json.Marshal(u)
	if err != nil {
		return err
	}
	if known && old.body == string(body) {
		return nil
	}
	if known {
		w.count(old.update, -1)
	}
	id := w.count(u, 1)
	if known {
		w.offers[id].more = len(body) > len(old.body)
		_, err = w.c.exec(ctx, `UPDATE updates SET security = $1, blocked = $2, body = $3, offer_id = $4
			WHERE host_id = $5 AND source = $6 AND name = $7 AND arch = $8 AND kind = $9 AND level = $10 AND platform = $11`,
			number(u.Security), string(u.Blocked), string(body), id, w.id, u.Source, k.name, k.arch, k.kind, k.level, k.platform)
		return err
	}
	fresh.add(w.id, u.Source, k.name, k.arch, k.kind, k.level, k.platform, number(u.Security), string(u.Blocked), string(body), id, w.now.UnixMilli())
	return nil
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// gone moves an update that is no longer on offer into the history.
func (w *saving) gone(ctx context.Context, source string, k offerKey, o offer) error {
	if _, err := w.c.exec(ctx, `DELETE FROM updates
		WHERE host_id = $1 AND source = $2 AND name = $3 AND arch = $4 AND kind = $5 AND level = $6 AND platform = $7`,
		w.id, source, k.name, k.arch, k.kind, k.level, k.platform); err != nil {
		return err
	}
	w.count(o.update, -1)
	how, err := w.how(ctx, o.update)
	if err != nil {
		return err
	}
	_, err = w.c.exec(ctx, `INSERT INTO history (id, host_id, source, name, body, first_seen, gone_at, how) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		newID(), w.id, source, k.name, o.body, o.firstSeen, w.now.UnixMilli(), string(how))
	return err
}

// said writes what a source said, beside its updates.
func (w *saving) said(ctx context.Context, f fleet.Finding, n counters) error {
	notes := ""
	if len(f.Notes) > 0 {
		text, err := json.Marshal(f.Notes)
		if err != nil {
			return err
		}
		notes = string(text)
	}
	_, err := w.c.exec(ctx, `INSERT INTO findings (host_id, source, state, because, remedy, security_unknown, notes, scanned_at, as_of, updates, security, blocked, unconfirmed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (host_id, source) DO UPDATE SET state = excluded.state, because = excluded.because, remedy = excluded.remedy,
			security_unknown = excluded.security_unknown, notes = excluded.notes, scanned_at = excluded.scanned_at, as_of = excluded.as_of, updates = excluded.updates, security = excluded.security,
			blocked = excluded.blocked, unconfirmed = excluded.unconfirmed`,
		w.id, f.Source, string(f.State), f.Because, f.Remedy, f.SecurityUnknown, notes, millis(f.ScannedAt), millis(f.AsOf), n.updates, n.security, n.blocked, n.unconfirmed)
	return err
}
