// Package source says what it is to be a source of updates: a package manager, a container engine. Each has a folder of
// its own below this one, and package all lists them. A source looks at a machine and gives a finding; [Scan] asks
// several at once and turns whatever goes wrong into the third answer: unknown, because.
package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Source is one kind of place that updates come from. It is safe for many goroutines.
type Source interface {
	// Name is one lower-case word: apt, docker. It is the finding's source and each update's.
	Name() string
	// Present says whether the machine has this source at all. One that is there but broken is present.
	Present(m *machine.Machine) bool
	// Scan looks and changes nothing, as whichever user we are. With a nil error the finding is whole. With an error the
	// finding holds what was learnt all the same, and the error says what was not: a *fleet.Unknown, or several joined,
	// so that a person reads a reason and a remedy. It leaves the finding's Source, State, Because and Remedy to [Scan].
	Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error)
}

// Refresher is a source that can fetch its metadata anew. Where that is not permitted, it returns a *fleet.Unknown
// that says so; a scan goes on with what is there.
type Refresher interface {
	Refresh(ctx context.Context, m *machine.Machine) error
}

// Lister is a source that can say which packages are installed, all of them or none.
type Lister interface {
	Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error)
}

// Runner is a source that can say which containers there are, all of them or none.
type Runner interface {
	Containers(ctx context.Context, m *machine.Machine) ([]fleet.Container, error)
}

// Describer is a source that is an engine with a version of its own: one cheap question to it.
type Describer interface {
	Describe(ctx context.Context, m *machine.Machine) (fleet.Engine, error)
}

// Options steer a scan.
type Options struct {
	// Refresh fetches metadata first, where the source can and may.
	Refresh bool
	// Started and Done, where set, are told when a source begins and when it has answered. They must be safe for
	// many goroutines.
	Started func(source string)
	Done    func(fleet.Finding)
}

// Scan asks all the given sources at once and waits for every answer: one finding each, in the order given. It never
// fails: what went wrong in a source, a panic included, is in that source's finding and in no other's.
func Scan(ctx context.Context, m *machine.Machine, sources []Source, opt Options) []fleet.Finding {
	findings := make([]fleet.Finding, len(sources))
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() {
			if opt.Started != nil {
				opt.Started(s.Name())
			}
			findings[i] = scanOne(ctx, m, s, opt.Refresh)
			if opt.Done != nil {
				opt.Done(findings[i])
			}
		})
	}
	wg.Wait()
	return findings
}

// scanOne asks one source and gives its answer the form that the contract promises.
func scanOne(ctx context.Context, m *machine.Machine, s Source, refresh bool) fleet.Finding {
	var refreshed error
	if r, ok := s.(Refresher); ok && refresh {
		refreshed = guard(func() error { return r.Refresh(ctx, m) })
	}
	var found fleet.Finding
	began := m.Now().UTC()
	err := guard(func() (err error) {
		found, err = s.Scan(ctx, m)
		return err
	})
	found.ScannedAt = began
	return finish(found, s.Name(), errors.Join(refreshed, err))
}

func finish(f fleet.Finding, name string, err error) fleet.Finding {
	f.Source, f.State = name, fleet.OK
	if err != nil {
		f.State = fleet.Uncertain
		f.Because, f.Remedy = fleet.Explain(err)
	}
	f.Updates = append([]fleet.Update{}, f.Updates...)
	f.Checks = append([]fleet.Check{}, f.Checks...)
	for i := range f.Updates {
		f.Updates[i].Source = name
	}
	slices.SortStableFunc(f.Updates, compareUpdates)
	slices.SortStableFunc(f.Checks, func(a, b fleet.Check) int { return cmp.Compare(a.Name, b.Name) })
	return f
}

func compareUpdates(a, b fleet.Update) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), compareImages(a.ImageUpdate, b.ImageUpdate))
}

func compareImages(a, b *fleet.ImageUpdate) int {
	if a == nil || b == nil {
		return 0
	}
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(rank(a.Level), rank(b.Level)), cmp.Compare(a.Platform, b.Platform))
}

// rank puts the smallest step first.
func rank(l fleet.Level) int {
	return slices.Index([]fleet.Level{fleet.Patch, fleet.Minor, fleet.Major}, l)
}

// guard turns a panic into an error: a source that trips over foreign bytes loses its own answer and nobody else's.
func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &fleet.Unknown{
				Because: fmt.Sprintf("a defect in RedFlag: %v", p),
				Remedy:  "report it with the output of `redflag doctor`",
				Err:     fmt.Errorf("%s", debug.Stack()),
			}
		}
	}()
	return do()
}
