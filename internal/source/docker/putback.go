package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
)

const (
	// patienceBack is how long it is waited for an engine that has gone away, before the containers are given up: a restart with many containers
	// takes minutes.
	patienceBack = 10 * time.Minute
	// askAgain is how often it is asked meanwhile.
	askAgain = 500 * time.Millisecond
	// patienceGone is how long an engine is given to remove what has ended by itself: it is a matter of moments, and of seconds on a busy machine.
	patienceGone = 30 * time.Second
)

// giveUp puts the containers of a set back after one of them has failed, and says why.
func (r *recreation) giveUp(ctx context.Context, set []*remake, failed error) error {
	r.say("%v: the old containers are put back", failed)
	word := ""
	for _, k := range set {
		if k.New == "" || k.Because == "" {
			continue
		}
		if said := k.engine.lastLog(ctx, k.New); len(said) > 0 {
			r.say("  the last that the new %s said:", k.Change.Name)
			r.quote(said)
			word = lastLine(said)
		}
	}
	names := make([]string, len(set))
	for i, k := range set {
		names[i] = k.Change.Name
	}
	because := fleet.Plain(failed.Error() + word)
	if back := r.putAllBack(ctx, set, because); back != nil {
		return errors.Join(&fleet.Unknown{Because: because}, &fleet.Unknown{
			Because: fmt.Sprintf("%s could not be put back: %s", strings.Join(names, ", "), fleet.Plain(back.Error())),
			Remedy:  "see the log; what was put aside has the name NAME" + asideSuffix + "ID: " + r.brand.name + " rename and " + r.brand.name + " start bring it back",
		})
	}
	return errors.Join(&fleet.Unknown{
		Because: fmt.Sprintf("%s; put back as it was: %s (the container; what the newer program did to its data stays)", because, strings.Join(names, ", ")),
		Remedy:  "see the log, and the notes of the image",
	}, r.note())
}

// putAllBack undoes what was done to the containers of a set. It may be done again after it was interrupted.
func (r *recreation) putAllBack(ctx context.Context, set []*remake, because string) error {
	var problems []error
	for _, k := range slices.Backward(set) { // who lives in another goes before that one
		problems = append(problems, patiently(ctx, func(ctx context.Context) error { return r.removeNew(ctx, k) }))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	for _, k := range set {
		if err := patiently(ctx, func(ctx context.Context) error { return r.putBack(ctx, k) }); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", k.Change.Name, err))
			continue
		}
		k.State, k.Because = remakeBack, because
	}
	return errors.Join(problems...)
}

// patiently does something again while the engine is away.
func patiently(ctx context.Context, do func(context.Context) error) error {
	deadline := time.Now().Add(patienceBack)
	for {
		limited, cancel := context.WithTimeout(ctx, slow)
		err := do(limited)
		cancel()
		if !unreachable(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return err
		}
	}
}

// putBack lets the old container have its name, its restart policy and its tag again, and run if it ran.
func (r *recreation) putBack(ctx context.Context, k *remake) error {
	if k.Unit != "" {
		return r.unitBack(ctx, k)
	}
	e, id := k.engine, k.Old
	if fresh := r.again[k.Old]; fresh != "" {
		id = fresh
	}
	now, err := e.byID(ctx, id)
	if err == nil && k.Runs && goesByItself(now) {
		limited, cancel := context.WithTimeout(ctx, patienceGone)
		if e.gone(limited, id) == nil {
			err = errNoSuch
		}
		cancel()
	}
	switch {
	case errdefs.IsNotFound(err) || err == nil && r.leansOnGone(now):
		if id, err = r.makeAgain(ctx, k); err != nil {
			return fmt.Errorf("create it again: %w", err)
		}
	case err != nil:
		return err
	case strings.TrimPrefix(now.Name, "/") != k.name():
		if _, err := e.api.ContainerRename(ctx, id, client.ContainerRenameOptions{NewName: k.name()}); err != nil {
			return fmt.Errorf("give it its name back: %w", err)
		}
	}
	return errors.Join(e.restore(ctx, id, k), e.retag(ctx, k))
}

// leansOnGone says whether a container lives in one that had to be made again, and has another ID now.
func (r *recreation) leansOnGone(c container.InspectResponse) bool {
	return slices.ContainsFunc(leans(c), func(l lean) bool { return r.again[l.other] != "" })
}

