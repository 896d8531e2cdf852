package docker

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// endpointFields are the fields of an endpoint that a person may have set. Addresses that the engine gave are not among them: what is asked for
// is in IPAMConfig, and a hardware address in the container's own MacAddress.
var endpointFields = []string{"IPAMConfig", "Links", "Aliases", "DriverOpts", "GwPriority"}

// endpoints gives a container's networks, as they were asked for.
func endpoints(c fields, id, mode string) map[string]fields {
	list := map[string]fields{}
	if mode == "host" || mode == "none" || strings.HasPrefix(mode, "container:") {
		return list
	}
	for name, v := range objectOf(objectOf(c["NetworkSettings"])["Networks"]) {
		from, to := objectOf(v), fields{}
		for _, k := range endpointFields {
			if from[k] != nil {
				to[k] = from[k]
			}
		}
		aliases := slices.DeleteFunc(slices.Clone(items(to["Aliases"])), func(a any) bool { return len(id) >= shortID && textOf(a) == id[:shortID] })
		if delete(to, "Aliases"); len(aliases) > 0 && name != "bridge" {
			to["Aliases"] = aliases
		}
		list[name] = to
	}
	return list
}

// networkByName gives a network mode that is a network's ID as the network's name: one that was removed and made again has the name, and another ID.
func networkByName(c fields, mode string) string {
	for name, v := range objectOf(objectOf(c["NetworkSettings"])["Networks"]) {
		if id := textOf(objectOf(v)["NetworkID"]); len(mode) >= shortID && strings.HasPrefix(id, mode) {
			return name
		}
	}
	return mode
}

// first gives the endpoint with which the container is made: older engines take one, and the others are connected afterwards.
func (s spec) first() (name string, more []string) {
	mode := textOf(objectOf(s.Config["HostConfig"])["NetworkMode"])
	names := slices.Sorted(maps.Keys(s.Networks))
	for i, n := range names {
		if n == mode || mode == "default" && n == "bridge" {
			return n, slices.Delete(names, i, i+1)
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	return names[0], names[1:]
}

// body is what is sent to make the container.
func (s spec) body() ([]byte, error) {
	if name, _ := s.first(); name != "" {
		s.Config["NetworkingConfig"] = fields{"EndpointsConfig": fields{name: s.Networks[name]}}
	}
	return json.Marshal(s.Config)
}
