package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// replace puts new containers in the place of the old ones: all are created before any is stopped, stopped in the order against the one in which
// they are started, and each is waited for before the next, which may need it.
func (r *recreation) replace(ctx context.Context, set []*remake) error {
	for _, k := range set {
		if err := r.place(ctx, k); err != nil {
			return err
		}
	}
	for _, k := range slices.Backward(set) {
		if !k.Runs || k.Unit != "" {
			continue
		}
		if err := r.step(ctx, k, "stop", func(ctx context.Context) error { return r.stop(ctx, k) }); err != nil {
			return err
		}
	}
	for _, k := range set {
		if err := r.bringUp(ctx, k); err != nil {
			k.Because = err.Error()
			return fmt.Errorf("%s: %w", k.Change.Name, err)
		}
	}
	return nil
}

// place gives the new container the old one's name, and the image its tag.
func (r *recreation) place(ctx context.Context, k *remake) error {
	if k.Compose == nil && k.Unit == "" {
		if err := r.step(ctx, k, "rename", func(ctx context.Context) error {
			_, err := k.engine.api.ContainerRename(ctx, k.Old, client.ContainerRenameOptions{NewName: k.Aside})
			return err
		}); err != nil {
			return err
		}
	}
	if err := r.step(ctx, k, "tag", func(ctx context.Context) error { return k.engine.tagAs(ctx, k.Image, k.Change.Image) }); err != nil {
		return err
	}
	if k.Compose != nil || k.Unit != "" || k.late {
		return nil
	}
	return r.createNew(ctx, k)
}

// tagAs lets a tag mean an image. What was made from an image's ID or from a digest has no tag.
func (e *engine) tagAs(ctx context.Context, id, ref string) error {
	if !isTag(ref) {
		return nil
	}
	_, err := e.api.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: e.inFull(ref)})
	return err
}

// inFull gives a name as an engine does not misunderstand it: Podman may look for a short one elsewhere than Docker does (containers.conf(5), compat_api_enforce_docker_hub).
func (e *engine) inFull(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil || isFullID(ref) || !e.libpod.Load() {
		return ref
	}
	return reference.TagNameOnly(named).String()
}

// isTag says whether a reference is a name that can be given to an image.
func isTag(ref string) bool {
	named, err := reference.ParseNormalizedNamed(ref)
	_, digested := named.(reference.Digested)
	return err == nil && !isFullID(ref) && !digested
}

// createNew creates the new container, and makes sure that it has the image which was approved.
func (r *recreation) createNew(ctx context.Context, k *remake) error {
	if err := r.step(ctx, k, "create", func(ctx context.Context) error {
		next, err := r.like(ctx, k, k.Change.Image, k.Image, true)
		if err != nil {
			return err
		}
		if k.rehash != nil {
			hashes, err := k.rehash.hashes(ctx, r.m)
			if err != nil {
				return err
			}
			objectOf(next.Config["Labels"])[labelConfigHash] = hashes[k.rehash.Service]
		}
		if k.New, err = r.create(ctx, k, next); err == nil {
			r.renamed[k.Old] = k.New
			err = errors.Join(r.check(ctx, k), r.likeOld(ctx, k))
		}
		return errors.Join(err, r.note())
	}); err != nil {
		return err
	}
	if k.Change.From == k.Change.To && k.Tagged != "" && k.Tagged != k.Image {
		return k.engine.tagAs(ctx, k.Tagged, k.Change.Image) // it came along, and keeps its image; the tag is another matter
	}
	return nil
}

// check holds the new container to the image that was approved: a push or a pull in between must not slip in.
func (r *recreation) check(ctx context.Context, k *remake) error {
	c, err := k.engine.byID(ctx, k.New)
	if err == nil && c.Image != k.Image {
		err = fmt.Errorf("it was made from the image %s, and not from %s, which was approved", c.Image, k.Image)
	}
	if err != nil {
		return err
	}
	for place, volume := range k.Volumes {
		if !slices.ContainsFunc(c.Mounts, func(m container.MountPoint) bool { return m.Destination == place && m.Name == volume }) {
			return fmt.Errorf("it does not have the volume that was at %s", place)
		}
	}
	return nil
}

