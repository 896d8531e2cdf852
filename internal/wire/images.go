package wire

import (
	"context"

	"redflag/internal/fleet"
)

// PathImages is where hosts ask what image registries say.
const PathImages = "/agent/v1/images"

// Bounds of a question about images.
const (
	// MaxReferences bounds the references of one question: a large host has 300 images.
	MaxReferences = 500
	// MaxReference bounds a reference in bytes: a repository has up to 255 and a tag 128 (distribution's reference grammar), which
	// leaves as much as a tag's for the registry's name.
	MaxReference = 512
	// MaxImages bounds the question when it is unpacked.
	MaxImages = 2 * MaxReferences * MaxReference
)

// ImageQuestions asks what registries say, so that a registry is asked once for a whole fleet. The server asks without
// credentials, and only the registries that it is configured to ask.
type ImageQuestions struct {
	Level int `json:"level"`
	// References have a tag and are in full: docker.io/library/nginx:1.27. Asked is what each tag points to.
	References []string `json:"references,omitempty"`
	// Repository is a name in full without a tag: docker.io/library/nginx. Asked are its tags; empty asks for none.
	Repository string `json:"repository,omitempty"`
}

// ImageAnswers is what the server knows. What is absent, whatever the reason, the agent asks of the registry itself.
type ImageAnswers struct {
	// Digests go by the reference as it was asked.
	Digests map[string]ImageDigest `json:"digests,omitempty"`
	Tags    *ImageTags             `json:"tags,omitempty"`
}

// ImageDigest is what a tag points to.
type ImageDigest struct {
	Digest    fleet.Digest `json:"digest"`
	MediaType string       `json:"media_type"`
	// Size of the manifest or index in bytes; 0 where the registry did not say.
	Size int64 `json:"size,omitempty"`
	// Age is how long ago the registry gave the answer, in seconds, rounded up: clocks of two machines differ.
	Age int64 `json:"age_seconds"`
}

// ImageTags are the tags of a repository.
type ImageTags struct {
	Tags []string `json:"tags"`
	// Age is as in [ImageDigest].
	Age int64 `json:"age_seconds"`
}

// Check holds questions to the bounds.
func (q *ImageQuestions) Check() error {
	if len(q.References) > MaxReferences {
		return bounds("more than %d references", MaxReferences)
	}
	for _, name := range append([]string{q.Repository}, q.References...) {
		if len(name) > MaxReference {
			return bounds("a name of over %d bytes", MaxReference)
		}
	}
	return nil
}

// Images asks what registries say.
func (c *Client) Images(ctx context.Context, q ImageQuestions) (ImageAnswers, error) {
	var got ImageAnswers
	err := c.post(ctx, PathImages, q, &got)
	return got, err
}
