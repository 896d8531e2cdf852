package pkg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Files of a job.
const (
	beforeFile = "before.json"
	codeFile   = "code.json"
)

// Fetch implements source.Installer: pkg fetches into its cache, and what is replaced is made packages of again, for an undo. An undo needs neither.
func (s Source) Fetch(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) error {
	if len(p.Selection.Back) > 0 {
		return nil
	}
	names, _, err := s.wanted(ctx, m, p.Selection)
	if err != nil {
		return err
	}
	code, err := m.Follow(ctx, machine.Command{Name: "pkg", Args: upgradeWords(names, "-FyU")}, w.Log, w.Held...)
	if err != nil {
		return err
	}
	if code != 0 {
		said, err := w.LastRun(m)
		if err != nil {
			return err
		}
		return explainText(said, fmt.Sprintf("pkg upgrade -F ended with code %d and no word", code)).unknown()
	}
	return keep(ctx, m, p, w)
}

// Apply implements source.Installer. pkg has nothing that could stop it in the last moment, so it simulates once more right before: only if that is what was
// approved does it begin, with the same words and the same catalogues.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	now, err := s.Plan(ctx, m, p.Selection)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if now.Digest() != p.Digest() {
		return fleet.Outcome{}, &fleet.Unknown{
			Because: "what it would do now is not what was approved: " + strings.Join(p.Differences(now), "; "), Remedy: "plan again, and approve what is planned now",
		}
	}
	runs, err := s.runs(ctx, m, p)
	if err != nil {
		return fleet.Outcome{}, err
	}
	before, err := look(ctx, m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if err := w.Write(m, beforeFile, before); err != nil {
		return fleet.Outcome{}, err
	}
	code := 0
	for _, words := range runs {
		if code, err = w.Carry(m, machine.Command{Name: "pkg", Args: words}); err != nil || code != 0 {
			break
		}
	}
	if err := errors.Join(err, w.Write(m, codeFile, code)); err != nil {
		fmt.Fprintf(w.Log, "\n%v\n", err) // what was done until then is told below
	}
	o, err := s.Settle(ctx, m, p, w)
	if marks := before.restore(ctx, m); err == nil && marks != nil && o.Because == "" {
		why, remedy := fleet.Explain(marks)
		o.Because, o.Remedy = "which packages came because others need them is not marked any more: "+why, remedy
	}
	return o, err
}

// restore puts the marks back that packages had which came because others need them: to add an older one takes them away.
func (s snapshot) restore(ctx context.Context, m *machine.Machine) error {
	now, err := query(ctx, m)
	if err != nil {
		return err
	}
	for _, p := range now {
		if slices.Contains(s.Automatic, p.name) && !p.automatic {
			if _, err := ask(ctx, m, "set", "-yA", "1", p.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// runs gives the command lines that carry a plan out.
func (s Source) runs(ctx context.Context, m *machine.Machine, p fleet.Plan) ([][]string, error) {
	if len(p.Selection.Back) > 0 {
		return backRuns(m, p), nil
	}
	names, _, err := s.wanted(ctx, m, p.Selection)
	return [][]string{upgradeWords(names, "-yU")}, err
}

// snapshot is what was there before a job.
type snapshot struct {
	Versions map[string]string `json:"versions"`
	Archs    map[string]string `json:"archs"`
	// Automatic are those that came because others need them.
	Automatic []string `json:"automatic"`
}

func look(ctx context.Context, m *machine.Machine) (snapshot, error) {
	s := snapshot{Versions: map[string]string{}, Archs: map[string]string{}}
	installed, err := query(ctx, m)
	for _, p := range installed {
		s.Versions[p.name], s.Archs[p.name] = p.version, p.arch
		if p.automatic {
			s.Automatic = append(s.Automatic, p.name)
		}
	}
	return s, err
}

// differences gives what has changed since: the plan says which way a version has gone, and an upgrade what nobody planned.
func (s snapshot) differences(now snapshot, p fleet.Plan) []fleet.Change {
	list := []fleet.Change{}
	for name, to := range now.Versions {
		from := s.Versions[name]
		if from == to {
			continue
		}
		c := fleet.Change{Action: fleet.Upgrade, Name: name, Arch: now.Archs[name], From: from, To: to, Automatic: from == ""}
		if from == "" {
			c.Action = fleet.Install
		}
		if at := slices.IndexFunc(p.Changes, func(o fleet.Change) bool { return same(o, c) }); at >= 0 {
			c = p.Changes[at]
			c.From = from
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

func same(a, b fleet.Change) bool { return a.Name == b.Name && a.To == b.To }

// Settle implements source.Installer: the truth is in the database.
func (s Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	o := fleet.NewOutcome()
	var before snapshot
	if err := w.Read(m, beforeFile, &before); errors.Is(err, fs.ErrNotExist) {
		o.Missing, o.Because = p.Changes, "it was ended before it began to change anything"
		return o, nil
	} else if err != nil {
		return o, err
	}
	now, err := look(ctx, m)
	if err != nil {
		return o, err
	}
	said, err := w.LastRun(m)
	if err != nil {
		return o, err
	}
	o.Done = before.differences(now, p)
	for _, c := range p.Changes {
		if !slices.ContainsFunc(o.Done, func(d fleet.Change) bool { return same(d, c) }) {
			o.Missing = append(o.Missing, c)
		}
	}
	o.Because, o.Remedy = failure(m, w, o, said)
	return o, nil
}

// scriptFailed is what pkg says of a script of a package that did not end with 0; it goes on all the same.
var scriptFailed = regexp.MustCompile(`(?m)^pkg(?:-static)?: ((?:PRE|POST)-(?:INSTALL|UPGRADE|DEINSTALL)|INSTALL|UPGRADE|DEINSTALL) script failed`)

// atPackage is the line with which pkg begins with a package: [2/7] Upgrading curl from 8.9.1 to 8.10.1...
var atPackage = regexp.MustCompile(`(?m)^(?:\[\S+\] )?\[\d+/\d+\] (?:Installing|Upgrading|Reinstalling|Downgrading|Deinstalling|Extracting) (\S+?)(?: from .*|\.\.\.|:.*)$`)

// failure says why a transaction did not succeed; nothing where it did.
func failure(m *machine.Machine, w source.Work, o fleet.Outcome, said string) (because, remedy string) {
	var code int
	err := w.Read(m, codeFile, &code)
	if at := scriptFailed.FindStringSubmatchIndex(said); at != nil {
		because = "the " + strings.ToLower(said[at[2]:at[3]]) + " script of a package failed"
		if before := atPackage.FindAllStringSubmatch(said[:at[0]], -1); len(before) > 0 {
			because = "the " + strings.ToLower(said[at[2]:at[3]]) + " script of " + fleet.Plain(before[len(before)-1][1]) + " failed"
		}
		if len(o.Missing) == 0 {
			because += "; its files are installed all the same"
		}
		return because, "see the log for what it says"
	}
	if (err != nil || code == 0) && o.Succeeded() {
		return "", "" // without a code we were killed, and pkg went on alone: what is there says all
	}
	r := explainText(said, fmt.Sprintf("pkg did not come to its end (code %d)", code))
	return r.because, r.remedy
}
