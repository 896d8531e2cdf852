package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// putBack undoes what was done to one container: the new one goes, without a volume of its, and the old one has its name, its restart policy and its
// tag again, and runs if it ran. It may be done again after it was interrupted.
func (r *recreation) putBack(ctx context.Context, e *engine, k *remake) error {
	ctx, cancel := context.WithTimeout(ctx, slow)
	defer cancel()
	if err := r.removeNew(ctx, e, k); err != nil {
		return err
	}
	old := k.Old
	now, err := e.api.ContainerInspect(ctx, old, client.ContainerInspectOptions{})
	switch {
	case errdefs.IsNotFound(err): // it was made with --rm, and is gone since it was stopped
		var s spec
		if err := decode(k.Spec, &s); err != nil {
			return err
		}
		if old, err = e.create(ctx, k.Change.Name, s); err != nil {
			return fmt.Errorf("create it again: %w", err)
		}
	case err != nil:
		return err
	case strings.TrimPrefix(now.Container.Name, "/") != k.Change.Name:
		if _, err := e.api.ContainerRename(ctx, old, client.ContainerRenameOptions{NewName: k.Change.Name}); err != nil {
			return fmt.Errorf("give it its name back: %w", err)
		}
	}
	return errors.Join(e.restore(ctx, old, k), e.retag(ctx, k))
}

// removeNew removes what has the name now, and is not the old one.
func (r *recreation) removeNew(ctx context.Context, e *engine, k *remake) error {
	id := k.New
	if id == "" { // created, perhaps, and not written down any more
		now, err := e.api.ContainerInspect(ctx, k.Change.Name, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) || err == nil && now.Container.ID == k.Old {
			return nil
		}
		if err != nil {
			return err
		}
		id = now.Container.ID
	}
	_, err := e.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove the new one: %w", err)
	}
	return nil
}

// restore lets the old container run as it did.
func (e *engine) restore(ctx context.Context, id string, k *remake) error {
	var policy container.RestartPolicy
	if err := json.Unmarshal(k.Policy, &policy); err != nil {
		return err
	}
	if policy.Name != "" {
		if _, err := e.api.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{RestartPolicy: &policy}); err != nil {
			return fmt.Errorf("restore its restart policy: %w", err)
		}
	}
	if !k.Runs {
		return nil
	}
	if _, err := e.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("start it again: %w", err)
	}
	if k.Paused {
		now, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err == nil && now.Container.State != nil && !now.Container.State.Paused {
			_, err = e.api.ContainerPause(ctx, id, client.ContainerPauseOptions{})
		}
		return err
	}
	return nil
}

// retag lets the tag mean what it meant.
func (e *engine) retag(ctx context.Context, k *remake) error {
	_, err := e.api.ImageTag(ctx, client.ImageTagOptions{Source: k.OldImage, Target: k.Change.Image})
	if errdefs.IsNotFound(err) {
		return nil // the old image is held by its container alone
	}
	return err
}

// outcome sums up what became of the containers.
func (r *recreation) outcome(p fleet.Plan, failed error) fleet.Outcome {
	o := fleet.NewOutcome()
	done := map[string]bool{}
	for _, k := range r.list {
		switch k.State {
		case remakeDone:
			o.Done = append(o.Done, k.Change)
			done[k.Change.Name] = true
		case remakeBack:
			o.RolledBack = true
		default:
			o.HalfDone = append(o.HalfDone, k.Change.Name)
		}
	}
	for _, c := range p.Changes {
		if !done[c.Name] {
			o.Missing = append(o.Missing, c)
		}
	}
	if failed != nil {
		o.Because, o.Remedy = fleet.Explain(failed)
	}
	return o
}

// Settle implements source.Installer: a container that was being made anew has its successor, if that one runs as it should, and is put back otherwise.
func (s *Source) Settle(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) (fleet.Outcome, error) {
	r := &recreation{Source: s, m: m, w: w, renamed: map[string]string{}}
	data, err := m.ReadFile(path.Join(w.Dir, remakesFile), maxAnswer)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fleet.Outcome{}, err
	}
	if err == nil {
		if err := json.Unmarshal(data, &r.list); err != nil {
			return fleet.Outcome{}, err
		}
	}
	engines, err := s.engines(ctx, m)
	defer closeAll(engines)
	if err != nil {
		return fleet.Outcome{}, err
	}
	r.engines = engines
	interrupted := fmt.Errorf("it was ended in the middle")
	for _, k := range r.list {
		if k.State != remakeBegun {
			continue
		}
		for _, e := range engines {
			if e.host == k.Host {
				interrupted = errors.Join(interrupted, r.finish(ctx, e, k))
			}
		}
	}
	o := r.outcome(p, interrupted)
	if len(o.Missing) == 0 && len(o.HalfDone) == 0 {
		o.Because, o.Remedy = "", ""
	}
	return o, r.note()
}

// finish ends one that was begun.
func (r *recreation) finish(ctx context.Context, e *engine, k *remake) error {
	if k.New != "" && k.Runs && e.settled(ctx, k.New, r.grace()) == nil {
		k.State = remakeDone
		_, err := e.api.ContainerRemove(ctx, k.Old, client.ContainerRemoveOptions{})
		if errdefs.IsNotFound(err) {
			err = nil
		}
		return err
	}
	if err := r.putBack(ctx, e, k); err != nil {
		return err
	}
	k.State, k.Because = remakeBack, "it was ended in the middle"
	return nil
}

// Undo implements source.Installer: each container goes back to the image that it ran.
func (s *Source) Undo(_ *machine.Machine, _ fleet.Plan, o fleet.Outcome, _ source.Work) (fleet.Selection, error) {
	var sel fleet.Selection
	for _, c := range o.Done {
		if c.From == "" {
			return sel, &fleet.Unknown{Because: "the image that " + c.Name + " ran has no digest here, so it cannot be named"}
		}
		c.From, c.To = c.To, c.From
		sel.Back = append(sel.Back, c)
	}
	if len(sel.Back) == 0 {
		return sel, &fleet.Unknown{Because: "the job changed nothing, so there is nothing to undo"}
	}
	return sel, nil
}
