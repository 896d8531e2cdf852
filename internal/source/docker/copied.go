package docker

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"redflag/internal/fleet"
)

const (
	// maxLooks bounds how many changed files of a container are looked at: programs that write into their own container may have thousands.
	maxLooks = 200
	// copyTime is how long Compose takes between the making of a container and its last file.
	copyTime = 2 * time.Second
)

// secretDirs are where Compose puts what stands in its own files, or in its environment, under configs and secrets.
var secretDirs = []string{"/run/secrets/", "/run/configs/"}

// copiedInto names a file that Compose copied into a container when it made it; empty where there is none. Such a file is no mount, and a container that
// is made anew without Compose would lack it. It is told from what the program has written since by its time: it was there before the first start.
func (e *engine) copiedInto(ctx context.Context, c container.InspectResponse) (string, error) {
	if !isComposed(c.Config.Labels) {
		return "", nil
	}
	r, err := e.api.ContainerDiff(ctx, c.ID, client.ContainerDiffOptions{})
	if err != nil {
		return "", err
	}
	var rest []string
	for _, change := range r.Changes {
		switch {
		case change.Kind != container.ChangeAdd || isMounted(c, change.Path):
		case !slices.ContainsFunc(secretDirs, func(dir string) bool { return strings.HasPrefix(change.Path, dir) }):
			rest = append(rest, change.Path)
		case e.fileIn(ctx, c.ID, change.Path) != nil:
			return fleet.Plain(change.Path), nil
		}
	}
	for _, path := range rest[:min(len(rest), maxLooks)] {
		if file := e.fileIn(ctx, c.ID, path); file != nil && beforeStart(c, file.Mtime) {
			return fleet.Plain(path), nil
		}
	}
	return "", nil
}

// fileIn describes a file in a container; nil where there is none, or something else.
func (e *engine) fileIn(ctx context.Context, id, path string) *container.PathStat {
	r, err := e.api.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: path})
	if err != nil || !r.Stat.Mode.IsRegular() {
		return nil // a folder on the way, or gone meanwhile
	}
	return &r.Stat
}

// beforeStart says whether a file was there before a container ran for the first time, as far as its dates tell. A container that was restarted
// says when it was started last; then only what came with its making counts.
func beforeStart(c container.InspectResponse, at time.Time) bool {
	made, err := time.Parse(time.RFC3339Nano, c.Created)
	if err != nil {
		return true
	}
	end := made.Add(copyTime)
	if started, err := time.Parse(time.RFC3339Nano, c.State.StartedAt); err == nil && started.After(made) && started.Before(end) {
		end = started
	}
	if at.Nanosecond() == 0 { // it came out of an archive, whose dates are rounded to seconds
		end = end.Add(time.Second)
	}
	return at.Before(end)
}

// isMounted says whether a path is a mount, or in one: the engine makes files for those to be mounted on.
func isMounted(c container.InspectResponse, path string) bool {
	return slices.ContainsFunc(c.Mounts, func(m container.MountPoint) bool {
		return path == m.Destination || strings.HasPrefix(path, strings.TrimSuffix(m.Destination, "/")+"/")
	})
}
