// Package config reads what a person configured on a host: a small TOML file that nobody needs until a registry is private,
// mirrored or spoken to in plain HTTP. A key that it does not know is an error, because a misspelt setting that is
// silently ignored is a lie.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// Config is the file. Its zero value is what holds without one.
type Config struct {
	// TagLifetime is how long a registry's answer to what a tag points to is used again; 0s asks every time. Nil where nothing
	// is configured.
	TagLifetime *Duration `toml:"tag_lifetime"`
	// Registries by their name in references: docker.io, registry.example.com:5000.
	Registries map[string]Registry `toml:"registries"`
	// Server is for `redflag serve` and `redflag up`, and the commands beside them.
	Server Server `toml:"server"`
	// Path is the file that was read; empty when there is none.
	Path string `toml:"-"`
}

// Registry is what is configured about one registry.
type Registry struct {
	// Mirrors are base URLs that are asked first; for docker.io only.
	Mirrors []string `toml:"mirrors"`
	// PlainHTTP allows http:// for this registry.
	PlainHTTP bool `toml:"plain_http"`
	// CA, Cert and Key are PEM files: authorities trusted for this registry, and a client certificate.
	CA   string `toml:"ca"`
	Cert string `toml:"cert"`
	Key  string `toml:"key"`
}

// Server is how a fleet's server is run. What is empty has its default, an environment variable (REDFLAG_LISTEN and so on) goes before
// the file, and a flag before both.
type Server struct {
	Listen           string    `toml:"listen" env:"REDFLAG_LISTEN"`
	Database         string    `toml:"database" env:"REDFLAG_DATABASE"`
	DataDir          string    `toml:"data_dir" env:"REDFLAG_DATA_DIR"`
	TLS              string    `toml:"tls" env:"REDFLAG_TLS"`
	Cert             string    `toml:"cert" env:"REDFLAG_CERT"`
	Key              string    `toml:"key" env:"REDFLAG_KEY"`
	ACMEDirectory    string    `toml:"acme_directory" env:"REDFLAG_ACME_DIRECTORY"`
	ACMEEmail        string    `toml:"acme_email" env:"REDFLAG_ACME_EMAIL"`
	PublicURL        string    `toml:"public_url" env:"REDFLAG_PUBLIC_URL"`
	TrustedProxies   []string  `toml:"trusted_proxies" env:"REDFLAG_TRUSTED_PROXIES"`
	Interval         *Duration `toml:"interval" env:"REDFLAG_INTERVAL"`
	Keep             *Duration `toml:"keep" env:"REDFLAG_KEEP"`
	SharedRegistries []string  `toml:"shared_registries" env:"REDFLAG_SHARED_REGISTRIES"`
	Feeds            []string  `toml:"feeds" env:"REDFLAG_FEEDS"`
}

// Duration is a time span as Go writes it: 90s, 5m, 1h30m.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as 90s, 5m or 1h30m", text)
	}
	*d = Duration(v)
	return nil
}

// fileName is looked for in each folder.
const fileName = "config.toml"

// Load reads one file.
func Load(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	c, err := parse(string(text))
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	c.Path = path
	return c, nil
}

// Find reads the first configuration there is in the folders given; with none it is the zero Config.
func Find(dirs ...string) (Config, error) {
	for _, dir := range dirs {
		c, err := Load(filepath.Join(dir, fileName))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return c, err
	}
	return Config{}, nil
}

func parse(text string) (Config, error) {
	var c Config
	meta, err := toml.Decode(text, &c)
	if err != nil {
		return Config{}, err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return Config{}, fmt.Errorf("there is no setting %s", unknown[0])
	}
	for name, r := range c.Registries {
		if err := r.check(name); err != nil {
			return Config{}, fmt.Errorf("registries.%q: %w", name, err)
		}
	}
	return c, nil
}

func (r Registry) check(name string) error {
	if strings.Contains(name, "/") {
		return errors.New("a registry is named as in references, host or host:port, without a scheme or a path")
	}
	if len(r.Mirrors) > 0 && name != "docker.io" {
		return errors.New("mirrors are for docker.io only, as in the engine")
	}
	for _, m := range r.Mirrors {
		u, err := url.Parse(m)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return fmt.Errorf("mirror %q is not an http(s) URL", m)
		}
	}
	if (r.Cert == "") != (r.Key == "") {
		return errors.New("cert and key go together")
	}
	return nil
}
