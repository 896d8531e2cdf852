package docker

import (
	"context"
	"regexp"
	"strings"

	"github.com/moby/moby/api/types/container"

	"redflag/internal/machine"
)

// handsOff says why a container is not made anew here; empty where it may be. Named: a person has asked for it by its name.
func (e *engine) handsOff(m *machine.Machine, c container.InspectResponse, named bool) string {
	if c.Config == nil || c.HostConfig == nil {
		return "the engine does not say how it was made"
	}
	if owner := ownerOf(running{name: strings.TrimPrefix(c.Name, "/"), labels: c.Config.Labels}); owner != "" {
		return owner
	}
	if strings.Contains(c.Name, asideSuffix) {
		return "it was put aside for one that is being made anew"
	}
	if c.ID != "" && c.ID == ownContainer(m) {
		return "RedFlag itself runs in it, and would end with it: update it from outside (or run RedFlag as a service of the host)"
	}
	if s := c.State; s != nil && (s.Dead || string(s.Status) == "removing") {
		return "it is being removed"
	}
	return leftAlone(c.Config.Labels, named)
}

// inOwnCgroup and inOwnMounts find the ID of the container that a process runs in: in its cgroup's path, or, where that is hidden by a cgroup
// namespace, in where the engine mounts its /etc/hostname from.
var (
	inOwnCgroup = regexp.MustCompile(`(?m)[/-]([0-9a-f]{64})(?:\.scope)?$`)
	inOwnMounts = regexp.MustCompile(`[/-]containers/([0-9a-f]{64})/(?:userdata/)?hostname`)
)

// maxOwn bounds what is read of ourselves: mounts of a busy host are 200 KB.
const maxOwn = 4 << 20

// ownContainer gives the ID of the container that RedFlag runs in; empty where it runs in none.
func ownContainer(m *machine.Machine) string {
	for file, id := range map[string]*regexp.Regexp{"/proc/self/mountinfo": inOwnMounts, "/proc/self/cgroup": inOwnCgroup} {
		data, err := m.ReadFile(file, maxOwn)
		if err != nil {
			continue // no Linux, or not for us
		}
		if found := id.FindSubmatch(data); found != nil {
			return string(found[1])
		}
	}
	return ""
}

// machineName gives the engine's own host name; empty where it does not say.
func (e *engine) machineName(ctx context.Context) string {
	info, err := e.info(ctx)
	if err != nil {
		return ""
	}
	return info.Name
}
