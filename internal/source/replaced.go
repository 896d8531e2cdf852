package source

import (
	"context"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Recorder is a source that knows whose files are, and what it has upgraded.
type Recorder interface {
	// Owners names, as far as it can tell, the installed packages that files belong to, by file.
	Owners(ctx context.Context, m *machine.Machine, files []string) (map[string]Owner, error)
	// Upgrades gives what its log says of upgrades of some packages, the newest first. What the log does not reach back to is not in it.
	Upgrades(ctx context.Context, m *machine.Machine, of []Owner) ([]Upgrade, error)
}

// Owner is an installed package by name; its architecture is empty where there is one only.
type Owner struct{ Name, Arch string }

// Upgrade is one version that took the place of another.
type Upgrade struct {
	Owner
	From, To string
	// At is when, give or take Slack: dpkg's log has no time zone.
	At    time.Time
	Slack time.Duration
}

// Replaced says of services that still run replaced files which packages those are of, and which versions run: that from which a package was upgraded first after the
// service had been started. It adds that to the services. What nobody knows is said there too.
func Replaced(ctx context.Context, m *machine.Machine, sources []Source, installed []fleet.Package, services []fleet.Service) {
	var files []string
	for _, s := range services {
		if s.Kind != inContainer {
			files = append(files, s.Files...)
		}
	}
	if len(files) == 0 {
		return
	}
	slices.Sort(files)
	known := record(ctx, m, sources, slices.Compact(files))
	for i := range services {
		known.add(&services[i], installed)
	}
}

// inContainer is the kind of a service whose files are of its image.
const inContainer = "container"

// records are what sources know of some files.
type records struct {
	owners   map[string]Owner
	source   map[Owner]string
	upgrades map[Owner][]Upgrade
}

func record(ctx context.Context, m *machine.Machine, sources []Source, files []string) records {
	known := records{map[string]Owner{}, map[Owner]string{}, map[Owner][]Upgrade{}}
	for _, s := range sources {
		r, ok := s.(Recorder)
		if !ok {
			continue
		}
		_ = guard(func() error { // what a source cannot tell is not known, and said of each service
			owners, err := r.Owners(ctx, m, files)
			var list []Owner
			for file, owner := range owners {
				if !slices.Contains(list, owner) {
					list = append(list, owner)
				}
				known.owners[file], known.source[owner] = owner, s.Name()
			}
			if err != nil || len(list) == 0 {
				return err
			}
			upgrades, err := r.Upgrades(ctx, m, list)
			for _, u := range upgrades {
				known.upgrades[u.Owner] = append(known.upgrades[u.Owner], u)
			}
			return err
		})
	}
	return known
}

// add says of one service what it runs.
func (r records) add(s *fleet.Service, installed []fleet.Package) {
	s.Replaced, s.ReplacedUnknown = nil, ""
	if s.Kind == inContainer {
		s.ReplacedUnknown = "what runs in a container is of its image"
		return
	}
	var done []Owner
	var lost, without []string
	for _, file := range s.Files {
		owner, ok := r.owners[file]
		switch {
		case !ok:
			lost = append(lost, file)
			continue
		case slices.Contains(done, owner):
			continue
		}
		done = append(done, owner)
		i := slices.IndexFunc(installed, func(p fleet.Package) bool {
			return p.Source == r.source[owner] && p.Name == owner.Name && (owner.Arch == "" || p.Arch == owner.Arch || p.Arch == "all")
		})
		if i < 0 || s.StartedAt.IsZero() {
			without = append(without, owner.Name)
			continue
		}
		one, ok := before(installed[i], s.StartedAt, r.upgrades[owner])
		switch {
		case !ok:
			without = append(without, owner.Name)
		case one.Before != one.Version: // else it was only installed again
			s.Replaced = append(s.Replaced, one)
		}
	}
	s.ReplacedUnknown = unknownOf(lost, without)
}

func unknownOf(lost, without []string) string {
	var words []string
	if len(lost) > 0 {
		words = append(words, "no installed package has "+some(lost)+" any more")
	}
	if len(without) > 0 {
		words = append(words, "which version it runs of "+some(without)+" is not known")
	}
	return strings.Join(words, "; ")
}

// some names at most three.
func some(list []string) string {
	const most = 3
	if len(list) <= most {
		return fleet.Plain(strings.Join(list, ", "))
	}
	return fleet.Plain(strings.Join(list[:most], ", ") + " and others")
}

// before gives the version of a package that ran at a moment. The last upgrade was since, because a file was replaced; those before it count as far as they certainly were.
func before(p fleet.Package, started time.Time, upgrades []Upgrade) (fleet.Replaced, bool) {
	one := fleet.Replaced{Package: p}
	at := p.Version
	for _, u := range upgrades {
		if u.To != at {
			break // the log lacks something
		}
		if first := one.Before == ""; first && u.At.Add(u.Slack).Before(started) || !first && !u.At.Add(-u.Slack).After(started) {
			break
		}
		one.Before, at = u.From, u.From
	}
	if one.Before == "" {
		return one, false
	}
	var known bool
	one.SourceBefore, known = sourceBefore(p, one.Before)
	return one, known
}

// sourceBefore gives the version of the source package behind an older version, where the one behind the installed is the package's own, or that without what a rebuild
// adds to it. It is empty where it is the package's own.
func sourceBefore(p fleet.Package, version string) (string, bool) {
	bare := func(v string) string {
		if i := strings.LastIndex(v, "+b"); i > 0 && i+2 < len(v) && strings.Trim(v[i+2:], "0123456789") == "" {
			return v[:i]
		}
		return v
	}
	if p.FromVersion != "" && p.FromVersion != bare(p.Version) {
		return "", false
	}
	if bare(version) != version {
		return bare(version), true
	}
	return "", true
}
