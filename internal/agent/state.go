package agent

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/wire"
)

// State is what an agent keeps on disk: the number of its last report, and the list of packages that the server has acknowledged,
// against which changes are sent. Losing the second costs one whole list; losing the first asks for a new enrolment.
type State struct {
	dir      string
	sequence int64
	// base is the digest of the acknowledged list; empty where there is none.
	base     string
	packages map[fleet.Package]bool
}

const (
	sequenceFile = "sequence"
	packagesFile = "packages.json.gz"
	// maxPackages bounds what is read back: 20,000 packages are 2 MB.
	maxPackages = 32 << 20
)

// OpenState reads the state in a folder, which need not exist yet.
func OpenState(dir string) (*State, error) {
	s := &State{dir: dir}
	data, err := os.ReadFile(filepath.Join(dir, sequenceFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read the agent's state: %w", err)
	default:
		if _, err := fmt.Sscanf(string(data), "%d\n", &s.sequence); err != nil {
			return nil, &fleet.Unknown{
				Because: "the agent's state in " + dir + " is damaged: it does not say how many reports were sent",
				Remedy:  "enrol this host again: `redflag agent enroll`", Err: err,
			}
		}
	}
	s.readPackages()
	return s, nil
}

// nextSequence counts one further, on disk first.
func (s *State) nextSequence() (int64, error) {
	next := s.sequence + 1
	if err := machine.WriteFile(filepath.Join(s.dir, sequenceFile), fmt.Appendf(nil, "%d\n", next), 0o600); err != nil {
		return 0, fmt.Errorf("count the report: %w", err)
	}
	s.sequence = next
	return next, nil
}

// keptPackages is the file of the acknowledged list.
type keptPackages struct {
	Digest   string          `json:"digest"`
	Packages []fleet.Package `json:"packages"`
}

// readPackages reads the acknowledged list. Without it the next one is sent whole.
func (s *State) readPackages() {
	data, err := os.ReadFile(filepath.Join(s.dir, packagesFile))
	if err != nil {
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
