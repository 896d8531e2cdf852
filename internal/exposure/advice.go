package exposure

import (
	"context"
	"slices"

	"redflag/internal/advisory"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

// advised is what was said of an update, and as of when.
type advised struct {
	knowledge, generation int
	day                   int64
	advice                *fleet.Advice
}

// AdviseOffers gives updates of the fleet their advice: as it is for a host that has them. What is suppressed on some of their hosts alone is not suppressed.
func (e *Exposure) AdviseOffers(ctx context.Context, list []store.Offer) error {
	if err := e.Renew(ctx); err != nil {
		return err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	for i := range list {
		if o, ok := e.offers[list[i].ID]; ok {
			list[i].Update.Advice = e.advise(o)
		}
	}
	return nil
}

// Offers gives a page of the updates that a filter chooses, what to do first first.
func (e *Exposure) Offers(ctx context.Context, f store.OfferFilter, p store.Page) ([]store.Offer, string, error) {
	briefs, err := e.store.BriefOffers(ctx, f)
	if err != nil {
		return nil, "", err
	}
	sorted, err := e.sorted(ctx, briefs)
	if err != nil {
		return nil, "", err
	}
	page, next, err := store.Cut(p, "nnnnnn", sorted, func(k []any) []any { return k })
	if err != nil {
		return nil, "", err
	}
	ids := make([]int64, len(page))
	for i, k := range page {
		ids[i], _ = k[len(k)-1].(int64)
	}
	list, err := e.store.OffersOf(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	return list, next, e.AdviseOffers(ctx, list)
}

// sorted gives the places of updates in the order of what to do first, as [fleet.CompareAdvice] has it: the last part of each is the update's ID.
func (e *Exposure) sorted(ctx context.Context, briefs []store.BriefOffer) ([][]any, error) {
	if err := e.Renew(ctx); err != nil {
		return nil, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	keys := make([][]any, 0, len(briefs))
	for _, b := range briefs {
		rank, likely, mends := int64(fleet.Bucket("").Rank()), 0.0, 0
		if o, ok := e.offers[b.ID]; ok {
			if advice := e.advise(o); advice != nil {
				rank, mends = int64(advice.Bucket.Rank()), len(advice.Mends)
				likely = advice.Likeliest()
			}
		}
		security := int64(1)
		if b.Security {
			security = 0
		}
		keys = append(keys, []any{rank, -scaled(likely), -int64(mends), security, -int64(b.Hosts), b.ID})
	}
	slices.SortFunc(keys, store.CompareKeys)
	return keys, nil
}

// advise remembers what it says until feeds, suppressions or the day change. Of kernels that depends on who has it, and of suppressions that are limited to a group too.
func (e *Exposure) advise(o *offer) *fleet.Advice {
	now := advised{knowledge: e.knowledge, day: e.now().UTC().Unix() / secondsOfDay}
	kernel := o.from != nil && advisory.IsKernel(fleet.Package{Name: o.update.Name, From: o.update.Build.Package, Ecosystem: o.update.Build.Ecosystem})
	if kernel || slices.ContainsFunc(e.suppressions, func(s suppression) bool { return s.Group != 0 }) {
		now.generation = e.generation
	}
	e.advising.Lock()
	defer e.advising.Unlock()
	if have, ok := e.advised[o.id]; ok && have.knowledge == now.knowledge && have.day == now.day && have.generation == now.generation {
		return have.advice
	}
	var facts fleet.Host
	var with wide
	o.hosts.into(&with)
	with.each(func(n uint32) {
		if h := e.at[n]; h != nil && (facts.Name == "" || kernel && advisory.ApartOf(facts, o.update) != "") {
			facts = h.facts
		}
	})
	var rules []advisory.Suppression
	for _, s := range e.suppressions {
		if s.Holds(e.now()) && (s.Group == 0 || with.within(s.hosts)) {
			rules = append(rules, s.rule)
		}
	}
	now.advice = e.advice(facts, o.update, rules)
	e.advised[o.id] = now
	return now.advice
}

const secondsOfDay = 24 * 60 * 60

// advice says what is known of an update. What cannot be read is told in it.
func (e *Exposure) advice(h fleet.Host, u fleet.Update, rules []advisory.Suppression) *fleet.Advice {
	advice, err := e.advisor(rules).Update(h, u)
	if err != nil && advice == nil {
		return &fleet.Advice{Bucket: fleet.Track, Because: "which flaws it mends is not known", Mends: []fleet.Flaw{}, Remains: []fleet.Flaw{}, Unknown: fleet.Plain(err.Error())}
	}
	return advice
}

// AdviseHost gives updates of one host their advice.
func (e *Exposure) AdviseHost(ctx context.Context, id fleet.HostID, updates []*fleet.Update) error {
	if err := e.Renew(ctx); err != nil {
		return err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	n, ok := e.hosts[id]
	if !ok {
		return nil
	}
	var rules []advisory.Suppression
	for _, s := range e.suppressions {
		if s.Holds(e.now()) && (s.Group == 0 || s.hosts.has(n)) {
			rules = append(rules, s.rule)
		}
	}
	for _, u := range updates {
		u.Advice = e.advice(e.at[n].facts, *u, rules)
	}
	return nil
}
