package swarm

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"redflag/internal/agent"
	"redflag/internal/fleet"
)

// What a simulated host has.
const (
	Packages   = 800
	Updates    = 40
	Security   = 8
	Containers = 12
	// Changed is how many packages a host upgrades between two reports.
	Changed = 5
)

// Of the updates, imageUpdates are of images.
const (
	imageUpdates   = 2
	packageUpdates = Updates - imageUpdates
)

// What the hosts of a fleet have in common: how many packages their distributions have, and how many releases there are.
const (
	known    = 1400
	releases = 3
	images   = 60
)

// host is a simulated host. What it has follows from its number alone, so a swarm that comes again is the same hosts.
type host struct {
	n       int
	release int
	// mu is held while it changes, or is looked at.
	mu sync.Mutex
	// packages are those that are installed, by name; those that have an update on offer come first in pending.
	packages []fleet.Package
	pending  []int
	since    time.Time
}

func newHost(n int, since time.Time) *host {
	h := &host{n: n, release: n % releases, since: since}
	r := rand.New(rand.NewPCG(uint64(n), 1)) //nolint:gosec // the same hosts each time are what is wanted
	for _, i := range r.Perm(known)[:Packages] {
		h.packages = append(h.packages, h.pack(i, 1))
	}
	fleet.SortPackages(h.packages)
	// What is outdated is outdated on many hosts, as it is in a fleet.
	for i, p := range h.packages {
		if number(p.Name)%(known/100) < 12 {
			h.pending = append(h.pending, i)
		}
	}
	slices.SortStableFunc(h.pending, func(a, b int) int { return cmp.Compare(number(h.packages[a].Name), number(h.packages[b].Name)) })
	return h
}

// pack is a package in a revision: the first is what hosts begin with, the second is on offer.
func (h *host) pack(i, revision int) fleet.Package {
	name, source := packageName(i)
	return fleet.Package{Source: "apt", Name: name, Arch: "amd64", From: source, Version: fmt.Sprintf("%d.%d.%d-%d+deb%du%d", i%9, i%23, i%11, 1+i%4, 11+h.release, revision), Ecosystem: fmt.Sprintf("Debian:%d", 11+h.release)}
}

// stems and endings make names such as packages have.
func packageName(i int) (name, source string) {
	stems := [...]string{
		"acl", "apr", "archive", "attr", "avahi", "boost", "bz2", "cairo", "cap", "cups", "curl", "db", "dbus", "drm", "edit", "elf", "event", "expat", "ffi", "fuse", "gcrypt", "gd", "git", "gmp", "gnutls",
		"gssapi", "icu", "idn", "jpeg", "json", "krb", "ldap", "lz", "magic", "mount", "mpfr", "ncurses", "nettle", "nghttp", "openssl", "pam", "pcre", "perl", "png", "pq", "python", "readline", "sasl",
		"sqlite", "ssh", "ssl", "systemd", "tiff", "udev", "usb", "uuid", "webp", "xml", "zip", "zstd",
	}
	endings := [...]string{"", "-dev", "-common", "-bin", "-data", "-utils", "-doc", "-tools"}
	stem := stems[i%len(stems)]
	n := i / len(stems) / len(endings)
	source = fmt.Sprintf("%s%d", stem, n)
	return fmt.Sprintf("lib%s%d%s", stem, n, endings[i/len(stems)%len(endings)]), source
}

// number spreads names evenly.
func number(name string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum32() % known
}

// upgrade installs the first of what is pending, so that as many others are on offer next.
func (h *host) upgrade() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, i := range h.pending[:Changed] {
		p := &h.packages[i]
		p.Version = p.Version[:len(p.Version)-1] + "2"
	}
	h.pending = h.pending[Changed:]
}

