package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"redflag/internal/fleet"
)

// Offer is an update over all hosts of the fleet.
type Offer struct {
	ID     int64        `json:"id"`
	Update fleet.Update `json:"update"`
	// Hosts is on how many hosts it is on offer, and Blocked on how many of them it is blocked.
	Hosts   int `json:"hosts"`
	Blocked int `json:"blocked"`
	// FirstSeen is when the first host had it.
	FirstSeen time.Time `json:"first_seen"`
}

// ErrNoOffer: no host has this update (any more).
var ErrNoOffer = errors.New("no such update: no host has it on offer any more")

// OfferFilter chooses updates; what is empty chooses all.
type OfferFilter struct {
	Text     string // in the name
	Source   string
	Kind     fleet.Kind
	Security bool // only those for security
	Blocked  bool // only those that are blocked on some host
	// Sort is security (those for security, and by hosts), hosts, name or first_seen; hosts where it is empty.
	Sort string
	Desc bool
}

const offerColumns = `id, body, hosts, blocked, first_seen`

func scanOffer(scan func(...any) error) (Offer, error) {
	var o Offer
	var body string
	var first int64
	if err := scan(&o.ID, &body, &o.Hosts, &o.Blocked, &first); err != nil {
		return o, err
	}
	o.FirstSeen = moment(first)
	return o, json.Unmarshal([]byte(body), &o.Update)
}

// Offers gives a page of the fleet's updates, and the cursor of the next.
func (s *Store) Offers(ctx context.Context, f OfferFilter, p Page) (offers []Offer, next string, err error) {
	order, kinds, err := offerOrder(f.Sort)
	if err != nil {
		return nil, "", err
	}
	key, err := p.key(kinds)
	if err != nil {
		return nil, "", err
	}
	l := f.list()
	query := `SELECT ` + offerColumns + ` FROM offers` + l.page(p, key, f.Desc, order...)
	rows := []Offer{}
	if err := s.reader().all(ctx, func(scan func(...any) error) error {
		o, err := scanOffer(scan)
		rows = append(rows, o)
		return err
	}, query, l.args...); err != nil {
		return nil, "", fmt.Errorf("list updates: %w", err)
	}
	offers, more := cut(p, rows)
	if more {
		last := offers[len(offers)-1]
		at := map[string]any{"security": number(last.Update.Security), "hosts": last.Hosts, "name": last.Update.Name, "first_seen": millis(last.FirstSeen), "id": last.ID}
		var values []any
		for _, column := range order {
			values = append(values, at[column])
		}
		next = cursor(values...)
	}
	return offers, next, nil
}

// offerOrder gives the columns that updates are sorted by, and the kinds of their values.
func offerOrder(sort string) (columns []string, kinds string, err error) {
	switch sort {
	case "security":
		return []string{"security", "hosts", "id"}, "nnn", nil
	case "name":
		return []string{"name", "id"}, "sn", nil
	case "", "hosts":
		return []string{"hosts", "id"}, "nn", nil
	case "first_seen":
		return []string{"first_seen", "id"}, "nn", nil
	}
	return nil, "", fmt.Errorf("%w: updates are not sorted by %q", ErrPage, fleet.Plain(sort))
}

func (f OfferFilter) list() *list {
	l := &list{}
	l.text("name", f.Text)
	if f.Source != "" {
		l.add("source = ?", f.Source)
	}
	if f.Kind != "" {
		l.add("kind = ?", string(f.Kind))
	}
	if f.Security {
		l.add("security = 1")
	}
	if f.Blocked {
		l.add("blocked > 0")
	}
	return l
}

// BriefOffer is what updates are sorted by.
type BriefOffer struct {
	ID       int64
	Security bool
	Hosts    int
}

// maxBrief bounds the updates that are sorted in memory: a fleet of 10,000 hosts of five distributions has 20,000.
const maxBrief = 200_000

// BriefOffers gives all updates that a filter chooses, in no order.
func (s *Store) BriefOffers(ctx context.Context, f OfferFilter) ([]BriefOffer, error) {
	l, list := f.list(), []BriefOffer{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var b BriefOffer
		var security int
		err := scan(&b.ID, &security, &b.Hosts)
		b.Security = security == 1
		list = append(list, b)
		return err
	}, `SELECT id, security, hosts FROM offers`+l.where()+fmt.Sprintf(" LIMIT %d", maxBrief), l.args...)
	if err != nil {
		return nil, fmt.Errorf("list updates: %w", err)
	}
	return list, nil
}

