package registry

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// shelf keeps the small records of one kind and one registry host in one file: a file of its own for each of sixty answers costs more than
// asking for them. What is new is written down together, over what another process has written in the meantime. Of two that write at
// once one wins, and what the other learnt is asked for again.
type shelf struct {
	cache      *cache
	kind, host string

	mu      sync.Mutex
	records map[string]shelved // nil until the file was read
	fresh   map[string]shelved // not yet written down
	written time.Time
}

// shelved is one record on a shelf.
type shelved struct {
	Data json.RawMessage `json:"data"`
	// Kept is when it was put there, in unix seconds.
	Kept int64 `json:"kept"`
}

const (
	// maxShelf bounds a shelf: 10,000 answers are 3 MB.
	maxShelf = 10_000
	// writeAfter and writeEvery bound what is lost when a process is killed, and what a long pass writes.
	writeAfter = 500
	writeEvery = 10 * time.Second
)

// onShelf tells the kinds of record that are many and small.
func onShelf(kind string) bool { return kind == recordTag || kind == recordExists }

// shelfOf gives the shelf of a key, which is a reference.
func (c *cache) shelfOf(kind, key string) *shelf {
	host, _, _ := strings.Cut(key, "/")
	name := kind + " " + host
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.shelves[name]
	if !ok {
		s = &shelf{cache: c, kind: kind, host: host, written: time.Now()}
		if c.shelves == nil {
			c.shelves = map[string]*shelf{}
		}
		c.shelves[name] = s
	}
	return s
}

func (s *shelf) get(key string, into any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = s.read()
	}
	r, ok := s.records[key]
	return ok && json.Unmarshal(r.Data, into) == nil
}

func (s *shelf) keep(key string, data json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := shelved{data, s.cache.now().Unix()}
	if s.records == nil {
		s.records = s.read()
	}
	if s.fresh == nil {
		s.fresh = map[string]shelved{}
	}
	s.records[key], s.fresh[key] = r, r
	if len(s.fresh) >= writeAfter || time.Since(s.written) > writeEvery {
		s.write()
	}
}

// flush writes down what is new.
func (s *shelf) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fresh) > 0 {
		s.write()
	}
}

// write must be called with the lock held.
func (s *shelf) write() {
	all := s.read()
	maps.Copy(all, s.fresh)
	s.fresh, s.written = nil, time.Now()
	s.prune(all)
	s.records = all
	s.cache.keepFile(s.kind, s.host, all)
}

// prune drops what was kept longest ago, and what was kept in a future that a wrong clock made.
func (s *shelf) prune(all map[string]shelved) {
	now := s.cache.now()
	maps.DeleteFunc(all, func(_ string, r shelved) bool {
		age := now.Sub(time.Unix(r.Kept, 0))
		return age > maxUnused || age < -time.Hour
	})
	if len(all) <= maxShelf {
		return
	}
	keys := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Compare(all[a].Kept, all[b].Kept) })
	for _, k := range keys[:len(keys)-maxShelf] {
		delete(all, k)
	}
}

// read gives what the file has.
func (s *shelf) read() map[string]shelved {
	all := map[string]shelved{}
	if !s.cache.readFile(s.kind, s.host, &all) || all == nil {
		return map[string]shelved{}
	}
	return all
}

// flush writes down what is new on every shelf.
func (c *cache) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.shelves {
		s.flush()
	}
}
