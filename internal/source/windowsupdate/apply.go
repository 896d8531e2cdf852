package windowsupdate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// identity is an update's GUID:REVISION, as it is given to scripts.
var identity = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9]{1,9}$`)

// keys gives what the scripts are told of a plan: whether to install, and which updates.
func keys(p fleet.Plan) (install bool, words []string, err error) {
	for _, c := range p.Changes {
		key := cmp.Or(c.To, c.From)
		if !identity.MatchString(key) || (c.Action != fleet.Install && c.Action != fleet.Remove) {
			return false, nil, &fleet.Unknown{Because: fmt.Sprintf("%q is no update of Windows", fleet.Plain(c.String())), Remedy: "plan again"}
		}
		if len(words) > 0 && install != (c.Action == fleet.Install) {
			return false, nil, &fleet.Unknown{Because: "a plan that installs and uninstalls at once cannot be carried out", Remedy: "plan again"}
		}
		install = c.Action == fleet.Install
		words = append(words, key)
	}
	return install, words, nil
}

// Fetch implements source.Installer. What is fetched stays where Windows keeps it. The licences of the updates are agreed to, because without that Windows does
// not download them.
func (s Source) Fetch(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) error {
	install, words, err := keys(p)
	if err != nil || !install {
		return err
	}
	c := command(fetchScript, words...)
	fmt.Fprintf(w.Log, "\n# %s %s\n", c.Name, strings.Join(c.Args, " "))
	if _, err := m.Follow(ctx, c, w.Log); err != nil {
		return err
	}
	lines, err := said(m, w)
	if err != nil {
		return err
	}
	for _, r := range lines {
		if err := r.failure(); err != nil {
			return err
		}
		if r.Update != "" && r.Code != succeeded {
			because, remedy := explain(r.Error, r.Message)
			return &fleet.Unknown{Because: nameOf(p, r.Update) + " could not be downloaded: " + because, Remedy: remedy}
		}
	}
	return incomplete(lines, words)
}

// incomplete says what a script has not spoken of, or that it did not come to its end.
func incomplete(lines []reply, words []string) error {
	told, done := map[string]bool{}, false
	for _, r := range lines {
		told[strings.ToLower(r.Update)] = true
		done = done || r.Done
	}
	for _, word := range words {
		if !told[word] {
			return &fleet.Unknown{Because: "Windows does not know the update " + word + " any more", Remedy: "refresh, and plan again"}
		}
	}
	if !done {
		return &fleet.Unknown{Because: "the download did not come to its end", Remedy: "try again; see the log"}
	}
	return nil
}

// said gives the answers of the last script that wrote into the log.
func said(m *machine.Machine, w source.Work) ([]reply, error) {
	text, err := w.LastRun(m)
	if err != nil {
		return nil, err
	}
	lines, err := parse([]byte(text))
	if err != nil {
		return nil, silent(err, machine.Result{Stderr: []byte(text)})
	}
	return lines, nil
}

// beforeFile has what was installed of the plan before.
const beforeFile = "before.json"

// Apply implements source.Installer. The script is told the exact revisions: others than those that were approved are not touched.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	install, words, err := keys(p)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if len(words) == 0 {
		return fleet.NewOutcome(), nil
	}
	before, err := stateOf(ctx, m, words)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if err := w.Write(m, beforeFile, before); err != nil {
		return fleet.Outcome{}, err
	}
	what := "install"
	if !install {
		what = "uninstall"
	}
	if _, err := w.Carry(m, command(installScript, append([]string{what}, words...)...)); err != nil {
		return fleet.Outcome{}, err
	}
	return s.Settle(ctx, m, p, w)
}

// stateOf asks how updates stand, by their keys.
func stateOf(ctx context.Context, m *machine.Machine, words []string) (map[string]update, error) {
	r, err := ask(ctx, m, lookLimit, append([]string{"state", "offline"}, words...)...)
	if err != nil {
		return nil, err
	}
	if err := r.doubts(); err != nil {
		return nil, err // what is not in half an answer may be there all the same
	}
	now := map[string]update{}
	for _, u := range r.Updates {
		now[u.key()] = u
	}
	return now, nil
}

// Settle implements source.Installer. The truth is what Windows' own database says of each update. One that waits for a reboot is done: Windows ends it then,
// and where that fails it is on offer again.
func (s Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	o := fleet.NewOutcome()
	install, words, err := keys(p)
	if err != nil {
		return o, err
	}
	var before map[string]update
	if err := w.Read(m, beforeFile, &before); errors.Is(err, fs.ErrNotExist) {
		o.Missing = append(o.Missing, p.Changes...)
		o.Because, o.Remedy = "it was ended before it changed anything", "begin it again"
		return o, nil
	} else if err != nil {
		return o, err
	}
	now, err := stateOf(ctx, m, words)
	if err != nil {
		return o, err
	}
	told, why := results(m, w)
	var waits []string
	for _, c := range p.Changes {
		key := cmp.Or(c.To, c.From)
		u, known := now[key]
		switch {
		case known && u.Waits && !before[key].Waits:
			waits = append(waits, c.Name)
			o.Done = append(o.Done, c)
		case known && u.Installed == install && before[key].Installed != install, !known && !install && before[key].Installed:
			if told[key].Reboot {
				waits = append(waits, c.Name)
			}
			o.Done = append(o.Done, c)
		case known && u.Installed == install: // somebody else was faster
		default:
			o.Missing = append(o.Missing, c)
		}
	}
	if len(waits) > 0 {
		o.Reboot = fleet.Reboot{Needed: fleet.Needed, Because: []string{"Windows finishes at the next start: " + strings.Join(waits, ", ")}}
	}
	if len(o.Missing) > 0 {
		o.Because, o.Remedy = whyMissing(o, told, why)
	}
	return o, nil
}

// results gives what the last script in the log has said of each update, or why it has done nothing.
func results(m *machine.Machine, w source.Work) (map[string]reply, error) {
	lines, err := said(m, w)
	if err != nil {
		return nil, err
	}
	list := map[string]reply{}
	for _, r := range lines {
		if err := r.failure(); err != nil {
			return nil, err
		}
		if r.Update != "" {
			list[strings.ToLower(r.Update)] = r
		}
	}
	return list, nil
}

// whyMissing says why updates were not installed, by their results.
func whyMissing(o fleet.Outcome, results map[string]reply, err error) (because, remedy string) {
	if err != nil {
		return fleet.Explain(err)
	}
	var reasons, remedies []string
	for _, c := range o.Missing {
		r, told := results[cmp.Or(c.To, c.From)]
		switch {
		case !told:
			reasons = append(reasons, c.Name+": Windows does not say what became of it")
		case hresult(r.Error) == 0:
			reasons = append(reasons, fmt.Sprintf("%s: Windows says that it is done (code %d), and does not list it as such", c.Name, r.Code))
			remedies = append(remedies, rebootFirst)
		default:
			why, what := explain(r.Error, r.Message)
			reasons = append(reasons, c.Name+": "+why)
			remedies = append(remedies, what)
		}
	}
	if len(remedies) == 0 {
		remedies = []string{seeLog}
	}
	return strings.Join(reasons, "; "), remedies[0]
}

// nameOf gives the name that an update has in a plan.
func nameOf(p fleet.Plan, key string) string {
	for _, c := range p.Changes {
		if cmp.Or(c.To, c.From) == strings.ToLower(key) {
			return c.Name
		}
	}
	return fleet.Plain(key)
}
