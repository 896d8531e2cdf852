package apt

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"sync"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// survey is what our own reader finds on a machine: all that does not change with the clock. It can be kept, under the machine's
// fingerprint.
type survey struct {
	Updates []update
	Sources []sourceState
	// Interrupted names the packages that dpkg did not finish with.
	Interrupted []string
	// Opaque: the preferences say something that our reader does not understand, so that only apt knows the candidates.
	Opaque bool
	// Own are the installed packages that come from the distribution itself, as name:architecture, by its ecosystem.
	Own map[string][]string

	// problems is what could not be read.
	problems []error
}

// update is one update with what explains it, should apt leave it out.
type update struct {
	fleet.Update
	// Obstacle names the blocked package that would be in the way; empty where there is none.
	Obstacle string
}

// sourceState is what is known of one enabled suite.
type sourceState struct {
	// Name is its address and suite, File where it is configured.
	Name, File string
	// Release is its release file, empty where apt has none.
	Release string
	Local   bool
	// Signed says that apt leaves a trace each time it finds the suite on its archive.
	Signed bool
	// Date is when the suite was published.
	Date time.Time
	// ValidUntil is when its lists expire; zero where they do not, or nobody cares.
	ValidUntil time.Time
	// Missing are lists that apt should have; Bare says that it has none at all.
	Missing []string
	Bare    bool
}

// look reads a machine. What it cannot read is in the survey's problems, and the rest of the survey holds all the same.
func look(ctx context.Context, m *machine.Machine, set *settings) *survey {
	s := &survey{}
	db, err := ReadDatabase(m, set.status)
	if db == nil {
		s.fail(unreadable(set.status, err))
		return s
	}
	s.fail(unreadableOrNil(path.Join(path.Dir(set.status), "updates"), err))
	s.Interrupted = db.interrupted()
	archs := set.architectures(m, db)
	entries, err := set.entries(m, archs)
	s.fail(err)
	suites, err := locate(m, set.lists, entries)
	s.fail(err)
	offered, err := scanIndexes(ctx, m, suites, db, archs[0])
	s.fail(err)
	pins, err := set.pins(m)
	s.fail(err)
	s.Opaque = err != nil
	ph := set.conf.phasing()
	if anyPhased(offered) && !inChroot(ctx, m) {
		ph.machineID = set.machineID(m)
	}
	s.decide(db, offered, newPolicy(archs[0], set.conf.text("APT::Default-Release", ""), pins, suites, ph))
	for _, suite := range suites {
		s.Sources = append(s.Sources, suite.state(set.conf, db, archs[0]))
	}
	return s
}

func (s *survey) fail(err error) {
	if err != nil {
		s.problems = append(s.problems, err)
	}
}

// packageKey is how apt files packages: what runs on all architectures under the native one.
type packageKey struct{ name, arch string }

// maxVersions bounds the versions of one package. Archives that keep every version have 1,000 of some.
const maxVersions = 20_000

// scanIndexes reads all indexes and gives the versions of installed packages in them, in apt's order. An index that cannot be read is an
// error beside the others' versions.
func scanIndexes(ctx context.Context, m *machine.Machine, suites []*suite, db *Database, native string) (map[packageKey][]*version, error) {
	installed := map[string]bool{}
	for _, p := range db.Packages {
		if p.Installed() {
			installed[p.Name] = true
		}
	}
	var indexes []*index
	for _, s := range suites {
		indexes = append(indexes, s.indexes...)
	}
	found, problems := make([][]*version, len(indexes)), make([]error, len(indexes))
	var wg sync.WaitGroup
	room := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, from := range indexes {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			found[i], problems[i] = from.scan(ctx, m, func(name []byte) bool { return installed[string(lowered(name))] })
		})
	}
	wg.Wait()
	offered := map[packageKey][]*version{}
	for i, from := range indexes {
		for _, v := range found[i] {
			v.on = []*index{from}
			key := packageKey{v.name, nativeFor(v.arch, native)}
			if len(offered[key]) == maxVersions {
				problems[i] = damaged(from.file, fmt.Errorf("it has over %d versions of %s", maxVersions, fleet.Plain(v.name)))
				break
			}
			offered[key] = append(offered[key], v)
		}
	}
	return offered, errors.Join(problems...)
}

// scan reads one index.
func (i *index) scan(ctx context.Context, m *machine.Machine, wanted func(name []byte) bool) ([]*version, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := openList(ctx, m, i.file)
	if err != nil {
		return nil, unreadable(i.file, err)
	}
	defer r.Close()
	found, size, err := scanPackages(r, wanted)
	if err == nil && i.size >= 0 && size != i.size {
		err = fmt.Errorf("it has %d bytes, and the archive published %d", size, i.size)
	}
	if err != nil {
		return found, damaged(i.file, err)
	}
	return found, nil
}

