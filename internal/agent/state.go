package agent

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/wire"
)

// State is what an agent keeps on disk: the list of packages that the server has acknowledged, against which changes are sent. Losing
// it costs one whole list.
type State struct {
	dir string
	// base is the digest of the acknowledged list; empty where there is none.
	base     string
	packages map[fleet.Package]bool
}

const (
	packagesFile = "packages.json.gz"
	// maxPackages bounds what is read back: 20,000 packages are 2 MB.
	maxPackages = 32 << 20
)

// OpenState reads the state in a folder, which need not exist yet. A damaged file is as good as none. Without a folder the state is kept
// in memory alone.
func OpenState(dir string) *State {
	s := &State{dir: dir}
	s.readPackages()
	return s
}

// keptPackages is the file of the acknowledged list.
type keptPackages struct {
	Digest   string          `json:"digest"`
	Packages []fleet.Package `json:"packages"`
}

// readPackages reads the acknowledged list. Without it the next one is sent whole.
func (s *State) readPackages() {
	data, err := os.ReadFile(filepath.Join(s.dir, packagesFile))
	if err != nil || s.dir == "" {
		return
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return
	}
	var kept keptPackages
	if json.NewDecoder(io.LimitReader(r, maxPackages)).Decode(&kept) == nil {
		s.takePackages(kept.Digest, kept.Packages)
	}
}

func (s *State) takePackages(digest string, list []fleet.Package) {
	s.base, s.packages = digest, make(map[fleet.Package]bool, len(list))
	for _, p := range list {
		s.packages[p] = true
	}
}

func (s *State) forgetPackages() { s.base, s.packages = "", nil }

// keepPackages notes what the server has acknowledged.
func (s *State) keepPackages(digest string, list []fleet.Package) error {
	s.takePackages(digest, list)
	if s.dir == "" {
		return nil
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if err := errors.Join(json.NewEncoder(w).Encode(keptPackages{digest, list}), w.Close()); err != nil {
		return err
	}
	return machine.WriteFile(filepath.Join(s.dir, packagesFile), packed.Bytes(), 0o600)
}

// change gives what became of the packages since the acknowledged list; all of them where there is none.
func (s *State) change(list []fleet.Package) wire.PackageChange {
	c := wire.PackageChange{Base: s.base, Added: []fleet.Package{}}
	now := make(map[fleet.Package]bool, len(list))
	for _, p := range list {
		now[p] = true
		if s.base == "" || !s.packages[p] {
			c.Added = append(c.Added, p)
		}
	}
	for p := range s.packages {
		if !now[p] {
			c.Removed = append(c.Removed, p)
		}
	}
	return c
}
