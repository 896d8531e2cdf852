package store

import (
	"maps"
	"sync"

	"redflag/internal/fleet"
)

// dictionary remembers the IDs of packages that this process has seen committed, so that the first report of a host like the
// others asks for few of them.
type dictionary struct {
	mu  sync.RWMutex
	ids map[fleet.Package]int64
}

// maxDictionary bounds it: 100,000 packages are 25 MB, and several distributions together have fewer installed.
const maxDictionary = 100_000

func (d *dictionary) get(p fleet.Package) (int64, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	id, ok := d.ids[p]
	return id, ok
}

// forget drops all that it knows.
func (d *dictionary) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids = nil
}

// learn takes over what a transaction has learnt, after it was committed.
func (d *dictionary) learn(ids map[fleet.Package]int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.ids)+len(ids) > maxDictionary || d.ids == nil {
		d.ids = map[fleet.Package]int64{}
	}
	maps.Copy(d.ids, ids)
}
