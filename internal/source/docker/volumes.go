package docker

import (
	"strings"
)

// keepVolumes names the anonymous volumes: without that the new container would get empty ones, and the data would lie orphaned. Others are the
// places that volumes-from gives it.
func keepVolumes(host fields, mounts []any, others map[string]bool) {
	names := map[string]fields{} // the mounts that are volumes, by their place in the container
	for _, v := range mounts {
		if m := objectOf(v); textOf(m["Type"]) == "volume" && textOf(m["Name"]) != "" {
			names[textOf(m["Destination"])] = m
		}
	}
	binds, taken := boundPlaces(host)
	for _, v := range items(host["Mounts"]) {
		m := objectOf(v)
		target := textOf(m["Target"])
		taken[target] = true
		if used := names[target]; used != nil && textOf(m["Type"]) == "volume" && textOf(m["Source"]) == "" {
			m["Source"] = used["Name"] // with its options as they are: no copy, subpath, driver
		}
	}
	for _, v := range mounts { // in the engine's order
		m := objectOf(v)
		target := textOf(m["Destination"])
		if names[target] == nil || taken[target] || others[target] {
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

// boundPlaces gives the binds, and the places in the container that they take.
func boundPlaces(host fields) (binds []any, taken map[string]bool) {
	binds, taken = items(host["Binds"]), map[string]bool{}
	for _, b := range binds {
		if parts := strings.Split(textOf(b), ":"); len(parts) > 1 {
			taken[parts[1]] = true
		}
	}
	return binds, taken
}
