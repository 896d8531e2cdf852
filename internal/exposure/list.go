package exposure

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"redflag/internal/advisory"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

// lists are the vulnerabilities of one selection of hosts, as they were last made: who pages through them makes them once.
type lists struct {
	generation int
	day        int64
	host       fleet.HostID
	group      string
	all        []Vulnerability
}

// selection is the hosts that are looked at; all where it has none.
type selection struct {
	hosts wide
	some  bool
}

// only keeps the hosts that are looked at.
func (s selection) only(w wide) {
	if s.some {
		w.and(s.hosts)
	}
}

// List gives a page of the vulnerabilities that a filter chooses, what to do first first.
func (e *Exposure) List(ctx context.Context, f Filter, p store.Page) ([]Vulnerability, string, error) {
	all, err := e.vulnerabilities(ctx, f)
	if err != nil {
		return nil, "", err
	}
	var chosen []Vulnerability
	for _, v := range all {
		if f.chooses(v) {
			chosen = append(chosen, v)
		}
	}
	return store.Cut(p, "nnnnnns", chosen, place)
}

// place is a vulnerability's place in the order of what to do first: as [fleet.CompareFlaws] has it within a bucket.
func place(v Vulnerability) []any {
	exploited := int64(1)
	if v.Exploited != nil {
		exploited = 0
	}
	return []any{int64(v.Bucket.Rank()), exploited, -int64(fleet.Weight(v.Severity)), -scaled(v.EPSS), -scaled(v.CVSS), -int64(v.Hosts), v.ID}
}

