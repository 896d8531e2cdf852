package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const example = `
tag_lifetime = "90s"

[registries."docker.io"]
mirrors = ["https://mirror.example.com"]

[registries."registry.example.com:5000"]
plain_http = true
`

func TestAFileIsRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Find(t.TempDir(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.TagLifetime == nil || time.Duration(*c.TagLifetime) != 90*time.Second || !c.Registries["registry.example.com:5000"].PlainHTTP {
		t.Errorf("got %+v", c)
	}
	if c.Path != filepath.Join(dir, fileName) {
		t.Errorf("Path = %q", c.Path)
	}
}

func TestWithoutAFileTheDefaultsHold(t *testing.T) {
	c, err := Find(t.TempDir())
	if err != nil || c.Path != "" {
		t.Errorf("Find = %+v, %v", c, err)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		`tag_lifetme = "5m"`:                                         "tag_lifetme",
		`tag_lifetime = "soon"`:                                      "not a duration",
		`[registries."https://ghcr.io"]`:                             "without a scheme",
		"[registries.\"ghcr.io\"]\nmirrors = [\"https://m\"]":        "docker.io only",
		"[registries.\"docker.io\"]\nmirrors = [\"ftp://m\"]":        "not an http(s) URL",
		"[registries.\"ghcr.io\"]\ncert = \"a.pem\"":                 "go together",
		"[registries.\"ghcr.io\"]\nplain_htp = true":                 "plain_htp",
		"[registries.\"ghcr.io\"]\nplain_http = \"yes\"":             "plain_http",
		"tag_lifetime = ":                                            "expected value",
		"[registries.\"docker.io\"]\nmirrors = [\"mirror.example\"]": "not an http(s) URL",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parse(%q) = %v, want an error with %q", text, err, want)
		}
	}
}
