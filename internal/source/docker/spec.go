package docker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A container's specification is kept as the engine gave it, field by field: what we do not know goes through as it is.

// fields is a JSON object.
type fields = map[string]any

// spec is what a container is made of.
type spec struct {
	Config fields
	// Networks are its endpoints, by the network's name; those that are not given when it is made are connected before it is started.
	Networks map[string]fields
}

// decode reads JSON without making floating point numbers of its numbers.
func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(v)
}

func objectOf(v any) fields {
	o, _ := v.(fields)
	return o
}

func textOf(v any) string {
	s, _ := v.(string)
	return s
}

func items(v any) []any {
	l, _ := v.([]any)
	return l
}

// specOf makes the specification of a container like this one, from another image. Old is what the engine says of it, image what it says of the
// image that it runs: what a container has only because its image says so, the new one gets from its own image. Renamed gives the new IDs of containers
// that were made anew before it.
func specOf(old, image []byte, ref, imageID string, renamed map[string]string) (spec, error) {
	var c, i fields
	if err := decode(old, &c); err != nil {
		return spec{}, fmt.Errorf("read the container: %w", err)
	}
	if len(image) > 0 {
		if err := decode(image, &i); err != nil {
			return spec{}, fmt.Errorf("read its image: %w", err)
		}
	}
	config, host := objectOf(c["Config"]), objectOf(c["HostConfig"])
	if config == nil || host == nil {
		return spec{}, fmt.Errorf("the engine does not say how it was made")
	}
	if defaults := objectOf(i["Config"]); defaults != nil {
		subtract(config, defaults)
	}
	config["Image"] = ref
	if labels := objectOf(config["Labels"]); labels["com.docker.compose.image"] != nil {
		labels["com.docker.compose.image"] = imageID // else compose would make it anew once more
	}
	id := textOf(c["Id"])
	mode := textOf(host["NetworkMode"])
	dropHostname(config, id, mode)
	for _, space := range []string{"NetworkMode", "PidMode", "IpcMode"} {
		host[space] = follow(host[space], renamed)
	}
	keepVolumes(host, items(c["Mounts"]))
	config["HostConfig"] = host
	return spec{config, endpoints(c, id, mode)}, nil
}

// subtract takes out what is the image's own.
func subtract(config, image fields) {
	for _, name := range []string{"WorkingDir", "User", "StopSignal", "Shell", "Healthcheck", "OnBuild", "ArgsEscaped"} {
		if reflect.DeepEqual(config[name], image[name]) {
			delete(config, name)
		}
	}
	if reflect.DeepEqual(config["Entrypoint"], image["Entrypoint"]) {
		delete(config, "Entrypoint")
		if reflect.DeepEqual(config["Cmd"], image["Cmd"]) {
			delete(config, "Cmd")
		}
	}
	theirs := items(image["Env"])
	config["Env"] = slices.DeleteFunc(slices.Clone(items(config["Env"])), func(v any) bool { return slices.Contains(theirs, v) })
	for _, name := range []string{"Labels", "Volumes", "ExposedPorts"} {
		ours := objectOf(config[name])
		for k, v := range objectOf(image[name]) {
			if reflect.DeepEqual(ours[k], v) {
				delete(ours, k)
			}
		}
	}
}

// shortID is how much of its ID a container has for a name.
const shortID = 12

// dropHostname takes out the name that the engine gave, which would stick to the new container for ever, and one that it must not have.
func dropHostname(config fields, id, mode string) {
	given := len(id) >= shortID && textOf(config["Hostname"]) == id[:shortID]
	if given || mode == "host" || strings.HasPrefix(mode, "container:") {
		delete(config, "Hostname")
	}
	if mode == "host" || strings.HasPrefix(mode, "container:") {
		delete(config, "Domainname")
		delete(config, "ExposedPorts")
	}
}

// follow gives container:ID of the container that stands for the old one.
func follow(mode any, renamed map[string]string) any {
	id, shares := strings.CutPrefix(textOf(mode), "container:")
	if fresh := renamed[id]; shares && fresh != "" {
		return "container:" + fresh
	}
	return mode
}

// keepVolumes names the anonymous volumes: without that the new container would get empty ones, and the data would lie orphaned.
func keepVolumes(host fields, mounts []any) {
	binds := items(host["Binds"])
	taken := map[string]bool{}
	for _, b := range binds {
		parts := strings.Split(textOf(b), ":")
		if len(parts) > 1 {
			taken[parts[1]] = true
		}
	}
	for _, m := range items(host["Mounts"]) {
		taken[textOf(objectOf(m)["Target"])] = true
	}
	for _, v := range mounts {
		m := objectOf(v)
		target := textOf(m["Destination"])
		if textOf(m["Type"]) != "volume" || textOf(m["Name"]) == "" || taken[target] {
			continue
		}
		bind := textOf(m["Name"]) + ":" + target
		if rw, ok := m["RW"].(bool); ok && !rw {
			bind += ":ro"
		}
		binds = append(binds, bind)
	}
	if len(binds) > 0 {
		host["Binds"] = binds
	}
}

// endpointFields are the fields of an endpoint that a person may have set. Addresses that the engine gave are not among them.
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
