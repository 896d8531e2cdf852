package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"sort"
	"time"

	"redflag/internal/fleet"
)

// Media types of what a registry may answer to a question about an image (OCI image-spec media-types.md; distribution's
// manifest v2 schema 2).
const (
	typeIndex      = "application/vnd.oci.image.index.v1+json"
	typeList       = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeManifest   = "application/vnd.oci.image.manifest.v1+json"
	typeManifestV2 = "application/vnd.docker.distribution.manifest.v2+json"
	typeSchema1    = "application/vnd.docker.distribution.manifest.v1+json"
	typeSchema1JWS = "application/vnd.docker.distribution.manifest.v1+prettyjws"
)

// acceptManifests asks for all four in one header, and never for schema 1: some registries then convert.
const acceptManifests = typeIndex + ", " + typeList + ", " + typeManifest + ", " + typeManifestV2

func isSchema1(contentType string) bool {
	t := mediaType(contentType)
	return t == typeSchema1 || t == typeSchema1JWS
}

func isManifest(contentType string) bool {
	switch mediaType(contentType) {
	case typeIndex, typeList, typeManifest, typeManifestV2:
		return true
	}
	return false
}

// mediaType takes the parameters off a Content-Type.
func mediaType(contentType string) string {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	return t
}

const (
	// maxManifest is what the distribution-spec asks registries to take, and so what a manifest may have.
	maxManifest = 4 << 20
	// maxConfig bounds an image's config: histories and labels of real ones stay under 1 MiB.
	maxConfig = 8 << 20
	// maxChildren bounds the images of an index and the layers of an image: engines stop at 127 layers.
	maxChildren = 4096
)

// manifestJSON is both an index and a manifest: which one is told by its fields, not by what a header claimed.
type manifestJSON struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Manifests     []descriptorJSON  `json:"manifests"`
	Config        *descriptorJSON   `json:"config"`
	Layers        []descriptorJSON  `json:"layers"`
	Annotations   map[string]string `json:"annotations"`
	FSLayers      json.RawMessage   `json:"fsLayers"`
}

type descriptorJSON struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    *platformJSON     `json:"platform"`
	Annotations map[string]string `json:"annotations"`
}

type platformJSON struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

func (p *platformJSON) platform() Platform {
	if p == nil {
		return Platform{}
	}
	return Platform{OS: fleet.Plain(p.OS), Architecture: fleet.Plain(p.Architecture), Variant: fleet.Plain(p.Variant)}
}

// parseContent reads the manifest or index that a digest stands for. The caller has verified the digest.
func parseContent(d fleet.Digest, data []byte) (Content, error) {
	var m manifestJSON
	if err := json.Unmarshal(data, &m); err != nil {
		return Content{}, fmt.Errorf("no JSON manifest: %w", err)
	}
	c := Content{Digest: d, MediaType: m.MediaType, Annotations: m.Annotations}
	switch {
	case m.SchemaVersion == 1 || m.FSLayers != nil || isSchema1(m.MediaType):
		return Content{}, ErrSchema1
	case len(m.Manifests) > maxChildren || len(m.Layers) > maxChildren:
		return Content{}, fmt.Errorf("more than %d entries", maxChildren)
	case m.Manifests != nil && (m.Config != nil || m.Layers != nil):
		return Content{}, errors.New("an index and a manifest at once")
	case m.Manifests != nil:
		return c, c.readChildren(m.Manifests)
	case m.Config != nil:
		return c, c.readImage(m)
	}
	return Content{}, errors.New("neither an index nor a manifest")
}

func (c *Content) readChildren(manifests []descriptorJSON) error {
	c.Children = []Child{}
	for _, m := range manifests {
		d, ok := validDigest(m.Digest)
		if !ok {
			return fmt.Errorf("an index with the digest %q", fleet.Plain(m.Digest))
		}
		if m.isAttestation() {
			if of, ok := validDigest(m.Annotations["vnd.docker.reference.digest"]); ok {
				c.Attestations = append(c.Attestations, Attestation{Digest: d, Of: of})
			}
			continue
		}
		c.Children = append(c.Children, Child{Digest: d, Platform: m.Platform.platform()})
	}
	return nil
}

// isAttestation tells what stands in an index but is no image: BuildKit's provenance and SBOMs (docs.docker.com, attestation
// storage).
func (m descriptorJSON) isAttestation() bool {
	if m.Annotations["vnd.docker.reference.type"] == "attestation-manifest" {
		return true
	}
	return m.Platform != nil && m.Platform.OS == "unknown" && m.Platform.Architecture == "unknown"
}

func (c *Content) readImage(m manifestJSON) error {
	d, ok := validDigest(m.Config.Digest)
	if !ok {
		return fmt.Errorf("a manifest with the config %q", fleet.Plain(m.Config.Digest))
	}
	c.Config = fleet.ImageID(d)
	for _, l := range m.Layers {
		if l.Size < 0 || l.Size > math.MaxInt64-c.Size {
			return errors.New("a layer of an impossible size")
		}
		c.Size += l.Size
		d, ok := validDigest(l.Digest)
		if !ok {
			return fmt.Errorf("a manifest with the layer %q", fleet.Plain(l.Digest))
		}
		c.Layers = append(c.Layers, Layer{Digest: d, MediaType: l.MediaType, Size: l.Size, Annotations: l.Annotations})
	}
	return nil
}

// configJSON is an image's config (image-spec config.md; Docker's has the same fields).
type configJSON struct {
	platformJSON
	Created string `json:"created"`
	Config  struct {
		Labels       map[string]string          `json:"Labels"`
		Env          []string                   `json:"Env"`
		Entrypoint   []string                   `json:"Entrypoint"`
		Cmd          []string                   `json:"Cmd"`
		User         string                     `json:"User"`
		WorkingDir   string                     `json:"WorkingDir"`
		ExposedPorts map[string]json.RawMessage `json:"ExposedPorts"`
		Volumes      map[string]json.RawMessage `json:"Volumes"`
	} `json:"config"`
}

// parseConfig reads an image's config. Its texts are as foreign as they came.
func parseConfig(data []byte) (ImageConfig, error) {
	var j configJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return ImageConfig{}, fmt.Errorf("no JSON config: %w", err)
	}
	created, err := time.Parse(time.RFC3339, j.Created)
	if err != nil || created.Unix() <= 0 {
		created = time.Time{} // reproducible builds have none, or the epoch
	}
	return ImageConfig{
		Created:      created.UTC(),
		Platform:     j.platform(),
		Labels:       j.Config.Labels,
		Env:          j.Config.Env,
		Entrypoint:   j.Config.Entrypoint,
		Cmd:          j.Config.Cmd,
		User:         j.Config.User,
		WorkingDir:   j.Config.WorkingDir,
		ExposedPorts: keys(j.Config.ExposedPorts),
		Volumes:      keys(j.Config.Volumes),
	}, nil
}

func keys(m map[string]json.RawMessage) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	sort.Strings(list)
	return list
}
