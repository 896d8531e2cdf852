package flatpak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// installation is a place that refs are installed in.
type installation struct {
	dir string // where it is
	// option says to flatpak which one is meant: --system, --installation=NAME or --user.
	option string
	// mark comes after the names of what is in it: @alice for a user's; empty for the system's.
	mark string
	// user is whose it is, and home where that one lives; empty for the system's, and where we are that user.
	user, home string
}

const (
	systemDir = "/var/lib/flatpak"
	userDir   = ".local/share/flatpak" // below a home
	// moreDir has the system's other installations (flatpak-installation(5)).
	moreDir = "/etc/flatpak/installations.d"
)

// installations gives those that there are: the system's, and of users' ones all if we are root, or our own.
func installations(m *machine.Machine) []installation {
	list := []installation{{dir: systemDir, option: "--system"}}
	list = append(list, more(m)...)
	for _, a := range accounts(m) {
		i := installation{dir: path.Join(a.home, userDir), option: "--user", mark: "@" + a.name}
		if os.Geteuid() != a.id {
			i.user, i.home = a.name, a.home
		}
		if root() || os.Geteuid() == a.id {
			list = append(list, i)
		}
	}
	return slices.DeleteFunc(list, func(i installation) bool {
		_, err := m.Stat(path.Join(i.dir, "repo"))
		return err != nil
	})
}

var (
	moreName = regexp.MustCompile(`(?m)^\[Installation "([A-Za-z0-9_.-]+)"\][ \t]*$`)
	morePath = regexp.MustCompile(`(?m)^Path=(/[^\n]*?)[ \t]*$`)
)

// maxConf bounds a file of settings, of which the usual ones have some lines.
const maxConf = 1 << 20

// more gives the system's other installations.
func more(m *machine.Machine) []installation {
	entries, err := m.ReadDir(moreDir)
	if err != nil {
		return nil
	}
	var list []installation
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".conf") {
			continue
		}
		text, err := m.ReadFile(path.Join(moreDir, e.Name()), maxConf)
		if err != nil {
			continue // it is told where it is used: flatpak does not take it either
		}
		for _, at := range moreName.FindAllSubmatchIndex(text, -1) {
			group, _, _ := strings.Cut(string(text[at[1]:]), "\n[")
			if found := morePath.FindStringSubmatch(group); found != nil {
				name := string(text[at[2]:at[3]])
				list = append(list, installation{dir: found[1], option: "--installation=" + name, mark: "@installation:" + name})
			}
		}
	}
	return list
}

// account is somebody who can have an installation.
type account struct {
	name string
	id   int
	home string
}

const (
	// maxAccounts is more people than work on one machine.
	maxAccounts = 1000
	// maxPasswd bounds the list of them.
	maxPasswd = 4 << 20
)

// accountName is what useradd(8) makes. It is an argument of a command, so it begins with no dash.
var accountName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*\$?$`)

// accounts gives those of /etc/passwd that have a home.
func accounts(m *machine.Machine) []account {
	text, err := m.ReadFile("/etc/passwd", maxPasswd)
	if err != nil {
		return nil
	}
	var list []account
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 7 || !accountName.MatchString(f[0]) || !path.IsAbs(f[5]) || path.Clean(f[5]) == "/" || len(list) == maxAccounts {
			continue
		}
		id, err := strconv.Atoi(f[2])
		if err != nil || slices.ContainsFunc(list, func(a account) bool { return a.home == f[5] }) {
			continue
		}
		list = append(list, account{f[0], id, f[5]})
	}
	return list
}

// maxEntries bounds a folder of an installation: its user may have made it.
const maxEntries = 10_000

// errMany: a folder has more entries than anybody installs.
var errMany = errors.New("there is more in it than can be")

// entries lists the folders in a folder. One that is not there has none.
func entries(m *machine.Machine, dir string) ([]string, error) {
	f, err := m.OpenForeign(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.ReadDir(maxEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(list) == maxEntries {
		return nil, fmt.Errorf("%s: %w", dir, errMany)
	}
	var names []string
	for _, e := range list {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// deployed gives the refs that are installed, with their commits: of each one the link `active` names it. No file of a user's is opened.
func (i installation) deployed(m *machine.Machine) (map[ref]string, error) {
	found := map[ref]string{}
	for _, kind := range kinds {
		ids, err := entries(m, path.Join(i.dir, kind))
		if err != nil {
			return nil, unreadable(i, err)
		}
		for _, id := range ids {
			if err := i.branches(m, kind, id, found); err != nil {
				return nil, unreadable(i, err)
			}
		}
	}
	return found, nil
}

// branches adds what is deployed of an ID.
func (i installation) branches(m *machine.Machine, kind, id string, found map[ref]string) error {
	archs, err := entries(m, path.Join(i.dir, kind, id))
	if err != nil {
		return err
	}
	for _, arch := range archs {
		dir := path.Join(i.dir, kind, id, arch)
		branches, err := entries(m, dir)
		if err != nil {
			return err
		}
		for _, branch := range branches {
			r, ok := parseRef(path.Join(kind, id, arch, branch))
			commit, err := os.Readlink(m.Path(path.Join(dir, branch, "active")))
			if errors.Is(err, fs.ErrNotExist) {
				continue // nothing of it is deployed
			}
			if err != nil {
				return err
			}
			if !ok || !commitText.MatchString(commit) {
				return fmt.Errorf("%s is not what flatpak deploys", path.Join(dir, branch))
			}
			if found[r] = commit; len(found) > maxEntries {
				return errMany
			}
		}
	}
	return nil
}

// masked is the setting that keeps refs as they are, in the configuration of an installation's repository.
var masked = regexp.MustCompile(`(?m)^[ \t]*xa\.masked[ \t]*=[ \t]*([^\n]*)$`)

// masks gives the patterns of what is to stay as it is. A user's are asked for as that user.
func (i installation) masks(ctx context.Context, m *machine.Machine) ([]string, error) {
	if i.option == "--user" {
		out, err := i.ask(ctx, m, "mask")
		if err != nil {
			return nil, err
		}
		return parseMasks(out), nil
	}
	text, err := m.ReadFile(path.Join(i.dir, "repo/config"), maxConf)
	if err != nil {
		return nil, unreadable(i, err)
	}
	var list []string
	if found := masked.FindSubmatch(text); found != nil {
		list = strings.FieldsFunc(string(found[1]), func(r rune) bool { return r == ';' })
	}
	return list, nil
}

// parseMasks reads what `flatpak mask` lists: a pattern on each line, or "No masked patterns".
func parseMasks(out []byte) []string {
	var list []string
	for line := range strings.Lines(string(out)) {
		if pattern := strings.TrimSpace(line); pattern != "" && !strings.Contains(pattern, " ") {
			list = append(list, fleet.Plain(pattern))
		}
	}
	return list
}
