package rpm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/version"
)

// Files of a job.
const (
	beforeFile = "before.json" // the database before
	codeFile   = "code"        // the package manager's exit code
)

// snapshot is what the database said before.
type snapshot struct {
	Packages []Package `json:"packages"`
	// Beside are the other versions of configuration files that were there, and what they looked like.
	Beside map[string]string `json:"beside"`
}

// Remember writes down what is installed, before it is changed.
func Remember(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) ([]Package, error) {
	installed, err := Installed(ctx, m)
	if err != nil {
		return nil, err
	}
	return installed, w.Write(m, beforeFile, snapshot{Packages: installed, Beside: beside(ctx, m, p.Changes)})
}

// Carry runs what changes the machine, and writes its exit code down. An error says that it did not begin.
func Carry(m *machine.Machine, w source.Work, c machine.Command) error {
	code, err := w.Carry(m, c)
	if err != nil {
		return err
	}
	if err := w.Write(m, codeFile, code); err != nil {
		fmt.Fprintf(w.Log, "\n%v\n", err) // what was done the database tells
	}
	return nil
}

const (
	// lockWait is how long an installation waits for another program that is at work on the packages.
	lockWait = 5 * time.Minute
	// lockPause is how often it looks again.
	lockPause = 2 * time.Second
)

// Patiently carries a command out, again while it says that another program has the packages locked, which it does before it changes anything. It
// waits so long, five minutes where that is 0.
func Patiently(m *machine.Machine, w source.Work, c machine.Command, wait time.Duration, busy string) error {
	if wait == 0 {
		wait = lockWait
	}
	deadline := time.Now().Add(wait)
	for {
		if err := Carry(m, w, c); err != nil {
			return err
		}
		log, err := w.LastRun(m)
		if err != nil || !strings.Contains(log, busy) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(lockPause)
	}
}

// Reason is a message of a package manager, in the C locale, and what it means to a person. Its texts may use what the pattern's groups matched.
type Reason struct {
	Pattern         *regexp.Regexp
	Because, Remedy string
}

// reasons are rpm's own messages, which all package managers pass on.
var reasons = []Reason{
	{regexp.MustCompile(`(?:No space left on device|At least \S+ more space needed on the (\S+) filesystem|installing package \S+ needs \S+ (?:more space )?on the (\S+) filesystem)`),
		"the disk is full", "free some space, and try again"},
	{regexp.MustCompile(`file (\S+) from install of (\S+) conflicts with file from package (\S+)`), "$2 and $3 both have the file $1", "one of them is wrong: ask who offers them"},
	{regexp.MustCompile(`can't create transaction lock on (\S+)`), "another program is at work on rpm's database ($1)", "wait until it has ended, and try again"},
}

// Explain gives the first reason that is in a text; nil where none is known.
func Explain(text string, more ...Reason) error {
	for _, r := range append(more, reasons...) {
		if at := r.Pattern.FindStringSubmatchIndex(text); at != nil {
			fill := func(t string) string { return fleet.Plain(string(r.Pattern.ExpandString(nil, t, text, at))) }
			return &fleet.Unknown{Because: fill(r.Because), Remedy: fill(r.Remedy)}
		}
	}
	return nil
}

// Settle says what became of a plan: the truth is in the database. What scripts of packages failed is in the log, whatever the exit code was.
func Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work, side func(string) bool, known ...Reason) (fleet.Outcome, error) {
	var before snapshot
	o, begun, err := w.Before(m, p, beforeFile, &before)
	if !begun {
		return o, err
	}
	now, err := Installed(ctx, m)
	if err != nil {
		return o, err
	}
	o.Done = Differences(before.Packages, now)
	o.Missing = append(o.Missing, Missing(p.Changes, o.Done)...)
	log, err := w.LastRun(m)
	if err != nil {
		return o, err
	}
	failed := Scripts(log)
	for _, f := range failed {
		if slices.ContainsFunc(o.Done, func(c fleet.Change) bool { return c.Name == f.Name && c.To != "" }) {
			o.HalfDone = append(o.HalfDone, f.Name)
		}
	}
	twice := Duplicates(now, side)
	o.HalfDone = append(o.HalfDone, twice...)
	slices.Sort(o.HalfDone)
	o.HalfDone = slices.Compact(o.HalfDone)
	for file, looks := range beside(ctx, m, o.Done) {
		if before.Beside[file] != looks {
			o.ConfigFiles = append(o.ConfigFiles, file)
		}
	}
	slices.Sort(o.ConfigFiles)
	var code int
	err = w.Read(m, codeFile, &code)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return o, err
	}
	o.Because, o.Remedy = because(o, code, log, failed, twice, known)
	return o, nil
}

// because says why a transaction did not succeed; nothing where it did, whatever the exit code says.
func because(o fleet.Outcome, code int, log string, failed []Script, twice []string, known []Reason) (string, string) {
	switch {
	case len(twice) > 0:
		return "it was interrupted: two versions are installed of " + strings.Join(twice, ", "), "let it be finished: redflag repair"
	case len(failed) > 0:
		return failed[0].because(len(o.Missing) == 0), "see the log for what it says; `rpm -q --scripts " + failed[0].Name + "` shows it"
	case o.Succeeded():
		return "", ""
	}
	if err := Explain(log, known...); err != nil {
		return fleet.Explain(err)
	}
	return fmt.Sprintf("it did not come to its end (code %d)", code), "see the log"
}

