package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"redflag/internal/fleet"
)

// Podman's Docker API tells and takes less than Podman knows. What is only in its own is asked there: pods, who made a container and how, what holds it.

// native is what Podman says of a container in its own API (docs.podman.io, libpod). Of an engine of Docker's it is empty.
type native struct {
	// whole is all of it.
	whole fields
	// pod is the ID of its pod; empty where it is in none. Infra: it is what holds a pod together, Service: what holds pods of a YAML file together.
	pod            string
	infra, service bool
	// conmon is the process that watches it, 0 where it does not run.
	conmon string
	// command is the one that it was made by; empty where that was no command of Podman's.
	command []string
	// needs are the IDs of the containers without which Podman does not start it, and which it does not let go before it.
	needs []string
}

// native asks Podman for what Docker's API does not have.
func (e *engine) native(ctx context.Context, id string) (native, error) {
	version, _ := e.libpodVersion.Load().(string)
	if !e.libpod.Load() || !libpodVersions.MatchString(version) {
		return native{}, nil
	}
	data, err := e.libpodGet(ctx, "/containers/"+id+"/json")
	var refused *refusal
	if errors.As(err, &refused) && (refused.status == http.StatusNotFound || strings.Contains(refused.said, "no such container")) {
		return native{}, errNoSuch
	}
	if err != nil {
		return native{}, err
	}
	var whole fields
	if err := decode(data, &whole); err != nil {
		return native{}, fmt.Errorf("read what Podman says of a container: %w", err)
	}
	return nativeOf(whole), nil
}

func nativeOf(whole fields) native {
	n := native{whole: whole, pod: textOf(whole["Pod"]), conmon: fmt.Sprint(objectOf(whole["State"])["ConmonPid"])}
	n.infra, _ = whole["IsInfra"].(bool)
	n.service, _ = whole["IsService"].(bool)
	// What was asked for over the API has the command of the service that answered.
	if words := texts(objectOf(whole["Config"])["CreateCommand"]); !slices.Contains(words, "service") {
		n.command = words
	}
	n.needs = texts(whole["Dependencies"])
	return n
}

// texts gives the strings of a list.
func texts(v any) (list []string) {
	for _, i := range items(v) {
		list = append(list, textOf(i))
	}
	return list
}

// libpodGet asks Podman's own API, in the version that it speaks itself.
func (e *engine) libpodGet(ctx context.Context, at string) ([]byte, error) {
	version, _ := e.libpodVersion.Load().(string)
	resp, err := e.send(ctx, http.MethodGet, "/v"+version+"/libpod"+at, nil)
	if err != nil {
		return nil, err
	}
	return all(resp)
}

// libpodVersions are those of its own API that have what is asked for.
var libpodVersions = regexp.MustCompile(`^([4-9]|[1-9][0-9])\.[0-9]{1,3}\.[0-9]{1,3}`)

// Labels that say who makes a container of Podman's anew.
const (
	// labelUnit is the unit of systemd that made it: Podman sets it from the environment in which a quadlet, or what `podman generate systemd --new` wrote, runs it.
	labelUnit = "PODMAN_SYSTEMD_UNIT"
	// labelAutoUpdate is the policy of podman-auto-update(1): registry (once: image), or local.
	labelAutoUpdate = "io.containers.autoupdate"
)

// becauseYAML is why what was made from a file for Kubernetes is left as it is.
const becauseYAML = "podman kube play made it from a YAML file, which says what it runs: `podman kube play --replace FILE` makes it anew"

// leaveOfPodman says why a container of Podman's cannot be made anew; empty where it can.
func (d *drafting) leaveOfPodman(c seen, named bool) string {
	n := c.native
	if n.whole == nil {
		return "Podman does not say how it was made (Podman 4 or later is needed)"
	}
	if n.infra {
		return "it holds its pod together, with an image of Podman's own"
	}
	if n.service || n.pod != "" && len(n.command) == 0 || slices.Contains(n.command, "kube") || slices.Contains(n.command, "play") {
		return becauseYAML
	}
	if unit := c.Config.Labels[labelUnit]; unit != "" {
		return d.leaveToUnit(c, unit, named)
	}
	if unit := d.startedBy(c); unit != "" {
		return "the unit " + unit + " starts it and does not make it: with `podman generate systemd --new` or a quadlet it would be made anew whenever that is restarted"
	}
	for _, v := range c.Mounts {
		if c.HostConfig.AutoRemove && anonymousName.MatchString(v.Name) {
			return "it is removed when it ends (--rm), and Podman removes the volume at " + fleet.Plain(v.Destination) + ", which has no name, with it: give that a name"
		}
	}
	if len(n.command) == 0 {
		return ""
	}
	if _, err := d.source.replayOf(d.ctx, d.m, c); err != nil {
		return err.Error()
	}
	return ""
}

// isComposed says whether it is for Compose to make a container anew. What podman-compose made, it made by Podman's own command.
func (c seen) isComposed() bool { return isComposed(c.Config.Labels) && len(c.command) == 0 }

// leans gives what a container leans on, also that of which only Podman knows (--requires).
func (c seen) leans() []lean {
	list := leans(c.InspectResponse)
	for _, id := range c.needs {
		if !slices.ContainsFunc(list, func(l lean) bool { return l.other == id }) {
			list = append(list, lean{id, true})
		}
	}
	return list
}

// isHere says whether an engine's processes are this machine's.
func (e *engine) isHere() bool { return strings.HasPrefix(e.host, "unix://") }

// anonymousName is a volume's that nobody has named: 64 hexadecimal digits.
var anonymousName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// forPodman turns what Podman's Docker API says of a container into what it takes.
func (s spec) forPodman() {
	host := objectOf(s.Config["HostConfig"])
	for _, v := range items(host["Ulimits"]) {
		limit := objectOf(v)
		limit["Name"] = strings.ToLower(strings.TrimPrefix(textOf(limit["Name"]), "RLIMIT_"))
	}
	s.Config["Env"] = slices.DeleteFunc(slices.Clone(items(s.Config["Env"])), func(v any) bool { return isPodmansEnv(textOf(v)) && !strings.HasPrefix(textOf(v), "PATH=") })
}

// checkHealth has Podman check a container now, if it is time and nobody does: Podman's checks are timers of systemd, and where there is none nobody does them.
func (e *engine) checkHealth(ctx context.Context, c container.InspectResponse, began time.Time) {
	s := c.State
	if s == nil || s.Health == nil {
		return
	}
	if s.Health.Status == "" { // so Podman says that it has no check
		s.Health = nil
		return
	}
	last, interval := began, time.Duration(0)
	if n := len(s.Health.Log); n > 0 && s.Health.Log[n-1].End.After(last) {
		last = s.Health.Log[n-1].End
	}
	if c.Config != nil && c.Config.Healthcheck != nil {
		interval = c.Config.Healthcheck.Interval
	}
	if s.Running && s.Health.Status == container.Starting && time.Since(last) > interval+interval/2 {
		_, _ = e.libpodGet(ctx, "/containers/"+c.ID+"/healthcheck") // what it found is asked for next
	}
}
