package docker

import (
	"strings"
	"testing"
)

// wasMade is a container as Podman's own API has it, shortened.
const wasMade = `{"Id": "7b2fc5374aa945f735dd508f2bbff10c4b84ae32dceaab749e2b2a72e1a00e8f", "Pod": "", "OCIRuntime": "runc",
	"Mounts": [{"Type": "volume", "Name": "named", "Source": "/v/named", "Destination": "/data", "RW": true, "Propagation": "rprivate"}],
	"NetworkSettings": {"Networks": {"own": {}}},
	"Config": {"Hostname": "7b2fc5374aa9", "Env": ["container=podman", "FROM_IMAGE=1", "MINE=1", "HOSTNAME=7b2fc5374aa9"], "Labels": {"made": "1", "mine": "yes"}, "Umask": "0022", "Secrets": null},
	"HostConfig": {"Memory": 0, "UsernsMode": "", "NetworkMode": "container:7b2fc5374aa9", "CapAdd": [], "LogConfig": {"Type": "k8s-file", "Path": "/a"}, "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "35151"}]}}}`

func TestWhatPodmanMadeOtherwiseIsNoticed(t *testing.T) {
	read := func(s string) fields {
		var f fields
		if err := decode([]byte(s), &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	image := read(`{"Env": ["FROM_IMAGE=1"], "Labels": {"made": "1"}}`)
	for change, want := range map[string]string{
		"":                                 "",
		`"FROM_IMAGE=1" "FROM_IMAGE=2"`:    "",
		`"made":"1" "made":"2"`:            "",
		`"Path":"/a" "Path":"/b"`:          "",
		`"k8s-file" "json-file"`:           "",
		`"7b2fc5374aa9","Env" "a","Env"`:   "",
		`"35151" "41234"`:                  "",
		`"CapAdd":[] "CapAdd":null`:        "",
		`"MINE=1" "MINE=2"`:                "the variable MINE",
		`"mine":"yes" "mine":"no"`:         "the label mine",
		`"Memory":0 "Memory":64`:           "HostConfig.Memory",
		`"UsernsMode":"" "UsernsMode":"x"`: "HostConfig.UsernsMode",
		`"Umask":"0022" "Umask":"0077"`:    "Config.Umask",
		`"Secrets":null "Secrets":["a"]`:   "Config.Secrets",
		`"Pod":"" "Pod":"x"`:               "Pod (x, and not )",
		`"own" "other"`:                    "networks",
		`"Name":"named" "Name":"empty"`:    "what is at /data",
		`"RW":true "RW":false`:             "what is at /data",
		`127.0.0.1 0.0.0.0`:                "HostConfig.PortBindings",
	} {
		from, to, _ := strings.Cut(change, " ")
		is := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(wasMade, ": ", ":"), ", ", ","), from, to)
		if change == "" {
			is = wasMade
		}
		found := strings.Join(other{was: read(wasMade), is: read(is), image: image, byCommand: true}.differences(), "; ")
		if !strings.Contains(found, want) || want == "" && found != "" {
			t.Errorf("%s: %q", change, found)
		}
	}
	moved := other{was: read(wasMade), is: read(strings.Replace(wasMade, "container:7b2fc5374aa9", "container:new", 1)), image: image, renamed: map[string]string{"7b2fc5374aa9": "new"}}
	if found := moved.differences(); len(found) > 0 {
		t.Errorf("who lives in another's successor: %q", found)
	}
}