// view is what a look at the host has.
func (h *host) view(now time.Time) agent.View {
	h.mu.Lock()
	defer h.mu.Unlock()
	return agent.View{
		Host: fleet.Host{
			Name: fmt.Sprintf("host%05d.example.net", h.n), OS: fmt.Sprintf("Debian GNU/Linux %d", 11+h.release), OSID: "debian", OSVersion: fmt.Sprint(11 + h.release), Kernel: "6.1.0-28-amd64", Arch: "amd64",
			Virtualisation: "kvm", Addresses: []string{h.address()}, Engines: []fleet.Engine{{Name: "docker", Version: "28.3.1"}}, BootedAt: h.since.Add(-90 * 24 * time.Hour),
			Reboot: fleet.Reboot{Needed: fleet.NotNeeded, Because: []string{}}, Restart: fleet.Restart{Needed: fleet.NotNeeded, Services: []fleet.Service{}},
		},
		Findings:   []fleet.Finding{h.apt(now), h.docker(now)},
		Packages:   slices.Clone(h.packages),
		Containers: h.containers(),
	}
}

func (h *host) address() string { return fmt.Sprintf("10.%d.%d.%d", h.n>>16&255, h.n>>8&255, h.n&255) }

func (h *host) apt(now time.Time) fleet.Finding {
	f := fleet.Finding{Source: "apt", State: fleet.OK, ScannedAt: now, AsOf: h.since, Updates: []fleet.Update{}, Checks: []fleet.Check{}}
	for n, i := range h.pending[:packageUpdates] {
		p := h.packages[i]
		u := fleet.Update{
			Source: "apt", Name: p.Name, Arch: p.Arch, From: p.Version, To: p.Version[:len(p.Version)-1] + "2", Security: n < Security,
			Origin: "Debian/stable", Size: int64(number(p.Name)) * 1000, Summary: "files of " + p.From + ", as other programs need them",
		}
		if u.Security {
			u.Origin = "Debian-Security/stable-security"
		}
		u.Build = &fleet.Build{Ecosystem: p.Ecosystem, Package: p.From, From: u.From, To: u.To}
		f.Updates = append(f.Updates, u)
	}
	slices.SortFunc(f.Updates, func(a, b fleet.Update) int { return cmp.Compare(a.Name, b.Name) })
	return f
}

func (h *host) image(i int) string {
	i = (h.n + i*7) % images
	return fmt.Sprintf("%s:%d.%d", [...]string{"nginx", "redis", "postgres", "grafana/grafana", "traefik", "prom/prometheus"}[i%6], 1+i%12, i%7)
}

func (h *host) docker(now time.Time) fleet.Finding {
	f := fleet.Finding{Source: "docker", State: fleet.OK, ScannedAt: now, AsOf: h.since, Updates: []fleet.Update{}, Checks: []fleet.Check{}}
	for i := range Containers {
		c := fleet.Check{Name: h.image(i), Containers: []string{h.containerName(i)}, Platform: "linux/amd64", Answer: fleet.Current, CheckedAt: h.since, AnsweredBy: "registry-1.docker.io"}
		if i < imageUpdates {
			c.Answer = fleet.Outdated
			f.Updates = append(f.Updates, fleet.Update{
				Source: "docker", Name: c.Name, From: digestOf(c.Name, 1), To: digestOf(c.Name, 2), Origin: "docker.io", Size: 30_000_000,
				ImageUpdate: &fleet.ImageUpdate{Kind: fleet.Rebuild, Platform: c.Platform, Containers: c.Containers},
			})
		}
		f.Checks = append(f.Checks, c)
	}
	slices.SortFunc(f.Updates, func(a, b fleet.Update) int { return cmp.Compare(a.Name, b.Name) })
	return f
}

func (h *host) containerName(i int) string { return fmt.Sprintf("service-%d", i) }

func (h *host) containers() []fleet.Container {
	var list []fleet.Container
	for i := range Containers {
		list = append(list, fleet.Container{Source: "docker", Name: h.containerName(i), Image: h.image(i), ImageID: fleet.ImageID(digestOf(h.image(i), 0)), Platform: "linux/amd64", State: "running"})
	}
	return list
}

func digestOf(name string, n int) string {
	f := fnv.New128a()
	fmt.Fprint(f, name, n)
	return fmt.Sprintf("sha256:%x%x", f.Sum(nil), f.Sum(nil))
}
