package registry

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// install puts a credential helper into PATH.
func install(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestCredentialHelpersAreAskedInDockersOrder(t *testing.T) {
	b := newBearer(t)
	b.user, b.password = "anna", "secret"
	l := newLab(t, b.guards())
	want := l.push(t, "app:1", image(t, amd64, nil))
	install(t, "right", `read host; echo "{\"ServerURL\":\"$host\",\"Username\":\"anna\",\"Secret\":\"secret\"}"`)
	install(t, "token", `echo '{"Username":"<token>","Secret":"secret"}'`)
	install(t, "empty", `echo "credentials not found in native keychain"; exit 1`)
	install(t, "broken", `echo "no keyring" >&2; exit 1`)
	install(t, "endless", `exec cat /dev/zero`)
	plain := auths(l.host, "anna", "secret")["auths"]
	wrong := auths(l.host, "anna", "wrong")["auths"]
	for _, c := range []struct {
		name   string
		config obj
		kind   error
	}{
		{"one for this registry", obj{"credHelpers": obj{l.host: "right"}, "credsStore": "broken", "auths": wrong}, nil},
		{"a store for all", obj{"credsStore": "right", "auths": wrong}, nil},
		{"an identity token", obj{"credsStore": "token"}, nil},
		{"a store that has none", obj{"credsStore": "empty", "auths": plain}, nil},
		{"a store that fails", obj{"credsStore": "broken", "auths": plain}, ErrDenied},
		{"a store that never ends", obj{"credsStore": "endless"}, ErrDenied},
		{"a store that is not there", obj{"credsStore": "missing"}, ErrDenied},
		{"a store that is a path", obj{"credsStore": "../../bin/sh"}, ErrDenied},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := start(t, Config{DockerConfig: dockerLogin(t, c.config)}).Resolve(t.Context(), l.ref(t, "app:1"))
			if !errors.Is(err, c.kind) || c.kind == nil && a.Digest != want {
				t.Errorf("got %s, %v", a.Digest, err)
			}
		})
	}
}

func TestDockersConfigIsReadAsDockerReadsIt(t *testing.T) {
	for name, c := range map[string]struct {
		config, host string
		want         credential
	}{
		"the Hub's URL":      {`{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"}}}`, hub, credential{user: "a", password: "b"}},
		"a host":             {`{"auths":{"ghcr.io":{"auth":"YTpiOmM="}}}`, "ghcr.io", credential{user: "a", password: "b:c"}},
		"a URL with a path":  {`{"auths":{"https://r.example:5000/v1/":{"auth":"YTpi"}}}`, "r.example:5000", credential{user: "a", password: "b"}},
		"apart":              {`{"auths":{"r.example":{"username":"a","password":"b"}}}`, "r.example", credential{user: "a", password: "b"}},
		"padded with zeros":  {`{"auths":{"r.example":{"auth":"YTpiAAA="}}}`, "r.example", credential{user: "a", password: "b"}},
		"no base64":          {`{"auths":{"r.example":{"auth":"?"},"other":{"auth":"YTpi"}}}`, "other", credential{user: "a", password: "b"}},
		"another registry's": {`{"auths":{"r.example":{"auth":"YTpi"}}}`, "example", credential{}},
		"none":               {`{}`, hub, credential{}},
	} {
		t.Run(name, func(t *testing.T) {
			creds, err := parseDockerConfig([]byte(c.config))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := creds.find(t.Context(), c.host); err != nil || got != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestACredentialFileThatCannotBeReadIsToldWhenAccessIsDenied(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	want := l.push(t, "app:1", image(t, amd64, nil))
	private := newLab(t, only("/", status(403)))
	c := start(t, Config{DockerConfig: dir})
	if a, err := c.Resolve(t.Context(), l.ref(t, "app:1")); err != nil || a.Digest != want {
		t.Errorf("a public image: %s, %v", a.Digest, err)
	}
	_, err := c.Resolve(t.Context(), private.ref(t, "app:1"))
	if !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("a private one: %v", err)
	}
}

func TestWhoIsLoggedInWhereIsTold(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{`{}`, ""},
		{`{"auths":{"ghcr.io":{}}}`, ""},
		{`{"auths":{"ghcr.io":{"auth":"YTpi"},"https://index.docker.io/v1/":{"auth":"YTpi"}}}`, "docker.io ghcr.io"},
		{`{"credHelpers":{"gcr.io":"gcloud"},"credsStore":"pass"}`, "every registry (docker-credential-pass) gcr.io"},
		{`{"auths":`, "error"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(c.config), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := LoggedIn(dir)
		if text := strings.Join(got, " "); text != c.want && (err == nil || c.want != "error") {
			t.Errorf("%s: %q, %v", c.config, text, err)
		}
	}
	if got, err := LoggedIn(filepath.Join(t.TempDir(), "none")); len(got) > 0 || err != nil {
		t.Errorf("without a file: %q, %v", got, err)
	}
}

func TestWhoHasLoggedInByPodmanIsKnownToo(t *testing.T) {
	b := newBearer(t)
	b.user, b.password = "anna", "secret"
	l := newLab(t, b.guards())
	want := l.push(t, "app:1", image(t, amd64, nil))
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const right, wrong = `{"auth":"YW5uYTpzZWNyZXQ="}`, `{"auth":"YW5uYTp3cm9uZw=="}`
	first := file("first.json", `{"auths":{"`+l.host+`":`+right+`,"other.example/part":`+right+`}}`)
	second := file("second.json", `{"auths":{"`+l.host+`":`+wrong+`}}`)
	a, err := start(t, Config{AuthFiles: []string{filepath.Join(dir, "none.json"), first, second}}).Resolve(t.Context(), l.ref(t, "app:1"))
	if err != nil || a.Digest != want {
		t.Errorf("%s, %v", a.Digest, err)
	}
	if got, err := LoggedIn("", first, second); strings.Join(got, " ") != l.host || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := LoggedIn("", file("broken.json", "{")); err == nil || !strings.Contains(err.Error(), "broken.json") {
		t.Error(err)
	}
}
