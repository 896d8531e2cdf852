package brew

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Files of a job.
const (
	beforeFile = "before.json"
	codeFile   = "code.json"
)

// Fetch implements source.Installer: brew downloads what is asked for. What comes with it, it downloads while it installs.
func (s Source) Fetch(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) error {
	_, batches, err := s.plan(ctx, m, p.Selection)
	if err != nil {
		return err
	}
	for _, b := range batches {
		words := b.words()
		words[0] = "fetch"
		c, err := b.in.command(m, words...)
		if err != nil {
			return err
		}
		code, err := m.Follow(ctx, c, w.Log, w.Held...)
		if err != nil {
			return err
		}
		if code != 0 {
			said, err := w.LastRun(m)
			if err != nil {
				return err
			}
			return explainText(said, fmt.Sprintf("brew fetch ended with code %d and no word", code)).unknown()
		}
	}
	return nil
}

// Apply implements source.Installer. brew takes no versions: it is asked once more right before, and nothing fetches what is on offer in between.
func (s Source) Apply(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	now, batches, err := s.plan(ctx, m, p.Selection)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if now.Digest() != p.Digest() {
		return fleet.Outcome{}, &fleet.Unknown{
			Because: "what it would do now is not what was approved: " + strings.Join(p.Differences(now), "; "), Remedy: "plan again, and approve what is planned now",
		}
	}
	before, err := cellar(m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	written := map[string][]string{}
	for k, versions := range before {
		written[k.String()] = versions
	}
	if err := w.Write(m, beforeFile, written); err != nil {
		return fleet.Outcome{}, err
	}
	if err := carry(m, batches, w); err != nil {
		fmt.Fprintf(w.Log, "\nError: %v\n", err) // as brew says it; what was done until then is told below
	}
	return s.Settle(ctx, m, p, w)
}

// carry has brew do one batch after the other, and writes its worst exit code down.
func carry(m *machine.Machine, batches []batch, w source.Work) error {
	worst := 0
	var problems []error
	for _, b := range batches {
		c, err := b.in.command(m, b.words()...)
		if err == nil {
			var code int
			code, err = w.Carry(m, c)
			worst = max(worst, code)
		}
		if err != nil {
			worst, problems = max(worst, 1), append(problems, err)
		}
	}
	return errors.Join(append(problems, w.Write(m, codeFile, worst))...)
}

// Settle implements source.Installer: the truth is what lies in the Cellar and in the Caskroom. brew goes on with the rest where one formula fails.
func (s Source) Settle(_ context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	o := fleet.NewOutcome()
	var written map[string][]string
	if err := w.Read(m, beforeFile, &written); errors.Is(err, fs.ErrNotExist) {
		o.Missing, o.Because = p.Changes, "it was ended before it began to change anything"
		return o, nil
	} else if err != nil {
		return o, err
	}
	before := map[key][]string{}
	for k, versions := range written {
		before[parseKey(k)] = versions
	}
	now, err := cellar(m)
	if err != nil {
		return o, err
	}
	o.Done = differences(before, now, p)
	for _, c := range p.Changes {
		if !slices.ContainsFunc(o.Done, func(d fleet.Change) bool { return same(d, c) }) {
			o.Missing = append(o.Missing, c)
		}
	}
	var code int
	err = w.Read(m, codeFile, &code)
	if (err != nil || code == 0) && o.Succeeded() {
		return o, nil // without a code we were killed, and brew went on alone: what is there says all
	}
	said, err := w.Said(m)
	if err != nil {
		return o, err
	}
	r := explainText(said, fmt.Sprintf("brew did not come to its end (code %d)", code))
	o.Because, o.Remedy = r.because, r.remedy
	return o, nil
}

// Undo implements source.Installer. There is no way back.
func (Source) Undo(*machine.Machine, fleet.Plan, fleet.Outcome, source.Work) (fleet.Selection, error) {
	return fleet.Selection{}, errNoWayBack
}

// refreshLimit bounds a whole refresh: a first one clones taps.
const refreshLimit = 15 * time.Minute

// Refresh implements source.Refresher.
func (Source) Refresh(ctx context.Context, m *machine.Machine) error {
	var problems []error
	for _, i := range installations(m) {
		r, err := i.run(ctx, m, refreshLimit, "update", "--quiet")
		if err == nil && r.Code != 0 {
			why := explain(r, "brew update")
			err = &fleet.Unknown{Because: "what is on offer could not be fetched: " + why.because, Remedy: why.remedy, Err: why}
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// Held implements source.Holder.
func (Source) Held(m *machine.Machine) ([]string, error) {
	names := []string{}
	for _, i := range installations(m) {
		out, err := i.ask(context.Background(), m, "info", "--json=v2", "--installed") // the contract has no context, and the question ends by itself
		if err != nil {
			return nil, err
		}
		known, err := parseInfo(out)
		if err != nil {
			return nil, unreadable("what brew says is installed", err)
		}
		for _, f := range known.formulae {
			if f.Pinned {
				names = append(names, fleet.Plain(f.Name))
			}
		}
		for _, c := range known.casks {
			if c.Pinned {
				names = append(names, fleet.Plain(c.Token))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Hold implements source.Holder by brew's own pins. Casks can be pinned from Homebrew 6 on.
func (s Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	word := "pin"
	if !hold {
		word = "unpin"
	}
	for _, name := range names {
		if err := s.pin(ctx, m, word, name); err != nil {
			return err
		}
	}
	held, err := s.Held(m)
	if err != nil {
		return err
	}
	for _, name := range names {
		if bare, _, _ := strings.Cut(name, ":"); slices.Contains(held, bare) != hold {
			return &fleet.Unknown{Because: fleet.Plain(name) + " is not pinned as it should be", Remedy: "see `brew list --pinned`; casks can be pinned from Homebrew 6 on"}
		}
	}
	return nil
}

// pin pins what goes by a name, wherever it is installed.
func (Source) pin(ctx context.Context, m *machine.Machine, word, name string) error {
	bare, arch, _ := strings.Cut(name, ":")
	done := false
	for _, i := range installations(m) {
		for dir, kind := range map[string]string{"Cellar": "--formula", "Caskroom": "--cask"} {
			if kind == "--cask" && arch != "" && arch != caskArch || kind == "--formula" && arch != "" && arch != i.arch || !nameText.MatchString(bare) {
				continue
			}
			if _, err := os.Stat(m.Path(i.prefix + "/" + dir + "/" + bare)); err != nil {
				continue
			}
			words := []string{word, bare}
			if kind == "--cask" {
				words = []string{word, kind, bare}
			}
			if _, err := i.ask(ctx, m, words...); err != nil {
				return err
			}
			done = true
		}
	}
	if !done {
		return &fleet.Unknown{Because: fmt.Sprintf("%q is not installed", fleet.Plain(name)), Remedy: "redflag list shows what is on offer"}
	}
	return nil
}
