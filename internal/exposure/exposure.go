package exposure

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"redflag/internal/advisory"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

// Exposure is what is known of a fleet's vulnerabilities. It is safe for many goroutines.
type Exposure struct {
	store *store.Store
	now   func() time.Time

	// renewing is held by who brings it up to date: one at a time.
	renewing sync.Mutex
	looked   time.Time // when that was last done
	newest   time.Time // the newest report that is in it
	begun    time.Time // when all of it was last read
	outdated atomic.Bool

	mu sync.RWMutex
	census
	// generation changes with everything that lists are made of, knowledge with feeds and suppressions alone.
	generation, knowledge int
	lists                 *lists

	advising sync.Mutex
	advised  map[int64]advised // by the updates' IDs
}

// census is what hosts have, and what the feeds say of that.
type census struct {
	hosts    map[fleet.HostID]uint32
	at       []*host // by place; nil where there is none any more
	vacant   []uint32
	packages map[int64]*part
	subjects map[advisory.Subject]*subject
	offers   map[int64]*offer
	stale    map[[2]*subject]*stale
	byName   map[[2]string][]*subject // by ecosystem and name
	// unsure are the hosts of which it is not known what still runs old code.
	unsure set

	matcher *advisory.Matcher
	// damaged says why a feed could not be asked about some version; empty where all could.
	damaged string
	// flaws are all that some host's packages have, by their names.
	flaws map[string]*flaw
	seen  map[string]time.Time // since when

	suppressions []suppression
}

// host is a host of the fleet.
type host struct {
	id    fleet.HostID
	stamp store.Stamp
	// facts are those that advisories go by.
	facts fleet.Host
	// packages counts what is installed, and own what advisories of a distribution speak of; ecosystems are those.
	packages, own int
	ecosystems    map[string]bool
	// kernel is the one that runs, and newest the newest of its kind.
	kernel, newest *subject
	running        []running
}

// running is a version that is not what is on the disk any more, and that something still runs.
type running struct {
	*stale
	services []string // none for a kernel
}

// stale is a version that runs, and the one that is on the disk instead, with all hosts where it is so.
type stale struct {
	runs, disk *subject
	kernel     bool
	hosts      set
}

// part is a package of the fleet's dictionary.
type part struct {
	// subject is nil where no distribution's advisories speak of it.
	subject *subject
	// kernel is set for what is built from a kernel's source: whether it counts depends on the host.
	kernel *fleet.Package
}

// subject is one version of a package, with all hosts that have it.
type subject struct {
	advisory.Subject
	names []string // of the packages that were built from it
	hosts set
	// What the feeds say.
	flaws   []fleet.Flaw
	index   map[string]int // of flaws, by name
	buckets []fleet.Bucket // of flaws, where they are not suppressed
	numbers []int          // of flaws: see flaw
	unknown string         // why they say nothing
	offers  []*offer       // the updates from it
	stale   []*stale       // where it runs and is not on the disk any more
}

// offer is an update of the fleet.
type offer struct {
	id             int64
	update         fleet.Update
	from, to       *subject // nil where no advisories speak of them
	hosts, blocked set
}

// flaw is a vulnerability with the versions that have it.
type flaw struct {
	id string
	// number is its own, below the number of all.
	number int
	has    []*subject
	// signals are what is known of it whatever the package.
	exploited        *fleet.Exploited
	epss, percentile float64
}

// suppression is a decision, with the hosts that it is limited to.
type suppression struct {
	store.Suppression
	rule  advisory.Suppression
	hosts wide // where it is limited to a group
}

// New makes an exposure of a fleet, about which nothing is known before [Exposure.Feeds] has said what there is.
func New(s *store.Store, now func() time.Time) *Exposure {
	e := &Exposure{store: s, now: now, advised: map[int64]advised{}}
	e.census = emptyCensus(advisory.NewMatcher(&advisory.Shelf{}))
	return e
}

