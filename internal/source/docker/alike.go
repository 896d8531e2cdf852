package docker

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"redflag/internal/fleet"
)

// What is asked of Podman and what it makes of that are two things. Before the old container is stopped, the new one is held to it, by all that Podman says of both.

// maxDifferences bounds how many are named: the first ones say what is missing.
const maxDifferences = 4

// likeOld makes sure that a new container of Podman's differs from the old one in nothing but what its image brings.
func (r *recreation) likeOld(ctx context.Context, k *remake) error {
	was, err := k.engine.native(ctx, k.Old)
	if err != nil {
		return err
	}
	is, err := k.engine.native(ctx, k.New)
	if err != nil || was.whole == nil {
		return err
	}
	var image fields
	if data, err := k.engine.get(ctx, "/images/"+k.OldImage+"/json"); err == nil {
		err = decode(data, &image)
		if err != nil {
			return err
		}
	}
	o := other{was: was.whole, is: is.whole, image: objectOf(image["Config"]), renamed: r.renamed, byCommand: len(was.command) > 0}
	if found := o.differences(); len(found) > 0 {
		return fmt.Errorf("what Podman made is not like the old one in %s", strings.Join(few(found, maxDifferences), "; "))
	}
	return nil
}

// other is a container beside the one that it stands for.
type other struct {
	was, is fields
	// image is the configuration of the old one's image: what that brought, the new one's image may change.
	image   fields
	renamed map[string]string
	// byCommand: it was made by the same command, so that what is random in it may differ.
	byCommand bool
}

// differences names those that are not the images'.
func (o other) differences() (found []string) {
	say := func(what string, was, is any) {
		found = append(found, fmt.Sprintf("%s (%s, and not %s)", what, brief(is), brief(was)))
	}
	for _, name := range []string{"Pod", "OCIRuntime"} {
		if o.was[name] != o.is[name] {
			say(name, o.was[name], o.is[name])
		}
	}
	host, hostNow := o.settings(o.was), o.settings(o.is)
	for _, name := range keysOf(merged(host, hostNow)) {
		if was, is := plainly(o.follow(host[name])), plainly(hostNow[name]); !reflect.DeepEqual(was, is) {
			say("HostConfig."+name, was, is)
		}
	}
	config, configNow := objectOf(o.was["Config"]), objectOf(o.is["Config"])
	for _, name := range keysOf(merged(config, configNow)) {
		was, is := plainly(config[name]), plainly(configNow[name])
		if !slices.Contains(ofImage, name) && !reflect.DeepEqual(was, is) && !(name == "Hostname" && o.isOwnName(was)) {
			say("Config."+name, was, is)
		}
	}
	for _, v := range items(config["Env"]) {
		if !slices.Contains(items(configNow["Env"]), v) && !slices.Contains(items(o.image["Env"]), v) && !isPodmansEnv(textOf(v)) {
			name, _, _ := strings.Cut(textOf(v), "=")
			found = append(found, "the variable "+fleet.Plain(name))
		}
	}
	for name, v := range objectOf(config["Labels"]) {
		if name != labelComposeImage && name != labelConfigHash && objectOf(o.image["Labels"])[name] != v && objectOf(configNow["Labels"])[name] != v {
			found = append(found, "the label "+fleet.Plain(name))
		}
	}
	if was, is := networksOf(o.was), networksOf(o.is); !slices.Equal(was, is) {
		say("networks", was, is)
	}
	mounts := mountsOf(o.is)
	for place, was := range mountsOf(o.was) {
		if is := mounts[place]; is != was {
			say("what is at "+fleet.Plain(place), was, is)
		}
	}
	slices.Sort(found)
	return found
}

// ofImage are fields that the image may bring, or that differ with every container; what a person gave of them is looked at apart, or comes with the same command.
var ofImage = []string{
	"Env", "Cmd", "Image", "Volumes", "WorkingDir", "Entrypoint", "OnBuild", "Labels", "Annotations", "StopSignal", "User", "Healthcheck", "CreateCommand", "ExposedPorts",
	"sdNotifySocket", "StartupHealthCheck",
}

// settings gives HostConfig without what differs with every container.
func (o other) settings(c fields) fields {
	host := fields{}
	for name, v := range objectOf(c["HostConfig"]) {
		switch name {
		case "Annotations", "ContainerIDFile": // Podman's own
		case "Binds": // these are among the mounts
		case "LogConfig":
			log := merged(objectOf(v), nil)
			delete(log, "Path")
			if log["Type"] == "json-file" { // Docker's word for it (podman-run(1))
				log["Type"] = "k8s-file"
			}
			host[name] = log
		case "PortBindings":
			host[name] = o.ports(objectOf(v))
		default:
			host[name] = v
		}
	}
	return host
}

// ports gives what is published. A port of the machine's that Podman has chosen is another one each time, and one that a person chose comes with the command.
func (o other) ports(all fields) fields {
	if !o.byCommand {
		return all
	}
	ports := fields{}
	for port, list := range all {
		var at []any
		for _, b := range items(list) {
			at = append(at, objectOf(b)["HostIp"])
		}
		ports[port] = at
	}
	return ports
}

// follow gives a setting that names a container with the name that this has now.
func (o other) follow(v any) any {
	if _, isText := v.(string); isText {
		return follow(v, o.renamed)
	}
	return v
}

// isOwnName says whether a host name is what Podman made of the container's ID.
func (o other) isOwnName(name any) bool {
	id, host := textOf(o.was["Id"]), textOf(name)
	return len(id) >= shortID && host == id[:shortID]
}

// podmansEnv are variables that Podman sets itself.
var podmansEnv = []string{"container", "HOSTNAME", "TERM", "PATH", "HOME"}

func isPodmansEnv(v string) bool {
	name, _, _ := strings.Cut(v, "=")
	return slices.Contains(podmansEnv, name)
}

func networksOf(c fields) []string {
	return keysOf(objectOf(objectOf(c["NetworkSettings"])["Networks"]))
}

// mountsOf gives what is mounted where, in words.
func mountsOf(c fields) map[string]string {
	places := map[string]string{}
	for _, v := range items(c["Mounts"]) {
		m := objectOf(v)
		from := textOf(m["Name"])
		if from == "" {
			from = textOf(m["Source"])
		}
		how := "read-only"
		if rw, _ := m["RW"].(bool); rw {
			how = "writable"
		}
		places[textOf(m["Destination"])] = strings.Join([]string{textOf(m["Type"]), from, how, textOf(m["Propagation"])}, " ")
	}
	return places
}

// merged gives the fields of both.
func merged(a, b fields) fields {
	all := fields{}
	for _, f := range []fields{a, b} {
		for k, v := range f {
			all[k] = v
		}
	}
	return all
}

// plainly takes what is empty for what is not there.
func plainly(v any) any {
	switch v := v.(type) {
	case string:
		if v == "" {
			return nil
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
	case fields:
		if len(v) == 0 {
			return nil
		}
	}
	return v
}

func brief(v any) string { return shortened(fmt.Sprint(v)) }
