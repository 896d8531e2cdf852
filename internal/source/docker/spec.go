package docker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// A container's specification is kept as the engine gave it, field by field: what we do not know goes through as it is.

// fields is a JSON object.
type fields = map[string]any

// spec is what a container is made of.
type spec struct {
	Config fields
	// Networks are its endpoints, by the network's name; those that are not given when it is made are connected before it is started.
	Networks map[string]fields
	// ByCommand: Podman's command makes it, with these options and this command, and of Config the image's name alone counts.
	ByCommand        bool
	Options, Command []string
	// Platform is said only where the store has images of several under one ID.
	Platform string
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

// likeness is what a container like another one is made from.
type likeness struct {
	// old is what the engine says of the other one, image what it says of the image that that one runs: what a container has only because its image
	// says so, the new one gets from its own. Without it all is kept as it is.
	old, image []byte
	// ref is the new one's image, and imageID the ID of that.
	ref, imageID string
	// renamed gives the new IDs of containers that were made anew before.
	renamed map[string]string
	// others are the places that its volumes-from give it.
	others map[string]bool
	// hostname is the machine's own, which a container in its network has without being told.
	hostname string
}

// spec makes the specification.
func (l likeness) spec() (spec, error) {
	var c, i fields
	if err := decode(l.old, &c); err != nil {
		return spec{}, fmt.Errorf("read the container: %w", err)
	}
	if len(l.image) > 0 {
		if err := decode(l.image, &i); err != nil {
			return spec{}, fmt.Errorf("read its image: %w", err)
		}
	}
	config, host := objectOf(c["Config"]), objectOf(c["HostConfig"])
	if config == nil || host == nil {
		return spec{}, errors.New("the engine does not say how it was made")
	}
	if defaults := objectOf(i["Config"]); defaults != nil {
		subtract(config, defaults)
	}
	config["Image"] = asked(textOf(config["Image"]), l.ref)
	if labels := objectOf(config["Labels"]); labels[labelComposeImage] != nil {
		labels[labelComposeImage] = l.imageID // else compose would make it anew once more
	}
	id := textOf(c["Id"])
	for _, space := range []string{"NetworkMode", "PidMode", "IpcMode"} {
		host[space] = follow(host[space], l.renamed)
	}
	mode := networkByName(c, textOf(host["NetworkMode"]))
	if host["NetworkMode"] != nil {
		host["NetworkMode"] = mode
	}
	followVolumes(host, l.renamed)
	dropHostname(config, host, id, l.hostname)
	keepVolumes(host, items(c["Mounts"]), l.others)
	config["HostConfig"] = host
	return spec{Config: config, Networks: endpoints(c, id, mode)}, nil
}

// asked gives a container's reference as a person wrote it, where that is the one that is meant: nginx, and not nginx:latest.
func asked(was, ref string) string {
	a, errA := reference.ParseNormalizedNamed(was)
	b, errB := reference.ParseNormalizedNamed(ref)
	if errA != nil || errB != nil || isFullID(was) || reference.TagNameOnly(a).String() != reference.TagNameOnly(b).String() {
		return ref
	}
	return was
}

// subtract takes out what is the image's own.
func subtract(config, image fields) {
	for _, name := range []string{"WorkingDir", "User", "StopSignal", "Shell", "OnBuild", "ArgsEscaped"} {
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
	for _, name := range []string{"Labels", "Volumes", "ExposedPorts", "Healthcheck"} {
		ours := objectOf(config[name])
		for k, v := range objectOf(image[name]) {
			if reflect.DeepEqual(ours[k], v) {
				delete(ours, k)
			}
		}
	}
	// A health check is laid over the image's field by field, so what is the image's of it goes, and the rest stays.
	if len(objectOf(config["Healthcheck"])) == 0 {
		delete(config, "Healthcheck")
	}
}

// shortID is how much of its ID a container has for a name.
const shortID = 12

// dropHostname takes out the name that the engine gave, which would stick to the new container for ever, and one that it must not have: where it
// has the names of another space, an engine refuses one of its own.
func dropHostname(config, host fields, id, machines string) {
	name, mode := textOf(config["Hostname"]), textOf(host["NetworkMode"])
	given := len(id) >= shortID && name == id[:shortID] || mode == "host" && name == machines
	joined := strings.HasPrefix(mode, "container:")
	if given || joined || textOf(host["UTSMode"]) == "host" {
		delete(config, "Hostname")
	}
	if joined || textOf(host["UTSMode"]) == "host" {
		delete(config, "Domainname")
	}
	if joined {
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

// followVolumes does the same for volumes-from, which may say :ro.
func followVolumes(host fields, renamed map[string]string) {
	for i, v := range items(host["VolumesFrom"]) {
		id, how, said := strings.Cut(textOf(v), ":")
		if fresh := renamed[id]; fresh != "" {
			if said {
				fresh += ":" + how
			}
			items(host["VolumesFrom"])[i] = fresh
		}
	}
}
