package apt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"redflag/internal/machine"
)

// Package is one record of dpkg's database (dpkg-query(1) explains the states).
type Package struct {
	// Name and Arch together name the package; Arch is "all" for one that runs anywhere.
	Name, Arch string
	Version    string
	// Source and SourceVersion are the source package that it was built from.
	Source, SourceVersion string
	// Want is what is selected for it: install, hold, deinstall, purge, unknown.
	Want string
	// Flag is ok, or reinstreq for a package that is broken and must be installed again.
	Flag string
	// State is how far dpkg has come with it: installed, config-files, unpacked, half-configured …
	State string
	// Summary is the first line of its description.
	Summary string
	// Essential: dpkg keeps it from being removed, as Essential or as Protected.
	Essential bool

	record version
}

// Installed says whether the package's files are on the machine, be it half. What was removed but for its configuration is not installed, nor
// is what dpkg had only begun to unpack for the first time, which has no version.
func (p *Package) Installed() bool {
	return p.State != "" && p.State != "not-installed" && p.State != "config-files" && p.Version != ""
}

// Held says whether a person has put it on hold.
func (p *Package) Held() bool { return p.Want == "hold" }

// Interrupted says whether dpkg stopped in the middle of its work on the package.
func (p *Package) Interrupted() bool {
	switch p.State {
	case "half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending":
		return true
	}
	return p.Flag == "reinstreq"
}

// Database is what dpkg knows.
type Database struct {
	Packages []*Package
	// Journal counts the records that dpkg wrote beside its status file and has not yet put into it: it works right now, or was interrupted.
	// They are in Packages.
	Journal int
}

// ReadDatabase reads dpkg's database from its status file and the journal in the folder updates beside it (DPKG's lib/dpkg/dbmodify.c).
func ReadDatabase(m *machine.Machine, status string) (*Database, error) {
	f, err := m.Open(status)
	if err != nil {
		return nil, fmt.Errorf("open dpkg's status: %w", err)
	}
	defer f.Close()
	packages, err := ParseStatus(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", status, err)
	}
	if len(packages) == 0 {
		return nil, fmt.Errorf("read %s: %w", status, errNoPackages)
	}
	db := &Database{Packages: packages}
	newer, err := readJournal(m, path.Join(path.Dir(status), "updates"))
	db.lay(newer)
	return db, err
}

// readJournal gives the records of the journal, the newest last.
func readJournal(m *machine.Machine, dir string) ([]*Package, error) {
	files, err := m.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read dpkg's journal: %w", err)
	}
	var all []*Package
	for _, file := range files {
		if strings.Trim(file.Name(), "0123456789") != "" {
			continue
		}
		data, err := m.ReadFile(path.Join(dir, file.Name()), maxStanza)
		if errors.Is(err, fs.ErrNotExist) {
			continue // dpkg has just put it into the status file
		}
		if err != nil {
			return all, fmt.Errorf("read dpkg's journal: %w", err)
		}
		records, err := ParseStatus(bytes.NewReader(data))
		if err != nil {
			return all, fmt.Errorf("read dpkg's journal %s: %w", file.Name(), err)
		}
		all = append(all, records...)
	}
	return all, nil
}

// lay puts the records of the journal in the place of older ones.
func (d *Database) lay(newer []*Package) {
	at := map[[2]string]int{}
	for i, p := range d.Packages {
		at[[2]string{p.Name, p.Arch}] = i
	}
	for _, p := range newer {
		d.Journal++
		if i, ok := at[[2]string{p.Name, p.Arch}]; ok {
			d.Packages[i] = p
		} else {
			at[[2]string{p.Name, p.Arch}] = len(d.Packages)
			d.Packages = append(d.Packages, p)
		}
	}
}

// ParseStatus reads records as dpkg writes them to its status file. Bytes in which there is not one record are an error.
func ParseStatus(r io.Reader) ([]*Package, error) {
	var packages []*Package
	reader := newStanzas(r)
	for {
		stanza, err := reader.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return packages, err
		}
		if p := parsePackage(stanza); p != nil {
			packages = append(packages, p)
		}
	}
	if len(packages) == 0 && reader.read > 0 {
		return nil, errors.New("there is no package in it")
	}
	return packages, nil
}

// parsePackage reads one record; nil for what is none.
func parsePackage(stanza []byte) *Package {
	p := &Package{}
	for name, value := range fields(stanza) {
		if len(name) == len("Essential") && (strings.EqualFold(string(name), "Essential") || strings.EqualFold(string(name), "Protected")) {
			p.Essential = p.Essential || string(value) == "yes" // dpkg writes them before the status (lib/dpkg/parse.c)
		}
		if fieldName(name) == "Status" {
			if words := strings.Fields(string(value)); len(words) == 3 {
				p.Want, p.Flag, p.State = words[0], words[1], words[2]
			}
			break
		}
	}
	if p.State == "" {
		return nil
	}
	p.record = parseVersion(stanza)
	p.Name, p.Arch, p.Version = p.record.name, p.record.arch, p.record.text
	p.Source, p.SourceVersion, p.Summary = p.record.source, p.record.sourceVersion, p.record.summary
	if p.Name == "" {
		return nil
	}
	p.record.size = 0 // dpkg's Size is no download's
	return p
}
