package pacman

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// heldFile is our own part of pacman's configuration. It is included from the section [options] of pacman.conf(5), where one line is added for it.
const heldFile = "/etc/pacman.d/redflag-held.conf"

const heldHead = "# Packages that were put on hold with RedFlag: redflag unhold NAME releases one.\n"

// Hold implements source.Holder, by IgnorePkg in a file of ours. What a person has written into pacman.conf is a person's to take away.
func (s Source) Hold(_ context.Context, m *machine.Machine, names []string, hold bool) error {
	w, err := s.look(m)
	if w == nil {
		return err
	}
	var ours []string
	for _, i := range w.conf.ignored {
		if i.file == heldFile {
			ours = append(ours, i.pattern)
		}
	}
	for _, name := range names {
		p := find(w.installed, name)
		switch {
		case p == nil:
			return &fleet.Unknown{Because: fmt.Sprintf("%q is not installed", fleet.Plain(name)), Remedy: "redflag list shows what is on offer"}
		case hold && !slices.Contains(ours, name):
			ours = append(ours, name)
		case !hold:
			ours = slices.DeleteFunc(ours, func(o string) bool { return o == name })
		}
	}
	slices.Sort(ours)
	text := heldHead
	if len(ours) > 0 {
		text += "IgnorePkg = " + strings.Join(ours, " ") + "\n"
	}
	if err := machine.WriteFile(m.Path(heldFile), []byte(text), 0o644); err != nil {
		return err
	}
	if !slices.Contains(w.conf.included, heldFile) {
		if err := includeHeld(m); err != nil {
			return err
		}
	}
	return verify(m, names, hold)
}

// includeHeld adds the line for our file after the heading of the options.
func includeHeld(m *machine.Machine) error {
	byHand := func(why string, err error) error {
		return &fleet.Unknown{Because: "nothing can be held, because " + why, Remedy: "add the line `Include = " + heldFile + "` below [options] in " + confFile, Err: err}
	}
	info, err := os.Lstat(m.Path(confFile))
	if err != nil || !info.Mode().IsRegular() {
		return byHand(confFile+" is no ordinary file", err)
	}
	data, err := m.ReadFile(confFile, maxConf)
	if err != nil {
		return byHand(confFile+" cannot be read", err)
	}
	var out strings.Builder
	done := false
	for line := range strings.Lines(string(data)) {
		out.WriteString(line)
		if !done && strings.TrimSpace(line) == "[options]" {
			if !strings.HasSuffix(line, "\n") {
				out.WriteString("\n")
			}
			out.WriteString("Include = " + heldFile + "\n")
			done = true
		}
	}
	if !done {
		return byHand(confFile+" has no section [options]", nil)
	}
	return machine.WriteFile(m.Path(confFile), []byte(out.String()), info.Mode().Perm())
}

// verify looks whether what was asked for is so.
func verify(m *machine.Machine, names []string, hold bool) error {
	c, err := readConfig(m)
	if err != nil {
		return err
	}
	for _, name := range names {
		setting, file := c.holds(&pkg{name: name})
		if hold && setting == "" {
			return &fleet.Unknown{Because: name + " could not be held", Remedy: "see " + confFile}
		}
		if !hold && setting != "" {
			return &fleet.Unknown{Because: fmt.Sprintf("%s is still held by %s in %s", name, fleet.Plain(setting), fleet.Plain(file)), Remedy: "take it away there: it is not RedFlag's"}
		}
	}
	return nil
}

// Repair implements source.Repairer: it takes away a lock that was left behind. A package that was left half installed needs a person.
func (s Source) Repair(ctx context.Context, m *machine.Machine, w source.Work) (fleet.Outcome, error) {
	look, err := s.look(m)
	if look == nil {
		return fleet.Outcome{}, err
	}
	o := fleet.NewOutcome()
	there, holder := locked(m, look.conf)
	switch {
	case holder != "":
		return o, &fleet.Unknown{Because: holder + " is at work on the packages", Remedy: "wait until it has ended"}
	case there:
		if err := os.Remove(m.Path(look.conf.lock())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return o, err
		}
		fmt.Fprintf(w.Log, "%s was left behind, and is gone\n", look.conf.lock())
	}
	o.Because, _ = fleet.Explain(err)
	result, err := m.Run(ctx, machine.Command{Name: "pacman", Args: []string{"-Dk", "--color", "never"}})
	if err != nil {
		return o, err
	}
	_, _ = w.Log.Write(append(result.Stdout, result.Stderr...)) // a log that cannot be written is no reason to stop
	if result.Code != 0 && o.Because == "" {
		said, _, _ := strings.Cut(strings.TrimSpace(string(result.Stderr)+string(result.Stdout)), "\n")
		o.Because, o.Remedy = "the packages do not fit together: "+fleet.Plain(said), "install what is missing by hand: pacman -Dk lists it"
	}
	return o, nil
}
