package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"redflag/internal/machine"
)

// keptFile lists the old images that are kept for an undo. It lies beside the jobs, because it outlives each.
const keptFile = "kept-images.json"

// generations gives for each container (its engine, and its name) the IDs of the images that it ran, the newest first.
type generations map[string][]string

// keep writes down the image that a container ran, and removes those that are older than what is kept of it. Nothing that goes wrong here is worth
// a job's success: the next one tries again.
func (r *recreation) keep(ctx context.Context, k *remake) {
	if k.OldImage == k.Image {
		return
	}
	file := path.Join(path.Dir(r.w.Dir), keptFile)
	all := generations{}
	data, err := r.m.ReadFile(file, maxAnswer)
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.say("  old images are not removed: %v", err)
		return
	}
	dropped := all.add(k.Host+" "+k.Change.Name, k.OldImage, k.Image, k.steer.keep)
	dropped = append(dropped, all.forget(ctx, k.engine)...)
	for _, id := range dropped {
		if !all.has(id) {
			r.removeImage(ctx, k.engine, id)
		}
	}
	data, err = json.Marshal(all)
	if err == nil {
		err = machine.WriteFile(r.m.Path(file), data, 0o600)
	}
	if err != nil {
		r.say("  the list of old images is not written: %v", err)
	}
}

// add puts an image before the others of a container, and gives those that are too many then. The one that runs now is none of them.
func (all generations) add(container, old, now string, limit int) (dropped []string) {
	list := slices.DeleteFunc(slices.Clone(all[container]), func(id string) bool { return id == old || id == now })
	list = slices.Insert(list, 0, old)
	limit = min(limit, len(list))
	all[container] = list[:limit]
	if limit == 0 {
		delete(all, container)
	}
	return slices.Clone(list[limit:])
}

// forget takes out the containers of an engine that are gone, and gives their images.
func (all generations) forget(ctx context.Context, e *engine) (dropped []string) {
	r, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil
	}
	there := map[string]bool{}
	for _, c := range r.Items {
		there[e.host+" "+e.called(nameOf(c))] = true
	}
	for _, container := range slices.Collect(maps.Keys(all)) {
		if len(container) > len(e.host) && container[:len(e.host)+1] == e.host+" " && !there[container] {
			dropped = append(dropped, all[container]...)
			delete(all, container)
		}
	}
	return dropped
}

func (all generations) has(id string) bool {
	for _, list := range all {
		if slices.Contains(list, id) {
			return true
		}
	}
	return false
}

// removeImage removes an image that nothing uses: no tag, and no container, whether it runs or not. It is never forced.
func (r *recreation) removeImage(ctx context.Context, e *engine, id string) {
	image, err := e.api.ImageInspect(ctx, id)
	if err != nil || len(image.RepoTags) > 0 {
		return // gone already, or somebody has a name for it
	}
	list, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return // the next job tries again
	}
	for _, c := range list.Items {
		if c.ImageID == id {
			return
		}
	}
	if _, err := e.api.ImageRemove(ctx, id, client.ImageRemoveOptions{PruneChildren: true}); err != nil && !errdefs.IsNotFound(err) {
		r.say("  the old image %s is not removed: %v", id, err)
		return
	}
	r.say("  the old image %s is removed", id)
}
