package docker

import (
	"context"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
	"redflag/internal/registry"
)

// rebuild is the update to what the tag points to now. From is the digest that runs, as far as one is known.
func (j *judge) rebuild(ctx context.Context, s *subject, newer standing) fleet.Update {
	u := s.update(ctx, fleet.Rebuild)
	u.To, u.Size = string(newer.digest), newer.size
	u.Note = sentence(u.Note, newer.note)
	if d, err := s.engine.details(ctx, s.image.id, s.platform); err == nil {
		u.Changes = d.runs.changesTo(behaviourOf(newer.config))
	}
	u.towards(s.ref, newer.config.Labels, newer.config.Env, newer.config.Created)
	return u.Update
}

// recreate is the update to what the tag means on this host. Nothing has to be downloaded for it.
func (j *judge) recreate(ctx context.Context, s *subject) fleet.Update {
	u := s.update(ctx, fleet.Recreate)
	to := s.here.known(s)
	if u.To = string(to); to == "" {
		u.Note = sentence(u.Note, "what is here has no digest, its image ID is "+string(s.here.id))
	}
	if d, err := s.engine.details(ctx, s.here.id, s.platform); err == nil {
		u.towards(s.ref, d.labels, d.env, d.created)
		if runs, err := s.engine.details(ctx, s.image.id, s.platform); err == nil {
			u.Changes = runs.runs.changesTo(d.runs)
		}
	}
	if s.store == containerd && j.manifestOf(ctx, s, s.here, "") == "" {
		u.Note = sentence(u.Note, "compared by image ID alone: the content may be the same")
	}
	return u.Update
}

// draft is an update that is being written.
type draft struct {
	fleet.Update
}

// update fills in what runs.
func (s *subject) update(ctx context.Context, kind fleet.Kind) draft {
	u := draft{fleet.Update{Name: s.name, Origin: reference.Domain(s.ref), ImageUpdate: &fleet.ImageUpdate{Kind: kind, Containers: s.containers}}}
	from := s.image.known(s)
	if u.From = string(from); from == "" {
		u.Note = "what runs has no digest here, its image ID is " + string(s.image.id)
	}
	d, err := s.engine.details(ctx, s.image.id, s.platform)
	if err != nil {
		u.Note = sentence(u.Note, "what runs could not be looked at")
		return u
	}
	u.runs(s.ref, d)
	return u
}

// runs notes what is known of the image that runs.
func (u *draft) runs(ref reference.Named, d details) {
	u.Platform, u.Arch = platformText(d.platform), d.platform.Architecture
	u.FromVersion, u.FromCreated = versionOf(ref, d.labels, d.env), plausible(d.created)
}

// towards notes what is known of the newer image.
func (u *draft) towards(ref reference.Named, labels map[string]string, env []string, created time.Time) {
	u.ToVersion, u.ToCreated = versionOf(ref, labels, env), plausible(created)
	u.SourceURL, u.ReleaseNotes = links(labels, u.ToVersion)
	if !u.FromCreated.IsZero() && !u.ToCreated.IsZero() && u.ToCreated.Before(u.FromCreated) {
		u.Note = sentence(u.Note, "older build: rolled back?")
	}
}

// plausible leaves out dates that reproducible builds give: the beginning of some epoch.
func plausible(t time.Time) time.Time {
	if t.Year() < 2013 { // Docker's first release
		return time.Time{}
	}
	return t.UTC()
}

// known gives the digest by which an image is known: in the repository of its reference, else in another one, else the one that
// containerd's store has for an ID. An ID of the other stores is no digest, and none is made of it.
func (i *stored) known(s *subject) fleet.Digest {
	for _, d := range i.digests {
		if d.repo == s.ref.Name() {
			return d.digest
		}
	}
	switch {
	case len(i.digests) > 0:
		return i.digests[0].digest
	case s.store == containerd:
		return i.target()
	}
	return ""
}

// platformText gives a platform for people; empty where none is known.
func platformText(p registry.Platform) string {
	if p == (registry.Platform{}) {
		return ""
	}
	return fleet.Plain(p.String())
}
