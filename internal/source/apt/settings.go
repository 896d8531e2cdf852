package apt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// settings are how apt is set up on a machine: its configuration and where that puts things.
type settings struct {
	conf *config
	// status is dpkg's status file, lists the folder of what apt has fetched.
	status, lists string
	// files are all that was read for this, for the fingerprint.
	files []string
}

// maxIncludes bounds how deep files of configuration include others, as apt does.
const maxIncludes = 10

// readSettings reads apt.conf.d and then apt.conf. APT_CONFIG is not honoured: a scan's answer is the machine's, not the caller's. The
// error names files that could not be read or understood; the settings hold the rest.
func readSettings(m *machine.Machine) (*settings, error) {
	s := &settings{conf: newConfig()}
	files, err := configParts(m, s.conf.path("Dir::Etc::parts"), ".conf", "")
	problems := []error{unreadableOrNil(s.conf.path("Dir::Etc::parts"), err)}
	for _, file := range append(files, s.conf.path("Dir::Etc::main")) {
		problems = append(problems, s.read(m, file, 0))
	}
	s.lists = s.conf.path("Dir::State::lists")
	s.status = s.statusFile()
	return s, errors.Join(problems...)
}

func (s *settings) read(m *machine.Machine, file string, depth int) error {
	if depth > maxIncludes {
		return notUnderstood(file, errors.New("too many files include one another"))
	}
	s.files = append(s.files, file)
	data, err := readOptional(m, file)
	if err != nil {
		return unreadable(file, err)
	}
	err = s.conf.parse(data, func(name string) error {
		if !strings.HasSuffix(name, "/") {
			return s.read(m, name, depth+1)
		}
		files, err := configParts(m, name, ".conf", "")
		for _, f := range files {
			err = errors.Join(err, s.read(m, f, depth+1))
		}
		return err
	})
	if err != nil {
		return notUnderstood(file, err)
	}
	return nil
}

// statusFile is Dir::State::status, or dpkg's folder beside apt's.
func (s *settings) statusFile() string {
	if file := s.conf.path("Dir::State::status"); file != "" {
		return file
	}
	if dir := s.conf.path("Dir::State"); strings.HasSuffix(dir, "/apt") {
		return path.Join(path.Dir(dir), "dpkg/status")
	}
	return path.Join(s.conf.path("Dir"), "var/lib/dpkg/status")
}

// sourceFiles lists the files that sources are in: sources.list, then sources.list.d.
func (s *settings) sourceFiles(m *machine.Machine) ([]string, error) {
	return s.mainAndParts(m, "Dir::Etc::sourcelist", "Dir::Etc::sourceparts", ".list", ".sources")
}

// preferenceFiles lists the files that pins are in: preferences, then preferences.d.
func (s *settings) preferenceFiles(m *machine.Machine) ([]string, error) {
	return s.mainAndParts(m, "Dir::Etc::preferences", "Dir::Etc::preferencesparts", ".pref", "")
}

func (s *settings) mainAndParts(m *machine.Machine, main, dir string, endings ...string) ([]string, error) {
	var files []string
	if file := s.conf.path(main); file != "" && !isDir(m, file) {
		files = append(files, file)
	}
	more, err := configParts(m, s.conf.path(dir), endings...)
	return append(files, more...), unreadableOrNil(s.conf.path(dir), err)
}

// entries reads all enabled sources.
func (s *settings) entries(m *machine.Machine, archs []string) ([]entry, error) {
	files, err := s.sourceFiles(m)
	problems := []error{err}
	var all []entry
	for _, file := range files {
		data, err := readOptional(m, file)
		if err != nil {
			problems = append(problems, unreadable(file, err))
			continue
		}
		more, err := parseSources(file, data, archs)
		if err != nil {
			problems = append(problems, notUnderstood(file, err))
		}
		all = append(all, more...)
	}
	return all, errors.Join(problems...)
}

