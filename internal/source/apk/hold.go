package apk

import (
	"context"
	"fmt"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Hold implements source.Holder by apk's own means, a pin in the world file. A package that is there because others need it has no place in that file: to give
// it one would make it a chosen one for ever.
func (s Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	installed, err := readInstalled(m)
	if err != nil {
		return err
	}
	w, err := readWorld(m)
	if err != nil {
		return err
	}
	args := []string{"--wait", lockWait, "--no-network", "add"}
	for _, name := range names {
		p, entry := find(installed, name), w.entry(name)
		switch {
		case p == nil:
			return &fleet.Unknown{Because: fmt.Sprintf("%q is not installed", fleet.Plain(name)), Remedy: "redflag list shows what is on offer"}
		case entry == "":
			return &fleet.Unknown{Because: name + " is there because other packages need it, and apk holds only what a person has chosen", Remedy: "hold what needs it instead"}
		case entry != name && entry != name+"="+p.version:
			return &fleet.Unknown{Because: name + " is pinned by hand: " + fleet.Plain(entry) + " in " + worldFile, Remedy: "change it there: it is not RedFlag's"}
		case hold:
			args = append(args, name+"="+p.version)
		default:
			args = append(args, name)
		}
	}
	result, err := m.Run(ctx, machine.Command{Name: "apk", Args: args})
	if err != nil {
		return err
	}
	if result.Code != 0 {
		return explain(result, "apk add").unknown()
	}
	if w, err = readWorld(m); err != nil {
		return err
	}
	for _, name := range names {
		if pinned := w.pin(name) != ""; pinned != hold {
			return &fleet.Unknown{Because: name + " is not pinned as it should be", Remedy: "see " + worldFile}
		}
	}
	return nil
}

// Repair implements source.Repairer: apk puts in place again what it has not finished with.
func (s Source) Repair(ctx context.Context, m *machine.Machine, w source.Work) (fleet.Outcome, error) {
	before, err := look(m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	o := fleet.NewOutcome()
	if len(before.Broken) == 0 {
		return o, nil
	}
	code, err := w.Carry(m, machine.Command{Name: "apk", Args: append([]string{"--wait", lockWait, "fix"}, before.Broken...)})
	if err != nil {
		return o, err
	}
	now, err := look(m)
	if err != nil {
		return o, err
	}
	o.Done = before.differences(now)
	o.HalfDone = append(o.HalfDone, now.Broken...)
	if code != 0 || len(now.Broken) > 0 {
		said, err := w.LastRun(m)
		if err != nil {
			return o, err
		}
		r := explainText(said, fmt.Sprintf("apk did not come to its end (code %d)", code))
		o.Because, o.Remedy = r.because, r.remedy
	}
	return o, nil
}
