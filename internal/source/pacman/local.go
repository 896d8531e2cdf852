package pacman

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

const (
	// maxDesc bounds a package's description; the largest have some kilobytes.
	maxDesc = 4 << 20
	// maxFiles bounds its list of files: a kernel's headers have 2 MB.
	maxFiles = 64 << 20
	// maxInstalled bounds the packages of a machine.
	maxInstalled = 100_000
)

// readLocal reads what is installed, sorted by name. What is damaged is in the error, and the rest is there all the same.
func readLocal(m *machine.Machine, c *config) ([]*pkg, error) {
	entries, err := m.ReadDir(c.local())
	if err != nil {
		return nil, unreadable(c.local(), err)
	}
	if len(entries) > maxInstalled {
		return nil, unreadable(c.local(), fmt.Errorf("it has over %d packages", maxInstalled))
	}
	list, known := []*pkg{}, false
	var problems []error
	for _, e := range entries {
		if e.Name() == "ALPM_DB_VERSION" {
			known = true
		}
		if !e.IsDir() {
			continue
		}
		p, err := readDesc(m, path.Join(c.local(), e.Name()))
		if err != nil {
			problems = append(problems, unreadable(path.Join(c.local(), e.Name()), err))
			continue
		}
		list = append(list, p)
	}
	if len(list) == 0 && !known && len(problems) == 0 {
		return nil, unreadable(c.local(), errors.New("it is no database of pacman's"))
	}
	slices.SortFunc(list, func(a, b *pkg) int { return strings.Compare(a.name, b.name) })
	return list, errors.Join(problems...)
}

func readDesc(m *machine.Machine, dir string) (*pkg, error) {
	data, err := m.ReadFile(path.Join(dir, "desc"), maxDesc)
	if err != nil {
		return nil, err
	}
	p := &pkg{}
	p.parse(data)
	if err := p.check(); err != nil {
		return nil, err
	}
	if path.Base(dir) != p.name+"-"+p.version {
		return nil, fmt.Errorf("it is of %s %s", fleet.Plain(p.name), fleet.Plain(p.version))
	}
	return p, nil
}

// readFiles reads the lists of files of an installed package.
func (p *pkg) readFiles(m *machine.Machine, c *config) error {
	data, err := m.ReadFile(path.Join(c.local(), p.name+"-"+p.version, "files"), maxFiles)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	p.parse(data)
	return nil
}

func unreadable(what string, err error) error {
	return &fleet.Unknown{Because: fmt.Sprintf("%s cannot be read: %s", what, fleet.Plain(err.Error())), Remedy: "see what `pacman -Dk` says", Err: err}
}

// find gives the package of a name; nil where there is none. The list is sorted.
func find(list []*pkg, name string) *pkg {
	i, ok := slices.BinarySearchFunc(list, name, func(p *pkg, name string) int { return strings.Compare(p.name, name) })
	if !ok {
		return nil
	}
	return list[i]
}
