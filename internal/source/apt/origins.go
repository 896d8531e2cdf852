package apt

import (
	"context"
	"slices"
	"strings"

	"redflag/internal/machine"
)

// origins gathers where what is installed comes from.
type origins struct {
	// of are the ecosystems of packages.
	of map[*Package]string
	// kernels are installed kernels that no list offers any more; series are those that one does, with their ecosystems.
	kernels []*Package
	series  map[kernelSeries]string
}

// kernelSeries are the kernels of one source and one series: linux-signed-amd64, 6.1.
type kernelSeries struct{ source, series string }

// add notes where an installed package comes from. One that no list offers any more was replaced there by a newer version, and is taken to come from where
// that does.
func (o *origins) add(c *choice) {
	if o.of == nil {
		o.of, o.series = map[*Package]string{}, map[kernelSeries]string{}
	}
	from, ecosystem := c.from(), ""
	switch {
	case len(from.on) > 0:
		ecosystem = from.ecosystem()
	case c.installed > 0:
		if to := c.versions[max(0, min(c.candidate, c.installed-1))]; to.source == from.source { // a pinned one has its update above it all the same
			ecosystem = to.ecosystem()
		}
	case len(c.versions) == 1 && strings.HasPrefix(from.name, "linux-"):
		o.kernels = append(o.kernels, c.pkg)
	}
	if ecosystem == "" {
		return
	}
	o.of[c.pkg] = ecosystem
	if strings.HasPrefix(from.name, "linux-") {
		o.series[kernelSeries{from.source, series(from.sourceVersion)}] = ecosystem
		if c.upgradable() {
			o.series[kernelSeries{from.source, series(c.to().sourceVersion)}] = ecosystem
		}
	}
}

// series is what a kernel's releases share: 6.1 of 6.1.148-1.
func series(version string) string {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	return major + "." + minor
}

// own gives the packages of each ecosystem. Each kernel is a package with a name of its own, and leaves the lists when the next one comes: one that is still
// installed comes from where others of its source and series do.
func (o *origins) own() map[string][]string {
	for _, p := range o.kernels {
		if e := o.series[kernelSeries{p.Source, series(p.SourceVersion)}]; e != "" {
			o.of[p] = e
		}
	}
	own := map[string][]string{}
	for p, e := range o.of {
		own[e] = append(own[e], p.key())
	}
	for _, list := range own {
		slices.Sort(list)
	}
	return own
}

// key names a package of dpkg's database: name:architecture.
func (p *Package) key() string { return p.Name + ":" + p.Arch }

// ecosystems gives the distribution's release behind each package that comes from a distribution itself, by its key. It is empty for those of others, and for what
// is not known because a list cannot be read.
func (s Source) ecosystems(ctx context.Context, m *machine.Machine, set *settings) (map[string]string, error) {
	print, err := takePrint(m, set)
	if err != nil {
		print = "" // recalled and kept is nothing, and the reader tells why
	}
	known := s.recall(print)
	if known == nil {
		known = &answer{Print: print, Survey: look(ctx, m, set)}
		s.keep(m, set, known)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	of := map[string]string{}
	for ecosystem, keys := range known.Survey.Own {
		for _, k := range keys {
			of[k] = ecosystem
		}
	}
	return of, nil
}
