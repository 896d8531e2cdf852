package pacman

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"redflag/internal/fleet"
)

// pkg is a package, installed or on offer.
type pkg struct {
	name, version, arch, base, summary string
	groups, depends, provides          []string
	conflicts, replaces                []string
	// files are those of the installed package, without the slash at the beginning; backup are its configuration files, with the checksums that
	// they came with.
	files  []string
	backup map[string]string
	// size is what it takes installed, and download what must be fetched, in bytes.
	size, download int64
	// automatic: it was installed because another needs it.
	automatic bool
	// repo is the repository that offers it, or of an installed one that it came from, where pacman has noted that.
	repo string
}

var errNoPackage = errors.New("it describes no package")

// packageName and versionText are what pacman takes (PKGBUILD(5)); nothing like an option or a path fits.
var (
	packageName = regexp.MustCompile(`^[a-zA-Z0-9@_+][a-zA-Z0-9@._+-]*$`)
	versionText = regexp.MustCompile(`^[^\s/<>=|'"\\-]+-[0-9][0-9.]*$`)
)

// sections reads a file of pacman's databases: a key between percent signs, a value to a line, an empty line.
func sections(data []byte, value func(key, text string)) {
	key := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "":
			key = ""
		case key == "" && len(line) > 2 && line[0] == '%' && line[len(line)-1] == '%':
			key = line[1 : len(line)-1]
		case key != "":
			value(key, line)
		}
	}
}

// parse takes a desc, depends or files file in.
func (p *pkg) parse(data []byte) {
	sections(data, func(key, text string) {
		switch key {
		case "NAME":
			p.name = text
		case "VERSION":
			p.version = text
		case "BASE":
			p.base = text
		case "INSTALLED_DB":
			p.repo = text
		case "ARCH":
			p.arch = text
		case "DESC":
			p.summary = text
		case "REASON":
			p.automatic = text == "1"
		case "SIZE", "ISIZE":
			p.size = number(text)
		case "CSIZE":
			p.download = number(text)
		case "GROUPS":
			p.groups = append(p.groups, text)
		case "DEPENDS":
			p.depends = append(p.depends, text)
		case "PROVIDES":
			p.provides = append(p.provides, text)
		case "CONFLICTS":
			p.conflicts = append(p.conflicts, text)
		case "REPLACES":
			p.replaces = append(p.replaces, text)
		case "FILES":
			p.files = append(p.files, text)
		case "BACKUP":
			if file, sum, ok := strings.Cut(text, "\t"); ok {
				if p.backup == nil {
					p.backup = map[string]string{}
				}
				p.backup[file] = sum
			}
		}
	})
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0 // not known
	}
	return n
}

// check refuses what is no package.
func (p *pkg) check() error {
	if p.name == "" || p.version == "" {
		return errNoPackage
	}
	if !packageName.MatchString(p.name) || !versionText.MatchString(p.version) {
		return fmt.Errorf("%s %s is no name and version of a package", fleet.Plain(p.name), fleet.Plain(p.version))
	}
	return nil
}
