package registry

import (
	"time"

	"redflag/internal/fleet"
)

// Answer is what a tag points to.
type Answer struct {
	Digest    fleet.Digest
	MediaType string
	// Size of the manifest or index in bytes; 0 when the registry did not say.
	Size int64
	// CheckedAt is when the registry gave the answer, and Host which one did: the mirror, where a mirror answered.
	CheckedAt time.Time
	Host      string
	// Cached: the answer is from the cache.
	Cached bool
	// Stale: the answer is older than the tag lifetime, given because the registry could not be asked; ResolveAll's Err says why.
	Stale bool
}

// Resolved is one answer of ResolveAll: an error, an answer, or both, an old answer and why there is no newer one.
type Resolved struct {
	Answer
	Err error
}

// Platform is what an image runs on, in the OCI image-spec's words.
type Platform struct {
	OS, Architecture, Variant string
}

// Content is what lies behind a digest: an index of several images, or one image's manifest.
type Content struct {
	Digest    fleet.Digest
	MediaType string
	// Children are the images of an index, without attestations; nil for a manifest.
	Children []Child
	// Config and Size are set for a manifest: the config's digest, and the bytes of all layers together, compressed.
	Config fleet.ImageID
	Size   int64
	// Layers are those of a manifest, the lowest first; nil for an index.
	Layers []Layer
	// Attestations are what an index has about its images; nil for a manifest.
	Attestations []Attestation
	// Annotations of the manifest or index.
	Annotations map[string]string
}

// Layer is one blob of a manifest.
type Layer struct {
	Digest    fleet.Digest
	MediaType string
	// Size is its bytes as they are sent.
	Size        int64
	Annotations map[string]string
}

// Attestation is a manifest whose layers say something about another one: BuildKit's provenance and SBOMs (docs.docker.com, attestation storage).
type Attestation struct {
	Digest fleet.Digest
	// Of is the image that it is about.
	Of fleet.Digest
}

// Child is one image of an index.
type Child struct {
	Digest   fleet.Digest
	Platform Platform
}

// ImageConfig is the part of an image's config that we use (OCI image-spec, config.md).
type ImageConfig struct {
	// Created is when the image was built; zero where it does not say.
	Created      time.Time
	Platform     Platform
	Labels       map[string]string
	Env          []string
	Entrypoint   []string
	Cmd          []string
	User         string
	WorkingDir   string
	ExposedPorts []string
	Volumes      []string
}

// Budget is what a registry last said of how many pulls are left.
type Budget struct {
	// Host is the registry's name in references.
	Host      string `json:"host"`
	Limit     int    `json:"limit"`
	Remaining int    `json:"remaining"`
	// Window is the span that the limit is for, in seconds.
	Window int `json:"window_seconds"`
	// Source is whom it is counted for: an address or an account.
	Source string    `json:"source,omitempty"`
	At     time.Time `json:"at"`
	// LimitedUntil is set while nothing is asked of the host because it said so.
	LimitedUntil time.Time `json:"limited_until,omitzero"`
}
