package source

import (
	"errors"
	"hash"
	"io"
	"io/fs"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// RebootFor says whether a plan is known to need a reboot, by the names of packages that take effect with the next start. What it is not known to need may turn
// out afterwards.
func RebootFor(p fleet.Plan, restarts func(name string) bool) fleet.Reboot {
	r := fleet.Reboot{Needed: fleet.NeedUnknown, Because: []string{}}
	for _, c := range p.Changes {
		if c.To != "" && restarts(c.Name) {
			r.Needed = fleet.Needed
			r.Because = append(r.Because, c.Name)
		}
	}
	return r
}

// ActionOf says what leads from one version to another, of which an empty one is none. Compare orders versions as their package manager does.
func ActionOf(from, to string, compare func(a, b string) int) fleet.Action {
	switch {
	case from == "":
		return fleet.Install
	case to == "":
		return fleet.Remove
	case compare(from, to) > 0:
		return fleet.Downgrade
	}
	return fleet.Upgrade
}

// maxConfigFile bounds what is read of a configuration file to see whether it was changed.
const maxConfigFile = 16 << 20

// Sum gives a file's checksum by a hash; false where the file cannot be read.
func Sum(m *machine.Machine, name string, h hash.Hash) ([]byte, bool) {
	f, err := m.Open(name)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	if _, err := io.Copy(h, io.LimitReader(f, maxConfigFile)); err != nil {
		return nil, false
	}
	return h.Sum(nil), true
}

// Before reads what a job wrote down, in the file name, before it changed anything. Begun is false where it had not come so far: then the outcome says that nothing
// was done.
func (w Work) Before(m *machine.Machine, p fleet.Plan, name string, before any) (o fleet.Outcome, begun bool, err error) {
	o = fleet.NewOutcome()
	err = w.Read(m, name, before)
	if errors.Is(err, fs.ErrNotExist) {
		o.Missing, o.Because = p.Changes, "it was ended before it began to change anything"
		return o, false, nil
	}
	return o, err == nil, err
}

// Back gives the selection that goes back from what was done: each change the other way round.
func Back(o fleet.Outcome, compare func(a, b string) int) (fleet.Selection, error) {
	var sel fleet.Selection
	for _, c := range o.Done {
		sel.Back = append(sel.Back, fleet.Change{Action: ActionOf(c.To, c.From, compare), Name: c.Name, Arch: c.Arch, From: c.To, To: c.From, Automatic: c.Automatic})
	}
	if len(sel.Back) == 0 {
		return sel, &fleet.Unknown{Because: "the job changed nothing, so there is nothing to undo"}
	}
	return sel, nil
}
