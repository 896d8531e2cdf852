package pkg

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Held implements source.Holder.
func (Source) Held(m *machine.Machine) ([]string, error) {
	installed, err := query(context.Background(), m) // the contract has none, and the question ends by itself
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, p := range installed {
		if p.locked {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Hold implements source.Holder by pkg's own locks. pkg takes one name at a time.
func (s Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	installed, err := query(ctx, m)
	if err != nil {
		return err
	}
	for _, name := range names {
		if find(installed, name) == nil {
			return &fleet.Unknown{Because: fmt.Sprintf("%q is not installed", fleet.Plain(name)), Remedy: "redflag list shows what is on offer"}
		}
	}
	word := "lock"
	if !hold {
		word = "unlock"
	}
	for _, name := range names {
		if find(installed, name).locked == hold {
			continue
		}
		if _, err := ask(ctx, m, word, "-qy", name); err != nil {
			return err
		}
	}
	held, err := s.Held(m)
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.Contains(held, name) != hold {
			return &fleet.Unknown{Because: name + " is not locked as it should be", Remedy: "see `pkg lock -l`"}
		}
	}
	return nil
}

// Unfinished implements source.Repairer: the packages that lack what they need, as pkg-check(8) says.
func (Source) Unfinished(m *machine.Machine) ([]string, error) {
	r, err := run(context.Background(), m, "check", "-dnqa") // see Held
	if err != nil {
		return nil, err
	}
	names := []string{}
	for line := range strings.Lines(string(r.Stdout)) {
		name, _, tab := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if !tab {
			name, _, _ = strings.Cut(name, " ") // pkg 1: demo has a missing dependency: demo-lib
		}
		if !packageName.MatchString(name) {
			return nil, unreadable("what pkg check says", fmt.Errorf("%q", fleet.Plain(line)))
		}
		names = append(names, name)
	}
	if r.Code != 0 && len(names) == 0 {
		return nil, explain(r, "pkg check").unknown()
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Repair implements source.Repairer: pkg brings what is missing.
func (s Source) Repair(ctx context.Context, m *machine.Machine, w source.Work) (fleet.Outcome, error) {
	o := fleet.NewOutcome()
	before, err := look(ctx, m)
	if err != nil {
		return o, err
	}
	if err := w.Write(m, beforeFile, before); err != nil { // who is killed is settled by it
		return o, err
	}
	code, err := w.Carry(m, machine.Command{Name: "pkg", Args: []string{"check", "-dya"}})
	if err != nil {
		return o, err
	}
	now, err := look(ctx, m)
	if err != nil {
		return o, err
	}
	o.Done = before.differences(now, fleet.Plan{})
	if o.HalfDone, err = s.Unfinished(m); err != nil {
		return o, err
	}
	if len(o.HalfDone) > 0 || code != 0 {
		said, err := w.LastRun(m)
		if err != nil {
			return o, err
		}
		otherwise := "packages lack what they need still: " + strings.Join(o.HalfDone, ", ")
		if len(o.HalfDone) == 0 {
			otherwise = fmt.Sprintf("pkg check ended with code %d", code)
		}
		r := explainText(said, otherwise)
		o.Because, o.Remedy = r.because, r.remedy
	}
	return o, nil
}

// Refresh implements source.Refresher: the catalogues, and the list of flaws.
func (Source) Refresh(ctx context.Context, m *machine.Machine) error {
	if os.Geteuid() != 0 {
		return &fleet.Unknown{Because: "only root may fetch the repositories' catalogues", Remedy: "sudo redflag scan --refresh"}
	}
	r, err := run(ctx, m, "update", "-q")
	if err != nil {
		return err
	}
	if r.Code != 0 {
		why := explain(r, "pkg update")
		return &fleet.Unknown{Because: "the repositories' catalogues could not all be fetched: " + why.because, Remedy: why.remedy, Err: why}
	}
	r, err = run(ctx, m, "audit", "-Fq") // 1 where there are flaws: the report of a scan says which
	if err == nil && r.Code != 0 && r.Code != 1 {
		err = explain(r, "pkg audit -F").unknown()
	}
	return err
}
