package pkg

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// endings are those of package files, the newest first.
var endings = []string{".pkg", ".tzst", ".txz", ".tbz", ".tgz", ".tar"}

// kept gives where a version of a package lies: among what was put aside, or in pkg's own cache, whose names have a checksum too. It is empty where it is nowhere.
func kept(m *machine.Machine, name, version string) string {
	for _, ending := range endings {
		if file := source.Kept(m, name+"-"+version+ending); file != "" {
			return file
		}
		file := path.Join("/var/cache/pkg", name+"-"+version+ending)
		if info, err := m.Stat(file); err == nil && info.Mode().IsRegular() { // a link there names the file with the checksum; Stat follows it
			return file
		}
	}
	return ""
}

// keep has pkg make packages again of what a plan takes away, from the files as they are, for an undo. What cannot be made is told, and no reason not to go on.
func keep(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) error {
	if err := os.MkdirAll(m.Path(source.KeptDir), 0o755); err != nil {
		return err
	}
	for _, c := range p.Changes {
		if c.From == "" || kept(m, c.Name, c.From) != "" {
			continue
		}
		code, err := m.Follow(ctx, machine.Command{Name: "pkg", Args: []string{"create", "-q", "-o", source.KeptDir, c.Name}}, w.Log, w.Held...)
		if err != nil {
			return err
		}
		if code != 0 || kept(m, c.Name, c.From) == "" {
			fmt.Fprintf(w.Log, "%s %s could not be put aside: an undo of this job will lack it\n", c.Name, c.From)
		}
	}
	source.PruneKept(m, nil)
	return nil
}

// Undo implements source.Installer.
func (Source) Undo(m *machine.Machine, _ fleet.Plan, o fleet.Outcome, _ source.Work) (fleet.Selection, error) {
	var sel fleet.Selection
	var lost []string
	for _, c := range o.Done {
		back := fleet.Change{Name: c.Name, Arch: c.Arch, From: c.To, To: c.From, Action: fleet.Downgrade}
		switch {
		case c.From == "":
			back.Action = fleet.Remove
		case c.To == "":
			back.Action = fleet.Install
		}
		if c.From != "" && kept(m, c.Name, c.From) == "" {
			lost = append(lost, c.Name+" "+c.From)
		}
		sel.Back = append(sel.Back, back)
	}
	switch {
	case len(lost) > 0:
		return sel, &fleet.Unknown{Because: "the way back lacks " + strings.Join(lost, ", ") + ", which is nowhere any more", Remedy: "on ZFS, go back to a boot environment: bectl list"}
	case len(sel.Back) == 0:
		return sel, &fleet.Unknown{Because: "that job has changed nothing that could be undone"}
	}
	return sel, nil
}

// back plans a way back: only from the versions that the undone job has left, and only what pkg would remove without taking more with it.
func (Source) back(ctx context.Context, m *machine.Machine, p *fleet.Plan, installed []installedPackage) error {
	var gone []string
	for _, c := range p.Selection.Back {
		if !packageName.MatchString(c.Name) || c.To != "" && !packageVersion.MatchString(c.To) { // it becomes the name of a file
			return &fleet.Unknown{Because: fmt.Sprintf("%q is no package", fleet.Plain(c.Name+" "+c.To)), Remedy: "see what the job to undo has done"}
		}
		now := ""
		if have := find(installed, c.Name); have != nil {
			now = have.version
			if have.locked {
				return &fleet.Unknown{Because: c.Name + " is on hold: pkg lock", Remedy: "release it first: redflag unhold " + c.Name}
			}
		}
		switch {
		case now == c.To: // it is so already
			continue
		case now != c.From:
			return &fleet.Unknown{Because: fmt.Sprintf("%s has changed since: it is %s, not %s", c.Name, orNothing(now), orNothing(c.From)), Remedy: "undo what came after first"}
		case c.To != "" && kept(m, c.Name, c.To) == "":
			return &fleet.Unknown{Because: c.Name + " " + c.To + " is nowhere any more", Remedy: "on ZFS, go back to a boot environment: bectl list"}
		case c.To == "":
			gone = append(gone, c.Name)
		}
		p.Changes = append(p.Changes, c)
	}
	if len(gone) == 0 {
		return nil
	}
	t, err := simulated(ctx, m, append([]string{"delete", "-n"}, gone...))
	if err != nil {
		return err
	}
	for _, c := range t.changes {
		if !slices.ContainsFunc(p.Changes, func(o fleet.Change) bool { return o.Name == c.Name }) {
			return &fleet.Unknown{Because: c.Name + " needs what the way back removes", Remedy: "remove it first, if it is not needed: pkg delete " + c.Name}
		}
	}
	return nil
}

func orNothing(version string) string {
	if version == "" {
		return "not installed"
	}
	return version
}

// backRuns are the two steps of a way back: the older packages are put in place, and then what came new goes.
func backRuns(m *machine.Machine, p fleet.Plan) [][]string {
	place, remove := []string{"add", "-f"}, []string{"delete", "-y"}
	for _, c := range p.Changes {
		if c.To == "" {
			remove = append(remove, c.Name)
		} else {
			place = append(place, kept(m, c.Name, c.To))
		}
	}
	var runs [][]string
	for _, words := range [][]string{place, remove} {
		if len(words) > 2 {
			runs = append(runs, words)
		}
	}
	return runs
}
