package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

var errInterrupted = errors.New("it was ended in the middle")

// Settle implements source.Installer: containers that were being made anew have their successors, if all of those run as they should, and are put
// back otherwise.
func (s *Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	engines, err := s.engines(ctx, m)
	defer closeAll(engines)
	if err != nil {
		return fleet.Outcome{}, err
	}
	r := s.recreation(m, w, engines)
	if err := r.readNotes(); err != nil {
		return fleet.Outcome{}, err
	}
	problems := []error{errInterrupted}
	for n := 0; n < len(r.list); {
		first := n
		for n < len(r.list) && r.list[n].Set == r.list[first].Set {
			n++
		}
		problems = append(problems, r.finish(ctx, r.list[first:n]))
	}
	o := r.outcome(ctx, p, errors.Join(problems...))
	if len(o.Missing) == 0 && len(o.HalfDone) == 0 && len(o.Stopped) == 0 {
		o.Because, o.Remedy = "", ""
	}
	return o, r.note()
}

// readNotes reads how far all containers are. Without notes nothing was begun.
func (r *recreation) readNotes() error {
	data, err := r.m.ReadFile(path.Join(r.w.Dir, remakesFile), maxAnswer)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &r.list); err != nil {
		return fmt.Errorf("read %s: %w", remakesFile, err)
	}
	for _, k := range r.list {
		i := slices.IndexFunc(r.engines, func(e *engine) bool { return e.host == k.Host })
		if i < 0 {
			return &fleet.Unknown{Because: "the engine at " + addressOf(k.Host) + " does not answer", Remedy: r.brand.start}
		}
		k.engine = r.engines[i]
		k.steer = k.engine.steered(k)
	}
	return nil
}

// steered reads the labels again, of the old container or of what has its name now.
func (e *engine) steered(k *remake) steering {
	ctx, cancel := context.WithTimeout(context.Background(), e.patience)
	defer cancel()
	c, err := e.byID(ctx, k.Old)
	if err != nil {
		c, err = e.named(ctx, k.name())
	}
	if err != nil || c.Config == nil {
		return steering{keep: keepImages}
	}
	s, err := steer(c.Config.Labels)
	if err != nil {
		return steering{keep: keepImages}
	}
	return s
}

// finish ends a set that was begun.
func (r *recreation) finish(ctx context.Context, set []*remake) error {
	ended := func(k *remake) bool { return k.State == remakeDone || k.State == remakeBack }
	if !slices.ContainsFunc(set, func(k *remake) bool { return !ended(k) }) {
		return nil
	}
	if !slices.ContainsFunc(set, func(k *remake) bool { return !r.stands(ctx, k) }) {
		return r.commit(ctx, set)
	}
	return r.giveUp(ctx, set, errInterrupted)
}

// stands says whether a new container is there, and runs as it should if the old one ran.
func (r *recreation) stands(ctx context.Context, k *remake) bool {
	if k.State == remakeMade || k.State == remakeDone {
		return true
	}
	if (k.Compose != nil || k.Unit != "") && k.New == "" {
		if _, err := k.engine.byID(ctx, k.Old); !errdefs.IsNotFound(err) || r.discover(ctx, k) != nil {
			return false
		}
	}
	if k.New == "" || r.check(ctx, k) != nil || k.Post && k.Runs && !k.Posted {
		return false
	}
	if !k.Runs {
		return true
	}
	if k.engine.settled(ctx, k.New, r.grace()) != nil {
		return false
	}
	return !k.Paused || k.engine.pause(ctx, k.New) == nil
}

// outcome sums up what became of the containers.
func (r *recreation) outcome(ctx context.Context, p fleet.Plan, failed error) fleet.Outcome {
	o := fleet.NewOutcome()
	done := map[string]bool{}
	back := false
	var problems []error
	for _, k := range r.list {
		switch k.State {
		case remakeDone, remakeMade:
			o.Done = append(o.Done, k.Change)
			done[k.Change.Name] = true
		case remakeBack:
			back = true
		default:
			o.HalfDone = append(o.HalfDone, k.Change.Name)
		}
		if k.Left != "" {
			o.HalfDone = append(o.HalfDone, k.Left)
			problems = append(problems, &fleet.Unknown{Because: "the old container " + k.Left + " could not be removed", Remedy: r.brand.name + " rm " + k.Left})
		}
		if k.Runs {
			if c, err := k.engine.named(ctx, k.name()); err != nil || !runsNow(c) {
				o.Stopped = append(o.Stopped, k.Change.Name)
			}
		}
	}
	for _, name := range r.restart {
		for _, e := range r.engines {
			if c, err := e.named(ctx, name); err == nil && e.isOurs() && !runsNow(c) {
				o.Stopped = append(o.Stopped, name)
			}
		}
	}
	for _, c := range p.Changes {
		if !done[c.Name] {
			o.Missing = append(o.Missing, c)
		}
	}
	// Where others were made anew before, not all that was changed has been put back.
	o.RolledBack = back && len(o.Done) == 0 && len(o.HalfDone) == 0
	if failed = errors.Join(append([]error{failed}, problems...)...); failed != nil {
		o.Because, o.Remedy = fleet.Explain(failed)
	}
	return o
}

// restartOthers restarts the containers that are to be restarted with others that were made anew.
func (r *recreation) restartOthers(ctx context.Context) {
	if !slices.ContainsFunc(r.list, func(k *remake) bool { return k.State == remakeDone }) {
		r.restart = nil
	}
	for _, name := range r.restart {
		for _, e := range r.engines {
			c, err := e.named(ctx, name)
			if err != nil || !e.isOurs() {
				continue // another engine's
			}
			limited, cancel := context.WithTimeout(ctx, slow)
			if _, err := e.api.ContainerRestart(limited, c.ID, client.ContainerRestartOptions{}); err != nil {
				r.say("%s could not be restarted: %v", name, err)
			} else {
				r.say("%s: restarted, as its compose file says", name)
			}
			cancel()
		}
	}
}

// Undo implements source.Installer: each container goes back to the image that it ran.
func (s *Source) Undo(_ *machine.Machine, _ fleet.Plan, o fleet.Outcome, _ source.Work) (fleet.Selection, error) {
	var sel fleet.Selection
	for _, c := range o.Done {
		if c.From == "" {
			return sel, &fleet.Unknown{Because: "which image " + c.Name + " ran is not known, so it cannot be gone back to"}
		}
		if c.From == c.To {
			continue // it came along with another, and comes along back
		}
		c.From, c.To = c.To, c.From
		sel.Back = append(sel.Back, c)
	}
	if len(sel.Back) == 0 {
		return sel, &fleet.Unknown{Because: "the job changed nothing, so there is nothing to undo"}
	}
	return sel, nil
}
