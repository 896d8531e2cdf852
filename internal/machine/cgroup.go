package machine

import (
	"regexp"
	"strings"
)

// Kinds of owner, and so of fleet.Service.
const (
	unit      = "unit"
	container = "container"
	session   = "session"
	process   = "process"
)

// owner is what a process belongs to.
type owner struct {
	kind, name string
}

// ownerOf reads /proc/PID/cgroup (cgroups(7)): lines of "hierarchy:controllers:path", one for version 2 and one for each hierarchy
// of version 1. A container comes before the units inside of it, unless it is the one that we run in ourselves, whose id
// inside gives. It is empty for a process that belongs to neither unit, session nor container.
func ownerOf(cgroup []byte, inside string) owner {
	var found owner
	for line := range strings.Lines(string(cgroup)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		path := fields[2]
		id, rest := cutContainer(path)
		if id != "" && id != inside {
			return owner{container, id}
		}
		bySystemd := fields[0] == "0" || fields[1] == "name=systemd"
		if bySystemd && found.kind == "" {
			found = unitOf(rest)
		}
	}
	return found
}

// containerID is how Docker, Podman, containerd and CRI-O name a container's cgroup: its id, behind the engine's name and
// in a scope where systemd drives (docker-ID.scope, libpod-ID.scope, cri-containerd-ID.scope, docker/ID, kubepods/…/ID).
var containerID = regexp.MustCompile(`^(?:[a-z-]+-)?([0-9a-f]{64})(?:\.scope)?$`)

// shortID is how many characters of an id people are shown.
const shortID = 12

// cutContainer finds the outermost container of a path, and gives what lies below it; all of the path when there is none.
func cutContainer(path string) (id, rest string) {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		before := ""
		if i > 0 {
			before = parts[i-1]
		}
		if id := containerName(before, part); id != "" {
			return id, "/" + strings.Join(parts[i+1:], "/")
		}
	}
	return "", path
}

func containerName(before, part string) string {
	if m := containerID.FindStringSubmatch(part); m != nil && !strings.Contains(part, "conmon-") {
		return m[1][:shortID]
	}
	if name, ok := strings.CutPrefix(part, "lxc.payload."); ok {
		return name
	}
	switch {
	case before == "lxc":
		return part
	case part == "payload" && isUnit(before): // systemd-nspawn
		return strings.TrimPrefix(strings.TrimSuffix(before, ".scope"), "machine-")
	default:
		return ""
	}
}

func isUnit(part string) bool {
	return strings.HasSuffix(part, ".service") || strings.HasSuffix(part, ".scope")
}

// unitOf gives the outermost service or scope of a path: below it, a service divides its cgroup as it likes.
func unitOf(path string) owner {
	for part := range strings.SplitSeq(path, "/") {
		if !isUnit(part) {
			continue
		}
		if strings.HasPrefix(path, "/user.slice/") {
			return owner{session, part}
		}
		return owner{unit, part}
	}
	return owner{}
}
