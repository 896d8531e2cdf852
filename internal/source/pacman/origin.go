package pacman

import (
	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/version"
)

// ecosystem names Arch Linux where advisories do: OSV has no word for it, and its releases have no numbers.
const ecosystem = "Arch Linux"

// official are the repositories of which Arch's advisories speak (archlinux.org/packages). Who follows Arch has other packages under the same names.
var official = map[string]bool{
	"core": true, "extra": true, "multilib": true, "core-testing": true, "extra-testing": true, "multilib-testing": true,
}

// own gives what tells whether an installed package is Arch's own; nil where none is. Pacman notes where a package came from since 7.1 (INSTALLED_DB); of others the first
// repository that has the name says it, unless what is installed is newer.
func (w *world) own(m *machine.Machine) func(*pkg) bool {
	if m.OSRelease()["ID"] != "arch" {
		return nil
	}
	if w.offers == nil {
		for _, p := range w.installed {
			if p.repo == "" {
				w.offers, _ = readOffers(m, w.conf) // a scan tells what cannot be read
				break
			}
		}
	}
	return func(p *pkg) bool {
		if p.repo != "" {
			return official[p.repo]
		}
		for _, d := range w.offers.databases {
			if q := d.packages[p.name]; q != nil {
				return official[d.repo.name] && version.ComparePacman(p.version, q.version) <= 0
			}
		}
		return false
	}
}

// name says of updates of Arch's own packages what advisories go by: packages, and not what they were built from.
func (w *world) name(m *machine.Machine, updates []fleet.Update) {
	own := w.own(m)
	for i := range updates {
		u := &updates[i]
		u.Build = &fleet.Build{Package: u.Name, From: u.From, To: u.To}
		if p := find(w.installed, u.Name); own != nil && p != nil && own(p) && official[u.Origin] {
			u.Build.Ecosystem = ecosystem
		}
	}
}
