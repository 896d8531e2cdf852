package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"redflag/internal/fleet"
	"redflag/internal/registry"
)

// standing is how an image of this host stands to what a tag points to.
type standing struct {
	// same: for the image's platform, the tag's content is the image.
	same   bool
	remark string
	// What the tag has instead: its digest, the bytes of its layers, its config as far as it could be read.
	digest fleet.Digest
	size   int64
	config registry.ImageConfig
	// note is a caution where the comparison was not certain.
	note string
}

// against compares an image with what a tag points to. The manifest is the image of an index that a container runs, where
// the engine says. Nothing is asked where the digest itself is known; else what lies behind it decides, for the
// platform of the image (and not of the host).
func (j *judge) against(ctx context.Context, s *subject, img *stored, manifest fleet.Digest, tag registry.Answer) (standing, error) {
	if s.has(img, manifest, tag.Digest) {
		j.noteOrigin(s, tag.Digest)
		return standing{same: true}, nil
	}
	platform, err := s.platformOf(ctx, img)
	if err != nil {
		return standing{}, err
	}
	content, err := j.content(ctx, s, tag.Digest)
	if err != nil {
		return standing{}, fmt.Errorf("read what the tag points to: %w", err)
	}
	if content.Children != nil {
		child, err := content.Select(platform)
		if errors.Is(err, registry.ErrNoPlatform) {
			return standing{same: true, remark: dropped(platform)}, nil
		}
		if err != nil {
			return standing{}, err
		}
		if s.has(img, manifest, child.Digest) || s.store == containerd && j.manifestOf(ctx, s, img, manifest) == child.Digest {
			return standing{same: true}, nil
		}
		if content, err = j.content(ctx, s, child.Digest); err != nil {
			return standing{}, fmt.Errorf("read the image for %s: %w", platform, err)
		}
	}
	return j.byConfig(ctx, s, img, manifest, platform, tag.Digest, content)
}

// byConfig compares by what an image is, whatever its layers are packed in.
func (j *judge) byConfig(
	ctx context.Context, s *subject, img *stored, manifest fleet.Digest, platform registry.Platform, tag fleet.Digest, content registry.Content,
) (standing, error) {
	ours, note := j.configOf(ctx, s, img, manifest)
	if ours == content.Config {
		return standing{same: true, remark: "the tag has another digest now, with the same image behind it"}, nil
	}
	there := standing{digest: tag, size: content.Size, note: note}
	config, err := j.reg.ImageConfig(ctx, s.ref, content.Config)
	if err != nil {
		// That it differs is certain; what it is called is not worth losing the answer.
		there.note = sentence(there.note, "what it contains could not be read")
		return there, nil //nolint:nilerr // the note says it
	}
	if p := config.Platform; p.Architecture != "" && (p.OS != platform.OS || p.Architecture != platform.Architecture) {
		return standing{same: true, remark: dropped(platform)}, nil
	}
	there.config = config
	return there, nil
}

func dropped(p registry.Platform) string {
	return "the tag has no image for " + p.String() + " any more: what runs is the last one"
}

// configOf gives the config of an image on this host. An ID is that in the classic store and in Podman's. Containerd's store names
// manifests: theirs is asked of the registry, which may have deleted it; then there is a caution instead.
func (j *judge) configOf(ctx context.Context, s *subject, img *stored, manifest fleet.Digest) (config fleet.ImageID, caution string) {
	if s.store != containerd {
		return img.id, ""
	}
	if manifest = j.manifestOf(ctx, s, img, manifest); manifest != "" {
		if content, err := j.content(ctx, s, manifest); err == nil {
			return content.Config, ""
		}
	}
	return "", "compared by digest alone: what runs here could not be read at the registry"
}

// manifestOf gives the manifest of an image in containerd's store, whose ID may be an index's: the one that the container is known to
// run, or that the engine has (API ≥ 1.48), or that the index has at the registry. Empty where none of them says.
func (j *judge) manifestOf(ctx context.Context, s *subject, img *stored, known fleet.Digest) fleet.Digest {
	if known != "" {
		return known
	}
	platform, err := s.platformOf(ctx, img)
	if err != nil {
		return ""
	}
	if d, err := s.engine.details(ctx, img.id, registry.Platform{}); err == nil && len(d.manifests) > 0 {
		return d.manifest(platform)
	}
	content, err := j.content(ctx, s, img.target())
	if err != nil {
		return ""
	}
	if content.Children == nil {
		return img.target()
	}
	child, err := content.Select(platform)
	if err != nil {
		return ""
	}
	return child.Digest
}

