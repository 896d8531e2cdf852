package docker

import (
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"redflag/internal/fleet"
	"redflag/internal/registry"
)

// inventory is what an engine has, as its lists say.
type inventory struct {
	containers []running
	images     map[fleet.ImageID]*stored
	// tagged says which image a tag (docker.io/library/nginx:1.25) means here.
	tagged map[string]fleet.ImageID
	store  store
}

// store is how an engine keeps images. It decides what an ID is and what a digest beside an image proves.
type store int

const (
	// classic: an ID is a config's digest, and RepoDigests are filled by a pull or a push alone.
	classic store = iota
	// containerd: an ID is the digest of a manifest or an index, and every image has RepoDigests, pulled or not.
	containerd
	// libpod, Podman's: an ID is a config's digest, and every image that has a name has RepoDigests, pulled or not.
	libpod
)

// running is a container, whether or not it runs now.
type running struct {
	id, name string
	// asked is the reference that it was made from, as the engine gives it.
	asked string
	image fleet.ImageID
	// manifest and platform say which image of an index it runs; empty where the engine does not say (API < 1.48, classic store).
	manifest fleet.Digest
	platform registry.Platform
	labels   map[string]string
	// err says why asked could not be learnt.
	err error
}

// stored is an image that the engine has.
type stored struct {
	id fleet.ImageID
	// tags are its names in full (docker.io/library/nginx:1.25), sorted; digests are what it is known as in registries.
	tags    []string
	digests []repoDigest
	// err is why nothing else is known of it.
	err error
}

// repoDigest is an entry of RepoDigests: a manifest or an index in a repository (docker.io/library/nginx).
type repoDigest struct {
	repo   string
	digest fleet.Digest
}

func takeInventory(containers []container.Summary, images []image.Summary, podman bool) inventory {
	inv := inventory{images: make(map[fleet.ImageID]*stored, len(images)), tagged: map[string]fleet.ImageID{}}
	for _, i := range images {
		img := &stored{id: imageID(i.ID), tags: tagsOf(i.RepoTags), digests: digestsOf(i.RepoDigests)}
		inv.images[img.id] = img
		for _, tag := range img.tags {
			inv.tagged[tag] = img.id
		}
		// An ID that is one of the image's own digests names a manifest, which is how containerd's store has it;
		// API 1.48 says so besides, by a descriptor.
		if i.Descriptor != nil || slices.ContainsFunc(img.digests, func(d repoDigest) bool { return string(d.digest) == i.ID }) {
			inv.store = containerd
		}
	}
	if podman {
		inv.store = libpod
	}
	for _, c := range containers {
		inv.containers = append(inv.containers, runningOf(c))
	}
	return inv
}

func runningOf(c container.Summary) running {
	r := running{id: c.ID, name: nameOf(c), asked: c.Image, image: imageID(c.ImageID), labels: c.Labels}
	if d := c.ImageManifestDescriptor; d != nil && d.Digest.Validate() == nil {
		r.manifest = fleet.Digest(d.Digest)
		if d.Platform != nil {
			r.platform = platform(d.Platform.OS, d.Platform.Architecture, d.Platform.Variant)
		}
	}
	return r
}

// imageID takes an ID as the engine gives it. It will be shown.
func imageID(s string) fleet.ImageID { return fleet.ImageID(fleet.Plain(s)) }

// platform takes a platform as the engine gives it. It will be shown.
func platform(os, architecture, variant string) registry.Platform {
	return registry.Platform{OS: fleet.Plain(os), Architecture: fleet.Plain(architecture), Variant: fleet.Plain(variant)}
}

// nameOf gives a container's own name; those with a second slash are what linked containers call it.
func nameOf(c container.Summary) string {
	for _, name := range c.Names {
		if name = strings.TrimPrefix(name, "/"); name != "" && !strings.Contains(name, "/") {
			return fleet.Plain(name)
		}
	}
	return fleet.Plain(shorten(c.ID))
}

func shorten(id string) string { return id[:min(len(id), 12)] }

// unlisted names the images that containers run and that are not in the list.
func (inv *inventory) unlisted() []fleet.ImageID {
	var ids []fleet.ImageID
	for _, c := range inv.containers {
		if c.image != "" && inv.images[c.image] == nil && !slices.Contains(ids, c.image) {
			ids = append(ids, c.image)
		}
	}
	return ids
}

// tagsOf reads RepoTags, leaving out <none>:<none> and whatever else names nothing.
func tagsOf(repoTags []string) []string {
	var tags []string
	for _, s := range repoTags {
		if named, err := reference.ParseNormalizedNamed(s); err == nil && !reference.IsNameOnly(named) {
			tags = append(tags, named.String())
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// digestsOf reads RepoDigests. The same one may come once for every tag (moby#48747).
func digestsOf(repoDigests []string) []repoDigest {
	var digests []repoDigest
	for _, s := range repoDigests {
		named, err := reference.ParseNormalizedNamed(s)
		if err != nil {
			continue
		}
		if c, ok := named.(reference.Canonical); ok {
			digests = append(digests, repoDigest{repo: c.Name(), digest: fleet.Digest(c.Digest())})
		}
	}
	slices.SortFunc(digests, func(a, b repoDigest) int {
		return strings.Compare(a.repo+"@"+string(a.digest), b.repo+"@"+string(b.digest))
	})
	return slices.Compact(digests)
}

// isFullID says whether a reference is an image's ID in full.
func isFullID(s string) bool { return strings.HasPrefix(s, "sha256:") }
