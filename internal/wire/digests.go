package wire

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
)

// digestBytes are enough for two states of one host not to look alike by accident.
const digestBytes = 9

// Digest gives the short digest of one part.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:digestBytes])
}

// State gives one digest of them all.
func (d Digests) State() string {
	var all []byte
	for _, part := range slices.Sorted(maps.Keys(d)) {
		all = fmt.Appendf(all, "%q %q\n", part, d[part])
	}
	return Digest(all)
}
