package dnf5

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/source/rpm"
)

// tmp is where a transaction that goes back lies while it is planned.
const tmp = "/tmp"

// Plan implements source.Planner: dnf itself says what it would do, and does nothing.
func (s Source) Plan(ctx context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.Name(), sel, m.Now())
	if err := rpm.Changeable(m); err != nil {
		return p, err
	}
	installed, err := rpm.Installed(ctx, m)
	if err != nil {
		return p, err
	}
	if err := rpm.Whole(installed, rpm.Beside(m)); err != nil {
		return p, err
	}
	t, err := s.wanted(ctx, m, sel)
	if err != nil {
		return p, err
	}
	p.Changes = rpm.Differences(installed, rpm.After(installed, packages(t.out), packages(t.in)))
	p.Download, p.Disk = t.download, t.disk
	for i, c := range p.Changes {
		for _, r := range t.in {
			if r.Name == c.Name && r.Arch == c.Arch && r.EVR == c.To {
				p.Changes[i].Automatic, p.Changes[i].Origin = r.Automatic, r.Repo
			}
		}
	}
	repositories, err := s.repositories(ctx, m)
	advisories, _, unread := rpm.ReadAdvisories(ctx, m, repositories)
	if err != nil || unread != nil {
		p.Warnings = append(p.Warnings, "which of these are for security is not known")
	}
	p.Warnings = append(p.Warnings, t.problems...)
	rpm.Foresee(ctx, m, &p, installed, advisories, cacheDir)
	return p, rpm.Guard(m, p, "dnf5 upgrade --assumeno")
}

// wanted gives what dnf would do for a selection.
func (s Source) wanted(ctx context.Context, m *machine.Machine, sel fleet.Selection) (table, error) {
	if len(sel.Back) > 0 {
		made, err := os.MkdirTemp(m.Path(tmp), "redflag-dnf5-")
		if err != nil {
			return table{}, err
		}
		dir := path.Join(tmp, filepath.Base(made))
		defer rpm.Gone(m, dir)
		if err := writeBack(m, dir, sel.Back); err != nil {
			return table{}, err
		}
		return s.assume(ctx, m, "replay", dir)
	}
	words := []string{"upgrade"}
	if !sel.All {
		finding, err := s.Scan(ctx, m)
		if err != nil && len(finding.Updates) == 0 {
			return table{}, err // what is on offer is not known at all
		}
		meant, err := source.Meant(finding.Updates, sel)
		if err != nil || len(meant) == 0 {
			return table{}, err
		}
		for _, u := range meant {
			p := rpm.Package{Name: u.Name, EVR: u.To, Arch: u.Arch}
			if err := p.Valid(); err != nil {
				return table{}, err
			}
			words = append(words, p.String())
		}
	}
	return s.assume(ctx, m, words...)
}

// words are those of a plan that was approved.
func words(p fleet.Plan) ([]string, error) {
	list := []string{"upgrade"}
	if p.Selection.All {
		return list, nil
	}
	for _, c := range p.Changes {
		one := rpm.Package{Name: c.Name, EVR: c.To, Arch: c.Arch}
		if c.To == "" || c.From == "" && c.Automatic {
			continue // it comes, or goes, by itself
		}
		if err := one.Valid(); err != nil {
			return nil, fmt.Errorf("the plan cannot be carried out: %w", err)
		}
		list = append(list, one.String())
	}
	return list, nil
}

// storeDir is where a job has its transaction.
const storeDir = "transaction"

// Fetch implements source.Installer: dnf downloads the packages and stores the transaction, which must be the one that was approved.
func (s Source) Fetch(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) error {
	dir := path.Join(w.Dir, storeDir)
	if len(p.Selection.Back) > 0 {
		s.keep(ctx, m, p, w)
		return writeBack(m, dir, p.Selection.Back)
	}
	list, err := words(p)
	if err != nil {
		return err
	}
	s.keep(ctx, m, p, w)
	c := machine.Command{Name: "dnf5", Args: append([]string{"-y", "--setopt=metadata_expire=-1"}, append(list, "--store="+dir)...)}
	fmt.Fprintf(w.Log, "\n# %s %s\n", c.Name, strings.Join(c.Args, " "))
	code, err := m.Follow(ctx, c, w.Log)
	if err != nil {
		return err
	}
	if code != 0 {
		log, err := w.LastRun(m)
		if err != nil {
			return err
		}
		return refusal(machine.Result{Stdout: []byte(log), Code: code})
	}
	return s.approved(ctx, m, p, dir)
}