// moved says whether the tag means other content on this host than the container runs. In containerd's store an ID also
// changes when another platform's image did; the manifests tell.
func (j *judge) moved(ctx context.Context, s *subject) bool {
	if s.here == nil || s.store != containerd {
		return s.here != nil
	}
	ours := j.manifestOf(ctx, s, s.image, s.manifest)
	return ours == "" || ours != j.manifestOf(ctx, s, s.here, "")
}

// has says whether a digest is one that an image is known by.
func (s *subject) has(img *stored, manifest, d fleet.Digest) bool {
	return d == manifest || img.hasDigest(d) || s.store == containerd && d == img.target()
}

// content asks the subject's registry what lies behind a digest.
func (j *judge) content(ctx context.Context, s *subject, d fleet.Digest) (registry.Content, error) {
	ref, err := s.at(d)
	if err != nil {
		return registry.Content{}, err
	}
	return j.reg.Content(ctx, ref)
}

// at names content of the subject's repository.
func (s *subject) at(d fleet.Digest) (reference.Canonical, error) {
	c, err := reference.WithDigest(reference.TrimNamed(s.ref), digest.Digest(d))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", fleet.Plain(string(d)), err)
	}
	return c, nil
}

// platformOf gives the platform of an image on this host. One that was deleted by force had, as far as can be known, that of the image
// which has its tag now.
func (s *subject) platformOf(ctx context.Context, img *stored) (registry.Platform, error) {
	if s.platform != (registry.Platform{}) {
		return s.platform, nil
	}
	if s.here != nil && errdefs.IsNotFound(img.err) {
		img = s.here
	}
	d, err := s.engine.details(ctx, img.id, registry.Platform{})
	return d.platform, err
}

// noteOrigin keeps in mind that a registry has had what runs. When the tag is deleted, its content often goes with it, and nothing
// would tell the image from one that was built here.
func (j *judge) noteOrigin(s *subject, d fleet.Digest) {
	if ref, err := s.at(d); err == nil && s.store != classic {
		j.reg.NoteExists(ref)
	}
}

// maxOrigins is how many digests of an image are asked for. Podman keeps one for each index that it came in, most of which a registry
// may have cleaned up: sixteen are four months of weekly builds. The first that is known ends it, for ever.
const maxOrigins = 16

// cameFrom says whether an image came from the repository that its reference names (or went there). In the classic store a
// digest of that repository proves it. Elsewhere every image has digests: there the engine knows it from API 1.53 on, and
// before that the registry knows the digest, or does not.
func (j *judge) cameFrom(ctx context.Context, s *subject) (bool, error) {
	repo := s.ref.Name()
	digests := s.digests()
	if s.store == classic && slices.ContainsFunc(digests, func(d repoDigest) bool { return d.repo == repo }) {
		return true, nil
	}
	if s.store == containerd {
		d, err := s.engine.details(ctx, s.image.id, s.platform)
		switch {
		case err != nil || !d.origin:
		case slices.Contains(d.pulledFrom, repo):
			return true, nil
		case len(d.pulledFrom) == 0: // built here, and never pushed
			return false, nil
		}
	}
	for _, d := range distinct(digests) {
		ref, err := s.at(d)
		if err != nil {
			return false, err
		}
		known, err := j.reg.Exists(ctx, ref)
		switch {
		case known:
			return true, nil
		case errors.Is(err, registry.ErrDenied) && strings.HasPrefix(repo, officialImages):
			return false, nil
		case err != nil:
			return false, err
		}
	}
	return false, nil
}

// officialImages are public, every one of them: what is denied among them does not exist.
const officialImages = "docker.io/library/"

// digests gives those by which a registry would know the subject's images: that of the container, and that of the tag on this
// host, because an image that has lost its tag may have lost its digests with it.
func (s *subject) digests() []repoDigest {
	var list []repoDigest
	for _, img := range []*stored{s.image, s.here} {
		if img == nil {
			continue
		}
		if s.store == containerd {
			list = append(list, repoDigest{digest: img.target()})
		}
		list = append(list, img.digests...)
	}
	return list
}

// distinct gives each digest once, and no more than are worth asking for.
func distinct(list []repoDigest) []fleet.Digest {
	var digests []fleet.Digest
	for _, d := range list {
		if !slices.Contains(digests, d.digest) && len(digests) < maxOrigins {
			digests = append(digests, d.digest)
		}
	}
	return digests
}

// sentence joins the parts that there are. Of parts that are long together the end is cut.
func sentence(parts ...string) string {
	parts = slices.DeleteFunc(slices.Clone(parts), func(p string) bool { return p == "" })
	return fleet.Plain(strings.Join(parts, "; "))
}
