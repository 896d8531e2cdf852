package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// packages brings a host's list of packages up to date. A change to a list that is not the one here is asked for whole.
func (w *saving) packages(ctx context.Context, change wire.PackageChange) error {
	switch change.Base {
	case "":
		// Everything is new.
		if _, err := w.c.exec(ctx, `DELETE FROM host_packages WHERE host_id = $1`, w.id); err != nil {
			return err
		}
	case w.host.digests[partPackages]:
	default:
		w.send = append(w.send, partPackages)
		return nil
	}
	removed, err := w.packageIDs(ctx, change.Removed)
	if err != nil {
		return err
	}
	for ids := range slices.Chunk(removed, batch) {
		if _, err := w.c.exec(ctx, `DELETE FROM host_packages WHERE host_id = $1 AND package_id IN (`+numbers(ids, "%d")+`)`, w.id); err != nil {
			return err
		}
	}
	added, err := w.present(ctx, change.Added)
	if err != nil {
		return err
	}
	for ids := range slices.Chunk(added, batch) {
		if _, err := w.c.exec(ctx, `INSERT INTO host_packages (host_id, package_id) SELECT $1, v.column1 FROM (VALUES `+numbers(ids, "(%d)")+`) AS v WHERE true
			ON CONFLICT DO NOTHING`, w.id); err != nil {
			return err
		}
	}
	w.known(partPackages)
	_, err = w.c.exec(ctx, `UPDATE hosts SET packages = (SELECT COUNT(*) FROM host_packages WHERE host_id = $1) WHERE id = $1`, w.id)
	return err
}

// present gives the IDs of packages, all of them in the tables and kept there until the transaction ends.
func (w *saving) present(ctx context.Context, list []fleet.Package) ([]int64, error) {
	if w.c.d == postgres {
		if _, err := w.c.exec(ctx, `SELECT pg_advisory_xact_lock_shared($1)`, packagesLock); err != nil {
			return nil, err
		}
	}
	ids, err := w.packageIDs(ctx, list)
	if err != nil {
		return nil, err
	}
	there := 0
	for some := range slices.Chunk(ids, batch) {
		var n int
		if err := w.c.one(ctx, []any{&n}, `SELECT COUNT(*) FROM packages WHERE id IN (`+numbers(some, "%d")+`)`); err != nil {
			return nil, err
		}
		there += n
	}
	if there == len(ids) {
		return ids, nil
	}
	// Another process has deleted some that no host had.
	w.store.dictionary.forget()
	clear(w.learnt)
	return w.packageIDs(ctx, list)
}

// batch is how many rows go with one statement.
const batch = 500

// numbers writes IDs into a statement, which is safe for numbers alone.
func numbers(ids []int64, form string) string {
	before, after, _ := strings.Cut(form, "%d")
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(before)
		b.WriteString(strconv.FormatInt(id, 10))
		b.WriteString(after)
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
	if id, ok := w.store.dictionary.get(p); ok {
		return id, nil
	}
	id, err := findPackage(ctx, w.c, p)
	if errors.Is(err, sql.ErrNoRows) {
		id = newID()
		var written int64
		written, err = w.c.exec(ctx, `INSERT INTO packages (id, source, name, arch, version, source_package, source_version)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`, id, p.Source, p.Name, p.Arch, p.Version, p.From, p.FromVersion)
		if err == nil && written == 0 { // another process was faster
			id, err = findPackage(ctx, w.c, p)
		}
	}
	if err != nil {
		return 0, err
	}
	w.learnt[p] = id
	return id, nil
}

func findPackage(ctx context.Context, c conn, p fleet.Package) (id int64, err error) {
	err = c.one(ctx, []any{&id}, `SELECT id FROM packages
		WHERE source = $1 AND name = $2 AND arch = $3 AND version = $4 AND source_package = $5 AND source_version = $6`,
		p.Source, p.Name, p.Arch, p.Version, p.From, p.FromVersion)
	return id, err
}
