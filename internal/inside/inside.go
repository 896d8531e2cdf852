// Package inside says which packages an image has: by the SBOM that its builder has attached, or by the package database in its layers, which are read only
// when somebody asks for that. Everything in an image is foreign: what is downloaded, unpacked and kept is bounded, and nothing of an image is run.
package inside

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/registry"
)

// Contents are the packages of one image.
type Contents struct {
	// Digest is the manifest's of the image for one platform.
	Digest fleet.Digest `json:"digest"`
	// By says where it was read.
	By By `json:"by"`
	// Distribution is the one that the image is made from, for people; empty where it does not say.
	Distribution string `json:"distribution"`
	// Packages are sorted; each has an ecosystem where it seems to be the distribution's own.
	Packages []fleet.Package `json:"packages"`
	// Unknown says what the list lacks, in words; empty where it is whole.
	Unknown string    `json:"unknown,omitempty"`
	ReadAt  time.Time `json:"read_at"`
}

// By is where an image's packages were read.
type By string

// Where it can be read.
const (
	BySBOM   By = "sbom"   // what its builder declares; nobody has verified it
	ByLayers By = "layers" // its package database
)

// Reader reads images.
type Reader struct {
	Registry *registry.Client
	// Dir is where is kept what was read, by digest and for good: an image does not change. Empty keeps nothing.
	Dir string
	// Runner runs this computer's rpm, on databases of images.
	Runner machine.Runner
	Now    func() time.Time
	// Told, where set, is told in words what is about to take long.
	Told func(words string)
}

// ErrUndeclared: the image has no SBOM, and its layers were not to be read.
var ErrUndeclared = errors.New("the image declares nothing of its packages")

// Look gives an image's packages: of a manifest, or of the image for a platform in an index. What was read before serves. With layers it may download all of the
// image, at most maxImage bytes.
func (r Reader) Look(ctx context.Context, ref reference.Canonical, platform registry.Platform, layers bool) (Contents, error) {
	image, attested, err := r.find(ctx, ref, platform)
	if err != nil {
		return Contents{}, err
	}
	asked := fleet.Digest(ref.Digest())
	if kept, ok := r.Recall(image.Digest, registry.Platform{}); ok && (kept.By == ByLayers || !layers) {
		return kept, r.keep(kept, asked, platform)
	}
	var found Contents
	switch {
	case layers:
		found, err = r.unpack(ctx, ref, image)
	case attested != "":
		found, err = r.declared(ctx, ref, attested)
	default:
		return Contents{}, &fleet.Unknown{
			Because: "which packages are in it is not known: it has no SBOM",
			Remedy:  fmt.Sprintf("`--layers` reads its package database, and downloads up to %d MB for that", image.Size>>20+1),
			Err:     ErrUndeclared,
		}
	}
	if err != nil {
		return Contents{}, err
	}
	found.Digest, found.ReadAt = image.Digest, r.Now().UTC()
	fleet.SortPackages(found.Packages)
	return found, r.keep(found, asked, platform)
}

// find gives the image behind a reference, and the manifest of what is attested about it; empty for none.
func (r Reader) find(ctx context.Context, ref reference.Canonical, platform registry.Platform) (image registry.Content, attested fleet.Digest, err error) {
	content, err := r.Registry.Content(ctx, ref)
	if err != nil || content.Children == nil {
		return content, "", err
	}
	child, err := content.Select(platform)
	if err != nil {
		return registry.Content{}, "", err
	}
	for _, a := range content.Attestations {
		if a.Of == child.Digest {
			attested = a.Digest
		}
	}
	at, err := registry.Canonical(ref, child.Digest)
	if err != nil {
		return registry.Content{}, "", err
	}
	image, err = r.Registry.Content(ctx, at)
	return image, attested, err
}
