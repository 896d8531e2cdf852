package store

import (
	"maps"
	"sync"

	"redflag/internal/fleet"
)

// dictionary remembers the IDs of packages that this process has seen committed, so that the first report of a host like the
// others asks for few of them. It is good as long as no packages were deleted: see [saving.keepThere].
type dictionary struct {
	mu     sync.RWMutex
	tidied string
	ids    map[fleet.Package]int64
}

// maxDictionary bounds it: 100,000 packages are 25 MB, and several distributions together have fewer installed.
const maxDictionary = 100_000

// get gives the ID of a package, as one knows it who has seen this value of the setting tidied.
func (d *dictionary) get(p fleet.Package, tidied string) (int64, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	id, ok := d.ids[p]
	return id, ok && d.tidied == tidied
}

// asOf forgets everything if packages were deleted since.
func (d *dictionary) asOf(tidied string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tidied != tidied {
		d.tidied, d.ids = tidied, nil
	}
}

// forget drops all that it knows.
func (d *dictionary) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids = nil
}

// learn takes over what a transaction has learnt, after it was committed.
func (d *dictionary) learn(ids map[fleet.Package]int64, tidied string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tidied != tidied {
		return
	}
	if len(d.ids)+len(ids) > maxDictionary || d.ids == nil {
		d.ids = map[fleet.Package]int64{}
	}
	maps.Copy(d.ids, ids)
}
