package agent

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/memory"
	"redflag/internal/source"
	"redflag/internal/wire"
)

// Host is the machine that an agent looks at.
type Host struct {
	Machine *machine.Machine
	// Sources gives the sources that the machine has now; anew asks registries even where their last answer is young.
	Sources func(anew bool) []source.Source
	// StateDir is where the last scan is remembered, for `redflag list`.
	StateDir string
	// Root tells and does what only root can; nil where nobody has root.
	Root Root
	Log  *slog.Logger
}

// Look looks at the host as `redflag scan` does, remembers it as that does, and lists what is installed and what runs.
func (h Host) Look(ctx context.Context, opt wire.Scan) (View, error) {
	sources := h.Sources(opt.Refresh)
	chosen := slices.DeleteFunc(slices.Clone(sources), func(s source.Source) bool {
		return len(opt.Sources) > 0 && !slices.Contains(opt.Sources, s.Name())
	})
	scan := fleet.Scan{ScannedAt: h.Machine.Now().UTC().Truncate(time.Millisecond)}
	var v View
	var work sync.WaitGroup
	work.Go(func() { scan.Host = h.facts(ctx) })
	work.Go(func() { v.Containers = h.containers(ctx, sources) })
	scan.Findings = source.Scan(ctx, h.Machine, h.refreshed(chosen), source.Options{Refresh: opt.Refresh})
	if len(chosen) < len(sources) {
		scan.Findings = append(scan.Findings, source.Scan(ctx, h.Machine, others(sources, chosen), source.Options{})...)
	}
	v.Packages = h.packages(ctx, sources) // behind the scan, whose answers it goes by
	engines := h.engines(ctx, sources)
	work.Wait()
	scan.Host.Engines = engines
	if ctx.Err() != nil {
		return View{}, ctx.Err()
	}
	if _, err := memory.Save(h.StateDir, scan); err != nil {
		h.Log.Warn("the scan is not remembered for `redflag list`", "err", err)
	}
	v.Host, v.Findings = scan.Host, scan.Findings
	return v, nil
}

// facts tells what the host is and needs, and what its policy says, as far as root tells it.
func (h Host) facts(ctx context.Context) fleet.Host {
	host := machine.Facts(ctx, h.Machine)
	if h.Root == nil {
		return host
	}
	known, err := h.Root.Facts(ctx)
	if err != nil {
		h.Log.Warn("what only root can see is not known", "err", err)
		return host
	}
	host.Reboot, host.Restart, host.Policy = known.Reboot, known.Restart, &known.Policy
	return host
}

// refreshed gives sources whose metadata root fetches.
func (h Host) refreshed(sources []source.Source) []source.Source {
	if h.Root == nil {
		return sources
	}
	list := make([]source.Source, 0, len(sources))
	for _, s := range sources {
		if _, ok := s.(source.Refresher); ok {
			s = byRoot{s, h.Root}
		}
		list = append(list, s)
	}
	return list
}

// byRoot is a source whose metadata root fetches.
type byRoot struct {
	source.Source
	root Root
}

// Refresh implements source.Refresher.
func (b byRoot) Refresh(ctx context.Context, _ *machine.Machine) error { return b.root.Refresh(ctx) }

func others(all, chosen []source.Source) []source.Source {
	return slices.DeleteFunc(slices.Clone(all), func(s source.Source) bool {
		return slices.ContainsFunc(chosen, func(c source.Source) bool { return c.Name() == s.Name() })
	})
}

// packages lists what is installed; nil where a source cannot say.
func (h Host) packages(ctx context.Context, sources []source.Source) []fleet.Package {
	list, err := source.Packages(ctx, h.Machine, sources)
	if err != nil {
		h.Log.Debug("what is installed is not known", "err", err)
		return nil
	}
	return list
}

// containers lists what runs; nil where an engine cannot say.
func (h Host) containers(ctx context.Context, sources []source.Source) []fleet.Container {
	list := []fleet.Container{}
	for _, s := range sources {
		runner, ok := s.(source.Runner)
		if !ok {
			continue
		}
		some, err := guarded(func() ([]fleet.Container, error) { return runner.Containers(ctx, h.Machine) })
		if err != nil {
			h.Log.Debug("which containers there are is not known", "source", s.Name(), "err", err)
			return nil
		}
		list = append(list, some...)
	}
	return list
}

// engines says which container engines there are, as far as they answer.
func (h Host) engines(ctx context.Context, sources []source.Source) []fleet.Engine {
	var list []fleet.Engine
	for _, s := range sources {
		d, ok := s.(source.Describer)
		if !ok {
			continue
		}
		some, err := guarded(func() ([]fleet.Engine, error) {
			e, err := d.Describe(ctx, h.Machine)
			return []fleet.Engine{e}, err
		})
		if err == nil {
			list = append(list, some...)
		}
	}
	return list
}

// guarded turns a panic over foreign bytes into an error.
func guarded[T any](list func() ([]T, error)) (all []T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a defect in RedFlag: %v", p)
		}
	}()
	return list()
}