// compare orders as places do.
func compare(a, b Vulnerability) int {
	exploited := func(v Vulnerability) int {
		if v.Exploited != nil {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(a.Bucket.Rank(), b.Bucket.Rank()),
		cmp.Compare(exploited(a), exploited(b)),
		cmp.Compare(fleet.Weight(b.Severity), fleet.Weight(a.Severity)),
		cmp.Compare(scaled(b.EPSS), scaled(a.EPSS)),
		cmp.Compare(scaled(b.CVSS), scaled(a.CVSS)),
		cmp.Compare(b.Hosts, a.Hosts),
		cmp.Compare(a.ID, b.ID),
	)
}

// scaled makes a number that has at most five decimals whole.
func scaled(f float64) int64 { return int64(math.Round(f * 100_000)) }

// chooses says whether a vulnerability is meant. Which hosts are meant it is made for.
func (f Filter) chooses(v Vulnerability) bool {
	severity := cmp.Or(v.Severity, "unrated")
	switch {
	case f.Bucket != "" && v.Bucket != f.Bucket, f.Severity != "" && severity != f.Severity, f.Exploited && v.Exploited == nil:
		return false
	case f.Fix == "available" && v.Mendable == 0, f.Fix == "none" && v.Mendable > 0:
		return false
	case f.Suppressed != nil && *f.Suppressed && v.SuppressedHosts == 0, f.Suppressed != nil && !*f.Suppressed && v.Hosts == 0 && v.InMemory == 0:
		return false
	case f.Text == "":
		return true
	}
	text := strings.ToLower(f.Text)
	return strings.Contains(strings.ToLower(v.ID), text) || slices.ContainsFunc(v.Packages, func(p string) bool { return strings.Contains(strings.ToLower(p), text) })
}

// vulnerabilities gives all that the chosen hosts have, sorted.
func (e *Exposure) vulnerabilities(ctx context.Context, f Filter) ([]Vulnerability, error) {
	if err := e.Renew(ctx); err != nil {
		return nil, err
	}
	query, err := e.groupQuery(ctx, f.Group)
	if err != nil {
		return nil, err
	}
	day := e.now().UTC().Unix() / secondsOfDay
	e.mu.RLock()
	have, generation := e.lists, e.generation
	e.mu.RUnlock()
	if have != nil && have.generation == generation && have.day == day && have.host == f.Host && have.group == query && f.Group == 0 {
		return have.all, nil
	}
	chosen, err := e.selected(ctx, f.Host, f.Group, query)
	if err != nil {
		return nil, err
	}
	made := &lists{generation: generation, day: day, host: f.Host, group: query, all: e.make(chosen)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.generation == generation && f.Group == 0 {
		e.lists = made
	}
	return made.all, nil
}

// groupQuery gives the query of a group; empty where none is meant.
func (e *Exposure) groupQuery(ctx context.Context, group int64) (string, error) {
	if group == 0 {
		return "", nil
	}
	groups, err := e.store.Groups(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(groups, func(g store.Group) bool { return g.ID == group })
	if i < 0 {
		return "", store.ErrNoGroup
	}
	return groups[i].Query, nil
}

// selected gives the hosts that are meant.
func (e *Exposure) selected(ctx context.Context, id fleet.HostID, group int64, query string) (selection, error) {
	var s selection
	if group != 0 {
		hosts, err := e.labelled(ctx, query)
		if err != nil {
			return s, err
		}
		s = selection{hosts, true}
	}
	if id == 0 {
		return s, nil
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	var one wide
	if n, ok := e.hosts[id]; ok {
		one.add(n)
	}
	s.only(one)
	return selection{one, true}, nil
}

// make makes the list of what the chosen hosts have.
func (e *Exposure) make(chosen selection) []Vulnerability {
	e.mu.RLock()
	defer e.mu.RUnlock()
	c := e.counting(chosen)
	list := []Vulnerability{}
	for _, f := range e.flaws {
		if v, ok := c.count(f); ok {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, compare)
	return list
}

// counting counts the hosts of one vulnerability after another.
type counting struct {
	e      *Exposure
	chosen selection
	now    time.Time
	rules  map[string][]suppression // by what they suppress

	// Of the vulnerability that is counted: the hosts where it counts, where it does not, where updates do not mend it wholly, and where it is mended on disk.
	live, suppressed, stuck, memory wide
	with, mended, part              wide // of one version
	// Of those hosts what is shown.
	all []fleet.Flaw
}

func (e *Exposure) counting(chosen selection) *counting {
	c := &counting{e: e, chosen: chosen, now: e.now().UTC(), rules: map[string][]suppression{}}
	for _, s := range e.suppressions {
		if s.Holds(c.now) {
			c.rules[s.ID] = append(c.rules[s.ID], s)
		}
	}
	return c
}

// count gives a vulnerability with its numbers, if any of the chosen hosts has it.
func (c *counting) count(f *flaw) (Vulnerability, bool) {
	for _, w := range []*wide{&c.live, &c.suppressed, &c.stuck, &c.memory} {
		w.reset()
	}
	c.all = c.all[:0]
	v := Vulnerability{ID: f.id, Packages: []string{}}
	var by *fleet.Suppressed
	for _, s := range f.has {
		if c.version(f, s, &by) && !slices.Contains(v.Packages, s.Name) {
			v.Packages = append(v.Packages, s.Name)
		}
	}
	if len(c.all) == 0 {
		return v, false
	}
	slices.Sort(v.Packages)
	v.Hosts, v.InMemory, v.InMemoryUnknown = c.live.count(), c.memory.count(), c.unsure(f)
	c.suppressed.not(c.live)
	c.suppressed.not(c.memory)
	v.SuppressedHosts = c.suppressed.count()
	c.live.not(c.stuck)
	v.Mendable = c.live.count()
	c.describe(&v, by)
	v.FirstSeen = c.e.seen[f.id]
	return v, true
}

// version counts the hosts that have a vulnerability by one version, and says whether there are any.
func (c *counting) version(f *flaw, s *subject, by **fleet.Suppressed) bool {
	one := f.flawOn(s)
	c.with.reset()
	s.hosts.into(&c.with)
	c.chosen.only(c.with)
	some := !c.with.empty()
	if some {
		c.suppress(one, s, by)
		c.live.or(c.with)
		c.mendedOf(f, s)
		c.with.not(c.mended)
		c.stuck.or(c.with)
	}
	for _, st := range s.stale {
		if st.disk.unknown != "" || st.disk.has(f.id) {
			continue
		}
		c.with.reset()
		st.hosts.into(&c.with)
		c.chosen.only(c.with)
		if c.with.empty() {
			continue
		}
		some = true
		c.suppress(one, s, by)
		c.memory.or(c.with)
	}
	if some {
		c.all = append(c.all, one)
	}
	return some
}

// suppress takes out of c.with the hosts on which a flaw of a version does not count.
func (c *counting) suppress(one fleet.Flaw, s *subject, by **fleet.Suppressed) {
	if len(c.rules) == 0 {
		return
	}
	for _, id := range append([]string{one.ID}, one.Advisories...) {
		for _, rule := range c.rules[id] {
			why := rule.rule.Covers(c.now, one, append([]string{s.Name}, s.names...)...)
			if why == nil {
				continue
			}
			c.part.reset()
			c.part.or(c.with)
			if rule.Group != 0 {
				c.part.and(rule.hosts)
			}
			if c.part.empty() {
				continue
			}
			*by = why
			c.suppressed.or(c.part)
			c.with.not(c.part)
		}
	}
}

// unsure counts the hosts that have what a vulnerability was in, without it, and of which it is not known what still runs old code.
func (c *counting) unsure(f *flaw) int {
	if c.e.unsure.empty() {
		return 0
	}
	c.with.reset()
	for i, s := range f.has {
		name := [2]string{s.Ecosystem, s.Name}
		if slices.ContainsFunc(f.has[:i], func(o *subject) bool { return o.Ecosystem == s.Ecosystem && o.Name == s.Name }) {
			continue
		}
		for _, other := range c.e.byName[name] {
			other.hosts.into(&c.with)
		}
	}
	c.part.reset()
	c.e.unsure.into(&c.part)
	c.with.and(c.part)
	c.chosen.only(c.with)
	for _, w := range []wide{c.live, c.stuck, c.memory, c.suppressed} {
		c.with.not(w)
	}
	return c.with.count()
}

// mendedOf finds the hosts where updates that are not blocked take a version with a vulnerability to one without.
func (c *counting) mendedOf(f *flaw, s *subject) {
	c.mended.reset()
	for _, o := range s.offers {
		if o.mends(f.id) {
			o.hosts.into(&c.mended)
		}
	}
	for _, o := range s.offers {
		if !o.blocked.empty() {
			c.part.reset()
			o.blocked.into(&c.part)
			c.mended.not(c.part)
		}
	}
}

func (s *subject) has(id string) bool {
	_, ok := s.index[id]
	return ok
}

// mends says whether an update takes a version with a vulnerability to one without.
func (o *offer) mends(id string) bool {
	return o.from != nil && o.from.has(id) && o.to.unknown == "" && !o.to.has(id)
}

// describe says how bad a vulnerability is: as it is for the worst of the versions that have it.
func (c *counting) describe(v *Vulnerability, by *fleet.Suppressed) {
	slices.SortStableFunc(c.all, fleet.CompareFlaws)
	worst := c.all[0]
	for _, f := range c.all[1:] {
		worst.FixedIn = cmp.Or(worst.FixedIn, f.FixedIn)
		worst.WontFix = worst.WontFix && f.WontFix
	}
	v.Fixable = worst.FixedIn != "" || v.Mendable > 0 || v.InMemory > 0
	if v.Fixable && worst.FixedIn == "" {
		worst.FixedIn, worst.WontFix = "an update", false
	}
	if v.Hosts == 0 && v.InMemory == 0 && by != nil {
		v.Suppressed = by
	}
	worst.Suppressed = v.Suppressed
	v.Bucket, v.Because = advisory.Rank(worst, c.now)
	v.Severity, v.SeverityBy, v.CVSS = worst.Severity, worst.SeverityBy, worst.CVSS
	v.EPSS, v.Percentile, v.Exploited = worst.EPSS, worst.Percentile, worst.Exploited
}

// Buckets counts the vulnerabilities of the fleet that count, by bucket.
func (e *Exposure) Buckets(ctx context.Context) (map[fleet.Bucket]int, error) {
	all, err := e.vulnerabilities(ctx, Filter{})
	if err != nil {
		return nil, err
	}
	number := map[fleet.Bucket]int{fleet.ActNow: 0, fleet.ThisWindow: 0, fleet.Routine: 0, fleet.Track: 0}
	for _, v := range all {
		if v.Hosts > 0 || v.InMemory > 0 {
			number[v.Bucket]++
		}
	}
	return number, nil
}

// One gives a vulnerability with all that is known of it.
func (e *Exposure) One(ctx context.Context, id string) (WholeVulnerability, error) {
	if err := e.Renew(ctx); err != nil {
		return WholeVulnerability{}, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	f := e.flaws[id]
	if f == nil {
		return WholeVulnerability{}, ErrNone
	}
	c := e.counting(selection{})
	v, ok := c.count(f)
	if !ok {
		return WholeVulnerability{}, ErrNone
	}
	whole := WholeVulnerability{Vulnerability: v, Vector: c.all[0].Vector, Advisories: []string{}, Affected: []Affected{}, MendedBy: []Mend{}}
	advisories := map[string]bool{}
	for _, one := range c.all {
		whole.Remark = cmp.Or(whole.Remark, one.Remark)
		for _, a := range one.Advisories {
			advisories[a] = true
		}
	}
	whole.Advisories = append(whole.Advisories, slices.Sorted(maps.Keys(advisories))...)
	for _, s := range f.has {
		whole.add(f, s)
	}
	slices.SortFunc(whole.Affected, func(a, b Affected) int {
		return cmp.Or(cmp.Compare(b.Hosts, a.Hosts), cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Package, b.Package), cmp.Compare(a.Version, b.Version))
	})
	slices.SortFunc(whole.MendedBy, func(a, b Mend) int {
		return cmp.Or(cmp.Compare(b.Hosts, a.Hosts), cmp.Compare(a.Name, b.Name), cmp.Compare(a.To, b.To), cmp.Compare(a.Update, b.Update))
	})
	return whole, nil
}

// add adds what is known of one version.
func (w *WholeVulnerability) add(f *flaw, s *subject) {
	var hosts wide
	s.hosts.into(&hosts)
	if hosts.empty() {
		return
	}
	one := f.flawOn(s)
	w.Affected = append(w.Affected, Affected{
		Ecosystem: s.Ecosystem, Package: s.Name, Version: s.Version, FixedIn: one.FixedIn, Evidence: one.Evidence, Remark: one.Remark, Hosts: hosts.count(),
	})
	for _, o := range s.offers {
		var with, blocked wide
		o.hosts.into(&with)
		with.and(hosts)
		if !o.mends(f.id) || with.empty() {
			continue
		}
		o.blocked.into(&blocked)
		blocked.and(hosts)
		w.MendedBy = append(w.MendedBy, Mend{
			Update: o.id, Source: o.update.Source, Name: o.update.Name, From: o.update.From, To: o.update.To, Hosts: with.count(), Blocked: blocked.count(),
		})
	}
}
