package advisory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"redflag/internal/fleet"
)

// Shelf is the feeds that were imported into a folder, open for reading. It is safe for many goroutines. What is imported while it is open is seen
// by the next one that is opened.
type Shelf struct {
	tables []*table
	// Damaged are feeds that cannot be read, in words: what they would have said is not known.
	Damaged []string
}

const ending = ".feed"

// Open opens a folder of feeds. One that is not there is empty.
func Open(dir string) (*Shelf, error) {
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &fleet.Unknown{Because: fmt.Sprintf("the advisories in %s cannot be read: %v", dir, err), Err: err}
	}
	s := &Shelf{}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ending) || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		t, err := openTable(filepath.Join(dir, f.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			s.Damaged = append(s.Damaged, err.Error())
			continue
		}
		if info, err := f.Info(); err == nil {
			t.CheckedAt = info.ModTime().UTC()
		}
		s.tables = append(s.tables, t)
	}
	return s, nil
}

// Close closes its files.
func (s *Shelf) Close() error {
	var problems []error
	for _, t := range s.tables {
		problems = append(problems, t.close())
	}
	return errors.Join(problems...)
}

// Feeds describes what is on the shelf, sorted by name.
func (s *Shelf) Feeds() []Feed {
	var list []Feed
	for _, t := range s.tables {
		list = append(list, t.Feed)
	}
	slices.SortFunc(list, func(a, b Feed) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Empty says that nothing was imported.
func (s *Shelf) Empty() bool { return len(s.tables) == 0 && len(s.Damaged) == 0 }

// covers says whether any feed speaks of an ecosystem.
func (s *Shelf) covers(ecosystem string) bool {
	return slices.ContainsFunc(s.tables, func(t *table) bool { return t.speaks(ecosystem) })
}

// speaks says whether a feed has anything about an ecosystem.
func (t *table) speaks(ecosystem string) bool {
	return slices.ContainsFunc(within(ecosystem), func(e string) bool { return t.Ecosystems[e] > 0 })
}

// has says whether there is a feed of a kind.
func (s *Shelf) has(k Kind) bool {
	return slices.ContainsFunc(s.tables, func(t *table) bool { return t.Kind == k })
}

// first gives the value of a key in the first table of a kind that has it.
func (s *Shelf) first(k Kind, key string) ([]byte, error) {
	for _, t := range s.tables {
		if t.Kind != k {
			continue
		}
		if v, err := t.get(key); v != nil || err != nil {
			return v, err
		}
	}
	return nil, nil
}

// fileOf is where a feed lies.
func fileOf(dir, name string) string {
	safe := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, name)
	return filepath.Join(dir, safe[:min(len(safe), 100)]+ending)
}
