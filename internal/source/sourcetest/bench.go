package sourcetest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Bench tries sources out on a machine, and fails the test where they do not do what is expected.
type Bench struct {
	testing.TB
	// On gives the machine, and In the folder of a job on it.
	On func() *machine.Machine
	In func() source.Work
}

// explained gives an error's reason and remedy.
func explained(err error) string {
	because, remedy := fleet.Explain(err)
	return fmt.Sprintf("%s (%s)", because, remedy)
}

// Finding scans, and fails the test where that is not whole.
func (b Bench) Finding(s source.Source) fleet.Finding {
	b.Helper()
	f, err := s.Scan(context.Background(), b.On())
	if err != nil {
		b.Errorf("unknown because %s", explained(err))
	}
	return f
}

// Unknown scans, and fails the test unless the finding is unknown for the reason that is given in part.
func (b Bench) Unknown(s source.Source, because string) fleet.Finding {
	b.Helper()
	f, err := s.Scan(context.Background(), b.On())
	if got, _ := fleet.Explain(err); err == nil || !strings.Contains(got, because) {
		b.Errorf("unknown because %q; want %q", got, because)
	}
	return f
}

// Plan plans, and fails the test where that fails.
func (b Bench) Plan(s source.Planner, sel fleet.Selection) fleet.Plan {
	b.Helper()
	p, err := s.Plan(context.Background(), b.On(), sel)
	if err != nil {
		b.Fatalf("no plan of %+v: %s", sel, explained(err))
	}
	return p
}

// Refused plans, and fails the test unless it is refused for a reason that is given in part.
func (b Bench) Refused(s source.Planner, sel fleet.Selection, because string) {
	b.Helper()
	p, err := s.Plan(context.Background(), b.On(), sel)
	if got, _ := fleet.Explain(err); err == nil || !strings.Contains(got, because) {
		b.Errorf("planned %v, refused because %q; want a refusal because %q", p.Changes, got, because)
	}
}

// CarryOut fetches and applies a plan.
func (b Bench) CarryOut(s source.Installer, p fleet.Plan, w source.Work) fleet.Outcome {
	b.Helper()
	if err := s.Fetch(context.Background(), b.On(), p, w); err != nil {
		b.Fatalf("fetch: %s\n%s", explained(err), b.Said(w))
	}
	o, err := s.Apply(context.Background(), b.On(), p, w)
	if err != nil {
		b.Fatalf("apply: %s\n%s", explained(err), b.Said(w))
	}
	return o
}

// Succeeds carries a plan out, and fails the test unless it is done.
func (b Bench) Succeeds(s source.Installer, p fleet.Plan) (fleet.Outcome, source.Work) {
	b.Helper()
	w := b.In()
	o := b.CarryOut(s, p, w)
	if !o.Succeeded() {
		b.Fatalf("%+v\n%s", o, b.Said(w))
	}
	return o, w
}

// Undo plans the way back from an outcome.
func (b Bench) Undo(s source.Installer, p fleet.Plan, o fleet.Outcome, w source.Work) fleet.Plan {
	b.Helper()
	sel, err := s.Undo(b.On(), p, o, w)
	if err != nil {
		b.Fatal(explained(err))
	}
	return b.Plan(s, sel)
}

// Said gives what a job's tools said.
func (b Bench) Said(w source.Work) string {
	b.Helper()
	data, err := os.ReadFile(w.Log.Name())
	if err != nil {
		b.Fatal(err)
	}
	return string(data)
}

// Lines writes changes for a comparison.
func Lines(changes []fleet.Change) string {
	var list []string
	for _, c := range changes {
		list = append(list, strings.Replace(c.String(), c.Name, c.Name+"."+c.Arch, 1))
	}
	return strings.Join(list, ", ")
}

// Updates writes a finding for a comparison: name.arch from→to, what is for security with an exclamation mark, and what is blocked with its reason.
func Updates(f fleet.Finding) string {
	var list []string
	for _, u := range f.Updates {
		text := fmt.Sprintf("%s.%s %s→%s", u.Name, u.Arch, u.From, u.To)
		if u.Security {
			text += "!"
		}
		if u.Blocked != "" {
			text += fmt.Sprintf(" (%s)", u.Blocked)
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}
