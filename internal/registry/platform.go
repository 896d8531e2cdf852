package registry

import (
	"fmt"
	"strconv"
	"strings"

	"redflag/internal/fleet"
)

// String gives os/architecture[/variant].
func (p Platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// Select gives the child of an index for a platform, as the engine would choose it; ErrNoPlatform where there is none. An
// empty variant means arm/v7, arm64/v8 and amd64/v1 (containerd's platforms package). A processor also runs what was built
// for lower variants of its architecture, so of several the highest that fits is chosen. Another architecture is never chosen, even
// one that the host could run: what a container runs now is what it is compared with. One child that names no platform
// serves for any.
func (c Content) Select(p Platform) (Child, error) {
	want := rank(p.Architecture, p.Variant)
	best, bestRank := Child{}, -1
	var anonymous []Child
	for _, child := range c.Children {
		if child.Platform == (Platform{}) {
			anonymous = append(anonymous, child)
			continue
		}
		if child.Platform.OS != p.OS || child.Platform.Architecture != p.Architecture {
			continue
		}
		switch r := rank(p.Architecture, child.Platform.Variant); {
		case want >= 0 && r > bestRank && r <= want:
			best, bestRank = child, r
		case want < 0 && child.Platform.Variant == p.Variant:
			return child, nil
		}
	}
	if bestRank >= 0 {
		return best, nil
	}
	if len(anonymous) == 1 {
		return anonymous[0], nil
	}
	return Child{}, &fleet.Unknown{
		Because: fmt.Sprintf("the image is not made for %s", p),
		Remedy:  "look which platforms its tags have, and choose a tag that has this one",
		Err:     ErrNoPlatform,
	}
}

// usualVariants are what an empty variant means.
var usualVariants = map[string]string{"arm": "v7", "arm64": "v8", "amd64": "v1"}

// rank orders the variants of an architecture: v6 is 6. It is less than 0 for one that has no order, and 0 for the
// empty one of an architecture without variants.
func rank(architecture, variant string) int {
	if variant == "" {
		variant = usualVariants[architecture]
	}
	if variant == "" {
		return 0
	}
	number, ok := strings.CutPrefix(variant, "v")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 0 {
		return -1
	}
	return n
}
