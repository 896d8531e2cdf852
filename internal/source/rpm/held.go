package rpm

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"slices"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// maxLocks bounds a file of locks.
const maxLocks = 4 << 20

// Locked gives the names that a file of locks has, as the pattern's first group finds them. Without the file nothing is locked.
func Locked(m *machine.Machine, file string, pattern *regexp.Regexp) ([]string, error) {
	names := []string{}
	data, err := m.ReadFile(file, maxLocks)
	if errors.Is(err, fs.ErrNotExist) {
		return names, nil
	}
	if err != nil {
		return nil, &fleet.Unknown{Because: "what is on hold is not known: " + fleet.Plain(err.Error()), Err: err}
	}
	for _, found := range pattern.FindAllSubmatch(data, -1) {
		names = append(names, fleet.Plain(string(found[1])))
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Unfinished names packages that an interrupted installation left in two versions.
func Unfinished(m *machine.Machine) ([]string, error) {
	installed, err := Installed(context.Background(), m)
	if err != nil {
		return nil, err
	}
	return Duplicates(installed, Beside(m)), nil
}
