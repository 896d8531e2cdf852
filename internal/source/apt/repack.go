package apt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// maintainer are the files of a package in dpkg's database that belong into the package again.
var maintainer = []string{"preinst", "postinst", "prerm", "postrm", "config", "templates", "triggers", "shlibs", "symbols", "conffiles"}

// repack makes a package again from what is installed of it. Files that are not there any more are not in it.
func repack(ctx context.Context, m *machine.Machine, c fleet.Change, file, dir string) error {
	defer os.RemoveAll(m.Path(dir))
	if err := os.MkdirAll(m.Path(dir+"/DEBIAN"), 0o755); err != nil {
		return err
	}
	info := infoOf(m, c)
	record, err := must(ctx, m, "dpkg-query", "-s", "--", strings.TrimSuffix(c.Name+":"+c.Arch, ":all"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.Path(dir+"/DEBIAN/control"), controlOf(record), 0o644); err != nil { //nolint:gosec // a package's own
		return err
	}
	for _, part := range maintainer {
		if isFile(m, info+"."+part) {
			if err := machine.CopyFile(m.Path(info+"."+part), m.Path(dir+"/DEBIAN/"+part)); err != nil {
				return err
			}
		}
	}
	if err := copyFiles(ctx, m, info+".list", dir); err != nil {
		return err
	}
	_, err = must(ctx, m, "dpkg-deb", "-Zgzip", "-b", dir, file)
	return err
}

// must runs a command whose failure is an error.
func must(ctx context.Context, m *machine.Machine, name string, args ...string) ([]byte, error) {
	r, err := m.Run(ctx, machine.Command{Name: name, Args: args})
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("%s: %s", name, fleet.Plain(string(r.Stderr)))
	}
	return r.Stdout, err
}

// copyFiles copies the files of dpkg's list into a folder, as they are, by tar.
func copyFiles(ctx context.Context, m *machine.Machine, list, dir string) error {
	data, err := m.ReadFile(list, maxFiles)
	if err != nil {
		return err
	}
	diverted, err := diversions(m)
	if err != nil {
		return err
	}
	var names strings.Builder
	for _, name := range packed(strings.Split(strings.TrimSpace(string(data)), "\n")) {
		if diverted[name] {
			return errors.New("another package has diverted its file " + name)
		}
		if _, err := os.Lstat(m.Path(name)); err == nil {
			names.WriteString(name + "\n")
		}
	}
	if err := os.WriteFile(m.Path(dir+".names"), []byte(names.String()), 0o600); err != nil {
		return err
	}
	defer os.Remove(m.Path(dir + ".names"))
	defer os.Remove(m.Path(dir + ".tar"))
	if _, err := must(ctx, m, "tar", "-C", "/", "--no-recursion", "--verbatim-files-from", "-T", dir+".names", "-cf", dir+".tar"); err != nil {
		return err
	}
	_, err = must(ctx, m, "tar", "-C", dir, "-xpf", dir+".tar")
	return err
}

// packed leaves out the folders of a list that others are in: they come with what is in them, as folders, also where the machine has a symbolic link in
// their place, as it has for /lib. Empty folders stay.
func packed(list []string) []string {
	var names []string
	for i, name := range list {
		parent := i+1 < len(list) && strings.HasPrefix(list[i+1], strings.TrimSuffix(name, "/")+"/")
		if strings.HasPrefix(name, "/") && name != "/." && !parent {
			names = append(names, name)
		}
	}
	return names
}

// maxDiversions bounds dpkg's list of diverted files: three lines each.
const maxDiversions = 4 << 20

// diversions are the files in whose place another package's lie (dpkg-divert(1)): groups of three lines, the first of which is the file.
func diversions(m *machine.Machine) (map[string]bool, error) {
	const file = "/var/lib/dpkg/diversions"
	if !isFile(m, file) {
		return nil, nil
	}
	data, err := m.ReadFile(file, maxDiversions)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for i, line := range strings.Split(string(data), "\n") {
		if i%3 == 0 {
			found[path.Clean(line)] = true
		}
	}
	return found, nil
}

// controlOf gives the fields of a package's control file among those of its record in the database.
func controlOf(record []byte) []byte {
	var out strings.Builder
	skip := false
	for line := range strings.Lines(string(record)) {
		if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			name, _, _ := strings.Cut(line, ":")
			skip = name == "Status" || name == "Conffiles" || name == "Config-Version"
		}
		if !skip {
			out.WriteString(line)
		}
	}
	return []byte(out.String())
}
