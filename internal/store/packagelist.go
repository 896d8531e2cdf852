package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"redflag/internal/fleet"
)

// PackageName is a package that some host has had, whatever its version.
type PackageName struct {
	Source   string `json:"source"`
	Name     string `json:"name"`
	Versions int    `json:"versions"`
}

// PackageNames gives a page of the packages whose names begin with a text, by name.
func (s *Store) PackageNames(ctx context.Context, prefix string, p Page) (names []PackageName, next string, err error) {
	key, err := p.key("ss")
	if err != nil {
		return nil, "", err
	}
	l := &list{}
	if prefix != "" {
		l.add("name >= ? AND name < ?", prefix, prefix+"\U0010ffff")
	}
	if key != nil {
		l.add("(name, source) > (?, ?)", key...)
	}
	rows := []PackageName{}
	query := fmt.Sprintf(`SELECT name, source, COUNT(*) FROM packages%s GROUP BY name, source ORDER BY name, source LIMIT %d`, l.where(), p.limit()+1)
	if err := s.reader().all(ctx, func(scan func(...any) error) error {
		var n PackageName
		err := scan(&n.Name, &n.Source, &n.Versions)
		rows = append(rows, n)
		return err
	}, query, l.args...); err != nil {
		return nil, "", fmt.Errorf("list packages: %w", err)
	}
	names, more := cut(p, rows)
	if more {
		last := names[len(names)-1]
		next = cursor(last.Name, last.Source)
	}
	return names, next, nil
}

// PackageQuery chooses packages by name and version: which hosts have openssl below 3.0.15?
type PackageQuery struct {
	// Name is the package's, or, with BySource, that of the package that it was built from.
	Name     string
	BySource bool
	// Source limits it to one source of updates; empty means all.
	Source string
	// Below, From and Exactly limit the version; empty ones do not. From is included, Below is not.
	Below, From, Exactly string
	// Compare orders two versions of a source, and says whether it can.
	Compare func(source, a, b string) (order int, known bool)
}

// ErrCompare: versions of this source have no order that is known.
var ErrCompare = fmt.Errorf("versions of this source cannot be compared yet; ask for an exact one")

// matches says whether a package is meant.
func (q PackageQuery) matches(p fleet.Package) (bool, error) {
	if q.Source != "" && p.Source != q.Source || q.Exactly != "" && p.Version != q.Exactly {
		return false, nil
	}
	version := p.Version
	if q.BySource && p.FromVersion != "" {
		version = p.FromVersion
	}
	for _, limit := range []struct {
		version string
		ok      func(order int) bool
	}{{q.Below, func(o int) bool { return o < 0 }}, {q.From, func(o int) bool { return o >= 0 }}} {
		if limit.version == "" {
			continue
		}
		order, known := q.Compare(p.Source, version, limit.version)
		if !known {
			return false, ErrCompare
		}
		if !limit.ok(order) {
			return false, nil
		}
	}
	return true, nil
}

// matching gives the packages that are meant, by ID.
func (s *Store) matching(ctx context.Context, q PackageQuery) (map[int64]fleet.Package, error) {
	condition := `name = $1`
	if q.BySource {
		condition = `source_package = $1 OR (name = $1 AND source_package = '')`
	}
	found := map[int64]fleet.Package{}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var id int64
		var p fleet.Package
		if err := scan(&id, &p.Source, &p.Name, &p.Arch, &p.Version, &p.From, &p.FromVersion, &p.Ecosystem, &p.Module); err != nil {
			return err
		}
		ok, err := q.matches(p)
		if ok {
			found[id] = p
		}
		return err
	}, `SELECT id, source, name, arch, version, source_package, source_version, ecosystem, module FROM packages WHERE `+condition, q.Name)
	return found, err
}

// PackageOnHost is a package that a host has.
type PackageOnHost struct {
	Host     fleet.HostID  `json:"host"`
	HostName string        `json:"host_name"`
	Package  fleet.Package `json:"package"`
}

// PackageHosts gives a page of the hosts that have a package that is meant, by host.
func (s *Store) PackageHosts(ctx context.Context, q PackageQuery, p Page) (on []PackageOnHost, next string, err error) {
	key, err := p.key("nn")
	if err != nil {
		return nil, "", err
	}
	meant, err := s.matching(ctx, q)
	if err != nil || len(meant) == 0 {
		return []PackageOnHost{}, "", err
	}
	rows, err := s.having(ctx, meant, key, p.limit()+1)
	if err != nil {
		return nil, "", fmt.Errorf("list the hosts of a package: %w", err)
	}
	rows, more := cut(p, rows)
	if more {
		next = cursor(int64(rows[len(rows)-1].host), rows[len(rows)-1].id)
	}
	names, err := s.hostNames(ctx, rows)
	if err != nil {
		return nil, "", fmt.Errorf("list the hosts of a package: %w", err)
	}
	on = []PackageOnHost{}
	for _, r := range rows {
		on = append(on, PackageOnHost{r.host, names[r.host], meant[r.id]})
	}
	return on, next, nil
}

// having is one package that a host has.
type having struct {
	host fleet.HostID
	id   int64
}

// errEnough ends the reading of rows.
var errEnough = errors.New("enough rows")

// having gives who has packages that are meant, by host and ID, behind a key and not many more than so many.
func (s *Store) having(ctx context.Context, meant map[int64]fleet.Package, key []any, limit int) ([]having, error) {
	var after having
	if key != nil {
		after = having{fleet.HostID(key[0].(int64)), key[1].(int64)} // Page.key has seen to it
	}
	var rows []having
	last := 0 // where the last host's begin
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var host fleet.HostID
		var text string
		if err := scan(&host, &text); err != nil {
			return err
		}
		if last < len(rows) && rows[last].host != host {
			if last = len(rows); last >= limit {
				return errEnough
			}
		}
		have, err := parseShelf(text)
		for id := range have {
			if _, is := meant[id]; is && (host > after.host || id > after.id) {
				rows = append(rows, having{host, id})
			}
		}
		return err
	}, `SELECT host_id, packages FROM host_packages WHERE shelf IN (`+numbers(shelvesOf(slices.Collect(maps.Values(meant))))+`) AND host_id >= $1 ORDER BY host_id, shelf`, after.host)
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b having) int { return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.id, b.id)) })
	return rows[:min(len(rows), limit)], nil
}

// hostNames gives the names of hosts.
func (s *Store) hostNames(ctx context.Context, rows []having) (map[fleet.HostID]string, error) {
	names := map[fleet.HostID]string{}
	var ids []int64
	for _, r := range rows {
		ids = append(ids, int64(r.host))
	}
	if len(ids) == 0 {
		return names, nil
	}
	err := s.reader().all(ctx, func(scan func(...any) error) error {
		var id fleet.HostID
		var name string
		err := scan(&id, &name)
		names[id] = name
		return err
	}, `SELECT id, name FROM hosts WHERE id IN (`+numbers(slices.Compact(ids))+`)`)
	return names, err
}
