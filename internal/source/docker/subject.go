package docker

import (
	"cmp"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"redflag/internal/fleet"
	"redflag/internal/registry"
)

// subject is what one check is about: the containers of one engine that were made from the same reference and run the same
// image.
type subject struct {
	engine *engine
	store  store
	// name is the reference in its familiar form; ref is nil where there is no tag to ask for, and then settled is set.
	name       string
	ref        reference.NamedTagged
	containers []string
	image      *stored
	manifest   fleet.Digest
	platform   registry.Platform
	// here is the image that the tag means on this host, where that is another one than the containers run.
	here *stored
	// owner says who else decides what the containers run, and what to do there: a swarm service, a Kubernetes workload.
	owner string
	// tended are the containers that a person has told Podman to update.
	tended []string
	// remark is what a person should know beside the answer.
	remark string
	// settled is the answer where no registry has a part in it.
	settled *verdict
}

// group makes subjects of an engine's containers, sorted by name.
func group(e *engine, inv inventory) []*subject {
	type key struct {
		name     string
		image    fleet.ImageID
		manifest fleet.Digest
		owner    string
		remark   string
	}
	groups := map[key]*subject{}
	var list []*subject
	for _, c := range inv.containers {
		s := inv.subject(e, c)
		k := key{s.name, c.image, c.manifest, s.owner, s.remark}
		if known := groups[k]; known != nil {
			known.containers = append(known.containers, c.name)
			known.tended = append(known.tended, s.tended...)
			continue
		}
		groups[k] = s
		list = append(list, s)
	}
	for _, s := range list {
		slices.Sort(s.containers)
		slices.Sort(s.tended)
	}
	slices.SortStableFunc(list, func(a, b *subject) int {
		return cmp.Or(cmp.Compare(a.name, b.name), slices.Compare(a.containers, b.containers))
	})
	return list
}

// subject says what is asked about a container, and settles what needs no registry.
func (inv *inventory) subject(e *engine, c running) *subject {
	s := &subject{
		engine: e, store: inv.store, name: fleet.Plain(c.asked), containers: []string{c.name},
		image: inv.images[c.image], manifest: c.manifest, platform: c.platform, owner: ownerOf(c),
	}
	if policy := c.labels[labelAutoUpdate]; inv.store == libpod && c.labels[labelUnit] != "" && (policy == "registry" || policy == "image") {
		s.tended = []string{c.name}
	}
	switch {
	case c.err != nil:
		s.settled = unknown(c.err)
	case c.image == "":
		s.name = cmp.Or(s.name, "<none>")
		s.settled = &verdict{answer: fleet.LocalOnly, because: "runs from a folder, not from an image"}
	case inv.isID(c):
		inv.byID(s, c)
	default:
		s.byName(c.asked)
	}
	if s.ref != nil {
		s.name = fleet.Plain(reference.FamiliarString(s.ref))
		inv.place(s)
	}
	return s
}

// isID says whether a container was made from an image's ID, in full or in part, and not from a name that looks like one.
func (inv *inventory) isID(c running) bool {
	if isFullID(c.asked) {
		return true
	}
	const shortest = 4 // nobody types less, and names that are this hexadecimal are rare
	hex := strings.TrimPrefix(string(c.image), "sha256:")
	if len(c.asked) < shortest || !strings.HasPrefix(hex, c.asked) {
		return false
	}
	img := inv.images[c.image]
	named, err := reference.ParseNormalizedNamed(c.asked)
	return err != nil || img == nil || !slices.Contains(img.tags, reference.TagNameOnly(named).String())
}

// labelComposeImage is where Compose notes the ID of the image that it made a container from.
const labelComposeImage = "com.docker.compose.image"

// byID finds the tag behind an image's ID: one that the image has, else one of the image that Compose noted.
func (inv *inventory) byID(s *subject, c running) {
	for _, id := range []fleet.ImageID{c.image, fleet.ImageID(c.labels[labelComposeImage])} {
		img := inv.images[id]
		if img == nil || len(img.tags) == 0 {
			continue
		}
		s.byName(img.bestTag())
		s.remark = "runs by image ID; compared with the tag that this image has here"
		return
	}
	s.name = string(c.image)
	if s.owner != "" {
		// The kubelet runs every image by its ID; what was asked for stands in the workload alone.
		s.settled = &verdict{answer: fleet.ByDigest, because: s.owner}
		return
	}
	s.settled = &verdict{
		answer: fleet.CannotAnswer, because: "runs by image ID, and the image has no tag here to compare with",
		remedy: "make the container from a tag",
	}
}

// bestTag prefers a tag of a repository that the image is known in to one that it was given here.
func (i *stored) bestTag() string {
	for _, tag := range i.tags {
		if slices.ContainsFunc(i.digests, func(d repoDigest) bool { return strings.HasPrefix(tag, d.repo+":") }) {
			return tag
		}
	}
	return i.tags[0]
}

// byName reads the reference that a container was made from.
func (s *subject) byName(asked string) {
	named, err := reference.ParseNormalizedNamed(asked)
	if err != nil {
		s.settled = &verdict{
			answer: fleet.CannotAnswer, because: "its reference cannot be read: " + fleet.Plain(err.Error()), remedy: "make the container from a name and a tag",
		}
		return
	}
	s.name = fleet.Plain(reference.FamiliarString(named))
	if _, pinned := named.(reference.Digested); pinned {
		tagged, ok := named.(reference.Tagged)
		if !ok || !isSwarm(s.owner) {
			s.settled = &verdict{answer: fleet.ByDigest, because: s.owner}
			return
		}
		// Swarm adds the digest; the service was given the tag.
		named, _ = reference.WithTag(reference.TrimNamed(named), tagged.Tag())
	}
	s.ref, _ = reference.TagNameOnly(named).(reference.NamedTagged)
}

// place finds out how the container's image stands to what the tag means on this host, and settles what is only here.
func (inv *inventory) place(s *subject) {
	if id, ok := inv.tagged[s.ref.String()]; ok && id != s.image.id && !isSwarm(s.owner) {
		s.here = inv.images[id]
	}
	switch {
	case s.here != nil:
	case errdefs.IsNotFound(s.image.err):
		s.settled = &verdict{
			answer: fleet.CannotAnswer, because: "its image was deleted from " + s.engine.brand.title + " by force",
			remedy: "pull " + s.name + " and make the container anew", err: s.image.err,
		}
	case s.image.err != nil:
		s.settled = unknown(s.image.err)
	case inv.store != containerd && len(s.image.digests) == 0 && len(s.image.tags) == 0:
		s.settled = &verdict{
			answer: fleet.CannotAnswer, because: "the image has lost its names here, so that nothing says where it came from",
			remedy: "pull " + s.name + " or build it, and make the container anew",
		}
	case inv.store == classic && len(s.image.digests) == 0:
		s.settled = &verdict{answer: fleet.LocalOnly, because: becauseBuilt}
	case s.isOwnName():
		s.settled = &verdict{answer: fleet.LocalOnly, because: becauseBuilt}
	}
}

// isOwnName says whether a name is one that no registry has: Podman calls localhost/app what was built here as app.
func (s *subject) isOwnName() bool {
	return s.store != classic && reference.Domain(s.ref) == "localhost"
}

// hasDigest says whether an image is known by a digest, in whichever repository: a digest is content.
func (i *stored) hasDigest(d fleet.Digest) bool {
	return slices.ContainsFunc(i.digests, func(r repoDigest) bool { return r.digest == d })
}

// target is what an ID names in containerd's store: the manifest or index that the image was pulled or built as.
func (i *stored) target() fleet.Digest { return fleet.Digest(i.id) }
