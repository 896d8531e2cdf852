package docker

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// brand is what tells two engines of the same API apart.
type brand struct {
	name, title string
	// env names the variable that says where the engine listens.
	env string
	// sockets are where it listens otherwise; $XDG_RUNTIME_DIR stands for the user's own folder.
	sockets []string
	// programs are files that say that it is installed, so that its silence is a fault. Podman has none: it needs no service, and its
	// silence is a fault when its storage has containers.
	programs []string
	// silence says what it means that there is no socket.
	silence string
	// start and allow are remedies: for an engine that is not running, and for one that we may not ask.
	start, allow string
}

var (
	dockerBrand = brand{
		name: "docker", title: "Docker", env: "DOCKER_HOST",
		sockets:  []string{"/var/run/docker.sock", "$XDG_RUNTIME_DIR/docker.sock"},
		programs: []string{"/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd"},
		silence:  "there is no socket",
		start:    "start it: `systemctl start docker`",
		allow:    "run as root, or add your user to the group docker (`usermod -aG docker USER`, then log in again): its members can do on this host whatever root can",
	}
	podmanBrand = brand{
		name: "podman", title: "Podman", env: "CONTAINER_HOST",
		sockets: []string{"/run/podman/podman.sock", "$XDG_RUNTIME_DIR/podman/podman.sock"},
		silence: "it has containers here, and its API service is off",
		start:   "start its API service: `systemctl enable --now podman.socket`, with --user for your own containers",
		allow:   "run as root, or as the user whose containers they are",
	}
)

func (b brand) notRunning(detail string) error {
	return &fleet.Unknown{Because: b.title + " is not running: " + detail, Remedy: b.start}
}

const runtimeDir = "$XDG_RUNTIME_DIR"

// hosts gives the addresses of the engines of this source, each engine once. A socket that is Podman's by another name (podman-docker
// links /var/run/docker.sock to it) is left to Podman's source.
func (s *Source) hosts(m *machine.Machine) []string {
	if s.host != "" {
		return []string{s.host}
	}
	var hosts []string
	var known []fs.FileInfo
	addresses := s.addresses(s.brand)
	if socket := s.contextSocket(m); socket != "" && s.brand.name == dockerBrand.name && s.getenv(s.brand.env) == "" {
		addresses = append(addresses, socket)
	}
	if s.brand.name == podmanBrand.name && s.getenv(s.brand.env) == "" && s.root {
		addresses = append(addresses, usersSockets(m)...)
	}
	for _, address := range addresses {
		path, isSocket := strings.CutPrefix(address, "unix://")
		if !isSocket {
			hosts = append(hosts, address)
			continue
		}
		info, err := m.Stat(path)
		absent := errors.Is(err, fs.ErrNotExist) && s.getenv(s.brand.env) == ""
		if absent || s.isPodmans(m, info) || slices.ContainsFunc(known, same(info)) {
			continue
		}
		// A folder that may not be looked into counts: whether there is an engine is then unknown, which is not a no.
		known = append(known, info)
		hosts = append(hosts, "unix://"+m.Path(path))
	}
	return hosts
}

// addresses gives the places where engines of a brand may listen: the one that the environment names, or the usual ones.
func (s *Source) addresses(b brand) []string {
	if host := s.getenv(b.env); host != "" {
		return []string{host}
	}
	var list []string
	for _, path := range b.sockets {
		if rest, own := strings.CutPrefix(path, runtimeDir); own {
			dir := s.getenv(strings.TrimPrefix(runtimeDir, "$"))
			if dir == "" {
				continue
			}
			path = dir + rest
		}
		list = append(list, "unix://"+path)
	}
	return list
}

// isPodmans says whether Docker's source has come upon a socket that Podman's source asks.
func (s *Source) isPodmans(m *machine.Machine, info fs.FileInfo) bool {
	if s.brand.name == podmanBrand.name {
		return false
	}
	for _, address := range s.addresses(podmanBrand) {
		path, isSocket := strings.CutPrefix(address, "unix://")
		if theirs, err := m.Stat(path); isSocket && err == nil && same(info)(theirs) {
			return true
		}
	}
	return false
}

// same gives a predicate for files that are one file. What could not be looked at is the same as nothing.
func same(info fs.FileInfo) func(fs.FileInfo) bool {
	return func(other fs.FileInfo) bool { return info != nil && other != nil && os.SameFile(info, other) }
}
