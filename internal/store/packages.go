package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// packages brings a host's list of packages up to date. A change to a list that is not the one here is asked for whole.
func (w *saving) packages(ctx context.Context, change wire.PackageChange) error {
	if change.Base != "" && change.Base != w.host.digests[partPackages] {
		w.send = append(w.send, partPackages)
		return nil
	}
	if err := w.keepThere(ctx); err != nil {
		return err
	}
	removed, err := w.packageIDs(ctx, change.Removed)
	if err != nil {
		return err
	}
	added, err := w.packageIDs(ctx, change.Added)
	if err != nil {
		return err
	}
	touched := everyShelf()
	if change.Base != "" {
		touched = shelvesOf(change.Removed, change.Added)
	}
	have, err := readShelves(ctx, w.c, w.id, touched)
	if err != nil {
		return err
	}
	want := map[int64]shelf{}
	for _, n := range touched {
		want[n] = shelf{}
		if change.Base != "" {
			maps.Copy(want[n], have[n])
		}
	}
	for i, p := range change.Removed {
		delete(want[shelfOf(p)], removed[i])
	}
	for i, p := range change.Added {
		want[shelfOf(p)][added[i]] = true
	}
	if err := writeShelves(ctx, w.c, w.id, have, want); err != nil {
		return err
	}
	w.known(partPackages)
	_, err = w.c.exec(ctx, `UPDATE hosts SET packages = packages + $1 WHERE id = $2`, size(want)-size(have), w.id)
	return err
}

// shelvesOf gives the shelves on which packages lie.
func shelvesOf(lists ...[]fleet.Package) []int64 {
	touched := map[int64]bool{}
	for _, list := range lists {
		for _, p := range list {
			touched[shelfOf(p)] = true
		}
	}
	return slices.Sorted(maps.Keys(touched))
}

func size(shelves map[int64]shelf) (n int) {
	for _, s := range shelves {
		n += len(s)
	}
	return n
}

// tidied is the setting that changes whenever packages that no host has are deleted.
const tidied = "packages tidied"

// keepThere keeps packages from being deleted until the transaction ends, and forgets those of which that may have happened.
func (w *saving) keepThere(ctx context.Context) error {
	if w.c.d == postgres {
		if _, err := w.c.exec(ctx, `SELECT pg_advisory_xact_lock_shared($1)`, packagesLock); err != nil {
			return err
		}
	}
	when, err := readSetting(ctx, w.c, tidied)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	w.tidied = string(when)
	w.store.dictionary.asOf(w.tidied)
	return nil
}

// batch is how many rows go with one statement.
const batch = 500

// numbers writes IDs into a statement, which is safe for numbers alone.
func numbers(ids []int64) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(id, 10))
	}
	return b.String()
}

// packageIDs gives the dictionary's IDs of packages, writing those that no host had before.
func (w *saving) packageIDs(ctx context.Context, list []fleet.Package) ([]int64, error) {
	ids := make([]int64, 0, len(list))
	for _, p := range list {
		id, err := w.packageID(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fleet.Plain(p.Name), err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (w *saving) packageID(ctx context.Context, p fleet.Package) (int64, error) {
	if id, ok := w.store.dictionary.get(p, w.tidied); ok {
		return id, nil
	}
	id, err := findPackage(ctx, w.c, p)
	if errors.Is(err, sql.ErrNoRows) {
		id = newID()
		var written int64
		written, err = w.c.exec(ctx, `INSERT INTO packages (id, source, name, arch, version, source_package, source_version, ecosystem, module)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`, id, p.Source, p.Name, p.Arch, p.Version, p.From, p.FromVersion, p.Ecosystem, p.Module)
		if err == nil && written == 0 { // another process was faster
			id, err = findPackage(ctx, w.c, p)
		}
	}
	if err != nil {
		return 0, err
	}
	w.learnt[ownText(p)] = id
	return id, nil
}

// ownText gives a package whose texts are not parts of a whole message, which would stay in memory as long as they do.
func ownText(p fleet.Package) fleet.Package {
	for _, s := range []*string{&p.Source, &p.Name, &p.Arch, &p.Version, &p.From, &p.FromVersion, &p.Ecosystem, &p.Module} {
		*s = strings.Clone(*s)
	}
	return p
}

func findPackage(ctx context.Context, c conn, p fleet.Package) (id int64, err error) {
	err = c.one(ctx, []any{&id}, `SELECT id FROM packages
		WHERE source = $1 AND name = $2 AND arch = $3 AND version = $4 AND source_package = $5 AND source_version = $6 AND ecosystem = $7 AND module = $8`,
		p.Source, p.Name, p.Arch, p.Version, p.From, p.FromVersion, p.Ecosystem, p.Module)
	return id, err
}
