package docker

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const oldID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// specFor makes a specification from JSON texts.
func specFor(t testing.TB, config, host, more, image string, l likeness) spec {
	t.Helper()
	l.old = []byte(`{"Id": "` + oldID + `", "Config": ` + config + `, "HostConfig": ` + host + more + `}`)
	if image != "" {
		l.image = []byte(`{"Config": ` + image + `}`)
	}
	if l.ref == "" {
		l.ref = "docker.io/library/nginx:latest"
	}
	s, err := l.spec()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func compact(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWhatIsNotTheImagesIsCarriedOverAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct{ config, image, want string }{
		"a command that is the image's":      {`{"Cmd": ["a"], "Entrypoint": ["e"]}`, `{"Cmd": ["a"], "Entrypoint": ["e"]}`, `{}`},
		"a command of one's own":             {`{"Cmd": ["b"], "Entrypoint": ["e"]}`, `{"Cmd": ["a"], "Entrypoint": ["e"]}`, `{"Cmd":["b"]}`},
		"an entrypoint of one's own":         {`{"Cmd": ["a"], "Entrypoint": ["x"]}`, `{"Cmd": ["a"], "Entrypoint": ["e"]}`, `{"Cmd":["a"],"Entrypoint":["x"]}`},
		"the same variable, another value":   {`{"Env": ["A=1", "B=2"]}`, `{"Env": ["A=1", "B=1"]}`, `{"Env":["B=2"]}`},
		"a check that was turned off":        {`{"Healthcheck": {"Test": ["NONE"]}}`, `{"Healthcheck": {"Test": ["CMD", "x"], "Interval": 5}}`, `{"Healthcheck":{"Test":["NONE"]}}`},
		"the image's check, at its own pace": {`{"Healthcheck": {"Test": ["CMD", "x"], "Interval": 9}}`, `{"Healthcheck": {"Test": ["CMD", "x"], "Interval": 5}}`, `{"Healthcheck":{"Interval":9}}`},
		"the image's check":                  {`{"Healthcheck": {"Test": ["CMD", "x"]}}`, `{"Healthcheck": {"Test": ["CMD", "x"]}}`, `{}`},
		"labels, ports, volumes": {
			`{"Labels": {"a": "1", "b": "mine"}, "ExposedPorts": {"80/tcp": {}, "81/tcp": {}}, "Volumes": {"/v": {}, "/w": {}}}`,
			`{"Labels": {"a": "1", "b": "2"}, "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}}`,
			`{"ExposedPorts":{"81/tcp":{}},"Labels":{"b":"mine"},"Volumes":{"/w":{}}}`,
		},
		"what we do not know, and numbers that no float holds": {`{"Later": {"x": 9007199254740993}, "StopTimeout": null}`, `{}`, `{"Later":{"x":9007199254740993},"StopTimeout":null}`},
		"the image is gone": {`{"Env": ["A=1"], "Cmd": ["a"]}`, ``, `{"Cmd":["a"],"Env":["A=1"]}`},
	} {
		s := specFor(t, c.config, `{}`, ``, c.image, likeness{})
		for _, k := range []string{"HostConfig", "Image"} {
			delete(s.Config, k)
		}
		if env := items(s.Config["Env"]); len(env) == 0 {
			delete(s.Config, "Env")
		}
		if got := compact(t, s.Config); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestOnlyANameOfOnesOwnIsCarriedOver(t *testing.T) {
	for name, c := range map[string]struct{ hostname, host, want string }{
		"given by the engine":           {oldID[:shortID], `{"NetworkMode": "default"}`, ""},
		"a person's":                    {"mine", `{"NetworkMode": "default"}`, "mine"},
		"the machine's, in its network": {"server", `{"NetworkMode": "host"}`, ""},
		"a person's, in its network":    {"mine", `{"NetworkMode": "host"}`, "mine"},
		"the machine's names":           {"server", `{"NetworkMode": "default", "UTSMode": "host"}`, ""},
		"another container's":           {"theirs", `{"NetworkMode": "container:x"}`, ""},
	} {
		s := specFor(t, `{"Hostname": "`+c.hostname+`"}`, c.host, ``, ``, likeness{hostname: "server"})
		if got := textOf(s.Config["Hostname"]); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestTheReferenceStaysAsAPersonWroteIt(t *testing.T) {
	for was, want := range map[string]string{
		"nginx": "nginx", "nginx:latest": "nginx:latest", "docker.io/library/nginx": "docker.io/library/nginx", "sha256:" + oldID: "docker.io/library/nginx:latest", "other:1": "docker.io/library/nginx:latest",
		"Not:A:Reference": "docker.io/library/nginx:latest",
	} {
		if got := asked(was, "docker.io/library/nginx:latest"); got != want {
			t.Errorf("%s: %s, want %s", was, got, want)
		}
	}
}

func TestEveryVolumeIsBoundOnceToWhereItWas(t *testing.T) {
	mounts := `, "Mounts": [
		{"Type": "volume", "Name": "anon1", "Destination": "/a", "RW": true}, {"Type": "volume", "Name": "anon2", "Destination": "/ro", "RW": false},
		{"Type": "volume", "Name": "named", "Destination": "/n", "RW": true}, {"Type": "volume", "Name": "theirs", "Destination": "/from", "RW": true},
		{"Type": "volume", "Name": "made", "Destination": "/m", "RW": true}, {"Type": "bind", "Source": "/src", "Destination": "/b", "RW": true}, {"Type": "tmpfs", "Destination": "/t"}]`
	host := `{"Binds": ["named:/n:z,nocopy", "/src:/b:rslave"], "Mounts": [{"Type": "volume", "Target": "/m", "VolumeOptions": {"NoCopy": true, "Subpath": "x"}}, {"Type": "tmpfs", "Target": "/t"}]}`
	s := specFor(t, `{}`, host, mounts, ``, likeness{others: map[string]bool{"/from": true}})
	got := objectOf(s.Config["HostConfig"])
	if diff := cmp.Diff(`["named:/n:z,nocopy","/src:/b:rslave","anon1:/a","anon2:/ro:ro"]`, compact(t, got["Binds"])); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(`[{"Source":"made","Target":"/m","Type":"volume","VolumeOptions":{"NoCopy":true,"Subpath":"x"}},{"Target":"/t","Type":"tmpfs"}]`, compact(t, got["Mounts"])); diff != "" {
		t.Error(diff)
	}
}

func TestANetworkIsGoneToByItsName(t *testing.T) {
	networks := `, "NetworkSettings": {"Networks": {
		"lan": {"NetworkID": "` + oldID + `", "IPAddress": "10.0.0.9", "MacAddress": "02:42:0a:00:00:09", "IPAMConfig": {"IPv4Address": "10.0.0.9"}, "Aliases": ["www", "` + oldID[:shortID] + `"], "Links": ["a:b"], "GwPriority": 3},
		"bridge": {"Aliases": ["no"], "IPAMConfig": null}}}`
	s := specFor(t, `{}`, `{"NetworkMode": "`+oldID+`"}`, networks, ``, likeness{})
	if mode := objectOf(s.Config["HostConfig"])["NetworkMode"]; mode != "lan" {
		t.Errorf("it is made in %v", mode)
	}
	if diff := cmp.Diff(`{"bridge":{},"lan":{"Aliases":["www"],"GwPriority":3,"IPAMConfig":{"IPv4Address":"10.0.0.9"},"Links":["a:b"]}}`, compact(t, s.Networks)); diff != "" {
		t.Error(diff)
	}
	if first, more := s.first(); first != "lan" || len(more) != 1 || more[0] != "bridge" {
		t.Errorf("first %s, then %v", first, more)
	}
	s = specFor(t, `{"ExposedPorts": {"80/tcp": {}}}`, `{"NetworkMode": "container:old", "PidMode": "container:old", "VolumesFrom": ["old:ro", "other"]}`, networks, ``, likeness{renamed: map[string]string{"old": "new"}})
	if diff := cmp.Diff(`{"IpcMode":null,"NetworkMode":"container:new","PidMode":"container:new","VolumesFrom":["new:ro","other"]}`, compact(t, s.Config["HostConfig"])); diff != "" || len(s.Networks) != 0 || s.Config["ExposedPorts"] != nil {
		t.Errorf("%s %v", diff, s)
	}
}

func FuzzSpec(f *testing.F) {
	f.Add([]byte(`{"Id": "`+oldID+`", "Config": {"Env": ["A=1"], "Labels": {"a": "b"}, "Healthcheck": {"Test": []}}, "HostConfig": {"Binds": ["a:/b", 3], "Mounts": [{}], "VolumesFrom": ["x"]}, "Mounts": [{"Type": "volume", "Name": "v", "Destination": "/d"}]}`), []byte(`{"Config": {"Env": ["A=1"]}}`))
	f.Add([]byte(`{"Config": [], "HostConfig": 1}`), []byte(`null`))
	f.Fuzz(func(t *testing.T, old, image []byte) {
		s, err := likeness{old: old, image: image, ref: "r", renamed: map[string]string{"x": "y"}}.spec()
		if err != nil {
			return
		}
		if _, err := s.body(); err != nil {
			t.Error(err)
		}
	})
}
