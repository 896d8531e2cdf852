package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
)

// Stamp says which report of a host is its newest: with the next one it is another.
type Stamp struct {
	At       int64 // when it was saved, in unix milliseconds; 0 for a host that has not reported
	Session  string
	Sequence int64
}

// Stamps gives the newest reports of the hosts that have reported since a moment.
func (s *Store) Stamps(ctx context.Context, since time.Time) (map[fleet.HostID]Stamp, error) {
	stamps := map[fleet.HostID]Stamp{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var id fleet.HostID
		var st Stamp
		err := scan(&id, &st.At, &st.Session, &st.Sequence)
		stamps[id] = st
		return err
	}, `SELECT id, reported_at, session, sequence FROM hosts WHERE reported_at >= $1`, max(1, millis(since)))
	if err != nil {
		return nil, fmt.Errorf("look for new reports: %w", err)
	}
	return stamps, nil
}

// CountReported says how many hosts have reported at all.
func (s *Store) CountReported(ctx context.Context) (n int, err error) {
	err = s.reader().one(ctx, []any{&n}, `SELECT COUNT(*) FROM hosts WHERE reported_at > 0`)
	return n, err
}

// Surveyed is a host with what it has, by the IDs of what the fleet has once for all hosts.
type Surveyed struct {
	ID    fleet.HostID
	Stamp Stamp
	// Facts are what the host is and needs.
	Facts fleet.Host
}

// Survey is told what hosts have: of each host first itself, then its packages in any number of parts, and then its updates.
type Survey struct {
	Host     func(Surveyed) error
	Packages func(host fleet.HostID, ids []int64) error
	Offer    func(host fleet.HostID, offer int64, blocked bool) error
}

// surveyAtOnce is how many hosts are asked for by name in one statement. For many more, reading all that there is costs less.
const surveyAtOnce = 50

// Survey tells what some hosts have, or all that have reported where none are named, as it is at one moment.
func (s *Store) Survey(ctx context.Context, hosts []fleet.HostID, to Survey) error {
	err := s.snapshot(ctx, func(c conn) error {
		if hosts == nil {
			return surveyOf(ctx, c, "reported_at > 0", "1 = 1", to)
		}
		for some := range slices.Chunk(hosts, surveyAtOnce) {
			ids := make([]int64, len(some))
			for i, id := range some {
				ids[i] = int64(id)
			}
			list := numbers(ids)
			if err := surveyOf(ctx, c, "reported_at > 0 AND id IN ("+list+")", "host_id IN ("+list+")", to); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("survey hosts: %w", err)
	}
	return nil
}

func surveyOf(ctx context.Context, c conn, which, whose string, to Survey) error {
	if err := c.all(ctx, func(scan func(...any) error) error {
		var h Surveyed
		var facts string
		if err := scan(&h.ID, &facts, &h.Stamp.At, &h.Stamp.Session, &h.Stamp.Sequence); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(facts), &h.Facts); err != nil {
			return err
		}
		return to.Host(h)
	}, `SELECT id, facts, reported_at, session, sequence FROM hosts WHERE `+which); err != nil {
		return err
	}
	shelf := whose
	if whose != "1 = 1" {
		shelf = "shelf IN (" + numbers(everyShelf()) + ") AND " + whose
	}
	var ids []int64
	if err := c.all(ctx, func(scan func(...any) error) error {
		var host fleet.HostID
		var text string
		if err := scan(&host, &text); err != nil {
			return err
		}
		ids = ids[:0]
		for word := range strings.FieldsSeq(text) {
			id, err := strconv.ParseInt(word, idBase, 64)
			if err != nil {
				return fmt.Errorf("the list of a host's packages is damaged: %w", err)
			}
			ids = append(ids, id)
		}
		return to.Packages(host, ids)
	}, `SELECT host_id, packages FROM host_packages WHERE `+shelf); err != nil {
		return err
	}
	return c.all(ctx, func(scan func(...any) error) error {
		var host fleet.HostID
		var offer int64
		var blocked string
		if err := scan(&host, &offer, &blocked); err != nil {
			return err
		}
		return to.Offer(host, offer, blocked != "")
	}, `SELECT host_id, offer_id, blocked FROM updates WHERE kind = '' AND `+whose)
}

// PackagesByID gives those of these packages that there are; of nil it gives all.
func (s *Store) PackagesByID(ctx context.Context, ids []int64) (map[int64]fleet.Package, error) {
	found := map[int64]fleet.Package{}
	err := s.byID(ctx, ids, func(scan func(...any) error) error {
		var id int64
		var p fleet.Package
		err := scan(&id, &p.Source, &p.Name, &p.Arch, &p.Version, &p.From, &p.FromVersion, &p.Ecosystem, &p.Module)
		found[id] = p
		return err
	}, `SELECT id, source, name, arch, version, source_package, source_version, ecosystem, module FROM packages`)
	if err != nil {
		return nil, fmt.Errorf("read packages: %w", err)
	}
	return found, nil
}

// OffersByID gives those of these updates that there are; of nil it gives all.
func (s *Store) OffersByID(ctx context.Context, ids []int64) (map[int64]fleet.Update, error) {
	found := map[int64]fleet.Update{}
	err := s.byID(ctx, ids, func(scan func(...any) error) error {
		var id int64
		var body string
		if err := scan(&id, &body); err != nil {
			return err
		}
		var u fleet.Update
		err := json.Unmarshal([]byte(body), &u)
		found[id] = u
		return err
	}, `SELECT id, body FROM offers`)
	if err != nil {
		return nil, fmt.Errorf("read updates: %w", err)
	}
	return found, nil
}

// byID runs a query for the rows of some IDs, many at a time; of nil for all.
func (s *Store) byID(ctx context.Context, ids []int64, each func(scan func(...any) error) error, query string) error {
	if ids == nil {
		return s.reader().all(ctx, each, query)
	}
	for some := range slices.Chunk(ids, batch) {
		if err := s.reader().all(ctx, each, query+` WHERE id IN (`+numbers(some)+`)`); err != nil {
			return err
		}
	}
	return nil
}

// Blocks gives why updates are blocked on hosts; empty where they are not. What is absent is not on offer there.
func (s *Store) Blocks(ctx context.Context, offers []int64, hosts []fleet.HostID) (map[OfferOnHost]fleet.Block, error) {
	found := map[OfferOnHost]fleet.Block{}
	if len(offers) == 0 || len(hosts) == 0 {
		return found, nil
	}
	ids := make([]int64, len(hosts))
	for i, id := range hosts {
		ids[i] = int64(id)
	}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var at OfferOnHost
		var why fleet.Block
		err := scan(&at.Offer, &at.Host, &why)
		found[at] = why
		return err
	}, `SELECT offer_id, host_id, blocked FROM updates WHERE offer_id IN (`+numbers(offers)+`) AND host_id IN (`+numbers(ids)+`)`)
	if err != nil {
		return nil, fmt.Errorf("read why updates are blocked: %w", err)
	}
	return found, nil
}

