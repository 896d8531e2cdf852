package pacman

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/version"
)

// snapshot is what was installed before a job.
type snapshot struct {
	Installed map[string]entry `json:"installed"`
	// Beside are the other versions of configuration files that were there, and what they looked like.
	Beside map[string]string `json:"beside"`
}

type entry struct {
	Version   string `json:"version"`
	Arch      string `json:"arch"`
	Automatic bool   `json:"automatic,omitempty"`
}

// snapshot sums up what is installed.
func (w *world) snapshot(m *machine.Machine) snapshot {
	s := snapshot{Installed: map[string]entry{}, Beside: map[string]string{}}
	for _, p := range w.installed {
		s.Installed[p.name] = entry{p.version, fleet.Plain(p.arch), p.automatic}
		if p.readFiles(m, w.conf) != nil {
			continue // which files are to be reviewed is a help, no promise
		}
		for file := range p.backup {
			for _, ending := range []string{".pacnew", ".pacsave"} {
				if info, err := m.Stat("/" + file + ending); err == nil {
					s.Beside["/"+file+ending] = fmt.Sprint(info.Size(), info.ModTime().UnixNano())
				}
			}
		}
	}
	return s
}

// differences gives what has changed since.
func (s snapshot) differences(now snapshot) []fleet.Change {
	list := []fleet.Change{}
	for name, to := range now.Installed {
		if from := s.Installed[name]; from.Version != to.Version {
			list = append(list, fleet.Change{
				Action: source.ActionOf(from.Version, to.Version, version.ComparePacman), Name: name, Arch: to.Arch, From: from.Version, To: to.Version, Automatic: to.Automatic,
			})
		}
	}
	for name, from := range s.Installed {
		if _, there := now.Installed[name]; !there {
			list = append(list, fleet.Change{Action: fleet.Remove, Name: name, Arch: from.Arch, From: from.Version, Automatic: from.Automatic})
		}
	}
	slices.SortFunc(list, fleet.CompareChanges)
	return list
}

// Settle implements source.Installer: the truth is in the database. What scripts failed is in the log, whatever the exit code was.
func (s Source) Settle(_ context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	var before snapshot
	o, begun, err := w.Before(m, p, beforeFile, &before)
	if !begun {
		return o, err
	}
	look, err := s.look(m)
	if look == nil || look.installed == nil {
		return o, err
	}
	damage, _ := fleet.Explain(err)
	now := look.snapshot(m)
	o.Done = before.differences(now)
	for _, c := range p.Changes {
		if !slices.ContainsFunc(o.Done, func(d fleet.Change) bool { return d.Name == c.Name && d.To == c.To }) {
			o.Missing = append(o.Missing, c)
		}
	}
	for file, looks := range now.Beside {
		if before.Beside[file] != looks {
			o.ConfigFiles = append(o.ConfigFiles, fleet.Plain(file))
		}
	}
	said, err := w.Said(m)
	if err != nil {
		return o, err
	}
	failed, kept := readTransaction(said)
	for _, file := range kept {
		if !slices.Contains(o.ConfigFiles, file) {
			o.ConfigFiles = append(o.ConfigFiles, file)
		}
	}
	slices.Sort(o.ConfigFiles)
	for _, f := range failed {
		if f.name != "" && !slices.Contains(o.HalfDone, f.name) {
			o.HalfDone = append(o.HalfDone, f.name)
		}
	}
	if strings.Contains(said, "\n"+vetoMark) {
		failed = nil // it did what it is for
	}
	o.Because, o.Remedy = s.because(m, look, w, o, failed, damage)
	if len(o.Done) == 0 {
		return o, look.putBack(m, w)
	}
	return o, nil
}

// because says why a transaction did not succeed; nothing where it did.
func (s Source) because(m *machine.Machine, look *world, w source.Work, o fleet.Outcome, failed []failure, damage string) (because, remedy string) {
	var code int
	err := w.Read(m, codeFile, &code)
	there, holder := locked(m, look.conf)
	switch {
	case err != nil && there && holder == "":
		return fleet.Explain(interrupted(look.conf))
	case damage != "":
		return "the database was left damaged: " + damage, "see what `pacman -Dk` says, and install those packages again"
	case len(failed) > 0:
		return failed[0].because(len(o.Missing) == 0), "see the log for what it says"
	case (err != nil || code == 0) && o.Succeeded():
		return "", "" // without a code we were killed, and pacman went on alone: what is there says all
	}
	return fleet.Explain(s.failed(m, w, fmt.Sprintf("pacman did not come to its end (code %d)", code)))
}

// failure is something that failed in a transaction that went on: a package's script, or a hook.
type failure struct{ name, hook string }

func (f failure) because(installed bool) string {
	if f.name == "" {
		return "the hook '" + f.hook + "' failed"
	}
	text := "the install script of " + f.name + " failed"
	if installed {
		text += "; its files are installed all the same"
	}
	return text
}

var (
	// atWork is what pacman says before it works on a package.
	atWork = regexp.MustCompile(`^(?:upgrading|installing|reinstalling|downgrading|removing) (\S+)\.\.\.$`)
	// hookLine is what it says before it runs a hook.
	hookLine = regexp.MustCompile(`^\( *\d+/\d+\) (.*)$`)
	// scriptFailed is what it says of a script that did not end with 0; its own exit code is 0 all the same.
	scriptFailed = regexp.MustCompile(`^error: command (?:failed to execute correctly|terminated by signal)`)
	// keptFile is what it says of a configuration file that a person has changed.
	keptFile = regexp.MustCompile(`^warning: \S+ (?:installed|saved) as (/\S+\.pac(?:new|save)(?:\.\d+)?)$`)
)

// maxTold bounds how much is told of one transaction.
const maxTold = 1_000

// readTransaction finds in what pacman said the scripts that failed, and the configuration files to look at.
func readTransaction(said string) (failed []failure, kept []string) {
	var at failure
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if found := atWork.FindStringSubmatch(line); found != nil {
			at = failure{name: fleet.Plain(found[1])}
		} else if found := hookLine.FindStringSubmatch(line); found != nil {
			at = failure{hook: fleet.Plain(found[1])}
		} else if scriptFailed.MatchString(line) && len(failed) < maxTold && !slices.Contains(failed, at) {
			failed = append(failed, at)
		} else if found := keptFile.FindStringSubmatch(line); found != nil && len(kept) < maxTold {
			kept = append(kept, fleet.Plain(found[1]))
		}
	}
	return failed, kept
}
