package store

import (
	"context"

	"redflag/internal/fleet"
)

// How says how an update left.
type How string

// Ways in which an update leaves.
const (
	// Installed: the host has the newer version now, or a newer one still. Nobody told RedFlag to: it was done by hand, or by
	// something else.
	Installed How = "installed"
	// Removed: what it was an update of is not there any more.
	Removed How = "removed"
	// Withdrawn: the host has what it had, and nothing newer is on offer.
	Withdrawn How = "withdrawn"
	// NotTold: the host does not say what it has.
	NotTold How = "unknown"
)

// how tells how an update left, by what the host says that it has now.
func (w *saving) how(ctx context.Context, u fleet.Update) (How, error) {
	if u.ImageUpdate != nil {
		return w.howImage(ctx, u)
	}
	var listed int
	if err := w.c.one(ctx, []any{&listed}, `SELECT packages FROM hosts WHERE id = $1`, w.id); err != nil || listed == 0 {
		return NotTold, err
	}
	how := Removed
	err := w.c.all(ctx, func(scan func(...any) error) error {
		var version string
		if err := scan(&version); err != nil {
			return err
		}
		if how == Removed {
			how = Installed
		}
		if version == u.From {
			how = Withdrawn
		}
		return nil
	}, `SELECT p.version FROM packages AS p JOIN host_packages AS h ON h.package_id = p.id AND h.host_id = $1
		WHERE p.source = $2 AND p.name = $3 AND p.arch = $4`, w.id, u.Source, u.Name, u.Arch)
	return how, err
}

// howImage: a container that still goes by the image runs the newer one.
func (w *saving) howImage(ctx context.Context, u fleet.Update) (How, error) {
	var n int
	err := w.c.one(ctx, []any{&n}, `SELECT COUNT(*) FROM containers WHERE host_id = $1 AND image = $2`, w.id, u.Name)
	switch {
	case err != nil:
		return NotTold, err
	case n == 0:
		return Removed, nil
	case u.Kind == fleet.Version:
		return Withdrawn, nil
	}
	return Installed, nil
}
