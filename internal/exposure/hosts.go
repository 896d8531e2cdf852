package exposure

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"redflag/internal/advisory"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

// found is a version with a vulnerability on a host.
type found struct {
	host fleet.HostID
	at   uint32
	of   *subject
	runs *running // where it is not what is on the disk
}

func (f found) key() []any {
	return []any{int64(f.host), f.of.Ecosystem, f.of.Name, f.of.Version, f.of.Module}
}

// Hosts gives a page of the hosts that have a vulnerability, or of those of a group.
func (e *Exposure) Hosts(ctx context.Context, id string, group int64, p store.Page) ([]VulnerableHost, string, error) {
	if err := e.Renew(ctx); err != nil {
		return nil, "", err
	}
	query, err := e.groupQuery(ctx, group)
	if err != nil {
		return nil, "", err
	}
	chosen, err := e.selected(ctx, 0, group, query)
	if err != nil {
		return nil, "", err
	}
	list, next, offers, err := e.page(id, chosen, p)
	if err != nil || len(list) == 0 {
		return list, next, err
	}
	ids := make([]fleet.HostID, len(list))
	for i, v := range list {
		ids[i] = v.Host
	}
	blocks, err := e.store.Blocks(ctx, offers, slices.Compact(ids))
	if err != nil {
		return nil, "", err
	}
	for i := range list {
		if u := list[i].Update; u != nil {
			u.Blocked = blocks[store.OfferOnHost{Offer: u.Update, Host: list[i].Host}]
		}
	}
	return list, next, nil
}

// page gives a page of them, and the updates that are named in it.
func (e *Exposure) page(id string, chosen selection, p store.Page) (list []VulnerableHost, next string, offers []int64, err error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	f := e.flaws[id]
	if f == nil {
		return nil, "", nil, ErrNone
	}
	var all []found
	for _, s := range f.has {
		var hosts wide
		s.hosts.into(&hosts)
		chosen.only(hosts)
		hosts.each(func(n uint32) { all = append(all, found{e.at[n].id, n, s, nil}) })
		for _, st := range s.stale {
			if st.kernel || st.disk.unknown != "" || st.disk.has(f.id) {
				continue
			}
			hosts.reset()
			st.hosts.into(&hosts)
			chosen.only(hosts)
			hosts.each(func(n uint32) { all = append(all, found{e.at[n].id, n, s, e.at[n].run(st)}) })
		}
	}
	slices.SortFunc(all, func(a, b found) int {
		if c := cmp.Compare(a.host, b.host); c != 0 {
			return c
		}
		return store.CompareKeys(a.key(), b.key())
	})
	some, next, err := store.Cut(p, "nssss", all, found.key)
	if err != nil {
		return nil, "", nil, err
	}
	c := e.counting(selection{})
	list = []VulnerableHost{}
	for _, one := range some {
		v := c.onHost(f, one)
		if v.Update != nil && !slices.Contains(offers, v.Update.Update) {
			offers = append(offers, v.Update.Update)
		}
		list = append(list, v)
	}
	return list, next, offers, nil
}

// onHost describes one version with a vulnerability on a host.
func (c *counting) onHost(f *flaw, at found) VulnerableHost {
	h, s := c.e.at[at.at], at.of
	one := f.flawOn(s)
	v := VulnerableHost{Host: h.id, HostName: h.facts.Name, Ecosystem: s.Ecosystem, Package: s.Name, Version: s.Version, FixedIn: one.FixedIn, Services: []string{}}
	v.Suppressed = c.suppressedOn(one, s, at.at)
	if at.runs != nil {
		v.InMemory = fmt.Sprintf("%s is installed, and services still run %s", at.runs.disk.Version, s.Version)
		v.Services = append(v.Services, at.runs.services...)
		return v
	}
	for _, o := range s.offers {
		if !o.mends(f.id) || !o.hosts.has(at.at) {
			continue
		}
		if v.Update == nil || o.update.Name == s.Name {
			v.Update = &HostMend{Update: o.id, Source: o.update.Source, Name: o.update.Name, From: o.update.From, To: o.update.To}
		}
	}
	if h.kernel == s && h.newest != s && !h.newest.has(f.id) {
		v.InMemory = fmt.Sprintf("the kernel of %s is installed, and the one that runs (%s) is older: it takes a reboot", h.newest.Version, fleet.Plain(h.facts.Kernel))
	}
	return v
}

// run gives what a host runs of what is not on its disk any more.
func (h *host) run(st *stale) *running {
	for i := range h.running {
		if h.running[i].stale == st {
			return &h.running[i]
		}
	}
	return &running{stale: st}
}

// suppressedOn says whether a flaw of a version does not count on a host.
func (c *counting) suppressedOn(one fleet.Flaw, s *subject, n uint32) *fleet.Suppressed {
	if len(c.rules) == 0 {
		return nil
	}
	for _, id := range append([]string{one.ID}, one.Advisories...) {
		for _, rule := range c.rules[id] {
			if rule.Group != 0 && !rule.hosts.has(n) {
				continue
			}
			if why := rule.rule.Covers(c.now, one, append([]string{s.Name}, s.names...)...); why != nil {
				return why
			}
		}
	}
	return nil
}

// OfHost is what is known of one host's vulnerabilities.
type OfHost struct {
	// Vulnerable counts those that count, by bucket; Unknown says why some may be missing.
	Vulnerable map[fleet.Bucket]int
	Unknown    string
	// Support is nil where it is not known.
	Support *Support
}

