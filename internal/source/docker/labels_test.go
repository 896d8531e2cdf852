package docker

import (
	"net/url"
	"testing"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
)

func named(t testing.TB, s string) reference.Named {
	t.Helper()
	ref, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestTheVersionIsWhatTheImageSaysOfItself(t *testing.T) {
	for _, c := range []struct {
		name, ref string
		labels    map[string]string
		env       []string
		want      string
	}{
		{name: "a label", ref: "ghcr.io/o/app", labels: map[string]string{labelVersion: "1.25.3"}, want: "1.25.3"},
		{name: "an old label", ref: "app", labels: map[string]string{labelOldVersion: "2.0"}, want: "2.0"},
		{name: "the label before the variable", ref: "app", labels: map[string]string{labelVersion: "1"}, env: []string{"APP_VERSION=2"}, want: "1"},
		{name: "an official image", ref: "nginx", env: []string{"PATH=/bin", "NGINX_VERSION=1.25.3", "NJS_VERSION=0.8.2"}, want: "1.25.3"},
		{name: "a name with a dash", ref: "quay.io/keycloak/key-cloak", env: []string{"KEY_CLOAK_VERSION=24.0"}, want: "24.0"},
		{name: "Ubuntu's own label is not the program's", ref: "app", labels: map[string]string{labelVersion: "22.04", labelRefName: "ubuntu"}, env: []string{"APP_VERSION=7"}, want: "7"},
		{name: "Ubuntu's is Ubuntu's", ref: "ubuntu", labels: map[string]string{labelVersion: "22.04", labelRefName: "ubuntu"}, want: "22.04"},
		{name: "none", ref: "app", env: []string{"OTHER_VERSION=1"}},
		{name: "an escape", ref: "app", labels: map[string]string{labelVersion: "1\x1b[2J"}, env: []string{"APP_VERSION=2"}, want: "2"},
		{name: "too long", ref: "app", labels: map[string]string{labelVersion: string(make([]byte, 4000))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := versionOf(named(t, c.ref), c.labels, c.env); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestLinksAreSafeToFollow(t *testing.T) {
	for _, c := range []struct{ label, version, source, notes string }{
		{"https://github.com/nginx/nginx", "1.25.3", "https://github.com/nginx/nginx", "https://github.com/nginx/nginx/releases?q=1.25.3"},
		{"https://github.com/o/r.git", "", "https://github.com/o/r.git", "https://github.com/o/r/releases"},
		{"https://github.com/o/r/tree/main/sub", "v1+2", "https://github.com/o/r/tree/main/sub", "https://github.com/o/r/releases?q=v1%2B2"},
		{"http://example.com/x", "1", "http://example.com/x", ""},
		{"https://github.com/", "1", "https://github.com/", ""},
		{"https://github.com.evil.example/o/r", "1", "https://github.com.evil.example/o/r", ""},
		{"javascript:alert(1)", "1", "", ""},
		{"file:///etc/passwd", "1", "", ""},
		{"git@github.com:o/r.git", "1", "", ""},
		{"https://user:password@github.com/o/r", "1", "", ""},
		{"https://github.com/o/r\x1b]8;;http://evil\x07", "1", "", ""},
		{"https:///o/r", "1", "", ""},
	} {
		source, notes := links(map[string]string{labelSource: c.label}, c.version)
		if source != c.source || notes != c.notes {
			t.Errorf("%q: got %q and %q, want %q and %q", c.label, source, notes, c.source, c.notes)
		}
	}
}

func FuzzLabels(f *testing.F) {
	f.Add("nginx", "1.25.3", "https://github.com/nginx/nginx", "NGINX_VERSION=1.25.3")
	f.Add("ghcr.io/home-assistant/home-assistant", "2024.1", "https://github.com/home-assistant/core.git", "")
	f.Add("a", "1\x1b[31m", "https://user@github.com/%2f/..", "A_VERSION=\u202e1")
	f.Fuzz(func(t *testing.T, name, version, source, env string) {
		ref, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return
		}
		v := versionOf(ref, map[string]string{labelVersion: version}, []string{env})
		from, notes := links(map[string]string{labelSource: source}, v)
		for _, s := range []string{v, from, notes} {
			if fleet.Plain(s) != s {
				t.Errorf("%q is not plain", s)
			}
		}
		for _, l := range []string{from, notes} {
			if l == "" {
				continue
			}
			if u, err := url.Parse(l); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
				t.Errorf("%q is no link to follow: %v", l, err)
			}
		}
	})
}