// bringUp starts the new container, and waits until it runs as it should.
func (r *recreation) bringUp(ctx context.Context, k *remake) error {
	switch {
	case k.Compose != nil || k.Unit != "":
		if err := r.remadeByOthers(ctx, k); err != nil {
			return err
		}
		if err := r.step(ctx, k, "note", func(ctx context.Context) error {
			return errors.Join(r.discover(ctx, k), r.note())
		}); err != nil {
			return err
		}
	case k.late:
		if err := r.createNew(ctx, k); err != nil {
			return err
		}
	}
	if !k.Runs {
		return nil
	}
	if err := r.step(ctx, k, "start", func(ctx context.Context) error {
		_, err := k.engine.api.ContainerStart(ctx, k.New, client.ContainerStartOptions{})
		return err
	}); err != nil {
		return err
	}
	if err := r.step(ctx, k, "wait", func(ctx context.Context) error { return k.engine.settled(ctx, k.New, r.grace()) }); err != nil {
		return err
	}
	if err := r.command(ctx, k, "post", k.New, k.steer.post); err != nil {
		return err
	}
	if k.Posted = true; k.Post {
		if err := r.note(); err != nil {
			return err
		}
	}
	if !k.Paused {
		return nil
	}
	return r.step(ctx, k, "pause", func(ctx context.Context) error { return k.engine.pause(ctx, k.New) })
}

// create makes a container, by Podman's command where that is its way.
func (r *recreation) create(ctx context.Context, k *remake, s spec) (string, error) {
	if s.ByCommand {
		return k.engine.createByCommand(ctx, r.m, k.name(), s)
	}
	return k.engine.create(ctx, k.name(), s)
}

// remadeByOthers lets Compose or systemd make the container anew, which stops the old one, and starts the new one.
func (r *recreation) remadeByOthers(ctx context.Context, k *remake) error {
	if k.Unit != "" {
		return r.step(ctx, k, "restart its unit", func(ctx context.Context) error { return r.restartUnit(ctx, k) })
	}
	return r.step(ctx, k, "compose", func(ctx context.Context) error { return k.Compose.up(ctx, r.m, r.w, k.Runs, false, k.steer.stop) })
}

// discover finds the container that Compose or systemd has made.
func (r *recreation) discover(ctx context.Context, k *remake) error {
	c, err := k.engine.named(ctx, k.name())
	if err != nil {
		return err
	}
	if c.ID == k.Old {
		return errors.New("the container was left as it was")
	}
	k.New = c.ID
	r.renamed[k.Old] = k.New
	return r.check(ctx, k)
}

// stop stops the old container, which must not be started again by its restart policy meanwhile.
func (r *recreation) stop(ctx context.Context, k *remake) error {
	e := k.engine
	c, err := e.byID(ctx, k.Old)
	if err != nil {
		return err
	}
	if c.HostConfig != nil && !c.HostConfig.AutoRemove && !e.libpod.Load() { // Podman does not start again what it was told to stop
		if _, err := e.api.ContainerUpdate(ctx, k.Old, client.ContainerUpdateOptions{RestartPolicy: &container.RestartPolicy{Name: container.RestartPolicyDisabled}}); err != nil {
			return err
		}
	}
	if c.State != nil && c.State.Paused {
		if _, err := e.api.ContainerUnpause(ctx, k.Old, client.ContainerUnpauseOptions{}); err != nil {
			return err
		}
	}
	if _, err := e.api.ContainerStop(ctx, k.Old, client.ContainerStopOptions{Timeout: k.steer.stop}); err != nil {
		return err
	}
	if c, err := e.byID(ctx, k.Old); err == nil && c.State != nil && c.State.ExitCode == killedCode {
		r.say("  %s: it did not end in the time that it has for that, and was killed", k.Change.Name)
	}
	return nil
}

// killedCode is what a program ends with that SIGKILL ended.
const killedCode = 137

// pause pauses a container, unless it is paused.
func (e *engine) pause(ctx context.Context, id string) error {
	c, err := e.byID(ctx, id)
	if err != nil || c.State != nil && c.State.Paused {
		return err
	}
	_, err = e.api.ContainerPause(ctx, id, client.ContainerPauseOptions{})
	return err
}

// commit removes the old containers, now that the new ones run. From here on nothing goes back.
func (r *recreation) commit(ctx context.Context, set []*remake) error {
	for _, k := range set {
		k.State = remakeMade
	}
	if err := r.note(); err != nil {
		return r.giveUp(ctx, set, err)
	}
	for _, k := range slices.Backward(set) {
		if err := r.step(ctx, k, "remove the old one", func(ctx context.Context) error { return k.engine.removeOld(ctx, k.Old) }); err != nil {
			k.Left = k.Aside
			r.say("  %s: %v", k.Change.Name, err)
		}
		k.State = remakeDone
	}
	for _, k := range set {
		r.keep(ctx, k)
	}
	return r.note()
}

// removeOld removes a container that has ended. Its volumes are never removed.
func (e *engine) removeOld(ctx context.Context, id string) error {
	_, err := e.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
	if errdefs.IsNotFound(err) {
		return nil
	}
	if c, gone := e.byID(ctx, id); errdefs.IsNotFound(gone) || gone == nil && c.HostConfig != nil && c.HostConfig.AutoRemove {
		return nil // it goes by itself (--rm)
	}
	return err
}
