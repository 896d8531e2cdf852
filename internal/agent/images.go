package agent

import (
	"context"
	"slices"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/registry"
	"redflag/internal/wire"
)

// Images asks the fleet's server what image registries say, so that they are asked once for the whole fleet. It is a
// [registry.Shared], whose client judges what the server answers.
type Images struct {
	server *wire.Client
	now    func() time.Time
}

// NewImages makes one. The clock is that of the registry's client; nil means time.Now.
func NewImages(server *wire.Client, now func() time.Time) *Images {
	if now == nil {
		now = time.Now
	}
	return &Images{server: server, now: now}
}

// Digests implements [registry.Shared].
func (i *Images) Digests(ctx context.Context, refs []reference.NamedTagged) ([]registry.Answer, error) {
	var answers []registry.Answer
	for some := range slices.Chunk(refs, wire.MaxReferences) {
		q := wire.ImageQuestions{Level: wire.Level}
		for _, ref := range some {
			if name := ref.String(); len(name) <= wire.MaxReference {
				q.References = append(q.References, name)
			}
		}
		asked := i.now()
		got, err := i.server.Images(ctx, q)
		if err != nil {
			return nil, err
		}
		answers = append(answers, digestsOf(some, got.Digests, asked)...)
	}
	return answers, nil
}

// digestsOf puts the server's answers into the order of the references. It listens to nothing else.
func digestsOf(refs []reference.NamedTagged, digests map[string]wire.ImageDigest, asked time.Time) []registry.Answer {
	answers := make([]registry.Answer, len(refs))
	for n, ref := range refs {
		if d, ok := digests[ref.String()]; ok {
			answers[n] = registry.Answer{Digest: d.Digest, MediaType: d.MediaType, Size: d.Size, CheckedAt: before(asked, d.Age)}
		}
	}
	return answers
}

// TagList implements [registry.Shared].
func (i *Images) TagList(ctx context.Context, name reference.Named) (registry.TagList, error) {
	asked, repo := i.now(), reference.TrimNamed(name).String()
	if len(repo) > wire.MaxReference {
		return registry.TagList{}, nil
	}
	got, err := i.server.Images(ctx, wire.ImageQuestions{Level: wire.Level, Repository: repo})
	if err != nil || got.Tags == nil {
		return registry.TagList{}, err
	}
	return registry.TagList{Tags: got.Tags.Tags, CheckedAt: before(asked, got.Tags.Age)}, nil
}

// maxAge is far above the age of every answer that is of use, in seconds: a list of tags is kept for a day.
const maxAge = 30 * 24 * 60 * 60

// before gives the time of an answer that was so many seconds old when it came. It counts from when it was asked for, so that none
// is taken for younger than it is. An age that makes no sense gives the zero time, which nobody believes.
func before(asked time.Time, age int64) time.Time {
	if age < 0 || age > maxAge {
		return time.Time{}
	}
	return asked.Add(-time.Duration(age) * time.Second)
}