// OffersOf gives those of these updates that there are, in this order.
func (s *Store) OffersOf(ctx context.Context, ids []int64) ([]Offer, error) {
	found := map[int64]Offer{}
	err := s.byID(ctx, append([]int64{}, ids...), func(scan func(...any) error) error {
		o, err := scanOffer(scan)
		found[o.ID] = o
		return err
	}, `SELECT `+offerColumns+` FROM offers`)
	if err != nil {
		return nil, fmt.Errorf("read updates: %w", err)
	}
	list := []Offer{}
	for _, id := range ids {
		if o, ok := found[id]; ok {
			list = append(list, o)
		}
	}
	return list, nil
}

// Offer gives one update of the fleet.
func (s *Store) Offer(ctx context.Context, id int64) (Offer, error) {
	o, err := Offer{}, ErrNoOffer
	queryErr := s.reader().all(ctx, func(scan func(...any) error) error {
		o, err = scanOffer(scan)
		return err
	}, `SELECT `+offerColumns+` FROM offers WHERE id = $1`, id)
	return o, errors.Join(queryErr, err)
}

// OnHost is an update on one host.
type OnHost struct {
	Host      fleet.HostID `json:"host"`
	HostName  string       `json:"host_name"`
	Update    fleet.Update `json:"update"`
	FirstSeen time.Time    `json:"first_seen"`
}

func scanOnHost(scan func(...any) error) (OnHost, error) {
	var o OnHost
	var body string
	var first int64
	if err := scan(&o.Host, &o.HostName, &body, &first); err != nil {
		return o, err
	}
	o.FirstSeen = moment(first)
	return o, json.Unmarshal([]byte(body), &o.Update)
}

// OfferHosts gives a page of the hosts that have an update on offer.
func (s *Store) OfferHosts(ctx context.Context, id int64, p Page) (on []OnHost, next string, err error) {
	key, err := p.key("n")
	if err != nil {
		return nil, "", err
	}
	l := &list{}
	l.add("u.offer_id = ?", id)
	rows, err := s.onHosts(ctx, `SELECT u.host_id, h.name, u.body, u.first_seen FROM updates AS u JOIN hosts AS h ON h.id = u.host_id`+l.page(p, key, false, "u.host_id"), l.args)
	if err != nil {
		return nil, "", fmt.Errorf("list the hosts of an update: %w", err)
	}
	on, more := cut(p, rows)
	if more {
		next = cursor(int64(on[len(on)-1].Host))
	}
	return on, next, nil
}

func (s *Store) onHosts(ctx context.Context, query string, args []any) ([]OnHost, error) {
	rows := []OnHost{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		o, err := scanOnHost(scan)
		rows = append(rows, o)
		return err
	}, query, args...)
	return rows, err
}

// HostUpdates gives every update of a host, with when it was first on offer there.
func (s *Store) HostUpdates(ctx context.Context, id fleet.HostID) ([]OnHost, error) {
	return s.onHosts(ctx, `SELECT u.host_id, h.name, u.body, u.first_seen FROM updates AS u JOIN hosts AS h ON h.id = u.host_id
		WHERE u.host_id = $1 ORDER BY u.source, u.name, u.arch, u.kind, u.level, u.platform`, []any{id})
}

// Appeared gives a page of what is on offer, by when it came, the newest first.
func (s *Store) Appeared(ctx context.Context, p Page) (on []OnHost, next string, err error) {
	key, err := p.key("nnssssss")
	if err != nil {
		return nil, "", err
	}
	l := &list{}
	query := `SELECT u.host_id, h.name, u.body, u.first_seen FROM updates AS u JOIN hosts AS h ON h.id = u.host_id` +
		l.page(p, key, true, "u.first_seen", "u.host_id", "u.source", "u.name", "u.arch", "u.kind", "u.level", "u.platform")
	rows, err := s.onHosts(ctx, query, l.args)
	if err != nil {
		return nil, "", fmt.Errorf("list what appeared: %w", err)
	}
	on, more := cut(p, rows)
	if more {
		last := on[len(on)-1]
		k := keyOf(last.Update)
		next = cursor(millis(last.FirstSeen), int64(last.Host), last.Update.Source, k.name, k.arch, k.kind, k.level, k.platform)
	}
	return on, next, nil
}