// OfferOnHost names an update on one host.
type OfferOnHost struct {
	Offer int64
	Host  fleet.HostID
}

// HostIDs gives the hosts that a label query chooses.
func (s *Store) HostIDs(ctx context.Context, q LabelQuery) ([]fleet.HostID, error) {
	l := &list{}
	if len(q.terms) > 0 {
		l.conditions = append(l.conditions, q.where("hosts.id", &l.args))
	}
	var ids []fleet.HostID
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var id fleet.HostID
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT id FROM hosts`+l.where(), l.args...)
	if err != nil {
		return nil, fmt.Errorf("list the hosts of a group: %w", err)
	}
	return ids, nil
}

// FirstSeen gives since when each vulnerability is known of some host, and notes those that are new.
func (s *Store) FirstSeen(ctx context.Context, flaws []string, now time.Time) (map[string]time.Time, error) {
	seen := map[string]time.Time{}
	read := func() error {
		return s.reader().all(ctx, func(scan func(...any) error) error {
			var id string
			var at int64
			err := scan(&id, &at)
			seen[id] = moment(at)
			return err
		}, `SELECT id, first_seen FROM flaws`)
	}
	if err := read(); err != nil {
		return nil, fmt.Errorf("read since when vulnerabilities are known: %w", err)
	}
	for some := range slices.Chunk(flaws, batch) {
		var fresh rows
		for _, id := range some {
			if _, ok := seen[id]; !ok {
				fresh.add(id, now.UnixMilli())
			}
		}
		if fresh.width == 0 {
			continue
		}
		if err := s.inTx(ctx, func(c conn) error {
			return fresh.write(ctx, c, `INSERT INTO flaws (id, first_seen)`, `ON CONFLICT (id) DO NOTHING`)
		}); err != nil {
			return nil, fmt.Errorf("note since when vulnerabilities are known: %w", err)
		}
	}
	return seen, read()
}
