package flatpak

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Files of a job.
const (
	beforeFile = "before.json" // the commits that were installed before
	codeFile   = "code.json"   // the exit code of the step that was the last
)

// quiet are the words after which flatpak asks nothing, and touches nothing but what it is told.
var quiet = []string{"-y", "--noninteractive", "--no-related", "--no-deps"}

// words are those that carry a change out; more go between. Nothing but the planned commit can come of an update. A new ref comes as the newest that was
// fetched, because flatpak takes no commit there.
func words(c fleet.Change, r ref, more string) []string {
	switch {
	case c.To == "":
		return []string{"uninstall", "-y", "--noninteractive", "--no-related", r.String()}
	case c.From == "":
		return append(append([]string{"install"}, quiet...), more, c.Origin, r.String())
	}
	return append(append([]string{"update"}, quiet...), more, "--commit="+strings.TrimPrefix(c.To, algorithm), r.String())
}

// task is a change where it is to happen.
type task struct {
	change fleet.Change
	in     installation
	ref    ref
}

// tasks finds where each change of a plan is to happen, in an order in which what is needed comes first and goes last.
func tasks(m *machine.Machine, p fleet.Plan) ([]task, error) {
	var list []task
	for _, c := range p.Changes {
		t, ok := find(m, c)
		if !ok || c.To != "" && !isCommit(c.To) || c.From == "" && !remoteName(c.Origin) {
			return nil, &fleet.Unknown{Because: "it is not known what is meant by " + fleet.Plain(c.Name), Remedy: "plan again"}
		}
		list = append(list, t)
	}
	order := func(t task) int {
		switch {
		case t.change.To == "":
			return 3
		case t.change.From == "":
			return 0
		case t.ref.kind == "runtime":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(list, func(a, b task) int { return cmp.Compare(order(a), order(b)) })
	return list, nil
}

func find(m *machine.Machine, c fleet.Change) (task, bool) {
	for _, i := range installations(m) {
		id, branch, ok := i.named(c.Name)
		if !ok {
			continue
		}
		there, err := i.deployed(m)
		if err != nil {
			continue
		}
		for _, kind := range kinds {
			r, ok := parseRef(kind + "/" + id + "/" + c.Arch + "/" + branch)
			if ok && (there[r] != "" || c.From == "" && kind == "runtime") {
				return task{c, i, r}, true
			}
		}
	}
	return task{}, false
}

// Fetch implements source.Installer. What it fetches lies in the installation's own repository, and changes nothing that is in use.
func (Source) Fetch(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) error {
	list, err := tasks(m, p)
	if err != nil {
		return err
	}
	for _, t := range list {
		if t.change.To == "" {
			continue
		}
		if err := t.in.follow(ctx, m, w, words(t.change, t.ref, "--no-deploy")...); err != nil {
			return err
		}
	}
	return nil
}

// Apply implements source.Installer: one ref after the other, from what was fetched. It ends at the first that fails.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	list, err := tasks(m, p)
	if err != nil {
		return fleet.Outcome{}, err
	}
	before, err := s.snapshot(ctx, m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if err := w.Write(m, beforeFile, before); err != nil {
		return fleet.Outcome{}, err
	}
	for _, t := range list {
		code, err := w.Carry(m, t.in.command(words(t.change, t.ref, "--no-pull")...))
		if err = errors.Join(err, w.Write(m, codeFile, code)); err != nil || code != 0 {
			break // what is there says what was done
		}
	}
	return s.Settle(ctx, m, p, w)
}

// snapshot is what is installed, by name and architecture.
func (s Source) snapshot(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	list, err := s.Packages(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("look at what is installed: %w", err)
	}
	return list, nil
}

// differences gives what has changed between two looks. Commits have no order: what replaces another is an upgrade, unless the plan calls it a way back.
func differences(before, now []fleet.Package, p fleet.Plan) []fleet.Change {
	version := func(list []fleet.Package, of fleet.Package) string {
		at := slices.IndexFunc(list, func(o fleet.Package) bool { return o.Name == of.Name && o.Arch == of.Arch })
		if at < 0 {
			return ""
		}
		return list[at].Version
	}
	list := []fleet.Change{}
	for _, n := range now {
		c := fleet.Change{Action: fleet.Upgrade, Name: n.Name, Arch: n.Arch, From: version(before, n), To: n.Version}
		if c.From == "" {
			c.Action = fleet.Install
		}
		if at := slices.IndexFunc(p.Changes, func(o fleet.Change) bool { return o.Name == c.Name && o.Arch == c.Arch && o.To == c.To }); at >= 0 {
			c.Action, c.Automatic, c.Origin = p.Changes[at].Action, p.Changes[at].Automatic, p.Changes[at].Origin
		}
		if c.From != c.To {
			list = append(list, c)
		}
	}
	for _, b := range before {
		if version(now, b) == "" {
			list = append(list, fleet.Change{Action: fleet.Remove, Name: b.Name, Arch: b.Arch, From: b.Version})
		}
	}
	slices.SortFunc(list, fleet.CompareChanges)
	return list
}

// Settle implements source.Installer, by the commits that are deployed before and after.
func (s Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	o := fleet.NewOutcome()
	var before []fleet.Package
	if err := w.Read(m, beforeFile, &before); errors.Is(err, fs.ErrNotExist) {
		o.Missing, o.Because = p.Changes, "it was ended before it began to change anything"
		return o, nil
	} else if err != nil {
		return o, err
	}
	now, err := s.snapshot(ctx, m)
	if err != nil {
		return o, err
	}
	o.Done = differences(before, now, p)
	is := func(c fleet.Change) func(fleet.Change) bool {
		return func(d fleet.Change) bool { return d.Name == c.Name && d.Arch == c.Arch && d.To == c.To }
	}
	for _, c := range p.Changes {
		if !slices.ContainsFunc(o.Done, is(c)) {
			o.Missing = append(o.Missing, c)
		}
	}
	if len(o.Missing) > 0 {
		said, err := w.LastRun(m)
		if err != nil {
			return o, err
		}
		var code int
		_ = w.Read(m, codeFile, &code) // without it we were killed
		o.Because, o.Remedy = explain(said, fmt.Sprintf("flatpak did not come to its end (code %d)", code))
	}
	for _, d := range o.Done {
		if o.Because == "" && !slices.ContainsFunc(p.Changes, is(d)) {
			o.Because, o.Remedy = d.String()+" was not planned", "see the log; somebody else may have been at work at the same time"
		}
	}
	return o, nil
}

// Undo implements source.Installer: to the commits that were there before.
func (Source) Undo(_ *machine.Machine, _ fleet.Plan, o fleet.Outcome, _ source.Work) (fleet.Selection, error) {
	var sel fleet.Selection
	for _, d := range o.Done {
		if d.To == "" {
			return sel, &fleet.Unknown{Because: d.Name + " was removed, and a removal is not undone", Remedy: "install it by hand: flatpak install"}
		}
		sel.Back = append(sel.Back, fleet.Change{Action: fleet.Downgrade, Name: d.Name, Arch: d.Arch, From: d.To, To: d.From})
	}
	if len(sel.Back) == 0 {
		return sel, &fleet.Unknown{Because: "that job has changed nothing that could be undone"}
	}
	return sel, nil
}
