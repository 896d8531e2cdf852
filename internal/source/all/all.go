// Package all is the list of every source of updates that RedFlag knows. A new source is one folder beside the others,
// and one line here.
package all

import (
	"redflag/internal/registry"
	"redflag/internal/source"
	"redflag/internal/source/apk"
	"redflag/internal/source/apt"
	"redflag/internal/source/brew"
	"redflag/internal/source/chocolatey"
	"redflag/internal/source/dnf"
	"redflag/internal/source/dnf5"
	"redflag/internal/source/docker"
	"redflag/internal/source/flatpak"
	"redflag/internal/source/freebsd"
	"redflag/internal/source/fwupd"
	"redflag/internal/source/pacman"
	"redflag/internal/source/pkg"
	"redflag/internal/source/snap"
	"redflag/internal/source/softwareupdate"
	"redflag/internal/source/windowsupdate"
	"redflag/internal/source/winget"
	"redflag/internal/source/zypper"
)

// Options are what sources need from the program.
type Options struct {
	// Registry asks image registries.
	Registry *registry.Client
	// StateDir is where sources keep what spares them work; empty keeps nothing.
	StateDir string
	// AptHook is the command line that apt is given as its hook: this program and `apt-hook`. Empty asks apt nothing.
	AptHook []string
	// Getenv gives the environment; nil means os.Getenv.
	Getenv func(string) string
}

// Sources gives every source, in the order in which people read them.
func Sources(opt Options) []source.Source {
	return []source.Source{
		apt.Source{Hook: opt.AptHook, StateDir: opt.StateDir},
		dnf.Source{},
		dnf5.Source{},
		zypper.Source{},
		pacman.Source{},
		apk.Source{},
		flatpak.Source{StateDir: opt.StateDir},
		snap.Source{StateDir: opt.StateDir},
		fwupd.Source{},
		softwareupdate.Source{},
		brew.Source{},
		freebsd.Source{},
		pkg.Source{},
		windowsupdate.Source{},
		winget.Source{},
		chocolatey.Source{},
		docker.New(opt.Registry, docker.Options{Getenv: opt.Getenv}),
		docker.NewPodman(opt.Registry, docker.Options{Getenv: opt.Getenv}),
	}
}
