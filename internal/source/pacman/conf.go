package pacman

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

const (
	confFile = "/etc/pacman.conf"
	// maxConf bounds a configuration file: a list of all mirrors has 60 kB.
	maxConf = 4 << 20
	// maxIncludes bounds how deep files include others, as pacman does (conf.c).
	maxIncludes = 10
	// maxRepos bounds the repositories; people have ten.
	maxRepos = 1_000
)

// config is what pacman.conf(5) says, as far as it concerns us.
type config struct {
	dbPath    string
	cacheDirs []string
	hookDirs  []string
	// ignored are patterns of names, with the file that has them; ignoredGroups are patterns of groups.
	ignored, ignoredGroups []ignore
	repos                  []repo
	// included are the patterns of files that the options include.
	included []string
}

// ignore is a pattern of IgnorePkg or IgnoreGroup.
type ignore struct{ pattern, file string }

// repo is one repository, in the order in which pacman looks at them.
type repo struct {
	name string
	// upgrades: packages may be upgraded from it (Usage).
	upgrades bool
}

// readConfig reads pacman.conf and what it includes.
func readConfig(m *machine.Machine) (*config, error) {
	c := &config{dbPath: "/var/lib/pacman"}
	section := ""
	if err := c.read(m, confFile, &section, 0); err != nil {
		return nil, &fleet.Unknown{Because: "pacman's configuration cannot be read: " + fleet.Plain(err.Error()), Remedy: "see what `pacman-conf` says of it", Err: err}
	}
	if len(c.cacheDirs) == 0 {
		c.cacheDirs = []string{"/var/cache/pacman/pkg"}
	}
	if len(c.hookDirs) == 0 {
		c.hookDirs = []string{"/etc/pacman.d/hooks"}
	}
	return c, nil
}

func (c *config) read(m *machine.Machine, file string, section *string, depth int) error {
	if depth > maxIncludes {
		return fmt.Errorf("%s: files include each other over %d deep", file, maxIncludes)
	}
	data, err := m.ReadFile(file, maxConf)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && line[len(line)-1] == ']':
			*section = line[1 : len(line)-1]
			if *section != "options" && !slices.ContainsFunc(c.repos, func(r repo) bool { return r.name == *section }) {
				c.repos = append(c.repos, repo{name: *section, upgrades: true})
			}
			if len(c.repos) > maxRepos {
				return fmt.Errorf("%s: over %d repositories", file, maxRepos)
			}
		default:
			key, value, _ := strings.Cut(line, "=")
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			if key == "Include" {
				err = c.include(m, value, section, depth)
			} else {
				c.set(*section, key, value, file)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// include reads the files that fit a pattern. None is no error to pacman.
func (c *config) include(m *machine.Machine, pattern string, section *string, depth int) error {
	if *section == "options" {
		c.included = append(c.included, pattern)
	}
	found, err := filepath.Glob(m.Path(pattern))
	if err != nil {
		return fmt.Errorf("%s: %w", pattern, err)
	}
	for _, file := range found {
		rel, err := filepath.Rel(m.Root, file)
		if err != nil {
			return err
		}
		if err := c.read(m, "/"+filepath.ToSlash(rel), section, depth+1); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (c *config) set(section, key, value, file string) {
	words := strings.Fields(value)
	if section != "options" {
		if key == "Usage" && len(c.repos) > 0 {
			c.repos[len(c.repos)-1].upgrades = slices.Contains(words, "All") || slices.Contains(words, "Upgrade")
		}
		return
	}
	switch key {
	case "DBPath":
		c.dbPath = path.Clean("/" + value)
	case "CacheDir":
		c.cacheDirs = append(c.cacheDirs, words...)
	case "HookDir":
		c.hookDirs = append(c.hookDirs, words...)
	case "IgnorePkg":
		for _, w := range words {
			c.ignored = append(c.ignored, ignore{w, file})
		}
	case "IgnoreGroup":
		for _, w := range words {
			c.ignoredGroups = append(c.ignoredGroups, ignore{w, file})
		}
	}
}

// holds says which setting keeps a package from being upgraded, and the file that has it; empty where none does.
func (c *config) holds(p *pkg) (setting, file string) {
	for _, i := range c.ignored {
		if ok, err := path.Match(goPattern(i.pattern), p.name); ok && err == nil {
			return "IgnorePkg = " + i.pattern, i.file
		}
	}
	for _, i := range c.ignoredGroups {
		for _, g := range p.groups {
			if ok, err := path.Match(goPattern(i.pattern), g); ok && err == nil {
				return "IgnoreGroup = " + i.pattern, i.file
			}
		}
	}
	return "", ""
}

func (c *config) local() string { return path.Join(c.dbPath, "local") }
func (c *config) sync() string  { return path.Join(c.dbPath, "sync") }
func (c *config) lock() string  { return path.Join(c.dbPath, "db.lck") }

// goPattern writes a pattern of fnmatch(3) as Go has it.
func goPattern(pattern string) string { return strings.ReplaceAll(pattern, "[!", "[^") }
