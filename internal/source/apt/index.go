package apt

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"redflag/internal/machine"
)

// suite is one enabled suite of an archive with what apt has fetched of it.
type suite struct {
	entry
	// releaseFile is where its Release or InRelease file is; empty where there is none.
	releaseFile string
	release     *release
	// indexes are its lists of packages, in apt's order.
	indexes []*index
	// missing are the lists that apt should have and has not, as component/architecture.
	missing []lack
}

// lack is a list that is not there.
type lack struct{ component, arch string }

func (l lack) String() string {
	if l.component == "" {
		return l.arch
	}
	return l.component + "/" + l.arch
}

// index is one list of packages.
type index struct {
	suite *suite
	// file is where it is on the machine, in whichever compression.
	file            string
	component, arch string
	// size is how long it should be uncompressed, by the release file; -1 where that does not say.
	size int64
	// priority is what its versions get: its suite's, or that of a pin for all packages.
	priority int
}

// locate finds the release file and the lists of the entries below a folder of lists. Entries that share an address and a suite share a
// release file; the same list is used once. What cannot be read is an error beside what can.
func locate(m *machine.Machine, lists string, entries []entry) ([]*suite, error) {
	var suites []*suite
	var problems []error
	byName := map[string]*suite{}
	used := map[string]bool{}
	for _, e := range entries {
		key := e.uri.listName(suitePath(e.suite))
		s := byName[key]
		if s == nil {
			s = &suite{entry: e}
			byName[key] = s
			suites = append(suites, s)
			problems = append(problems, s.readRelease(m, lists))
		}
		for _, l := range e.lacks() {
			file := e.uri.listName(suitePath(e.suite) + l.path())
			if used[file] {
				continue
			}
			used[file] = true
			problems = append(problems, s.add(m, path.Join(lists, file), l))
		}
	}
	return suites, errors.Join(problems...)
}

// readRelease reads the suite's release file, if apt has one. Archives without signatures may have none at all.
func (s *suite) readRelease(m *machine.Machine, lists string) error {
	s.release = &release{site: s.uri.site()}
	for _, name := range []string{"InRelease", "Release"} {
		file := path.Join(lists, s.uri.listName(suitePath(s.suite)+name))
		f, err := m.Open(follow(m, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return unreadable(file, err)
		}
		defer f.Close()
		rel, err := parseRelease(newCapped(f, maxRelease))
		if err != nil {
			return damaged(file, err)
		}
		rel.site = s.uri.site()
		s.release, s.releaseFile = rel, file
		return nil
	}
	return nil
}

// lacks names every list that the entry asks for.
func (e entry) lacks() []lack {
	if e.flat() {
		return []lack{{arch: e.archs[0]}}
	}
	var all []lack
	for _, component := range e.components {
		for _, arch := range append(e.archs[:len(e.archs):len(e.archs)], "all") {
			all = append(all, lack{component, arch})
		}
	}
	return all
}

// path is where below its suite the list is.
func (l lack) path() string {
	if l.component == "" {
		return "Packages"
	}
	return l.component + "/binary-" + l.arch + "/Packages"
}

// add takes a list into the suite, or notes that it is missing.
func (s *suite) add(m *machine.Machine, name string, l lack) error {
	file, err := existing(m, name)
	if errors.Is(err, fs.ErrNotExist) {
		if s.expects(l) {
			s.missing = append(s.missing, l)
		}
		return nil
	}
	if err != nil {
		return unreadable(name, err)
	}
	size, ok := s.release.sizes[l.path()]
	if !ok {
		size = -1
	}
	s.indexes = append(s.indexes, &index{suite: s, file: file, component: l.component, arch: l.arch, size: size})
	return nil
}

// expects says whether apt should have a list. The list of what runs on all architectures is not on most archives, nor is every
// architecture or component on each; apt does not fetch lists that are empty; discs offer no updates, and are only read while they are in the drive.
func (s *suite) expects(l lack) bool {
	if l.arch == "all" || s.uri.access == "cdrom" {
		return false
	}
	if s.releaseFile == "" {
		return true
	}
	if len(s.release.sizes) > 0 {
		size, listed := s.release.sizes[l.path()]
		return listed && size != 0
	}
	return s.release.has(l.component, l.arch)
}

// signed says that the suite has an InRelease file. Apt gives that the archive's modification time, but writes its inode anew each time that
// the archive has answered, changed or not, and only then: its change time tells when the suite was last found (tried with apt 2.6: 200, 304 and a
// dead mirror). A Release file without a signature in it is touched only when it changes.
func (s *suite) signed() bool { return strings.HasSuffix(s.releaseFile, "_InRelease") }
