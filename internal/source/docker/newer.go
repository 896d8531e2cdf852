package docker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
	"redflag/internal/registry"
	"redflag/internal/tag"
)

// offers are the newer version tags of all subjects. They stand beside the answers and change none.
type offers struct {
	updates []fleet.Update
	// unknown says for a reference why it is not known whether there are any.
	unknown map[string]error
}

func (o offers) unknownOf(s *subject) error {
	if s.ref == nil {
		return nil
	}
	return o.unknown[s.ref.String()]
}

// newerTags looks for newer version tags of every image that a registry has answered for, once for each reference.
func (j *judge) newerTags(ctx context.Context, subjects []*subject, verdicts []verdict) offers {
	families := map[string][]*subject{}
	var names []string
	for i, s := range subjects {
		switch verdicts[i].answer {
		case fleet.Current, fleet.Outdated, fleet.Gone:
		default:
			continue
		}
		if s.ref == nil || verdicts[i].own || !tag.Versioned(s.ref.Tag()) {
			continue
		}
		name := s.ref.String()
		if families[name] == nil {
			names = append(names, name)
		}
		families[name] = append(families[name], s)
	}
	found := make([][]fleet.Update, len(names))
	errs := make([]error, len(names))
	each(len(names), func(i int) {
		v := j.guard(func() *verdict {
			updates, err := j.newerThan(ctx, families[names[i]])
			return &verdict{updates: updates, err: err}
		})
		found[i], errs[i] = v.updates, v.err
	})
	o := offers{unknown: map[string]error{}}
	for i, name := range names {
		o.updates = append(o.updates, found[i]...)
		if errs[i] != nil {
			o.unknown[name] = errs[i]
		}
	}
	return o
}

// newerThan offers the best newer tags to subjects of one reference: to each platform what there is for it.
func (j *judge) newerThan(ctx context.Context, family []*subject) ([]fleet.Update, error) {
	ref := family[0].ref
	tags, err := j.reg.Tags(ctx, reference.TrimNamed(ref))
	if err != nil {
		return nil, err
	}
	if tag.Newer(ref.Tag(), tags) == (tag.Best{}) {
		return nil, nil
	}
	platforms := map[registry.Platform][]*subject{}
	var order []registry.Platform
	for _, s := range family {
		p, err := s.platformOf(ctx, s.image)
		if err != nil {
			return nil, err
		}
		if platforms[p] == nil {
			order = append(order, p)
		}
		platforms[p] = append(platforms[p], s)
	}
	var updates []fleet.Update
	var errs []error
	for _, p := range order {
		best, err := j.best(ctx, platforms[p], p, tags)
		updates = append(updates, best...)
		errs = append(errs, err)
	}
	return updates, errors.Join(errs...)
}

// tagsAge is how old the answer to what a newer tag points to may be: as old as the list that the tag is from.
const tagsAge = 24 * time.Hour

// maxTries bounds how many tags of one level are looked at, where the newest ones are not for the platform.
const maxTries = 3

// best offers the newest tag of each level that has content for the platform, and other content than runs.
func (j *judge) best(ctx context.Context, same []*subject, p registry.Platform, tags []string) ([]fleet.Update, error) {
	var updates []fleet.Update
	tags = slices.Clone(tags)
	for _, level := range []fleet.Level{fleet.Patch, fleet.Minor, fleet.Major} {
		for range maxTries {
			candidate := ofLevel(tag.Newer(same[0].ref.Tag(), tags), level)
			if candidate == "" {
				break
			}
			ok, err := j.isFor(ctx, same, p, candidate)
			unchecked := errors.Is(err, registry.ErrBudget)
			if err != nil && !unchecked {
				return updates, err
			}
			if ok || unchecked {
				u := version(ctx, same, level, candidate)
				if unchecked {
					u.Note = sentence(u.Note, noteUnchecked)
				}
				updates = append(updates, u)
				break
			}
			tags = slices.DeleteFunc(tags, func(t string) bool { return t == candidate })
		}
	}
	return updates, nil
}

// noteUnchecked: the tag is there and is newer; to look behind it would cost a pull that is kept for the engine.
const noteUnchecked = "whether it is made for this platform was not looked at: few pulls are left"

func ofLevel(b tag.Best, level fleet.Level) string {
	switch level {
	case fleet.Patch:
		return b.Patch
	case fleet.Minor:
		return b.Minor
	default:
		return b.Major
	}
}

// isFor says whether a tag has content for a platform, and other content than runs already.
func (j *judge) isFor(ctx context.Context, same []*subject, p registry.Platform, candidate string) (bool, error) {
	s := same[0]
	ref, err := reference.WithTag(reference.TrimNamed(s.ref), candidate)
	if err != nil {
		return false, nil //nolint:nilerr // a list of tags may hold anything
	}
	answer, err := j.reg.ResolveWithin(ctx, ref, tagsAge)
	if errors.Is(err, registry.ErrGone) || errors.Is(err, registry.ErrSchema1) {
		return false, nil // deleted since the list was made, or too old to run
	}
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(same, func(s *subject) bool { return s.has(s.image, s.manifest, answer.Digest) }) {
		return false, nil
	}
	at, err := s.at(answer.Digest)
	if err != nil {
		return false, err
	}
	content, err := j.reg.OptionalContent(ctx, at)
	if errors.Is(err, registry.ErrSchema1) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if content.Children != nil {
		_, err := content.Select(p)
		return err == nil, nil
	}
	config, err := j.reg.ImageConfig(ctx, s.ref, content.Config)
	if err != nil {
		return false, err
	}
	return config.Platform.OS == p.OS && config.Platform.Architecture == p.Architecture, nil
}

// version is the update to another tag. Its versions are the tags' own: what the images' labels say of the newer one would cost a pull.
func version(ctx context.Context, same []*subject, level fleet.Level, to string) fleet.Update {
	s := same[0]
	u := draft{fleet.Update{
		Name: s.name, From: s.ref.Tag(), To: to, Origin: reference.Domain(s.ref),
		ImageUpdate: &fleet.ImageUpdate{Kind: fleet.Version, Level: level},
	}}
	for _, s := range same {
		u.Containers = append(u.Containers, s.containers...)
		if s.owner != "" {
			u.Note = s.owner
		}
	}
	slices.Sort(u.Containers)
	if d, err := s.engine.details(ctx, s.image.id, s.platform); err == nil {
		u.runs(s.ref, d)
		u.SourceURL, u.ReleaseNotes = links(d.labels, "")
	}
	u.FromVersion, u.ToVersion = s.ref.Tag(), to
	return u.Update
}