// makeAgain makes the old container from what was written down of it: the engine removed it when it was stopped (--rm), Compose did, or it
// lives in one that had to be made again. Its volumes are named in that, so its data are in it.
func (r *recreation) makeAgain(ctx context.Context, k *remake) (string, error) {
	e := k.engine
	var s spec
	if err := decode(k.Spec, &s); err != nil {
		return "", err
	}
	host := objectOf(s.Config["HostConfig"])
	for _, space := range []string{"NetworkMode", "PidMode", "IpcMode"} {
		host[space] = follow(host[space], r.again)
	}
	followVolumes(host, r.again)
	was := textOf(s.Config["Image"])
	if s.Config["Image"] = k.OldImage; e.tagAs(ctx, k.OldImage, k.Change.Image) == nil {
		s.Config["Image"] = asked(was, k.Change.Image)
	}
	if old, err := e.byID(ctx, k.Old); err == nil && strings.TrimPrefix(old.Name, "/") != k.Aside { // it is replaced by its like, which is there first
		if _, err := e.api.ContainerRename(ctx, k.Old, client.ContainerRenameOptions{NewName: k.Aside}); err != nil && !errdefs.IsConflict(err) {
			return "", err
		}
	}
	s.Options = followWords(s.Options, r.again)
	id, err := r.create(ctx, k, s)
	if err != nil {
		return "", err
	}
	r.again[k.Old] = id
	if err := e.removeOld(ctx, k.Old); err != nil {
		r.say("  %s: %v", k.Change.Name, err)
	}
	if k.Compose == nil || !k.Copied {
		return id, nil
	}
	// What Compose copied into it, it copies again, before it starts it; the volumes it takes from what is there.
	if err := k.Compose.up(ctx, r.m, r.w, k.Runs, true, nil); err != nil {
		r.say("  %s: what Compose copied into it is missing: %v", k.Change.Name, err)
		return id, nil
	}
	c, err := e.named(ctx, k.name())
	if err == nil {
		id = c.ID
		r.again[k.Old] = id
	}
	return id, err
}

// removeNew removes the new container, and never a volume of its: it is the one that has the name now, and is not the old one.
func (r *recreation) removeNew(ctx context.Context, k *remake) error {
	if k.Unit != "" {
		return nil // systemd makes another one of it
	}
	ids := []string{k.New}
	now, err := k.engine.named(ctx, k.name())
	switch {
	case err == nil && now.ID != k.Old && now.ID != k.New && now.ID != r.again[k.Old]:
		ids = append(ids, now.ID) // created, perhaps, and not written down any more
	case err != nil && !errdefs.IsNotFound(err):
		return err
	}
	for _, id := range ids {
		if id == "" || id == k.Old {
			continue
		}
		_, err := k.engine.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true})
		if err != nil && !errdefs.IsNotFound(err) && !goesAlready(err) {
			return fmt.Errorf("remove the new one: %w", err)
		}
		if err := k.engine.gone(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// goesByItself says whether a container of --rm has ended: Podman removes it a moment later.
func goesByItself(c container.InspectResponse) bool {
	return c.HostConfig != nil && c.HostConfig.AutoRemove && !runsNow(c) && c.State != nil && c.State.Status != container.StateCreated
}

// goesAlready: a container of --rm that has just ended is being removed by the engine.
func goesAlready(err error) bool {
	return errdefs.IsConflict(err) && strings.Contains(err.Error(), "already in progress")
}

// gone waits until the engine has removed a container.
func (e *engine) gone(ctx context.Context, id string) error {
	for {
		if _, err := e.byID(ctx, id); err != nil {
			if errdefs.IsNotFound(err) {
				return nil
			}
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the engine does not remove %s: %w", shorten(id), ctx.Err())
		}
	}
}

// restore lets the old container run as it did.
func (e *engine) restore(ctx context.Context, id string, k *remake) error {
	var policy container.RestartPolicy
	if err := json.Unmarshal(k.Policy, &policy); err != nil {
		return err
	}
	if policy.Name != "" && !e.libpod.Load() {
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
		return e.pause(ctx, id)
	}
	return nil
}

// retag lets the tag mean what it meant; nothing, if it meant nothing.
func (e *engine) retag(ctx context.Context, k *remake) error {
	if !isTag(k.Change.Image) {
		return nil
	}
	if k.Tagged == "" {
		now, err := e.api.ImageInspect(ctx, e.inFull(k.Change.Image))
		if err != nil || len(now.RepoTags)+len(now.RepoDigests) < 2 {
			return nil //nolint:nilerr // it means nothing, or is the image's only name, with which that would be lost
		}
		_, err = e.api.ImageRemove(ctx, e.inFull(k.Change.Image), client.ImageRemoveOptions{})
		return err
	}
	err := e.tagAs(ctx, k.Tagged, k.Change.Image)
	if errdefs.IsNotFound(err) {
		return nil // the image is held by its container alone
	}
	return err
}