// approved refuses a stored transaction that is not the approved plan.
func (s Source) approved(ctx context.Context, m *machine.Machine, p fleet.Plan, dir string) error {
	t, err := readStored(m, dir)
	if err != nil {
		return err
	}
	installed, err := rpm.Installed(ctx, m)
	if err != nil {
		return err
	}
	now := p
	if now.Changes = t.changes(installed); now.Digest() != p.Digest() {
		return &fleet.Unknown{
			Because: "it is not the plan that was approved: " + strings.Join(p.Differences(now), "; "), Remedy: "plan again, and approve what is planned now",
		}
	}
	return nil
}

// Apply implements source.Installer: dnf carries the stored transaction out as it stands, or nothing.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	dir := path.Join(w.Dir, storeDir)
	if _, err := rpm.Remember(ctx, m, p, w); err != nil {
		return fleet.Outcome{}, err
	}
	if err := s.approved(ctx, m, p, dir); err != nil {
		o := fleet.NewOutcome()
		o.Missing = p.Changes
		o.Because, o.Remedy = fleet.Explain(err)
		return o, nil
	}
	c := machine.Command{Name: "dnf5", Args: []string{"-y", "-C", "replay", dir}}
	if err := rpm.Patiently(m, w, c, s.LockWait, "Another transaction is in progress"); err != nil {
		return fleet.Outcome{}, err
	}
	return s.Settle(ctx, m, p, w)
}

// Settle implements source.Installer. (A script that fails makes dnf 5 say that the transaction failed, although all of it was done.)
func (s Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	return rpm.Settle(ctx, m, p, w, rpm.Beside(m), refusals...)
}

// Undo implements source.Installer. Why packages were installed is in the job's stored transaction.
func (s Source) Undo(m *machine.Machine, _ fleet.Plan, o fleet.Outcome, w source.Work) (fleet.Selection, error) {
	sel, err := rpm.Undo(o)
	if t, unread := readStored(m, path.Join(w.Dir, storeDir)); unread == nil {
		for i, c := range sel.Back {
			sel.Back[i].Automatic = t.dependency(c.Name, c.Arch)
		}
	}
	return sel, err
}

// keep puts aside what a plan replaces: from dnf's cache, or from the repositories. What is nowhere cannot be kept, and the log says so: then that change
// cannot be undone.
func (s Source) keep(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) {
	cache := filepath.Join(strings.TrimPrefix(cacheDir, "/"), "*", "packages")
	downloads := path.Join(w.Dir, "replaced")
	var missing []string
	for _, one := range rpm.Replaced(p) {
		if !rpm.KeepCached(m, one, cache) {
			missing = append(missing, one.String())
		}
	}
	if len(missing) > 0 {
		c := machine.Command{Name: "dnf5", Args: append([]string{"-y", "download", "--skip-unavailable", "--destdir=" + downloads}, missing...)}
		fmt.Fprintf(w.Log, "\n# %s %s\n", c.Name, strings.Join(c.Args, " "))
		if _, err := m.Follow(ctx, c, w.Log); err != nil {
			fmt.Fprintf(w.Log, "what is replaced cannot be kept for an undo: %v\n", err)
		}
	}
	for _, one := range rpm.Replaced(p) {
		if !rpm.KeepCached(m, one, strings.TrimPrefix(downloads, "/")) {
			fmt.Fprintf(w.Log, "%s cannot be kept for an undo: no repository has it any more\n", one)
		}
	}
	rpm.Gone(m, downloads)
	source.PruneKept(m, nil)
}

// Repair implements source.Repairer: what an interrupted installation left in two versions is removed in its older one.
func (s Source) Repair(ctx context.Context, m *machine.Machine, w source.Work) (fleet.Outcome, error) {
	p := fleet.NewPlan(s.Name(), fleet.Selection{}, m.Now())
	return rpm.Repair(ctx, m, p, w, rpm.Beside(m), refusals...)
}
