package exposure

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"redflag/internal/advisory"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

const (
	// fresh is for how long what is known of reports is believed without asking the store again.
	fresh = time.Second
	// overlap is how much older than the newest report that was seen another one may be that comes after it: reports are stamped before they are saved, and
	// by the clocks of several servers.
	overlap = 2 * time.Minute
	// lasts is after how long all is read anew: what no host has any more is forgotten by that.
	lasts = 24 * time.Hour
	// most is how many hosts are surveyed while readers wait.
	most = 50
)

// Renew brings it up to date with what hosts have said since.
func (e *Exposure) Renew(ctx context.Context) error {
	e.renewing.Lock()
	defer e.renewing.Unlock()
	if now := e.now(); !e.outdated.Swap(false) && now.Sub(e.looked) < fresh && !now.Before(e.looked) {
		return nil
	}
	err := e.renew(ctx)
	if err != nil {
		e.outdated.Store(true)
	}
	return err
}

// renew is for who holds e.renewing.
func (e *Exposure) renew(ctx context.Context) error {
	began := e.now()
	if e.newest.IsZero() || began.Sub(e.begun) > lasts {
		if err := e.begin(ctx); err != nil {
			return err
		}
	}
	stamps, err := e.store.Stamps(ctx, e.newest.Add(-overlap))
	if err != nil {
		return err
	}
	var changed []fleet.HostID
	newest := e.newest
	for id, st := range stamps {
		if n, ok := e.hosts[id]; !ok || e.census.at[n].stamp != st {
			changed = append(changed, id)
		}
		if at := time.UnixMilli(st.At); at.After(newest) {
			newest = at
		}
	}
	slices.Sort(changed)
	for some := range slices.Chunk(changed, most) {
		if err := e.survey(ctx, some); err != nil {
			return err
		}
	}
	e.newest = newest // of none that is older a report is missing
	if err := e.forget(ctx); err != nil {
		return err
	}
	if err := e.suppress(ctx); err != nil {
		return err
	}
	e.looked = began
	return nil
}