// pins reads all preferences.
func (s *settings) pins(m *machine.Machine) ([]*pin, error) {
	files, err := s.preferenceFiles(m)
	problems := []error{err}
	var all []*pin
	for _, file := range files {
		data, err := readOptional(m, file)
		if err != nil {
			problems = append(problems, unreadable(file, err))
			continue
		}
		more, err := parsePins(file, data)
		if err != nil {
			problems = append(problems, notUnderstood(file, err))
		}
		all = append(all, more...)
	}
	if err := (&pin{text: s.conf.text("APT::Default-Release", "")}).check(); err != nil {
		problems = append(problems, notUnderstood("APT::Default-Release", err))
	}
	return all, errors.Join(problems...)
}

// architectures gives the native architecture first, then the foreign ones.
func (s *settings) architectures(m *machine.Machine, db *Database) []string {
	data, _ := readOptional(m, s.archFile())
	known := strings.Fields(string(data))
	native := s.conf.text("APT::Architecture", nativeOf(db))
	if native == "" && len(known) > 0 {
		native = known[0]
	}
	if set := s.conf.list("APT::Architectures"); len(set) > 0 {
		known = set
	}
	archs := []string{native}
	for _, a := range known {
		if a != native && a != "" {
			archs = append(archs, a)
		}
	}
	return archs
}

// archFile is where dpkg keeps the architectures that were added to the native one.
func (s *settings) archFile() string { return path.Join(path.Dir(s.status), "arch") }

// nativeOf gives the architecture that apt, or else dpkg, was built for.
func nativeOf(db *Database) string {
	native := ""
	for _, p := range db.Packages {
		if p.Installed() && (p.Name == "apt" || p.Name == "dpkg" && native == "") {
			native = p.Arch
		}
	}
	return native
}

// machineID is what phasing knows the machine by.
func (s *settings) machineID(m *machine.Machine) string {
	if id := s.conf.text("APT::Machine-ID", ""); id != "" {
		return id
	}
	data, _ := readOptional(m, s.machineIDFile())
	return firstLine(data)
}

func (s *settings) machineIDFile() string {
	if file := s.conf.path("Dir::Etc::machine-id"); file != "" {
		return file
	}
	return path.Join(s.conf.path("Dir::Etc"), "../machine-id")
}

// unreadable says that a file cannot be read.
func unreadable(file string, err error) error {
	permission := "o+r"
	if errors.Is(err, fs.ErrPermission) {
		file, permission = barrier(file, err)
	}
	u := &fleet.Unknown{Because: fmt.Sprintf("%s cannot be read: %v", file, cause(err)), Err: err}
	if errors.Is(err, fs.ErrPermission) {
		u.Remedy = fmt.Sprintf("scan as root, or let others read it: sudo chmod %s %s", permission, file)
	}
	return u
}

// barrier gives what keeps us from a file, the file itself or the first folder above it that others may not look into, and the permission that
// it lacks.
func barrier(file string, err error) (string, string) {
	var p *fs.PathError
	if !errors.As(err, &p) {
		return file, "o+r"
	}
	at := ""
	for part := range strings.SplitSeq(strings.TrimPrefix(p.Path, "/"), "/") {
		at += "/" + part
		info, err := os.Stat(at)
		if err != nil {
			break
		}
		if info.IsDir() && info.Mode().Perm()&0o005 != 0o005 {
			return at, "o+rx"
		}
	}
	return file, "o+r"
}

func unreadableOrNil(file string, err error) error {
	if err == nil {
		return nil
	}
	return unreadable(file, err)
}

// cause is an error without the operation and the path that os puts before it.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// notUnderstood says that a file of configuration holds what this reader, or apt itself, does not understand.
func notUnderstood(file string, err error) error {
	return &fleet.Unknown{
		Because: fmt.Sprintf("%s: %v", file, err),
		Remedy:  "see what `apt-get check` says of it",
		Err:     err,
	}
}

// damaged says that a list is not what the archive published.
func damaged(file string, err error) error {
	return &fleet.Unknown{
		Because: fmt.Sprintf("the list %s is damaged: %v", file, err),
		Remedy:  fmt.Sprintf("take it away and fetch it anew: sudo rm %s && sudo apt-get update", file),
		Err:     err,
	}
}
