package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
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

func TestTheExampleHasEverySettingAndEachOfThemWorks(t *testing.T) {
	data, err := os.ReadFile("../../docs/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parse(string(data)); err != nil {
		t.Errorf("as it is: %v", err)
	}
	setting := regexp.MustCompile(`(?m)^# ?([a-z_]+ = .*|\[.*\])$`)
	c, err := parse(setting.ReplaceAllString(string(data), "$1"))
	if err != nil {
		t.Fatalf("with every line in force: %v", err)
	}
	v := reflect.ValueOf(c.Server)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if v.Field(i).IsZero() {
			t.Errorf("the example lacks %s", f.Tag.Get("toml"))
		}
		if !strings.Contains(string(data), f.Tag.Get("env")) {
			t.Errorf("the example does not name %s", f.Tag.Get("env"))
		}
	}
}

func TestTheEnvironmentGoesBeforeTheFile(t *testing.T) {
	s := Server{Listen: ":1", TLS: "off"}
	env := map[string]string{"REDFLAG_LISTEN": ":2", "REDFLAG_TRUSTED_PROXIES": "10.0.0.1, 10.0.0.2", "REDFLAG_INTERVAL": "90s"}
	if err := s.Env(func(name string) string { return env[name] }); err != nil {
		t.Fatal(err)
	}
	if s.Listen != ":2" || s.TLS != "off" || len(s.TrustedProxies) != 2 || s.TrustedProxies[1] != "10.0.0.2" || time.Duration(*s.Interval) != 90*time.Second {
		t.Errorf("%+v", s)
	}
	env["REDFLAG_INTERVAL"] = "soon"
	if err := s.Env(func(name string) string { return env[name] }); err == nil || !strings.Contains(err.Error(), "REDFLAG_INTERVAL") {
		t.Error(err)
	}
}
