package server

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"redflag/internal/fleet"
)

// Topic is what a change is about, in the API's word.
type Topic string

// Topics of changes.
const (
	TopicHosts  Topic = "hosts"
	TopicOrders Topic = "orders"
	TopicJobs   Topic = "jobs"
	TopicTokens Topic = "tokens"
	TopicUsers  Topic = "users"
	TopicKeys   Topic = "apikeys"
	TopicGroups Topic = "groups"
	TopicDeeds  Topic = "deeds"
	TopicTrend  Topic = "trend"
	// TopicAdvisories is feeds and suppressions: which vulnerabilities there are, and what to do first.
	TopicAdvisories Topic = "advisories"
)

// Change says that something is not as it was: whoever shows it asks anew. It carries no data, so nothing depends on it.
type Change struct {
	Topic Topic `json:"topic"`
	// Hosts names those that changed; empty where it is about no host, or about so many that all are asked for anew.
	Hosts []fleet.HostID `json:"hosts,omitempty"`
}

// changes collects what has changed, and tells it a few times a second to who listens here and to the other processes on this
// database: a fleet that wakes up in the morning changes thousands of times a second.
type changes struct {
	mu        sync.Mutex
	pending   map[Topic]map[fleet.HostID]bool
	listeners map[chan Change]bool
	ring      chan struct{}
}

const (
	// tellEvery is how long changes are collected.
	tellEvery = 200 * time.Millisecond
	// maxNamed bounds the hosts that one change names: with 10 characters each they fit a NOTIFY's 8,000 bytes.
	maxNamed = 300
	// maxUnread bounds the changes that a listener has not taken yet: one that is slower misses some, and is told so by a change of
	// everything.
	maxUnread = 16
)

func newChanges() *changes {
	return &changes{pending: map[Topic]map[fleet.HostID]bool{}, listeners: map[chan Change]bool{}, ring: make(chan struct{}, 1)}
}

// note remembers a change until it is told. Host is 0 for one that is about none.
func (c *changes) note(t Topic, id fleet.HostID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[t] == nil {
		c.pending[t] = map[fleet.HostID]bool{}
	}
	if id != 0 {
		c.pending[t][id] = true
	}
	select {
	case c.ring <- struct{}{}:
	default:
	}
}

// take gives what has changed since the last time.
func (c *changes) take() []Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []Change
	for _, t := range slices.Sorted(maps.Keys(c.pending)) {
		ids := c.pending[t]
		change := Change{Topic: t}
		if len(ids) <= maxNamed {
			change.Hosts = slices.Sorted(maps.Keys(ids))
		}
		list = append(list, change)
	}
	clear(c.pending)
	return list
}

// publish tells a change to who listens in this process.
func (c *changes) publish(change Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ch := range c.listeners {
		select {
		case ch <- change:
		default: // its reader finds out by the gap: see Changes
			close(ch)
			delete(c.listeners, ch)
		}
	}
}

// Changes gives what changes from now on, until the context ends or the reader is too slow: then the channel is closed.
func (s *Server) Changes(ctx context.Context) <-chan Change {
	c := s.changes
	ch := make(chan Change, maxUnread)
	c.mu.Lock()
	c.listeners[ch] = true
	c.mu.Unlock()
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.listeners[ch] {
			delete(c.listeners, ch)
			close(ch)
		}
	})
	return ch
}

// end tells all who listen that there is nothing more to come.
func (c *changes) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ch := range c.listeners {
		close(ch)
	}
	clear(c.listeners)
}

// NoteHost tells that a host has changed.
func (s *Server) NoteHost(id fleet.HostID) {
	s.exposure.Outdated() // its labels may be others
	s.changes.note(TopicHosts, id)
}

// Note tells that something which is no host has changed.
func (s *Server) Note(t Topic) {
	if t == TopicAdvisories || t == TopicGroups {
		s.exposure.Outdated()
	}
	s.changes.note(t, 0)
}

// tellChanges tells what has changed, here and to the other processes, until ctx ends.
func (s *Server) tellChanges(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changes.ring:
		}
		for _, change := range s.changes.take() {
			s.changes.publish(change)
			if err := s.tellOthers(ctx, change); err != nil && ctx.Err() == nil {
				s.cfg.Log.Warn("other processes learn of a change later", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(tellEvery):
		}
	}
}

// notice is a change on its way to other processes.
type notice struct {
	From   string `json:"from"`
	Change Change `json:"change"`
}

func (s *Server) tellOthers(ctx context.Context, change Change) error {
	text, err := json.Marshal(notice{s.name, change})
	if err != nil {
		return err
	}
	return s.cfg.Store.Notify(ctx, string(text))
}

// heard takes over what another process tells.
func (s *Server) heard(text string) {
	var n notice
	if json.Unmarshal([]byte(text), &n) != nil || n.From == s.name {
		return
	}
	if n.Change.Topic == TopicHosts || n.Change.Topic == TopicAdvisories || n.Change.Topic == TopicGroups {
		s.exposure.Outdated()
	}
	for _, id := range n.Change.Hosts {
		switch n.Change.Topic {
		case TopicOrders:
			s.orders.wake(id)
		case TopicHosts:
			s.known.drop(id)
		}
	}
	s.changes.publish(n.Change)
}