// OfHosts gives what is known of some hosts.
func (e *Exposure) OfHosts(ctx context.Context, hosts []store.Host) (map[fleet.HostID]OfHost, error) {
	if err := e.Renew(ctx); err != nil {
		return nil, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	c := e.counting(selection{})
	vulnerable := e.vulnerable()
	all := map[fleet.HostID]OfHost{}
	for _, h := range hosts {
		one := OfHost{Vulnerable: map[fleet.Bucket]int{fleet.ActNow: 0, fleet.ThisWindow: 0, fleet.Routine: 0, fleet.Track: 0}, Unknown: "it has not reported yet"}
		if n, ok := e.hosts[h.ID]; ok {
			c.bucketsOf(n, vulnerable, one.Vulnerable)
			one.Unknown = e.unknownOf(e.at[n])
		}
		if words, ended := e.advisor(nil).Support(h.Facts); words != "" {
			one.Support = &Support{words, ended}
		}
		all[h.ID] = one
	}
	return all, nil
}

// vulnerable gives the versions that some host has, and that have flaws.
func (e *Exposure) vulnerable() []*subject {
	var list []*subject
	for _, s := range e.subjects {
		if len(s.flaws) > 0 && !s.hosts.empty() {
			list = append(list, s)
		}
	}
	return list
}

// bucketsOf counts the flaws of one host, each once.
func (c *counting) bucketsOf(n uint32, vulnerable []*subject, number map[fleet.Bucket]int) {
	counted := make([]fleet.Bucket, len(c.e.flaws)) // by the flaws' numbers
	add := func(s *subject, i int) {
		before, bucket := counted[s.numbers[i]], s.buckets[i]
		switch {
		case len(c.rules) > 0 && c.suppressedOn(s.flaws[i], s, n) != nil, before != "" && before.Rank() <= bucket.Rank():
			return
		case before != "":
			number[before]--
		}
		counted[s.numbers[i]] = bucket
		number[bucket]++
	}
	for _, s := range vulnerable {
		if s.hosts.has(n) {
			for i := range s.flaws {
				add(s, i)
			}
		}
	}
	for _, r := range c.e.at[n].running {
		for i := range r.runs.flaws {
			if r.disk.unknown == "" && !r.disk.has(r.runs.flaws[i].ID) {
				add(r.runs, i)
			}
		}
	}
}

// unknownOf says why vulnerabilities of a host may be missing.
func (e *Exposure) unknownOf(h *host) string {
	switch {
	case len(e.matcher.Feeds()) == 0 && len(e.matcher.Damaged()) == 0:
		return "no advisory data"
	case h.packages == 0:
		return "it does not say what is installed"
	case h.own == 0:
		return "it does not say from where its packages come: its agent is older, or none is of a distribution that is known"
	}
	words := e.advisor(nil).LacksOf(slices.Sorted(maps.Keys(h.ecosystems)))
	for _, d := range e.matcher.Damaged() {
		words = append(words, "a feed cannot be read: "+d)
	}
	if e.damaged != "" {
		words = append(words, e.damaged)
	}
	return strings.Join(words, "; ")
}

// Unsupported gives the hosts whose release is not cared for any more.
func (e *Exposure) Unsupported(ctx context.Context) ([]fleet.HostID, error) {
	if err := e.Renew(ctx); err != nil {
		return nil, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	a, ended := e.advisor(nil), map[[2]string]bool{}
	ids := []fleet.HostID{}
	for _, h := range e.at {
		if h == nil {
			continue
		}
		release := [2]string{h.facts.OSID, h.facts.OSVersion}
		over, ok := ended[release]
		if !ok {
			_, over = a.Support(h.facts)
			ended[release] = over
		}
		if over {
			ids = append(ids, h.id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// advisor advises by the feeds, with some suppressions.
func (e *Exposure) advisor(rules []advisory.Suppression) advisory.Advisor {
	return advisory.Advisor{Matcher: e.matcher, Now: e.now().UTC(), Suppressions: rules}
}

// Mending gives the names of the updates that mend a vulnerability on each host where that can be done now; of some hosts, or with nil of all. Where it does not count,
// because it is suppressed, nothing is mended, but on hosts that a person has named.
func (e *Exposure) Mending(ctx context.Context, id string, hosts []fleet.HostID, named bool) (map[fleet.HostID][]string, error) {
	if err := e.Renew(ctx); err != nil {
		return nil, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	f := e.flaws[id]
	if f == nil {
		return nil, ErrNone
	}
	var chosen wide
	for _, id := range hosts {
		if n, ok := e.hosts[id]; ok {
			chosen.add(n)
		}
	}
	c := e.counting(selection{chosen, hosts != nil})
	names := map[fleet.HostID][]string{}
	for _, s := range f.has {
		one := f.flawOn(s)
		for _, o := range s.offers {
			if !o.mends(f.id) {
				continue
			}
			var with, blocked wide
			o.hosts.into(&with)
			s.hostsOf(&with)
			o.blocked.into(&blocked)
			with.not(blocked)
			c.chosen.only(with)
			with.each(func(n uint32) {
				on := e.at[n].id
				if !named && c.suppressedOn(one, s, n) != nil {
					return
				}
				if !slices.Contains(names[on], o.update.Name) {
					names[on] = append(names[on], o.update.Name)
				}
			})
		}
	}
	if len(names) == 0 {
		return nil, ErrNoMend
	}
	for _, list := range names {
		slices.Sort(list)
	}
	return names, nil
}

// hostsOf keeps the hosts that have a version.
func (s *subject) hostsOf(w *wide) {
	var have wide
	s.hosts.into(&have)
	w.and(have)
}
