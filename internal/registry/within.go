package registry

import (
	"context"
	"net/http"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
)

// ResolveWithin says what a tag points to, content with an answer that is up to an age: for tags that are not expected to move, such as
// those of a list that is itself kept for a day.
func (c *Client) ResolveWithin(ctx context.Context, ref reference.NamedTagged, age time.Duration) (Answer, error) {
	var rec tagRecord
	if c.cfg.TagLifetime >= 0 && c.cache.record(recordTag, ref.String(), &rec) && c.young(rec.At, age) {
		return rec.answer(), nil
	}
	r := c.resolveAll(ctx, []reference.NamedTagged{ref})[0]
	return r.Answer, r.Err
}

// NoteExists remembers that the registry has a digest, where another answer has shown it: [Client.Exists] then says so for ever,
// without asking, also when the content was deleted since.
func (c *Client) NoteExists(ref reference.Canonical) {
	var known bool
	if !c.cache.record(recordExists, ref.String(), &known) || !known {
		c.cache.keepRecord(recordExists, ref.String(), true)
	}
}

// plenty is the part of a pull budget that answers that can wait leave alone.
const plenty = 0.5

// OptionalContent is [Client.Content] for an answer that can wait: it is [ErrBudget] already while less than half of the pulls is
// left, so that suggestions never use up what answers and the engine need.
func (c *Client) OptionalContent(ctx context.Context, ref reference.Canonical) (Content, error) {
	d := fleet.Digest(ref.Digest())
	q := manifests(http.MethodGet, ref, string(d), maxManifest)
	data, err := c.bytes(ctx, ref, d, q, func(h *host) error {
		if err := c.affordable(h); err != nil {
			return err
		}
		if b, _ := h.ledger.low(c.cfg.Now()); b.Limit > 0 && float64(b.Remaining) < plenty*float64(b.Limit) {
			return unknown(ErrBudget, "scan again later, or log in for a larger budget: docker login "+h.name,
				"%s has %d of %d pulls left for us, which are kept for more important questions", h.name, b.Remaining, b.Limit)
		}
		return nil
	})
	if err != nil {
		return Content{}, err
	}
	content, err := parseContent(d, data)
	return content, misread(registryOf(ref), err)
}
