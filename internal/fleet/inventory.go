package fleet

import (
	"cmp"
	"slices"
)

// Package is one package that is installed on a host.
type Package struct {
	// Source is the source of updates that knows it: apt.
	Source  string `json:"source"`
	Name    string `json:"name"`
	Arch    string `json:"arch"`
	Version string `json:"version"`
	// From is the source package that it was built from, which advisories go by; empty where it has the package's own name.
	From string `json:"source_package,omitempty"`
	// FromVersion is the source package's version; empty where it is the package's own.
	FromVersion string `json:"source_version,omitempty"`
	// Ecosystem is the distribution's release in OSV's words (Debian:12), whose advisories speak of it. Empty where it does not come from the distribution
	// itself, or where that is not known.
	Ecosystem string `json:"ecosystem,omitempty"`
	// Module is the stream of a modular RPM, as name:stream; empty where it is of none.
	Module string `json:"module,omitempty"`
}

// Container is one container of an engine, running or not.
type Container struct {
	// Source is the engine: docker, podman.
	Source string `json:"source"`
	Name   string `json:"name"`
	// Image is the reference that it was made from, in its familiar form.
	Image string `json:"image"`
	// ImageID is what it runs, as the engine names it.
	ImageID  ImageID `json:"image_id"`
	Platform string  `json:"platform,omitempty"`
	// State is the engine's word: running, exited, paused.
	State string `json:"state"`
}

// SortPackages puts packages in the order of source, name, architecture and version.
func SortPackages(list []Package) {
	slices.SortFunc(list, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Version, b.Version))
	})
}
