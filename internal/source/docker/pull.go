package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Fetch implements source.Installer: every image is pulled by its digest and for its container's platform, so that what is run is what was approved,
// whatever is pushed meanwhile.
func (s *Source) Fetch(ctx context.Context, m *machine.Machine, p fleet.Plan, w source.Work) error {
	engines, err := s.engines(ctx, m)
	defer closeAll(engines)
	if err != nil {
		return err
	}
	d := &drafting{ctx: ctx, m: m, source: s, plan: &p, engines: engines}
	for _, c := range p.Changes {
		found, err := d.find(c.Name)
		if err != nil {
			return err
		}
		e := found.engine
		if id, err := e.imageAt(ctx, c); err == nil {
			fmt.Fprintf(w.Log, "%s: %s is here as %s\n", c.Name, c.To, id)
			continue
		}
		if err := e.enough(ctx, m, p); err != nil {
			return err
		}
		if err := s.pull(ctx, e, c, w); err != nil {
			return err
		}
	}
	return nil
}

// maxPull bounds one pull: 20 GB over a slow line.
const maxPull = 6 * time.Hour

// pinned gives an image's reference by the digest of a change.
func pinned(c fleet.Change) (reference.Named, string, error) {
	named, err := reference.ParseNormalizedNamed(c.Image)
	if err != nil {
		return nil, "", fmt.Errorf("%q is no image's name", fleet.Plain(c.Image))
	}
	return named, named.Name() + "@" + c.To, nil
}

// imageAt gives the ID under which the engine has the image of a change.
func (e *engine) imageAt(ctx context.Context, c fleet.Change) (string, error) {
	named, byDigest, err := pinned(c)
	if err != nil {
		return "", err
	}
	for _, ref := range []string{byDigest, c.To} { // a digest of a repository's, or the image's own ID
		r, err := e.api.ImageInspect(ctx, ref)
		if err == nil && platformFits(c.Arch, r.InspectResponse.Os, r.InspectResponse.Architecture) {
			return r.InspectResponse.ID, nil
		}
	}
	if id := e.nameless(ctx, c.To); id != "" {
		return id, nil
	}
	return "", fmt.Errorf("the engine does not have %s at %s", named.Name(), c.To)
}

// nameless gives the ID of an image of Podman's by its own digest, which leads to it no more once its name means another one. A digest is content, whatever its name.
func (e *engine) nameless(ctx context.Context, digest string) string {
	if !e.libpod.Load() {
		return ""
	}
	data, err := e.libpodGet(ctx, "/images/json?all=true")
	var list []struct{ ID, Digest string }
	if err != nil || json.Unmarshal(data, &list) != nil {
		return ""
	}
	for _, i := range list {
		if i.Digest == digest {
			return "sha256:" + strings.TrimPrefix(i.ID, "sha256:")
		}
	}
	return ""
}

// platformFits says whether an image is for the platform of its container, as far as the plan knows it.
func platformFits(platform, system, arch string) bool {
	parts := strings.Split(platform, "/")
	return len(parts) < 2 || parts[0] == system && parts[1] == arch
}

func (s *Source) pull(ctx context.Context, e *engine, c fleet.Change, w source.Work) error {
	named, byDigest, err := pinned(c)
	if err != nil {
		return err
	}
	failed := func(err error) error {
		return &fleet.Unknown{Because: fmt.Sprintf("%s cannot be pulled: %s", byDigest, fleet.Plain(err.Error())), Remedy: "try again, or see what its registry says: redflag image " + c.Image, Err: err}
	}
	opt := client.ImagePullOptions{}
	if e.isOurs() { // another user's engine has that user's own
		if opt.RegistryAuth, err = s.reg.EngineAuth(ctx, named); err != nil {
			return failed(err)
		}
	}
	if parts := strings.Split(c.Arch, "/"); len(parts) >= 2 {
		opt.Platforms = []ocispec.Platform{{OS: parts[0], Architecture: parts[1], Variant: strings.Join(parts[2:], "/")}}
	}
	fmt.Fprintf(w.Log, "%s: pull %s\n", c.Name, byDigest)
	ctx, cancel := context.WithTimeout(ctx, maxPull)
	defer cancel()
	r, err := e.api.ImagePull(ctx, byDigest, opt)
	if err != nil {
		return failed(err)
	}
	for message, err := range r.JSONMessages(ctx) {
		if err != nil {
			return failed(err)
		}
		if message.Error != nil {
			return failed(message.Error)
		}
		if message.Status != "" && message.Progress == nil {
			fmt.Fprintf(w.Log, "  %s %s\n", fleet.Plain(message.ID), fleet.Plain(message.Status))
		}
	}
	if _, err := e.imageAt(ctx, c); err != nil {
		return failed(err)
	}
	return nil
}
