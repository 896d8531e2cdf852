package docker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"redflag/internal/fleet"
	"redflag/internal/registry"
)

// details is what the engine says of one image when it is asked for it. That costs a request, and is needed only where a digest
// differs or a version is shown.
type details struct {
	platform registry.Platform
	created  time.Time
	labels   map[string]string
	env      []string
	runs     behaviour
	// manifests are the images of an index that are here (containerd's store, API ≥ 1.48).
	manifests []registry.Child
	// origin says whether the engine itself knows where the image came from (API ≥ 1.53), and pulledFrom what it knows: the
	// repositories that it was pulled from or pushed to.
	origin     bool
	pulledFrom []string
}

type detailsKey struct {
	id       fleet.ImageID
	platform registry.Platform
}

// details inspects an image, once in a scan. The platform is given where a container runs another one than the engine would choose
// from an index.
func (e *engine) details(ctx context.Context, id fleet.ImageID, p registry.Platform) (details, error) {
	key := detailsKey{id, p}
	e.mu.Lock()
	inspect, ok := e.inspections[key]
	if !ok {
		inspect = sync.OnceValues(func() (details, error) { return e.inspectImage(ctx, id, p) })
		e.inspections[key] = inspect
	}
	e.mu.Unlock()
	return inspect()
}

func (e *engine) inspectImage(ctx context.Context, id fleet.ImageID, p registry.Platform) (d details, err error) {
	e.places <- struct{}{}
	defer func() { <-e.places }()
	err = e.ask(ctx, func(ctx context.Context) error {
		r, err := e.api.ImageInspect(ctx, string(id), e.inspectOptions(p)...)
		d = detailsOf(r.InspectResponse)
		return err
	})
	if err != nil {
		return details{}, fmt.Errorf("inspect its image: %w", err)
	}
	if p != (registry.Platform{}) {
		d.platform = p
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.learnt[id] = d
	return d, nil
}

// already gives what this scan has learnt of an image, without asking for more.
func (e *engine) already(id fleet.ImageID) (details, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d, ok := e.learnt[id]
	return d, ok
}

// inspectOptions asks for one platform, or for the list of those that are here; the API does not give both.
func (e *engine) inspectOptions(p registry.Platform) []client.ImageInspectOption {
	speaks := e.api.ClientVersion()
	switch {
	case p != (registry.Platform{}) && versions.GreaterThanOrEqualTo(speaks, "1.49"):
		return []client.ImageInspectOption{client.ImageInspectWithPlatform(&ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant})}
	case versions.GreaterThanOrEqualTo(speaks, "1.48"):
		return []client.ImageInspectOption{client.ImageInspectWithManifests(true)}
	}
	return nil
}

func detailsOf(r image.InspectResponse) details {
	d := details{platform: platform(r.Os, r.Architecture, r.Variant)}
	// A date that cannot be read is none.
	d.created, _ = time.Parse(time.RFC3339Nano, r.Created)
	d.created = d.created.UTC()
	if r.Config != nil {
		c := r.Config
		d.labels, d.env = c.Labels, c.Env
		d.runs = behaviour{c.Entrypoint, c.Cmd, c.User, c.WorkingDir, keysOf(c.ExposedPorts), keysOf(c.Volumes), true}
	}
	for _, m := range r.Manifests {
		if m.Kind == image.ManifestKindImage && m.ImageData != nil && m.Available {
			p := m.ImageData.Platform
			d.manifests = append(d.manifests, registry.Child{
				Digest:   fleet.Digest(m.Descriptor.Digest),
				Platform: platform(p.OS, p.Architecture, p.Variant),
			})
		}
	}
	if id := r.Identity; id != nil && len(id.Pull)+len(id.Build) > 0 {
		d.origin = true
		for _, pull := range id.Pull {
			if named, err := reference.ParseNormalizedNamed(pull.Repository); err == nil {
				d.pulledFrom = append(d.pulledFrom, named.Name())
			}
		}
	}
	return d
}

// manifest gives the image of an index that is here for a platform; empty where the engine does not say.
func (d details) manifest(p registry.Platform) fleet.Digest {
	child, err := registry.Content{Children: d.manifests}.Select(p)
	if err != nil {
		return ""
	}
	return child.Digest
}
