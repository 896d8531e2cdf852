package zypper

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

const (
	// autoFile is where libzypp keeps the names of packages that are there because others need them, a line each.
	autoFile = "/var/lib/zypp/AutoInstalled"
	// autoHeader is its first line, which says who wrote it.
	autoHeader = "# AutoInstalled: marks that an installation had taken away are put back by RedFlag\n"
	// maxAuto bounds it: a desktop has 3,000 packages.
	maxAuto = 4 << 20
	// marksFile is the file of a job with what it had before.
	marksFile = "automatic.json"
)

// automatic names the packages that are there because others need them.
func automatic(m *machine.Machine) ([]string, error) {
	names := []string{}
	data, err := m.ReadFile(autoFile, maxAuto)
	if errors.Is(err, fs.ErrNotExist) {
		return names, nil
	}
	for line := range bytes.Lines(data) {
		if name := strings.TrimSpace(string(line)); name != "" && !strings.HasPrefix(name, "#") {
			names = append(names, name)
		}
	}
	return names, err
}

// restoreMarks marks again as automatic what was so, or comes back as that: zypper takes what it is told by name for what a person chose, and would keep it
// for ever. That it fails costs nothing but that.
func restoreMarks(m *machine.Machine, p fleet.Plan, o fleet.Outcome, w source.Work) {
	var marked []string
	if w.Read(m, marksFile, &marked) != nil {
		return // it did not come so far
	}
	now, err := automatic(m)
	if err != nil {
		return
	}
	want := slices.Clone(now)
	for _, c := range o.Done {
		planned := slices.ContainsFunc(p.Changes, func(o fleet.Change) bool { return o.Name == c.Name && o.Arch == c.Arch && o.Automatic })
		if c.To != "" && (planned || slices.Contains(marked, c.Name)) && !slices.Contains(want, c.Name) {
			want = append(want, c.Name)
		}
	}
	if len(want) == len(now) {
		return
	}
	slices.Sort(want)
	_ = machine.WriteFile(m.Path(autoFile), []byte(autoHeader+strings.Join(want, "\n")+"\n"), 0o644)
}
