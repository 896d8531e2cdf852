package apk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// pkg is a package, installed or on offer.
type pkg struct {
	name, version, arch, origin, summary string
	// size is what it takes installed, and download what must be fetched, in bytes.
	size, download int64
	// files are those that are installed, without the slash at the beginning, with their checksums as the database has them.
	files map[string]string
	// broken: apk could not put all its files in place, or a script of its failed.
	broken bool
	// from is the repository that offers it, and ecosystem the release of Alpine that this is of, in OSV's words; both empty where that is not known.
	from, ecosystem string
}

const (
	worldFile        = "/etc/apk/world"
	repositoriesFile = "/etc/apk/repositories"
	// maxDatabase bounds the database of what is installed: a desktop's has 20 MB.
	maxDatabase = 512 << 20
	// maxIndex bounds an index, uncompressed: Alpine's largest has 10 MB.
	maxIndex = 512 << 20
	// maxPackages bounds the packages of a list; Alpine has 30,000.
	maxPackages = 500_000
	// maxWorld bounds the world file.
	maxWorld = 4 << 20
)

// databases are where apk keeps what is installed: 3 has moved it on new installations.
var databases = []string{"/lib/apk/db/installed", "/usr/lib/apk/db/installed"}

func databaseFile(m *machine.Machine) string {
	for _, file := range databases {
		if _, err := m.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

var (
	// packageName and versionText are what apk takes (apk-package(5)); nothing like an option or a path fits.
	packageName = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9+._-]*$`)
	versionText = regexp.MustCompile(`^[0-9][a-z0-9._~-]*$`)
	errNone     = errors.New("it has no package")
)

// parseStanzas reads packages in the form that the database and the indexes have: a letter, a colon and a value to a line, an empty line between packages
// (apk-package(5), APKINDEX format).
func parseStanzas(r io.Reader) ([]*pkg, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxWorld)
	var list []*pkg
	var p *pkg
	folder, file := "", ""
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			p = nil
			continue
		}
		if len(line) < 2 || line[1] != ':' {
			return nil, fmt.Errorf("%q is no line of it", fleet.Plain(line))
		}
		if p == nil {
			p, folder, file = &pkg{}, "", ""
			if list = append(list, p); len(list) > maxPackages {
				return nil, fmt.Errorf("it has over %d packages", maxPackages)
			}
		}
		switch value := line[2:]; line[0] {
		case 'F':
			folder = value
		case 'R':
			file = path.Join(folder, value)
			p.addFile(file, "")
		case 'Z':
			p.addFile(file, value)
		default:
			p.set(line[0], value)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	for _, p := range list {
		if !packageName.MatchString(p.name) || !versionText.MatchString(p.version) {
			return nil, fmt.Errorf("%q %q is no name and version of a package", fleet.Plain(p.name), fleet.Plain(p.version))
		}
	}
	return list, nil
}

func (p *pkg) addFile(name, sum string) {
	if p.files == nil {
		p.files = map[string]string{}
	}
	p.files[name] = sum
}

func (p *pkg) set(key byte, value string) {
	switch key {
	case 'P':
		p.name = value
	case 'V':
		p.version = value
	case 'A':
		p.arch = value
	case 'o':
		p.origin = value
	case 'T':
		p.summary = value
	case 'S':
		p.download = number(value)
	case 'I':
		p.size = number(value)
	case 'f':
		p.broken = strings.ContainsAny(value, "fs") // files, and scripts (apk-tools' database.c)
	}
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0 // not known
	}
	return n
}

// readInstalled reads what is installed.
func readInstalled(m *machine.Machine) ([]*pkg, error) {
	file := databaseFile(m)
	if file == "" {
		return nil, unreadable(databases[0], fs.ErrNotExist)
	}
	f, err := m.Open(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	defer f.Close()
	list, err := parseStanzas(io.LimitReader(f, maxDatabase))
	if err == nil && len(list) == 0 {
		err = errNone // apk itself is always one
	}
	if err != nil {
		return nil, unreadable(file, err)
	}
	return list, nil
}

func find(list []*pkg, name string) *pkg {
	at := slices.IndexFunc(list, func(p *pkg) bool { return p.name == name })
	if at < 0 {
		return nil
	}
	return list[at]
}

// arch is apk's own word for what the machine runs.
func arch(m *machine.Machine) string {
	text, err := m.ReadFile("/etc/apk/arch", maxWorld)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// world is what a person asked for: names with what is asked of them.
type world []string

func readWorld(m *machine.Machine) (world, error) {
	text, err := m.ReadFile(worldFile, maxWorld)
	if err != nil {
		return nil, unreadable(worldFile, err)
	}
	return strings.Fields(string(text)), nil
}

// entry gives the world's word on a package; empty where it has none.
func (w world) entry(name string) string {
	for _, e := range w {
		if at := strings.IndexAny(e, "=<>~@"); e == name || at > 0 && e[:at] == name {
			return e
		}
	}
	return ""
}

// pin gives the world's word on a package where that asks for certain versions.
func (w world) pin(name string) string {
	if e := w.entry(name); strings.ContainsAny(e, "=<>~") {
		return fleet.Plain(e)
	}
	return ""
}
