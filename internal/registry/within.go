package registry

import (
	"context"
	"time"

	"github.com/distribution/reference"
)

// ResolveWithin says what a tag points to, content with an answer that is up to an age: for tags that are not expected to move, such as
// those of a list that is itself kept for a day.
func (c *Client) ResolveWithin(ctx context.Context, ref reference.NamedTagged, age time.Duration) (Answer, error) {
	var rec tagRecord
	if c.cache.record(recordTag, ref.String(), &rec) && c.young(rec.At, age) {
		return rec.answer(), nil
	}
	return c.Resolve(ctx, ref)
}

// NoteExists remembers that the registry has a digest, where another answer has shown it: [Client.Exists] then says so for ever,
// without asking, also when the content was deleted since.
func (c *Client) NoteExists(ref reference.Canonical) {
	var known bool
	if !c.cache.record(recordExists, ref.String(), &known) || !known {
		c.cache.keepRecord(recordExists, ref.String(), true)
	}
}
