package docker

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"redflag/internal/fleet"
)

// said is what an engine says of itself, of what it runs and has, and of whichever thing it is asked for.
type said struct {
	version, server                      string
	containers, images, container, image []byte
}

func (s *said) CloseIdleConnections() {}

func (s *said) RoundTrip(r *http.Request) (*http.Response, error) {
	var answer []byte
	switch {
	case strings.HasSuffix(r.URL.Path, "/containers/json"):
		answer = s.containers
	case strings.HasSuffix(r.URL.Path, "/images/json"):
		answer = s.images
	case strings.Contains(r.URL.Path, "/containers/"):
		answer = s.container
	case strings.Contains(r.URL.Path, "/images/"):
		answer = s.image
	}
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Body: io.NopCloser(bytes.NewReader(answer)),
		Header: http.Header{"Api-Version": {s.version}, "Server": {s.server}},
	}, nil
}

// recorded gives what real engines answered: dockerd 20.10.24 and Podman 4.3.1, and one with containerd's store as the API's documentation
// has it (v1.53).
func recorded(f *testing.F) []said {
	f.Helper()
	read := func(engine, name string) []byte {
		b, err := os.ReadFile("testdata/" + engine + "/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	var all []said
	for _, e := range []struct{ name, version, server string }{
		{"docker", "1.41", "Docker/20.10.24+dfsg1 (linux)"}, {"podman", "1.41", "Libpod/4.3.1 (linux)"}, {"containerd", "1.53", "Docker/29.2.0 (linux)"},
	} {
		all = append(all, said{
			e.version, e.server, read(e.name, "containers"), read(e.name, "images"), read(e.name, "container"), read(e.name, "image"),
		})
	}
	return all
}

func FuzzEngine(f *testing.F) {
	for _, s := range recorded(f) {
		f.Add(s.version, s.server, s.containers, s.images, s.container, s.image)
		f.Add(s.version, s.server, s.containers, s.images, []byte(`{"Config":null}`), []byte(`{"Os":"\u001b[31m","Architecture":"\u202e"}`))
	}
	f.Add("1.54\x1b", "\x1b", []byte(`[{}]`), []byte(`[null]`), []byte(`[]`), []byte(`{}`))
	s := New(nil, Options{Getenv: noEnv})
	f.Fuzz(func(t *testing.T, version, server string, containers, images, container, image []byte) {
		e := newEngine(s, "unix:///run/docker.sock")
		e.wires = &said{version, server, containers, images, container, image}
		if err := e.open(t.Context(), "http"); err != nil {
			wantPlainError(t, err)
			return
		}
		inv, err := e.look(t.Context())
		if err != nil {
			wantPlainError(t, err)
			return
		}
		wantPlain(t, reportOf(t, group(e, inv)))
	})
}

// reportOf gives what is shown of subjects, were each of them outdated that has to be asked for.
func reportOf(t *testing.T, subjects []*subject) fleet.Finding {
	t.Helper()
	verdicts := make([]verdict, len(subjects))
	for i, s := range subjects {
		if s.settled != nil {
			verdicts[i] = *s.settled
			continue
		}
		if s.ref == nil {
			t.Errorf("%q: neither asked nor answered", s.name)
			continue
		}
		u := s.update(t.Context(), fleet.Rebuild)
		if d, err := s.engine.details(t.Context(), s.image.id, s.platform); err == nil {
			u.towards(s.ref, d.labels, d.env, d.created)
			verdicts[i].because = dropped(d.platform)
			d.manifest(d.platform)
		}
		verdicts[i].updates = []fleet.Update{u.Update}
		s.finish(&verdicts[i])
	}
	return report(subjects, verdicts, offers{})
}

func wantPlainError(t *testing.T, err error) {
	t.Helper()
	because, remedy := fleet.Explain(err)
	for _, s := range []string{because, remedy} {
		if s == "" || fleet.Plain(s) != s {
			t.Errorf("%q is not plain", s)
		}
	}
}

// wantPlain looks at every text of a finding.
func wantPlain(t *testing.T, f fleet.Finding) {
	t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	walk(tree, func(s string) {
		if fleet.Plain(s) != s {
			t.Errorf("%q is not plain", s)
		}
	})
}

func walk(v any, text func(string)) {
	switch v := v.(type) {
	case string:
		text(v)
	case []any:
		for _, e := range v {
			walk(e, text)
		}
	case map[string]any:
		for k, e := range v {
			text(k)
			walk(e, text)
		}
	}
}