func emptyCensus(m *advisory.Matcher) census {
	return census{
		hosts: map[fleet.HostID]uint32{}, packages: map[int64]*part{}, subjects: map[advisory.Subject]*subject{}, offers: map[int64]*offer{}, stale: map[[2]*subject]*stale{},
		byName:  map[[2]string][]*subject{},
		matcher: m, flaws: map[string]*flaw{}, seen: map[string]time.Time{},
	}
}

// Feeds takes over feeds that were opened anew, which must stay open until the next ones are taken over. Only what the feeds that have changed speak of is
// matched anew.
func (e *Exposure) Feeds(ctx context.Context, shelf *advisory.Shelf) error {
	e.renewing.Lock()
	defer e.renewing.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.matcher, e.damaged = e.matcher.Renew(shelf), ""
	e.flaws = map[string]*flaw{}
	e.generation++
	e.knowledge++
	for _, s := range e.subjects {
		e.match(s)
	}
	return e.note(ctx)
}

// Matched is how many distinct versions were looked up in feeds since these were taken over, and not remembered.
func (e *Exposure) Matched() int {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.matcher.Looked()
}

// Outdated has the store asked anew with the next question.
func (e *Exposure) Outdated() { e.outdated.Store(true) }

// Unknown says in words what is not known of the fleet's vulnerabilities.
func (e *Exposure) Unknown(ctx context.Context) ([]string, error) {
	if err := e.Renew(ctx); err != nil {
		return nil, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	ecosystems, silent := map[string]bool{}, 0
	for _, h := range e.at {
		if h == nil {
			continue
		}
		if h.own == 0 {
			silent++
		}
		for name := range h.ecosystems {
			ecosystems[name] = true
		}
	}
	words := e.advisor(nil).Lacks(slices.Sorted(maps.Keys(ecosystems)))
	if e.damaged != "" {
		words = append(words, e.damaged)
	}
	if silent > 0 {
		words = append(words, fmt.Sprintf("from where packages come is not known, on hosts: %d", silent))
	}
	return append([]string{}, words...), nil
}

// match asks the feeds about a version. A feed that is damaged makes what it would have said of it unknown, and nothing else.
func (e *Exposure) match(s *subject) {
	verdict, err := e.matcher.Match(s.Subject)
	s.flaws, s.unknown, s.index, s.buckets, s.numbers = verdict.Flaws, verdict.Unknown, nil, nil, nil
	if err != nil {
		s.unknown = fleet.Plain(err.Error())
		e.damaged = s.unknown
	}
	if len(s.flaws) == 0 {
		return
	}
	s.index = make(map[string]int, len(s.flaws))
	for i := range s.flaws {
		id := s.flaws[i].ID
		s.index[id] = i
		f := e.flaws[id]
		if f == nil {
			one := fleet.Flaw{ID: id}
			if err := e.matcher.Enrich(&one); err != nil {
				s.unknown = fleet.Plain(err.Error())
				e.damaged = s.unknown
			}
			f = &flaw{id: id, number: len(e.flaws), exploited: one.Exploited, epss: one.EPSS, percentile: one.Percentile}
			e.flaws[id] = f
		}
		f.has = append(f.has, s)
		bucket, _ := advisory.Rank(f.flawOn(s), e.now())
		s.buckets, s.numbers = append(s.buckets, bucket), append(s.numbers, f.number)
	}
}

// note keeps since when each vulnerability is known of some host.
func (e *Exposure) note(ctx context.Context) error {
	var fresh []string
	for id, f := range e.flaws {
		if _, ok := e.seen[id]; ok {
			continue
		}
		for _, s := range f.has {
			if !s.hosts.empty() || len(s.stale) > 0 {
				fresh = append(fresh, id)
				break
			}
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	seen, err := e.store.FirstSeen(ctx, fresh, e.now())
	if err != nil {
		return fmt.Errorf("note vulnerabilities: %w", err)
	}
	e.seen = seen
	return nil
}

// flawOn gives a version's flaw with what is known of it whatever the package.
func (f *flaw) flawOn(s *subject) fleet.Flaw {
	one := s.flaws[s.index[f.id]]
	one.Exploited, one.EPSS, one.Percentile = f.exploited, f.epss, f.percentile
	return one
}
