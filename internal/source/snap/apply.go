package snap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Files of a job.
const (
	beforeFile = "before.json" // the revisions that were used before
	changeFile = "change.json" // the last change that was begun
)

// Fetch implements source.Installer. snapd downloads by itself, as a task of each change, and undoes the whole change where that fails.
func (Source) Fetch(context.Context, *machine.Machine, fleet.Plan, source.Work) error { return nil }

// Apply implements source.Installer: one snap after the other, each to exactly its revision. It ends at the first that fails, which snapd puts back by itself.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	before, err := installed(ctx, m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	steps := slices.SortedStableFunc(slices.Values(p.Changes), first(before))
	for _, c := range steps {
		at := slices.IndexFunc(before, func(i snap) bool { return i.Name == c.Name })
		if at < 0 || before[at].what() != c.From || revisionOf(c.To) == "" {
			return fleet.Outcome{}, &fleet.Unknown{Because: c.Name + " is not what was approved any more", Remedy: "plan again"}
		}
	}
	if err := w.Write(m, beforeFile, before); err != nil {
		return fleet.Outcome{}, err
	}
	var failed error
	for _, c := range steps {
		if failed = s.carry(ctx, m, c, w); failed != nil {
			break
		}
	}
	return s.outcome(ctx, m, p, before, failed)
}

// carry has snapd do one change, and waits for it.
func (s Source) carry(ctx context.Context, m *machine.Machine, c fleet.Change, w source.Work) error {
	i := instruction{Action: "refresh", Revision: revisionOf(c.To)}
	if c.Action == fleet.Downgrade {
		i.Action = "revert"
	}
	fmt.Fprintf(w.Log, "\n# snapd: %s %s to the revision %s\n", i.Action, c.Name, i.Revision)
	id, err := begin(ctx, m, c.Name, i)
	if err != nil {
		return err
	}
	if err := w.Write(m, changeFile, id); err != nil {
		return err
	}
	done, err := s.await(ctx, m, id, w.Log)
	if err != nil {
		return err
	}
	fmt.Fprintf(w.Log, "%s: %s\n", fleet.Plain(done.Summary), fleet.Plain(done.Status))
	return done.failed()
}

// Settle implements source.Installer. snapd goes on without us, so it is waited for.
func (s Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	var before []snap
	if err := w.Read(m, beforeFile, &before); errors.Is(err, fs.ErrNotExist) {
		o := fleet.NewOutcome()
		o.Missing, o.Because = p.Changes, "it was ended before it began to change anything"
		return o, nil
	} else if err != nil {
		return fleet.NewOutcome(), err
	}
	var id string
	var failed error
	if err := w.Read(m, changeFile, &id); err == nil {
		var done change
		if done, failed = s.await(ctx, m, id, w.Log); failed == nil {
			failed = done.failed()
		}
	}
	return s.outcome(ctx, m, p, before, failed)
}

// outcome tells what was done by the revisions that are used before and after.
func (Source) outcome(ctx context.Context, m *machine.Machine, p fleet.Plan, before []snap, failed error) (fleet.Outcome, error) {
	o := fleet.NewOutcome()
	now, err := installed(ctx, m)
	if err != nil {
		return o, err
	}
	o.Done = differences(before, now, p)
	is := func(c fleet.Change) func(fleet.Change) bool {
		return func(d fleet.Change) bool { return d.Name == c.Name && revisionOf(d.To) == revisionOf(c.To) }
	}
	for _, c := range p.Changes {
		if !slices.ContainsFunc(o.Done, is(c)) {
			o.Missing = append(o.Missing, c)
		}
	}
	o.Because, o.Remedy = fleet.Explain(failed)
	if o.Because == "" && len(o.Missing) > 0 {
		o.Because, o.Remedy = "snapd has not done all of it", "see `snap changes`; what the system is made of may need a reboot first"
	}
	if o.Because == "" {
		for _, d := range o.Done {
			if !slices.ContainsFunc(p.Changes, is(d)) {
				o.Because, o.Remedy = d.String()+" was not planned", "see `snap changes`: snapd itself, or somebody else, was at work at the same time"
			}
		}
	}
	return o, nil
}

// differences gives what has changed between two looks.
func differences(before, now []snap, p fleet.Plan) []fleet.Change {
	list := []fleet.Change{}
	find := func(in []snap, name string) (snap, bool) {
		at := slices.IndexFunc(in, func(i snap) bool { return i.Name == name })
		if at < 0 {
			return snap{}, false
		}
		return in[at], true
	}
	for _, n := range now {
		b, was := find(before, n.Name)
		c := fleet.Change{Action: fleet.Upgrade, Name: n.Name, To: n.what(), Origin: fleet.Plain(n.Channel)}
		switch planned := slices.IndexFunc(p.Changes, func(c fleet.Change) bool { return c.Name == n.Name }); {
		case was && b.Revision == n.Revision:
			continue
		case !was:
			c.Action, c.Automatic = fleet.Install, true // a base that a new revision needs
		case planned >= 0:
			c.Action = p.Changes[planned].Action
		}
		if was {
			c.From = b.what()
		}
		list = append(list, c)
	}
	for _, b := range before {
		if _, there := find(now, b.Name); !there {
			list = append(list, fleet.Change{Action: fleet.Remove, Name: b.Name, From: b.what()})
		}
	}
	slices.SortFunc(list, fleet.CompareChanges)
	return list
}

// Undo implements source.Installer: back to the revisions that were there before. What came because another needs it stays.
func (Source) Undo(_ *machine.Machine, _ fleet.Plan, o fleet.Outcome, _ source.Work) (fleet.Selection, error) {
	var sel fleet.Selection
	for _, d := range o.Done {
		switch {
		case d.To == "":
			return sel, &fleet.Unknown{Because: d.Name + " was removed, and a removal is not undone", Remedy: "install it by hand: snap install"}
		case d.From != "":
			sel.Back = append(sel.Back, fleet.Change{Action: fleet.Downgrade, Name: d.Name, From: d.To, To: d.From})
		}
	}
	if len(sel.Back) == 0 {
		return sel, &fleet.Unknown{Because: "that job has changed nothing that could be undone"}
	}
	return sel, nil
}
