package pacman

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/version"
)

// keep puts aside what a plan replaces, from pacman's cache. What is not there cannot be undone, and the log says so.
func (w *world) keep(m *machine.Machine, p fleet.Plan, work source.Work) {
	for _, c := range p.Changes {
		if c.From == "" || w.kept(m, c.Name, c.From, c.Arch) != "" {
			continue
		}
		file := w.cached(m, c.Name, c.From, c.Arch)
		if file == "" {
			fmt.Fprintf(work.Log, "%s %s is not in pacman's cache: this change cannot be undone\n", c.Name, c.From)
			continue
		}
		if err := source.Keep(m, file, keptName(file)); err != nil {
			fmt.Fprintf(work.Log, "%s %s cannot be kept for an undo: %v\n", c.Name, c.From, err)
		}
	}
	source.PruneKept(m, nil)
}

// endings are those of packages, as makepkg.conf(5) has them.
var endings = []string{".zst", ".xz", ".gz", ".bz2", ".lz4", ".lz", ".lzo", ".lrz", ".Z", ""}

func packageFile(name, version, arch string) string {
	return name + "-" + version + "-" + arch + ".pkg.tar"
}

// keptName is the name under which a package's file is kept.
func keptName(file string) string { return "pacman-" + strings.ReplaceAll(path.Base(file), ":", "=") }

func (w *world) kept(m *machine.Machine, name, version, arch string) string {
	for _, ending := range endings {
		if file := source.Kept(m, keptName(packageFile(name, version, arch)+ending)); file != "" {
			return file
		}
	}
	return ""
}

// cached gives the place of a package in pacman's cache; empty where it is not there.
func (w *world) cached(m *machine.Machine, name, version, arch string) string {
	for _, dir := range w.conf.cacheDirs {
		for _, ending := range endings {
			file := path.Join(dir, packageFile(name, version, arch)+ending)
			if info, err := m.Stat(file); err == nil && info.Mode().IsRegular() {
				return file
			}
		}
	}
	return ""
}

// Undo implements source.Installer: each change the other way round.
func (s Source) Undo(_ *machine.Machine, _ fleet.Plan, o fleet.Outcome, _ source.Work) (fleet.Selection, error) {
	return source.Back(o, version.ComparePacman)
}

// planBack plans the way back: the packages that were, from where they were kept, and without those that came.
func (w *world) planBack(ctx context.Context, m *machine.Machine, p fleet.Plan) (fleet.Plan, error) {
	files, gone, err := w.back(m, p.Selection)
	if err != nil {
		return p, err
	}
	var in []*pkg
	if len(files) > 0 {
		if in, err = w.ask(ctx, m, append(slices.Clone(backWords), files...)...); err != nil {
			return p, planned(err)
		}
	}
	for _, q := range in {
		if at := slices.IndexFunc(p.Selection.Back, func(c fleet.Change) bool { return c.Name == q.name && c.To == q.version }); at >= 0 {
			q.arch = p.Selection.Back[at].Arch
		}
		q.repo = "kept on this machine"
	}
	p.Changes = w.changes(in, gone)
	for i, c := range p.Changes {
		if at := slices.IndexFunc(p.Selection.Back, func(b fleet.Change) bool { return b.Name == c.Name }); at >= 0 {
			p.Changes[i].Automatic = p.Selection.Back[at].Automatic
		}
	}
	if err := w.conflicts(in, gone); err != nil {
		return p, planned(err)
	}
	if need := w.needed(in, gone); need != "" {
		return p, &fleet.Unknown{Because: need, Remedy: "remove or upgrade it by hand first"}
	}
	w.measure(ctx, m, &p, in)
	p.Download, p.Disk = 0, 0 // it is here, and what it takes is not said
	p.Warnings = append(p.Warnings, "afterwards this machine is at an older state of the distribution; the next full upgrade installs these versions again")
	return p, guard(p, in)
}

// backWords mean packages by their files. Where one of them stands against what replaced it, that goes: --ask turns pacman's answer to a conflict round
// (alpm.h: ALPM_QUESTION_CONFLICT_PKG).
var backWords = []string{"-U", "--noconfirm", "--ask", "4"}

// back gives the files of what comes again, and what goes.
func (w *world) back(m *machine.Machine, sel fleet.Selection) (files []string, gone []*pkg, err error) {
	var problems []error
	for _, c := range sel.Back {
		if !packageName.MatchString(c.Name) || c.To != "" && !versionText.MatchString(c.To) {
			return nil, nil, fmt.Errorf("%q is no name of a package", fleet.Plain(c.Name))
		}
		now := find(w.installed, c.Name)
		switch {
		case c.To == "" && now != nil:
			gone = append(gone, now)
		case c.To == "" || now != nil && now.version == c.To:
		default:
			file := w.kept(m, c.Name, c.To, c.Arch)
			if file == "" {
				file = w.cached(m, c.Name, c.To, c.Arch)
			}
			if file == "" {
				problems = append(problems, &fleet.Unknown{
					Because: c.Name + " " + c.To + " is neither kept here nor in pacman's cache", Remedy: "fetch it from an archive, and install it by hand: pacman -U",
				})
			}
			files = append(files, file)
		}
	}
	return files, gone, errors.Join(problems...)
}

// needed says which package that stays needs one that goes; empty where none does.
func (w *world) needed(in, gone []*pkg) string {
	before, after := newIndex(w.installed), newIndex(w.after(in, gone))
	for _, p := range w.after(nil, append(slices.Clone(in), gone...)) {
		for _, d := range p.depends {
			if before.meets(d) && !after.meets(d) {
				return fmt.Sprintf("%s %s needs %s, which would go", p.name, p.version, fleet.Plain(d))
			}
		}
	}
	return ""
}

// carryBack goes the way back in several transactions: what comes again first, and then what goes and has not gone with that, because what is there
// until then may need it. Pacman takes packages that are named for ones that a person chose, so those that were not are marked again.
func (s Source) carryBack(m *machine.Machine, look *world, p fleet.Plan, w source.Work, options []string) (code int, err error) {
	files, gone, err := look.back(m, p.Selection)
	if err != nil {
		return -1, err
	}
	if len(files) > 0 {
		code, err = w.Carry(m, machine.Command{Name: "pacman", Args: append(append(slices.Clone(backWords), options[1:]...), files...)})
		if err != nil || code != 0 {
			return code, err
		}
	}
	if look, err = s.look(m); err != nil {
		return -1, err
	}
	var rest, automatic []string
	for _, g := range gone {
		if find(look.installed, g.name) != nil {
			rest = append(rest, g.name)
		}
	}
	for _, c := range p.Changes {
		if now := find(look.installed, c.Name); now != nil && c.To != "" && c.Automatic != now.automatic && c.Automatic {
			automatic = append(automatic, c.Name)
		}
	}
	if len(rest) > 0 {
		if code, err = w.Carry(m, machine.Command{Name: "pacman", Args: append(append([]string{"-R"}, options...), rest...)}); err != nil || code != 0 {
			return code, err
		}
	}
	if len(automatic) > 0 {
		return w.Carry(m, machine.Command{Name: "pacman", Args: append([]string{"-D", "--asdeps", "--color", "never"}, automatic...)})
	}
	return code, nil
}
