package store

import (
	"context"
	"fmt"
	"strings"

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
		if err := scan(&id, &p.Source, &p.Name, &p.Arch, &p.Version, &p.From, &p.FromVersion); err != nil {
			return err
		}
		ok, err := q.matches(p)
		if ok {
			found[id] = p
		}
		return err
	}, `SELECT id, source, name, arch, version, source_package, source_version FROM packages WHERE `+condition, q.Name)
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
	ids := make([]string, 0, len(meant))
	for id := range meant {
		ids = append(ids, fmt.Sprint(id))
	}
	l := &list{}
	l.add("p.package_id IN (" + strings.Join(ids, ",") + ")")
	type row struct {
		PackageOnHost
		id int64
	}
	rows := []row{}
	if err := s.reader().all(ctx, func(scan func(...any) error) error {
		var r row
		err := scan(&r.Host, &r.HostName, &r.id)
		r.Package = meant[r.id]
		rows = append(rows, r)
		return err
	}, `SELECT p.host_id, h.name, p.package_id FROM host_packages AS p JOIN hosts AS h ON h.id = p.host_id`+l.page(p, key, false, "p.host_id", "p.package_id"), l.args...); err != nil {
		return nil, "", fmt.Errorf("list the hosts of a package: %w", err)
	}
	rows, more := cut(p, rows)
	if more {
		next = cursor(int64(rows[len(rows)-1].Host), rows[len(rows)-1].id)
	}
	on = []PackageOnHost{}
	for _, r := range rows {
		on = append(on, r.PackageOnHost)
	}
	return on, next, nil
}