// begin reads all that there is, beside what readers see meanwhile.
func (e *Exposure) begin(ctx context.Context) error {
	next := &Exposure{store: e.store, now: e.now, census: emptyCensus(e.matcher), advised: map[int64]advised{}}
	packages, err := e.store.PackagesByID(ctx, nil)
	if err != nil {
		return err
	}
	next.learn(packages)
	if err := next.read(ctx, nil); err != nil {
		return err
	}
	if err := next.note(ctx); err != nil {
		return err
	}
	newest := time.UnixMilli(1)
	for _, h := range next.at {
		if at := time.UnixMilli(h.stamp.At); at.After(newest) {
			newest = at
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.matcher.Keep(func(s advisory.Subject) bool { return next.subjects[s] != nil })
	next.suppressions = e.suppressions
	e.census, e.newest, e.begun = next.census, newest, e.now()
	e.generation++
	e.advised = map[int64]advised{}
	return nil
}

// survey reads some hosts anew.
func (e *Exposure) survey(ctx context.Context, hosts []fleet.HostID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.read(ctx, hosts); err != nil {
		return err
	}
	return e.note(ctx)
}

// later is what a host has, of which it is not known yet what it is.
type later struct {
	host    uint32
	id      int64
	blocked bool
}

// read takes over what some hosts have, or all. Of those that are named, what was there is dropped first.
func (e *Exposure) read(ctx context.Context, hosts []fleet.HostID) error {
	e.generation++
	var packages, offers []later
	err := e.store.Survey(ctx, hosts, store.Survey{
		Host: func(s store.Surveyed) error {
			e.leave(s.ID)
			e.join(s)
			return nil
		},
		Packages: func(id fleet.HostID, ids []int64) error {
			n, ok := e.hosts[id]
			for _, p := range ids {
				if ok && !e.installed(n, p) {
					packages = append(packages, later{host: n, id: p})
				}
			}
			return nil
		},
		Offer: func(id fleet.HostID, o int64, blocked bool) error {
			if n, ok := e.hosts[id]; ok {
				offers = append(offers, later{n, o, blocked})
			}
			return nil
		},
	})
	if err == nil {
		err = e.learnLater(ctx, packages, offers)
	}
	if err != nil {
		for _, id := range hosts { // so that they are read again
			if n, ok := e.hosts[id]; ok {
				e.at[n].stamp = store.Stamp{}
			}
		}
		return err
	}
	for _, id := range hosts {
		if n, ok := e.hosts[id]; ok {
			e.settle(n)
		}
	}
	if hosts == nil {
		for n := range e.at {
			e.settle(uint32(n)) //nolint:gosec // below the number of hosts
		}
	}
	return nil
}

// learnLater asks what the packages are that nobody had before, and what is said of the updates now, and takes them over.
func (e *Exposure) learnLater(ctx context.Context, packages, offers []later) error {
	found, err := e.store.PackagesByID(ctx, distinct(packages))
	if err != nil {
		return err
	}
	e.learn(found)
	for _, l := range packages {
		e.installed(l.host, l.id)
	}
	updates, err := e.store.OffersByID(ctx, distinct(offers))
	if err != nil {
		return err
	}
	for id, u := range updates {
		e.learnOffer(id, u)
	}
	for _, l := range offers {
		o, ok := e.offers[l.id]
		if !ok {
			continue // it has left since: so has the host's report
		}
		o.hosts.add(l.host)
		if l.blocked {
			o.blocked.add(l.host)
		}
	}
	return nil
}

func distinct(list []later) []int64 {
	ids := map[int64]bool{}
	for _, l := range list {
		ids[l.id] = true
	}
	sorted := slices.Sorted(maps.Keys(ids))
	if sorted == nil {
		return []int64{}
	}
	return sorted
}

// join gives a host a place.
func (e *Exposure) join(s store.Surveyed) {
	f := s.Facts
	h := &host{
		id: s.ID, stamp: s.Stamp, ecosystems: map[string]bool{},
		facts: fleet.Host{Name: f.Name, OSID: f.OSID, OSVersion: f.OSVersion, Kernel: f.Kernel, Virtualisation: f.Virtualisation},
	}
	n := uint32(len(e.at)) //nolint:gosec // the number of hosts
	if last := len(e.vacant) - 1; last >= 0 {
		n, e.vacant = e.vacant[last], e.vacant[:last]
		e.at[n] = h
	} else {
		e.at = append(e.at, h)
	}
	e.hosts[s.ID] = n
	e.services(n, f.Restart)
}

// services notes what services still run that is not on the disk any more.
func (e *Exposure) services(n uint32, r fleet.Restart) {
	unsure := r.Needed != fleet.Needed && r.Needed != fleet.NotNeeded || r.Because != ""
	for _, service := range r.Services {
		unsure = unsure || service.ReplacedUnknown != ""
		for _, p := range service.Replaced {
			if p.Ecosystem != "" {
				e.runs(n, e.subject(advisory.SubjectOf(p.Was())), e.subject(advisory.SubjectOf(p.Package)), service.Name)
			}
		}
	}
	if unsure {
		e.unsure.add(n)
	}
}

// runs notes that a host runs a version that is not on its disk any more; without a service it is a kernel.
func (e *Exposure) runs(n uint32, runs, disk *subject, service string) {
	if runs == disk {
		return
	}
	st := e.stale[[2]*subject{runs, disk}]
	if st == nil {
		st = &stale{runs: runs, disk: disk, kernel: service == ""}
		e.stale[[2]*subject{runs, disk}] = st
		runs.stale = append(runs.stale, st)
	}
	st.hosts.add(n)
	h := e.at[n]
	i := slices.IndexFunc(h.running, func(r running) bool { return r.stale == st })
	if i < 0 {
		h.running = append(h.running, running{stale: st})
		i = len(h.running) - 1
	}
	if service != "" && !slices.Contains(h.running[i].services, service) {
		h.running[i].services = append(h.running[i].services, service)
	}
}

// leave takes a host out, with all that it has.
func (e *Exposure) leave(id fleet.HostID) {
	n, ok := e.hosts[id]
	if !ok {
		return
	}
	for _, s := range e.subjects {
		s.hosts.remove(n)
	}
	for _, o := range e.offers {
		o.hosts.remove(n)
		o.blocked.remove(n)
	}
	for _, r := range e.at[n].running {
		r.hosts.remove(n)
	}
	e.unsure.remove(n)
	delete(e.hosts, id)
	e.at[n] = nil
	e.vacant = append(e.vacant, n)
}

// forget takes out the hosts that have left the fleet.
func (e *Exposure) forget(ctx context.Context) error {
	n, err := e.store.CountReported(ctx)
	if err != nil || n == len(e.hosts) {
		return err
	}
	there, err := e.store.HostIDs(ctx, store.LabelQuery{})
	if err != nil {
		return err
	}
	left := maps.Clone(e.hosts)
	for _, id := range there {
		delete(left, id)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range left {
		e.leave(id)
		e.generation++
	}
	return nil
}

// learn takes packages of the dictionary over.
func (e *Exposure) learn(packages map[int64]fleet.Package) {
	for id, p := range packages {
		one := &part{}
		e.packages[id] = one
		if p.Ecosystem == "" {
			continue
		}
		one.subject = e.subject(advisory.SubjectOf(p))
		if !slices.Contains(one.subject.names, p.Name) {
			one.subject.names = append(one.subject.names, p.Name)
		}
		if advisory.IsKernel(p) {
			one.kernel = &p
		}
	}
}

// subject gives the one version that is meant, and matches it where no host had it before.
func (e *Exposure) subject(of advisory.Subject) *subject {
	if s, ok := e.subjects[of]; ok {
		return s
	}
	s := &subject{Subject: of}
	e.subjects[of] = s
	name := [2]string{of.Ecosystem, of.Name}
	e.byName[name] = append(e.byName[name], s)
	e.match(s)
	return s
}

// installed notes that a host has a package, and says whether it is known what that is.
func (e *Exposure) installed(n uint32, id int64) bool {
	p, ok := e.packages[id]
	if !ok {
		return false
	}
	h := e.at[n]
	h.packages++
	if p.subject == nil {
		return true
	}
	h.own++
	h.ecosystems[p.subject.Ecosystem] = true
	if p.kernel != nil {
		e.kernel(h, p)
		if advisory.Apart(h.facts, *p.kernel) != "" {
			return true
		}
	}
	p.subject.hosts.add(n)
	return true
}

// kernel notes which kernel runs, and which is the newest of its kind.
func (e *Exposure) kernel(h *host, p *part) {
	if !advisory.SameKernel(h.facts, *p.kernel) {
		return
	}
	if advisory.Apart(h.facts, *p.kernel) == "" {
		h.kernel = p.subject
	}
	if h.newest == nil || advisory.Older(h.newest.Subject, p.subject.Subject) {
		h.newest = p.subject
	}
}

// settle notes what all packages of a host together say.
func (e *Exposure) settle(n uint32) {
	if h := e.at[n]; h != nil && h.kernel != nil {
		e.runs(n, h.kernel, h.newest, "")
	}
}

// learnOffer takes an update over, or what is said of it now: an agent that was brought up to date says more.
func (e *Exposure) learnOffer(id int64, u fleet.Update) {
	o, ok := e.offers[id]
	if ok && reflect.DeepEqual(o.update, u) {
		return
	}
	if !ok {
		o = &offer{id: id}
		e.offers[id] = o
	}
	if o.from != nil {
		o.from.offers = slices.DeleteFunc(o.from.offers, func(other *offer) bool { return other == o })
	}
	o.update, o.from, o.to = u, nil, nil
	e.advising.Lock()
	delete(e.advised, id)
	e.advising.Unlock()
	if u.Build == nil || u.Build.Ecosystem == "" {
		return
	}
	from, to := advisory.SubjectsOf(u)
	o.from, o.to = e.subject(from), e.subject(to)
	o.from.offers = append(o.from.offers, o)
}

// suppress reads the decisions that something does not count.
func (e *Exposure) suppress(ctx context.Context) error {
	kept, err := e.store.Suppressions(ctx, e.now())
	if err != nil {
		return err
	}
	groups := map[string]wide{}
	var list []suppression
	for _, s := range kept {
		one := suppression{Suppression: s, rule: advisory.Suppress(s.ID, s.Package, s.Status, s.Owner, s.Reason, s.Until)}
		if s.Group != 0 {
			hosts, ok := groups[s.Query]
			if !ok {
				if hosts, err = e.labelled(ctx, s.Query); err != nil {
					return err
				}
				groups[s.Query] = hosts
			}
			one.hosts = hosts
		}
		list = append(list, one)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.EqualFunc(list, e.suppressions, sameSuppression) {
		e.suppressions = list
		e.generation++
		e.knowledge++
	}
	return nil
}

func sameSuppression(a, b suppression) bool {
	return a.Suppression == b.Suppression && slices.Equal(a.hosts, b.hosts)
}

// labelled gives the hosts that a label query chooses.
func (e *Exposure) labelled(ctx context.Context, query string) (wide, error) {
	q, err := store.ParseLabels(query)
	if err != nil {
		return nil, fmt.Errorf("a group: %w", err)
	}
	ids, err := e.store.HostIDs(ctx, q)
	if err != nil {
		return nil, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	w := make(wide, 1)
	for _, id := range ids {
		if n, ok := e.hosts[id]; ok {
			w.add(n)
		}
	}
	return w, nil
}
