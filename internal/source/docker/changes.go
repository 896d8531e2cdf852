package docker

import (
	"maps"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/registry"
)

// behaviour is what an image's config says of how it runs: what a container takes over from it where it was not told otherwise.
type behaviour struct {
	entrypoint, command []string
	user, directory     string
	ports, volumes      []string
	known               bool
}

func behaviourOf(c registry.ImageConfig) behaviour {
	return behaviour{c.Entrypoint, c.Cmd, c.User, c.WorkingDir, c.ExposedPorts, c.Volumes, c.Platform.Architecture != ""}
}

// maxChange bounds each side of a change, in bytes: an entrypoint can be a whole script.
const maxChange = 300

// changesTo gives in what the newer image runs otherwise.
func (b behaviour) changesTo(newer behaviour) []fleet.ImageChange {
	if !b.known || !newer.known {
		return nil
	}
	var list []fleet.ImageChange
	for _, c := range []fleet.ImageChange{
		{What: "entrypoint", From: words(b.entrypoint), To: words(newer.entrypoint)},
		{What: "command", From: words(b.command), To: words(newer.command)},
		{What: "user", From: b.user, To: newer.user},
		{What: "working directory", From: b.directory, To: newer.directory},
		{What: "ports", From: sortedList(b.ports), To: sortedList(newer.ports)},
		{What: "volumes", From: sortedList(b.volumes), To: sortedList(newer.volumes)},
	} {
		if c.From != c.To {
			list = append(list, fleet.ImageChange{What: c.What, From: shortened(c.From), To: shortened(c.To)})
		}
	}
	return list
}

// words writes a command as one would type it.
func words(list []string) string {
	quoted := make([]string, len(list))
	for i, w := range list {
		if quoted[i] = w; w == "" || strings.ContainsAny(w, " \t\n'\"") {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

func sortedList(list []string) string { return strings.Join(slices.Sorted(slices.Values(list)), " ") }

func shortened(s string) string {
	s = fleet.Plain(s)
	if len(s) <= maxChange {
		return s
	}
	return fleet.Plain(s[:maxChange]) + "…"
}

func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
