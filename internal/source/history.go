package source

import (
	"context"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Historian is a source that can read in the packages themselves what their makers say was mended.
type Historian interface {
	// Claims adds to updates what the changelogs of the new versions claim, where they are on the machine, or with fetch where they can be had
	// from the archives that the updates would come from. What cannot be read has no claims; the error says why, and the rest holds all the same.
	Claims(ctx context.Context, m *machine.Machine, updates []fleet.Update, fetch bool) error
}
