package store

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	"redflag/internal/fleet"
)

// What a host has installed is kept on shelves: one row has all of a host's packages whose source packages' names have the same
// hash. A row for each package would be simpler, and cost sixteen times as much to write; one row for each host would have to be read
// on every host to find the few that have a package.
const shelves = 64

// shelfOf says on which shelf a package lies, on whichever host. The binaries of one source package lie together.
func shelfOf(p fleet.Package) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(cmp.Or(p.From, p.Name))) // never fails
	return int64(h.Sum32() % shelves)
}

// everyShelf is all of them.
func everyShelf() []int64 {
	all := make([]int64, shelves)
	for i := range all {
		all[i] = int64(i)
	}
	return all
}

// shelf is the IDs of the packages of a host that lie on one.
type shelf map[int64]bool

// idBase is in which base IDs are written.
const idBase = 36

// String gives a shelf as it is kept: sorted, so that two equal ones are the same text.
func (s shelf) String() string {
	var b strings.Builder
	for i, id := range slices.Sorted(maps.Keys(s)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.FormatInt(id, idBase))
	}
	return b.String()
}

// parseShelf reads it back.
func parseShelf(text string) (shelf, error) {
	s := shelf{}
	for word := range strings.FieldsSeq(text) {
		id, err := strconv.ParseInt(word, idBase, 64)
		if err != nil {
			return nil, fmt.Errorf("the list of a host's packages is damaged: %w", err)
		}
		s[id] = true
	}
	return s, nil
}

// readShelves gives a host's shelves of those that are asked for; the empty ones are not there.
func readShelves(ctx context.Context, c conn, id fleet.HostID, which []int64) (map[int64]shelf, error) {
	have := map[int64]shelf{}
	if len(which) == 0 {
		return have, nil
	}
	err := c.all(ctx, func(scan func(...any) error) error {
		var n int64
		var text string
		if err := scan(&n, &text); err != nil {
			return err
		}
		var err error
		have[n], err = parseShelf(text)
		return err
	}, `SELECT shelf, packages FROM host_packages WHERE shelf IN (`+numbers(which)+`) AND host_id = $1`, id)
	return have, err
}

// writeShelves writes those that differ from what the host had.
func writeShelves(ctx context.Context, c conn, id fleet.HostID, have, want map[int64]shelf) error {
	var empty []int64
	var full rows
	for _, n := range slices.Sorted(maps.Keys(want)) {
		text := want[n].String()
		switch {
		case text == have[n].String():
		case text == "":
			empty = append(empty, n)
		default:
			full.add(n, id, text)
		}
	}
	if len(empty) > 0 {
		if _, err := c.exec(ctx, `DELETE FROM host_packages WHERE shelf IN (`+numbers(empty)+`) AND host_id = $1`, id); err != nil {
			return err
		}
	}
	return full.write(ctx, c, `INSERT INTO host_packages (shelf, host_id, packages)`, `ON CONFLICT (shelf, host_id) DO UPDATE SET packages = excluded.packages`)
}

// packagesByID gives the packages that have these IDs.
func packagesByID(ctx context.Context, c conn, ids []int64) ([]fleet.Package, error) {
	list := make([]fleet.Package, 0, len(ids))
	for some := range slices.Chunk(ids, batch) {
		if err := c.all(ctx, func(scan func(...any) error) error {
			var p fleet.Package
			err := scan(&p.Source, &p.Name, &p.Arch, &p.Version, &p.From, &p.FromVersion, &p.Ecosystem, &p.Module)
			list = append(list, p)
			return err
		}, `SELECT source, name, arch, version, source_package, source_version, ecosystem, module FROM packages WHERE id IN (`+numbers(some)+`)`); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Packages gives every package of a host, in order.
func (s *Store) Packages(ctx context.Context, id fleet.HostID) (list []fleet.Package, err error) {
	err = s.snapshot(ctx, func(c conn) error {
		have, err := readShelves(ctx, c, id, everyShelf())
		if err != nil {
			return err
		}
		var ids []int64
		for _, s := range have {
			ids = slices.AppendSeq(ids, maps.Keys(s))
		}
		slices.Sort(ids)
		list, err = packagesByID(ctx, c, ids)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the packages of %s: %w", id, err)
	}
	fleet.SortPackages(list)
	return list, nil
}
