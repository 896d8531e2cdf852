package chocolatey

import (
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
	beforeFile = "before.json"
	codesFile  = "codes.json"
)

// Fetch implements source.Installer. There is nothing to fetch for itself: a package's script downloads what it installs.
func (Source) Fetch(context.Context, *machine.Machine, fleet.Plan, source.Work) error { return nil }

// Apply implements source.Installer: each change by itself, in its exact version.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	for _, c := range p.Changes {
		if _, err := words(c); err != nil {
			return fleet.Outcome{}, err
		}
	}
	before, err := list(ctx, m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	for _, c := range p.Changes {
		if before[c.Name] != c.From {
			return fleet.Outcome{}, &fleet.Unknown{Because: fmt.Sprintf("%s is %q by now, and not %q", c.Name, before[c.Name], c.From), Remedy: "plan again, and approve what is planned now"}
		}
	}
	if err := w.Write(m, beforeFile, before); err != nil {
		return fleet.Outcome{}, err
	}
	codes := map[string]int{}
	for _, c := range p.Changes {
		args, err := words(c)
		if err != nil {
			return fleet.Outcome{}, err
		}
		code, err := w.Carry(m, machine.Command{Name: program, Args: args})
		codes[c.Name] = code
		if err := errors.Join(err, w.Write(m, codesFile, codes)); err != nil {
			return s.settledWith(ctx, m, p, w, err)
		}
		if code == rebootBegun {
			break // the machine goes down
		}
	}
	return s.Settle(ctx, m, p, w)
}

// settledWith is an outcome that has an error of ours beside what is so.
func (s Source) settledWith(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work, failure error) (fleet.Outcome, error) {
	o, err := s.Settle(ctx, m, p, w)
	if err == nil && o.Because == "" {
		o.Because, o.Remedy = fleet.Explain(failure)
	}
	return o, err
}

// words mean one change to Chocolatey, and only that.
func words(c fleet.Change) ([]string, error) {
	if !packageID.MatchString(c.Name) || c.To != "" && !versionText.MatchString(c.To) || strings.EqualFold(c.Name, "all") {
		return nil, &fleet.Unknown{Because: fmt.Sprintf("%q is no package of Chocolatey's", fleet.Plain(c.Name)), Remedy: "plan again"}
	}
	quiet := []string{"--yes", "--no-progress", "--limit-output", "--no-color"}
	switch c.Action {
	case fleet.Upgrade:
		return append([]string{"upgrade", c.Name, "--version", c.To, "--fail-on-unfound"}, quiet...), nil
	case fleet.Downgrade:
		return append([]string{"upgrade", c.Name, "--version", c.To, "--allow-downgrade", "--fail-on-unfound"}, quiet...), nil
	case fleet.Remove:
		return append([]string{"uninstall", c.Name}, quiet...), nil
	}
	return nil, &fleet.Unknown{Because: fmt.Sprintf("Chocolatey cannot %q", fleet.Plain(c.String())), Remedy: "plan again"}
}

// Settle implements source.Installer: what was done is the difference between what was installed before and what is now.
func (s Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	o := fleet.NewOutcome()
	var before map[string]string
	if err := w.Read(m, beforeFile, &before); errors.Is(err, fs.ErrNotExist) {
		o.Missing = append(o.Missing, p.Changes...)
		o.Because, o.Remedy = "it was ended before it changed anything", "begin it again"
		return o, nil
	} else if err != nil {
		return o, err
	}
	now, err := list(ctx, m)
	if err != nil {
		return o, err
	}
	o.Done = differences(before, now, p)
	for _, c := range p.Changes {
		if now[c.Name] != c.To {
			o.Missing = append(o.Missing, c)
		}
	}
	codes := map[string]int{}
	if err := w.Read(m, codesFile, &codes); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return o, err
	}
	for name, code := range codes {
		if code == rebootBegun || code == rebootNeeded || code == rebootPending || code == rebootSuspended {
			o.Reboot.Needed = fleet.Needed
			o.Reboot.Because = append(o.Reboot.Because, name)
		}
	}
	slices.Sort(o.Reboot.Because)
	if o.Because, o.Remedy = because(m, w, o, p, codes); o.Because == "" && len(o.Missing) > 0 {
		o.Because, o.Remedy = "not all of it was done", "see the log"
	}
	return o, nil
}

// differences gives what has changed, what nobody planned among it.
func differences(before, now map[string]string, p fleet.Plan) []fleet.Change {
	list := []fleet.Change{}
	for name, to := range now {
		from := before[name]
		if from == to {
			continue
		}
		c := fleet.Change{Action: fleet.Upgrade, Name: name, From: from, To: to}
		if from == "" {
			c.Action, c.Automatic = fleet.Install, true // a dependency
		}
		if at := slices.IndexFunc(p.Changes, func(o fleet.Change) bool { return o.Name == name && o.To == to }); at >= 0 {
			c.Action = p.Changes[at].Action
		}
		list = append(list, c)
	}
	for name, from := range before {
		if now[name] == "" {
			list = append(list, fleet.Change{Action: fleet.Remove, Name: name, From: from})
		}
	}
	slices.SortFunc(list, fleet.CompareChanges)
	return list
}

// because says why it did not succeed: by the exit code of the first change that failed, and what Chocolatey said last.
func because(m *machine.Machine, w source.Work, o fleet.Outcome, p fleet.Plan, codes map[string]int) (because, remedy string) {
	for _, c := range p.Changes {
		code, told := codes[c.Name]
		missing := slices.ContainsFunc(o.Missing, func(o fleet.Change) bool { return o.Name == c.Name })
		switch {
		case !told && missing:
			return c.Name + " was not begun, or was ended while it was at it", "look at the host, and begin it again"
		case code == rebootPending:
			return c.Name + " was not begun: a reboot is pending", "reboot the machine, then try again"
		case code == rebootSuspended:
			return c.Name + " was not finished: a reboot is pending", "reboot the machine, then try again"
		case !told, code == done, code == enhanced && !missing, code == rebootNeeded, code == rebootBegun:
			if missing {
				return c.Name + " is not what it should be, although Chocolatey says that all went well", "see the log"
			}
		case missing:
			return fmt.Sprintf("%s failed with code %d%s", c.Name, code, lastWords(m, w)), "see the log"
		default:
			return fmt.Sprintf("%s is there, but its installation ended with code %d%s", c.Name, code, lastWords(m, w)), "see the log, and whether the program works"
		}
	}
	return "", ""
}

// lastWords are what Chocolatey said last, where that is one line for people.
func lastWords(m *machine.Machine, w source.Work) string {
	said, err := w.LastRun(m)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(said) {
		if text := strings.TrimSpace(line); strings.HasPrefix(text, "ERROR") {
			return ": " + fleet.Plain(text)
		}
	}
	return ""
}