// Script is a script of a package that failed.
type Script struct{ Name, Kind string }

func (s Script) because(installed bool) string {
	text := fmt.Sprintf("the %s script of %s failed", s.Kind, s.Name)
	if installed {
		text += "; its files are installed all the same"
	}
	return text
}

// scriptFailed are the ways in which rpm, dnf, dnf5 and zypper say that a script failed.
var scriptFailed = []struct {
	pattern    *regexp.Regexp
	kind, name int
}{
	{regexp.MustCompile(`Error in (\w+) scriptlet in rpm package ([^\s,]+)`), 1, 2},
	{regexp.MustCompile(`rror in (%\w+) scriptlet: (\S+)`), 1, 2},
	{regexp.MustCompile(`(%\w+)\(([^\s()]+)\) scriptlet failed`), 1, 2},
	{regexp.MustCompile(`lua script failed: \[string (?:"|&quot;)(%\w+)\(([^\s()]+)\)`), 1, 2},
}

// kinds are other words for the same script.
var kinds = map[string]string{"%prein": "%pre", "%postin": "%post", "PREIN": "%pre", "POSTIN": "%post", "PREUN": "%preun", "POSTUN": "%postun", "TRIGGERIN": "%triggerin"}

// maxScripts bounds how many failures are told.
const maxScripts = 100

// Scripts finds the scripts that failed in what a package manager said.
func Scripts(log string) []Script {
	var list []Script
	for _, f := range scriptFailed {
		for _, found := range f.pattern.FindAllStringSubmatch(log, maxScripts) {
			s := Script{Name: found[f.name], Kind: found[f.kind]}
			if p, ok := CutNEVRA(s.Name); ok {
				s.Name = p.Name
			}
			if k, ok := kinds[s.Kind]; ok {
				s.Kind = k
			}
			s.Name, s.Kind = fleet.Plain(s.Name), fleet.Plain(s.Kind)
			if !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// beside gives the other versions that lie beside the configuration files of what changes, and what tells one from its successor.
func beside(ctx context.Context, m *machine.Machine, changes []fleet.Change) map[string]string {
	found := map[string]string{}
	for _, file := range configFiles(ctx, m, changes) {
		for _, ending := range []string{".rpmnew", ".rpmsave", ".rpmorig"} {
			if info, err := m.Stat(file + ending); err == nil {
				found[file+ending] = fmt.Sprint(info.Size(), info.ModTime().UnixNano())
			}
		}
	}
	return found
}

// configFiles lists those of what changes.
func configFiles(ctx context.Context, m *machine.Machine, changes []fleet.Change) []string {
	names := names(changes)
	if len(names) == 0 {
		return nil
	}
	result, err := m.Run(ctx, machine.Command{Name: "rpm", Args: append([]string{"-qc", "--"}, names...)})
	if err != nil {
		return nil // which files to review is a help, no promise
	}
	var list []string
	for line := range strings.Lines(string(result.Stdout)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "/") {
			list = append(list, fleet.Plain(line))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// names gives those of installed packages that change, as they may stand on a command line.
func names(changes []fleet.Change) []string {
	var list []string
	for _, c := range changes {
		if nameText.MatchString(c.Name) && !slices.Contains(list, c.Name) {
			list = append(list, c.Name)
		}
	}
	return list
}

// changedFile is a line of rpm -V about a configuration file whose content is not the package's.
var changedFile = regexp.MustCompile(`(?m)^..5......\s+c (/.*)$`)

// ChangedConfigFiles names the configuration files of what changes that are not as their package brought them.
func ChangedConfigFiles(ctx context.Context, m *machine.Machine, p fleet.Plan) []string {
	list := []string{}
	replaced := slices.DeleteFunc(slices.Clone(p.Changes), func(c fleet.Change) bool { return c.From == "" })
	names := names(replaced)
	if len(names) == 0 {
		return list
	}
	result, err := m.Run(ctx, machine.Command{Name: "rpm", Args: append([]string{"-Vc", "--nodeps", "--noscripts", "--"}, names...)})
	if err != nil {
		return list
	}
	for _, found := range changedFile.FindAllStringSubmatch(string(result.Stdout), -1) {
		list = append(list, fleet.Plain(found[1]))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Undo gives the selection that goes back: each change the other way round.
func Undo(o fleet.Outcome) (fleet.Selection, error) { return source.Back(o, version.CompareRPM) }

// Kept is the name under which a package is kept.
func Kept(p Package) string { return strings.ReplaceAll(p.String(), ":", "=") + ".rpm" }

// Gone removes a folder of ours that is of no use any more.
func Gone(m *machine.Machine, dir string) {
	_ = os.RemoveAll(m.Path(dir)) // what stays is some kilobytes in a temporary folder
}
