package apk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/version"
)

// Files of a job.
const (
	beforeFile   = "before.json"
	codeFile     = "code.json"
	progressFile = "status" // what internal/job shows of its progress
)

// lockWait is how many seconds apk waits for another program that is at work on the packages.
const lockWait = "300"

// Fetch implements source.Installer. There is nothing to fetch for itself: apk takes packages from its cache where it has one, and otherwise from the
// repositories while it installs.
func (Source) Fetch(context.Context, *machine.Machine, fleet.Plan, source.Work) error { return nil }

// Apply implements source.Installer. apk has nothing that could stop it in the last moment, so it simulates once more right before: only if that is what was
// approved does it begin, with the same words and the same indexes.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	if len(p.Selection.Back) > 0 {
		return fleet.Outcome{}, errNoWayBack
	}
	now, err := s.Plan(ctx, m, p.Selection)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if now.Digest() != p.Digest() {
		return fleet.Outcome{}, &fleet.Unknown{
			Because: "what it would do now is not what was approved: " + strings.Join(p.Differences(now), "; "), Remedy: "plan again, and approve what is planned now",
		}
	}
	names, err := s.wanted(ctx, m, p.Selection)
	if err != nil {
		return fleet.Outcome{}, err
	}
	before, err := look(m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if err := w.Write(m, beforeFile, before); err != nil {
		return fleet.Outcome{}, err
	}
	progress, err := os.OpenFile(m.Path(path.Join(w.Dir, progressFile)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fleet.Outcome{}, err
	}
	defer progress.Close()
	with := w
	with.Held = append([]*os.File{progress}, w.Held...)
	code, err := with.Carry(m, machine.Command{Name: "apk", Args: upgradeWords(names, "--wait", lockWait, "--progress-fd", "3")})
	if err := errors.Join(err, w.Write(m, codeFile, code)); err != nil {
		return fleet.Outcome{}, err
	}
	return s.Settle(ctx, m, p, w)
}

// snapshot is what was there before a job.
type snapshot struct {
	Versions map[string]string `json:"versions"`
	Archs    map[string]string `json:"archs"`
	World    []string          `json:"world"`
	// Broken are packages that apk has not finished with.
	Broken []string `json:"broken"`
	// Beside are the other versions of configuration files that lie there, and what they look like.
	Beside map[string]string `json:"beside"`
}

func look(m *machine.Machine) (snapshot, error) {
	s := snapshot{Versions: map[string]string{}, Archs: map[string]string{}, Beside: map[string]string{}}
	installed, err := readInstalled(m)
	if err != nil {
		return s, err
	}
	if s.World, err = readWorld(m); err != nil {
		return s, err
	}
	for _, p := range installed {
		s.Versions[p.name], s.Archs[p.name] = p.version, fleet.Plain(p.arch)
		if p.broken {
			s.Broken = append(s.Broken, p.name)
		}
		for file := range p.files {
			if info, err := m.Stat("/" + file + ".apk-new"); strings.HasPrefix(file, "etc/") && err == nil {
				s.Beside["/"+fleet.Plain(file)+".apk-new"] = fmt.Sprint(info.Size(), info.ModTime().UnixNano())
			}
		}
	}
	return s, nil
}

// differences gives what has changed since.
func (s snapshot) differences(now snapshot) []fleet.Change {
	list := []fleet.Change{}
	for name, to := range now.Versions {
		from := s.Versions[name]
		if from == to {
			continue
		}
		c := fleet.Change{Action: fleet.Upgrade, Name: name, Arch: now.Archs[name], From: from, To: to}
		switch {
		case from == "":
			c.Action, c.Automatic = fleet.Install, world(now.World).entry(name) == ""
		case version.CompareAPK(from, to) > 0:
			c.Action = fleet.Downgrade
		}
		list = append(list, c)
	}
	for name, from := range s.Versions {
		if now.Versions[name] == "" {
			list = append(list, fleet.Change{Action: fleet.Remove, Name: name, Arch: s.Archs[name], From: from})
		}
	}
	slices.SortFunc(list, fleet.CompareChanges)
	return list
}

// Settle implements source.Installer: the truth is in the database, which also says which scripts failed. apk's exit code is the number of its errors: 1 also
// where everything is installed and a script failed.
func (s Source) Settle(_ context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	var before snapshot
	o, begun, err := w.Before(m, p, beforeFile, &before)
	if !begun {
		return o, err
	}
	now, err := look(m)
	if err != nil {
		return o, err
	}
	said, err := w.LastRun(m)
	if err != nil {
		return o, err
	}
	o.Done = before.differences(now)
	for _, c := range p.Changes {
		if !slices.ContainsFunc(o.Done, func(d fleet.Change) bool { return d.Name == c.Name && d.To == c.To }) {
			o.Missing = append(o.Missing, c)
		}
	}
	failed := failedScripts(said, o.Done)
	for _, name := range append(slices.Clone(now.Broken), slices.Sorted(maps.Keys(failed))...) {
		if !slices.Contains(before.Broken, name) && !slices.Contains(o.HalfDone, name) {
			o.HalfDone = append(o.HalfDone, name)
		}
	}
	for file, looks := range now.Beside {
		if before.Beside[file] != looks {
			o.ConfigFiles = append(o.ConfigFiles, file)
		}
	}
	slices.Sort(o.ConfigFiles)
	o.Because, o.Remedy = because(m, w, o, said, failed)
	if !slices.Equal(before.World, now.World) && o.Because == "" {
		o.Because, o.Remedy = worldFile+" was changed while it was at it", "see who changed it"
	}
	return o, nil
}

// scriptFailed is what apk 2 and apk 3 say of a script that did not end with 0.
var scriptFailed = regexp.MustCompile(`(?m)^ERROR: (?:lib/apk/exec/)?(\S+)\.((?:pre|post)-(?:install|upgrade|deinstall)|trigger): (?:script )?(?:exited|failed)`)

// maxTold bounds how much is told of one transaction.
const maxTold = 1_000

// failedScripts gives the packages of which a script failed, with its name.
func failedScripts(said string, done []fleet.Change) map[string]string {
	failed := map[string]string{}
	for _, found := range scriptFailed.FindAllStringSubmatch(said, maxTold) {
		for _, c := range done {
			if found[1] == c.Name+"-"+c.To || found[1] == c.Name+"-"+c.From {
				failed[c.Name] = found[2]
			}
		}
	}
	return failed
}

// because says why a transaction did not succeed; nothing where it did.
func because(m *machine.Machine, w source.Work, o fleet.Outcome, said string, failed map[string]string) (because, remedy string) {
	var code int
	err := w.Read(m, codeFile, &code)
	if len(failed) > 0 {
		name := slices.Min(slices.Collect(maps.Keys(failed)))
		because = "the " + failed[name] + " script of " + name + " failed"
		if len(o.Missing) == 0 {
			because += "; its files are installed all the same"
		}
		return because, "see the log for what it says; redflag repair lets apk run it again"
	}
	if len(o.HalfDone) > 0 {
		return "apk has not finished with " + strings.Join(o.HalfDone, ", "), "let it finish: redflag repair"
	}
	if (err != nil || code == 0) && o.Succeeded() {
		return "", "" // without a code we were killed, and apk went on alone: what is there says all
	}
	r := explainText(said, fmt.Sprintf("apk did not come to its end (code %d)", code))
	return r.because, r.remedy
}

// Undo implements source.Installer. There is no way back.
func (Source) Undo(*machine.Machine, fleet.Plan, fleet.Outcome, source.Work) (fleet.Selection, error) {
	return fleet.Selection{}, errNoWayBack
}
