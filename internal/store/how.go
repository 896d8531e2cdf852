package store

import (
	"context"
	"maps"
	"slices"

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
	named, err := w.named(ctx, u)
	if err != nil {
		return NotTold, err
	}
	have, err := readShelves(ctx, w.c, w.id, shelvesOf(slices.Collect(maps.Values(named))))
	if err != nil {
		return NotTold, err
	}
	how := Removed
	for id, p := range named {
		if !have[shelfOf(p)][id] {
			continue
		}
		if how == Removed {
			how = Installed
		}
		if p.Version == u.From {
			how = Withdrawn
		}
	}
	return how, nil
}

// named gives every version of the package that an update is of.
func (w *saving) named(ctx context.Context, u fleet.Update) (map[int64]fleet.Package, error) {
	named := map[int64]fleet.Package{}
	err := w.c.all(ctx, func(scan func(...any) error) error {
		p := fleet.Package{Name: u.Name}
		var id int64
		err := scan(&id, &p.Version, &p.From)
		named[id] = p
		return err
	}, `SELECT id, version, source_package FROM packages WHERE name = $1 AND source = $2 AND arch = $3`, u.Name, u.Source, u.Arch)
	return named, err
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
