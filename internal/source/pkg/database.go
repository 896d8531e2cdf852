package pkg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// askLimit bounds how long pkg may think: it takes some seconds on a small machine with a thousand packages.
const askLimit = 5 * time.Minute

// installedPackage is a package that is there.
type installedPackage struct {
	name, version, arch, summary string
	locked, automatic            bool
	size                         int64
}

// packageName and packageVersion are what pkg allows in them (pkg-create(8)), and nothing that could be taken for an option.
var (
	packageName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]*$`)
	packageVersion = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._,~]*$`)
)

// fields are what pkg-query(8) is asked for: name, version, architecture, locked, automatic, size and comment.
const fields = "%n\t%v\t%q\t%k\t%a\t%sb\t%c"

// query asks pkg for what is installed, in the order of names.
func query(ctx context.Context, m *machine.Machine) ([]installedPackage, error) {
	out, err := ask(ctx, m, "query", "-a", fields)
	if err != nil {
		return nil, err
	}
	list, err := parseInstalled(out)
	if err != nil {
		return nil, unreadable("what pkg says is installed", err)
	}
	return list, nil
}

var errNoPackage = errors.New("it has no package")

func parseInstalled(out []byte) ([]installedPackage, error) {
	var list []installedPackage
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) < 7 || !packageName.MatchString(f[0]) || !packageVersion.MatchString(f[1]) {
			return nil, fmt.Errorf("%q", fleet.Plain(line))
		}
		size, err := strconv.ParseInt(f[5], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q", fleet.Plain(line))
		}
		list = append(list, installedPackage{
			name: f[0], version: f[1], arch: fleet.Plain(f[2]), locked: f[3] == "1", automatic: f[4] == "1", size: size, summary: fleet.Plain(strings.Join(f[6:], " ")),
		})
	}
	if len(list) == 0 { // pkg itself is a package
		return nil, errNoPackage
	}
	return list, nil
}

func find(installed []installedPackage, name string) *installedPackage {
	for i := range installed {
		if installed[i].name == name {
			return &installed[i]
		}
	}
	return nil
}

// compare asks pkg of which packages the catalogues have a newer version: by name.
func compare(ctx context.Context, m *machine.Machine, installed []installedPackage) (map[string]string, error) {
	out, err := ask(ctx, m, "version", "-vRU", "-L=")
	if err != nil {
		return nil, err
	}
	newer, err := parseVersions(out, installed)
	if err != nil {
		return nil, unreadable("what pkg says is on offer", err)
	}
	return newer, nil
}

// comparison is a line of pkg-version(8): curl-8.9.1   <   needs updating (remote has 8.10.1)
var comparison = regexp.MustCompile(`^(\S+)\s+([<=>?!*])(?:\s+(.*))?$`)

// remoteHas is what such a line says of the newer version.
var remoteHas = regexp.MustCompile(`^needs updating \(remote has (\S+)\)$`)

func parseVersions(out []byte, installed []installedPackage) (map[string]string, error) {
	by := map[string]string{}
	for _, p := range installed {
		by[p.name+"-"+p.version] = p.name
	}
	newer := map[string]string{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		found := comparison.FindStringSubmatch(line)
		if found == nil {
			return nil, fmt.Errorf("%q", fleet.Plain(line))
		}
		if found[2] != "<" {
			continue
		}
		name, has := by[found[1]], remoteHas.FindStringSubmatch(found[3])
		if name == "" || has == nil || !packageVersion.MatchString(has[1]) {
			return nil, fmt.Errorf("%q", fleet.Plain(line))
		}
		newer[name] = has[1]
	}
	return newer, nil
}

// describe adds who offers the updates.
func describe(ctx context.Context, m *machine.Machine, updates []fleet.Update) error {
	args := []string{"rquery", "-U", "%n\t%v\t%R"}
	for _, u := range updates {
		args = append(args, u.Name)
	}
	if len(updates) == 0 {
		return nil
	}
	out, err := ask(ctx, m, args...)
	if err != nil {
		return err
	}
	origins := map[string]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 3 {
			return unreadable("who offers the updates", fmt.Errorf("%q", fleet.Plain(line)))
		}
		origins[f[0]+"\t"+f[1]] = fleet.Plain(f[2])
	}
	for i, u := range updates {
		if u.Origin == "" {
			updates[i].Origin = origins[u.Name+"\t"+u.To]
		}
	}
	return nil
}

// catalogues says when the oldest catalogue of a repository was fetched. pkg 1 has repo-NAME.sqlite, pkg 2 a folder for each repository.
func catalogues(m *machine.Machine) (oldest time.Time, err error) {
	var files []string
	entries, err := m.ReadDir("/var/db/pkg")
	if err != nil {
		return oldest, fmt.Errorf("list the catalogues: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "repo-") && strings.HasSuffix(e.Name(), ".sqlite") {
			files = append(files, path.Join("/var/db/pkg", e.Name()))
		}
	}
	repositories, err := m.ReadDir("/var/db/pkg/repos")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return oldest, fmt.Errorf("list the catalogues: %w", err)
	}
	for _, e := range repositories {
		files = append(files, path.Join("/var/db/pkg/repos", e.Name(), "db"))
	}
	for _, file := range files {
		info, err := m.Stat(file)
		if err == nil && info.Mode().IsRegular() && (oldest.IsZero() || info.ModTime().Before(oldest)) {
			oldest = info.ModTime().UTC()
		}
	}
	if oldest.IsZero() {
		return oldest, &fleet.Unknown{Because: "no catalogue of a repository was fetched yet", Remedy: "sudo redflag scan --refresh"}
	}
	return oldest, nil
}

func unreadable(what string, err error) error {
	return &fleet.Unknown{Because: fmt.Sprintf("%s cannot be read: %s", what, fleet.Plain(err.Error())), Remedy: "see what `pkg upgrade -n` says", Err: err}
}