func anyPhased(offered map[packageKey][]*version) bool {
	for _, versions := range offered {
		if slices.ContainsFunc(versions, func(v *version) bool { return v.phased < 100 }) {
			return true
		}
	}
	return false
}

// inChroot asks as apt does, which defers nothing there. Where an unprivileged user cannot be told, it is no chroot: what counts is
// what an upgrade by root would do.
func inChroot(ctx context.Context, m *machine.Machine) bool {
	result, err := m.Run(ctx, machine.Command{Name: "ischroot"})
	return err == nil && result.Code == 0
}

// decide chooses candidates and lists those that are updates.
func (s *survey) decide(db *Database, offered map[packageKey][]*version, p *policy) {
	var upgradable, blockers []*choice
	origins := origins{}
	for _, pkg := range db.Packages {
		if !pkg.Installed() {
			continue
		}
		c := newChoice(pkg, offered[packageKey{pkg.Name, nativeFor(pkg.Arch, p.native)}])
		p.pin(c)
		c.choose(p)
		origins.add(c)
		newer := c.upgradable()
		if newer {
			upgradable = append(upgradable, c)
		}
		if pkg.Held() || newer && c.deferred(p.phasing) {
			blockers = append(blockers, c)
		}
	}
	s.Own = origins.own()
	slices.SortFunc(upgradable, compareChoices)
	obstacles := findObstacles(upgradable, blockers)
	for _, c := range upgradable {
		s.Updates = append(s.Updates, update{c.update(p.phasing), obstacles[c]})
	}
}

// update makes what is shown of a choice. Foreign text is made plain.
func (c *choice) update(ph phasing) fleet.Update {
	from, to := c.from(), c.to()
	u := fleet.Update{
		Name: fleet.Plain(c.pkg.Name), Arch: fleet.Plain(to.arch), From: fleet.Plain(from.text), To: fleet.Plain(to.text),
		Security: c.security(), Origin: to.origin(), Size: max(to.size, 0), Summary: fleet.Plain(to.summary),
		Build: build(from, to),
	}
	if u.Summary == "" {
		u.Summary = fleet.Plain(c.pkg.Summary)
	}
	switch {
	case c.pkg.Held():
		u.Blocked, u.BlockedBecause = fleet.Held, "on hold: apt-mark unhold "+u.Name+" releases it"
	case c.deferred(ph):
		u.Blocked, u.BlockedBecause = fleet.Phased, fmt.Sprintf("rolled out to %d%% of machines so far, and not yet to this one", to.phased)
	}
	return u
}

// interrupted names the packages that dpkg did not finish with.
func (d *Database) interrupted() []string {
	var names []string
	for _, p := range d.Packages {
		if p.Interrupted() {
			names = append(names, fleet.Plain(p.Name))
		}
	}
	if len(names) == 0 && d.Journal > 0 {
		names = append(names, "what it had just begun")
	}
	return names
}

// state sums up a suite.
func (s *suite) state(conf *config, db *Database, native string) sourceState {
	state := sourceState{
		Name: fleet.Plain(s.String()), File: s.file, Release: s.releaseFile, Local: s.uri.local(), Signed: s.signed(),
		Date: s.release.date, ValidUntil: conf.expiry(s), Bare: len(s.indexes) == 0 && len(s.missing) > 0,
	}
	for _, l := range s.missing {
		if l.arch == native || db.runs(l.arch) {
			state.Missing = append(state.Missing, l.String())
		}
	}
	return state
}

// runs says whether packages of an architecture are installed: without them nobody misses its lists.
func (d *Database) runs(arch string) bool {
	return slices.ContainsFunc(d.Packages, func(p *Package) bool { return p.Arch == arch && p.Installed() })
}

// expiry is when a suite's lists expire (apt.conf(5): Acquire::Check-Valid-Until, Max-ValidTime, Min-ValidTime).
func (c *config) expiry(s *suite) time.Time {
	dates, until := c.flag("Acquire::Check-Date", true), c.flag("Acquire::Check-Valid-Until", true)
	if s.checkDates != nil {
		dates = *s.checkDates
	}
	if s.checkValidUntil != nil {
		until = *s.checkValidUntil
	}
	if !dates || !until {
		return time.Time{}
	}
	expiry := s.release.validUntil
	if least := c.age("Acquire::Min-ValidTime", s.release.label); least > 0 && !expiry.IsZero() && expiry.Before(s.release.date.Add(least)) {
		expiry = s.release.date.Add(least)
	}
	if most := c.age("Acquire::Max-ValidTime", s.release.label); most > 0 && !s.release.date.IsZero() {
		if last := s.release.date.Add(most); expiry.IsZero() || expiry.After(last) {
			expiry = last
		}
	}
	return expiry
}

// age reads a number of seconds, which may be set for a label alone.
func (c *config) age(name, label string) time.Duration {
	seconds := c.number(name, 0)
	if label != "" {
		seconds = c.number(name+"::"+label, seconds)
	}
	return time.Duration(seconds) * time.Second
}
