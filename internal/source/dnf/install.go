package dnf

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/source/rpm"
)

// Fetch implements source.Installer. What is fetched stays in dnf's cache.
func (s Source) Fetch(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) error {
	q, err := s.apply(ctx, m, p)
	if err != nil {
		return err
	}
	s.keep(ctx, m, p, w)
	c, err := s.command(m, w.Dir, q, "-y", "--downloadonly")
	if err != nil {
		return err
	}
	fmt.Fprintf(w.Log, "\n# %s %s\n", c.Name, strings.Join(c.Args, " "))
	code, err := m.Follow(ctx, c, w.Log)
	if err != nil || code == 0 {
		return err
	}
	log, err := w.LastRun(m)
	if err != nil {
		return err
	}
	if err := rpm.Explain(log, refusals...); err != nil {
		return err
	}
	return &fleet.Unknown{Because: fmt.Sprintf("the packages could not be fetched (code %d)", code), Remedy: "see the log"}
}

// Apply implements source.Installer. Without the network, so that what is known is what was planned with; our plugin stops dnf where it would do
// anything else than what was approved.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	q, err := s.apply(ctx, m, p)
	if err != nil {
		return fleet.Outcome{}, err
	}
	c, err := s.command(m, w.Dir, q, "-y", "-C")
	if err != nil {
		return fleet.Outcome{}, err
	}
	if _, err := rpm.Remember(ctx, m, p, w); err != nil {
		return fleet.Outcome{}, err
	}
	if err := rpm.Patiently(m, w, c, s.LockWait, "already locked by"); err != nil {
		return fleet.Outcome{}, err
	}
	return s.Settle(ctx, m, p, w)
}

// Settle implements source.Installer.
func (s Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	return rpm.Settle(ctx, m, p, w, rpm.Beside(m), refusals...)
}

// Undo implements source.Installer. What went and had come because another needed it comes back as that.
func (s Source) Undo(_ *machine.Machine, p fleet.Plan, o fleet.Outcome, _ source.Work) (fleet.Selection, error) {
	sel, err := rpm.Undo(o)
	for i, c := range sel.Back {
		sel.Back[i].Automatic = c.From == "" && slices.ContainsFunc(p.Changes, func(o fleet.Change) bool {
			return o.To == "" && o.Name == c.Name && o.Arch == c.Arch && o.From == c.To && o.Automatic
		})
	}
	return sel, err
}

// keep puts aside what a plan replaces: from dnf's cache, or from the repositories. What is nowhere cannot be kept, and the log says so: then that change
// cannot be undone.
func (s Source) keep(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) {
	defer source.PruneKept(m, nil)
	q := request{Mode: "keep", Dir: path.Join(w.Dir, "replaced")}
	for _, one := range rpm.Replaced(p) {
		if !rpm.KeepCached(m, one, filepath.Join("var", "cache", "dnf", "*", "packages")) {
			q.Keep = append(q.Keep, want(one))
		}
	}
	if len(q.Keep) == 0 {
		return
	}
	err := os.MkdirAll(m.Path(q.Dir), 0o700)
	if err == nil {
		_, err = s.ask(ctx, m, q)
	}
	if err != nil {
		because, _ := fleet.Explain(err)
		fmt.Fprintf(w.Log, "what is replaced cannot be fetched for an undo: %s\n", because)
	}
	for _, one := range rpm.Replaced(p) {
		if !rpm.KeepCached(m, one, strings.TrimPrefix(q.Dir, "/")) {
			fmt.Fprintf(w.Log, "%s cannot be kept for an undo: no repository has it any more\n", one)
		}
	}
	rpm.Gone(m, q.Dir)
}

// Repair implements source.Repairer: what an interrupted installation left in two versions is removed in its older one.
func (s Source) Repair(ctx context.Context, m *machine.Machine, w source.Work) (fleet.Outcome, error) {
	p := fleet.NewPlan(s.Name(), fleet.Selection{}, m.Now())
	return rpm.Repair(ctx, m, p, w, rpm.Beside(m), refusals...)
}

// Hold implements source.Holder, by dnf's plugin for version locks.
func (s Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	name := program(m)
	if name == "" {
		return errYum
	}
	word := "add"
	if !hold {
		word = "delete"
	}
	if err := rpm.Holdable(ctx, m, names, hold); err != nil {
		return err
	}
	result, err := m.Run(ctx, machine.Command{Name: name, Args: append([]string{"-q", "-C", "versionlock", word}, names...)})
	if err != nil {
		return err
	}
	said := string(result.Stderr) + string(result.Stdout)
	switch {
	case strings.Contains(said, "No such command"):
		return &fleet.Unknown{Because: "dnf cannot hold packages here: its plugin for version locks is not installed", Remedy: "dnf install python3-dnf-plugin-versionlock"}
	case result.Code != 0:
		return &fleet.Unknown{Because: "dnf does not " + word + " a version lock: " + oneLine(said)}
	}
	return nil
}

// Lines of dnf's plugin for version locks (its versionlock.conf(5)): NAME-EPOCH:VERSION-RELEASE.ARCH, each part of which may be a pattern. One with an
// exclamation mark excludes a version, and holds nothing.
var (
	lockList = regexp.MustCompile(`(?m)^[ \t]*locklist[ \t]*=[ \t]*(\S+)`)
	lockLine = regexp.MustCompile(`(?m)^[ \t]*([A-Za-z0-9_][^\s]*?)-(?:[0-9]+:)?[^\s-]+-[^\s-]+$`)
)

// Held implements source.Holder: what version locks name.
func (Source) Held(m *machine.Machine) ([]string, error) {
	file := "/etc/dnf/plugins/versionlock.list"
	if set, err := rpm.Locked(m, "/etc/dnf/plugins/versionlock.conf", lockList); err == nil && len(set) > 0 {
		file = set[0]
	}
	return rpm.Locked(m, file, lockLine)
}

// Unfinished implements source.Repairer.
func (Source) Unfinished(m *machine.Machine) ([]string, error) { return rpm.Unfinished(m) }
