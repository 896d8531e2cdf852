package apt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// version is one version of a package, as an index offers it or dpkg has it installed.
type version struct {
	name, arch string
	// text is the version itself.
	text                  string
	source, sourceVersion string
	size                  int64
	multiArch             string
	// hash tells builds of the same version apart as apt does; see identity.
	hash uint64
	// phased is the percentage of machines that get it; 100 where nothing is said.
	phased  int
	summary string
	// depends are its dependencies and pre-dependencies, as written.
	depends string
	// installed says that dpkg has exactly this.
	installed bool
	// on are the indexes that offer it, in the order of the sources.
	on []*index
	// pin is the one that names this version, if any does.
	pin *pin
}

// parseVersion reads one stanza of an index or of dpkg's status.
func parseVersion(stanza []byte) version {
	v := version{phased: 100, hash: hashStart}
	var hashed [len(identity)][]byte
	for name, value := range fields(stanza) {
		field := fieldName(name)
		switch field {
		case "Package":
			v.name = strings.ToLower(string(value))
		case "Version":
			v.text = string(value)
		case "Architecture":
			v.arch = string(value)
		case "Source":
			v.source = string(value)
		case "Multi-Arch":
			if string(value) != "no" {
				v.multiArch = string(value)
			}
		case "Size":
			v.size, _ = strconv.ParseInt(string(value), 10, 64)
		case "Phased-Update-Percentage":
			v.phased = percentage(value)
		case "Description":
			line, _, _ := bytes.Cut(value, []byte{'\n'})
			v.summary = string(line)
		case "Depends", "Pre-Depends":
			v.depends = joinDepends(v.depends, string(value))
		}
		for i, identityField := range identity {
			if identityField == field {
				hashed[i] = value
			}
		}
	}
	for _, value := range hashed {
		v.hash = hashField(v.hash, value)
	}
	v.source, v.sourceVersion = splitSource(v.source, v.name, v.text)
	return v
}

// known are the fields that we read, as archives write them.
var known = [...]string{
	"Package", "Version", "Architecture", "Source", "Multi-Arch", "Size", "Phased-Update-Percentage", "Description",
	"Installed-Size", "Depends", "Pre-Depends", "Conflicts", "Breaks", "Replaces", "Status",
}

// fieldName gives a field's name as archives write it: names are without regard to case (deb822(5)). It is empty for one that we do not read.
func fieldName(name []byte) string {
	for _, k := range known {
		if len(k) == len(name) && k[0]|0x20 == name[0]|0x20 && strings.EqualFold(k, string(name)) {
			return k
		}
	}
	return ""
}

// lowered gives a name in lower case: archives may write it as they like, and it is one package to apt.
func lowered(name []byte) []byte {
	if bytes.ContainsAny(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		return bytes.ToLower(name)
	}
	return name
}

func joinDepends(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

// percentage reads a whole number; what is none, or out of range, holds nothing back.
func percentage(value []byte) int {
	n, err := strconv.Atoi(string(value))
	if err != nil || n < 0 || n > 100 {
		return 100
	}
	return n
}

// splitSource reads a Source field: the name alone, or with a version in brackets; without the field both are the package's.
func splitSource(field, name, text string) (source, version string) {
	source, version = name, text
	if field != "" {
		before, after, _ := strings.Cut(field, " ")
		source = before
		if _, inside, found := strings.Cut(after, "("); found {
			if v, _, closed := strings.Cut(inside, ")"); closed {
				version = v
			}
		}
	}
	return source, version
}

// identity are the fields whose content tells two builds of one version apart. The same version with other dependencies (a local
// rebuild) is a different one to apt, and an update of the installed one (apt-pkg/deb/deblistparser.cc, VersionHash).
var identity = [...]string{"Installed-Size", "Depends", "Pre-Depends", "Conflicts", "Breaks", "Replaces"}

const hashStart = 5381

// hashField adds a field to the hash. As dpkg writes some fields in another form than archives do, white space, equals signs, zero
// epochs and case are left out.
func hashField(h uint64, value []byte) uint64 {
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '0' && i+1 < len(value) && value[i+1] == ':':
			i++
			continue
		case c == ' ' || c == '=' || ('\t' <= c && c <= '\r'):
			continue
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		}
		h = 33*h + uint64(c)
	}
	return h
}

// same says whether two records whose versions compare as equal are one version to apt.
func (v *version) same(o *version) bool {
	return v.hash == o.hash && v.multiArch == o.multiArch && v.arch == o.arch && (v.size == 0 || o.size == 0 || v.size == o.size)
}

// maxFound bounds what one index may offer for this machine: a desktop has 4,000 packages, and an archive that never forgets 1,000 versions
// of its few.
const maxFound = 100_000

// errNoPackages is a list with something in it, but no package.
var errNoPackages = errors.New("there is no package in it")

// scanPackages reads an index and gives those of its versions whose package is wanted. It says how many bytes it read and how many packages
// it saw. Bytes in which there is not one package are errNoPackages.
func scanPackages(r io.Reader, wanted func(name []byte) bool) (found []*version, bytesRead int64, err error) {
	reader := newStanzas(r)
	seen := 0
	for {
		stanza, err := reader.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return found, reader.read, err
		}
		name := packageName(stanza)
		if name == nil {
			continue
		}
		seen++
		if wanted(name) {
			if len(found) == maxFound {
				return found, reader.read, fmt.Errorf("it has over %d versions of what is installed", maxFound)
			}
			v := parseVersion(stanza)
			if v.text != "" && v.arch != "" {
				found = append(found, &v)
			}
		}
	}
	if seen == 0 && reader.read > 0 {
		return nil, reader.read, errNoPackages
	}
	return found, reader.read, nil
}

// packageName gives a stanza's package, which archives put first; nil where there is none.
func packageName(stanza []byte) []byte {
	const first = "Package: "
	if bytes.HasPrefix(stanza, []byte(first)) {
		line := stanza[len(first):]
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line = line[:end]
		}
		return bytes.TrimSpace(line)
	}
	for name, value := range fields(stanza) {
		if bytes.EqualFold(name, []byte("Package")) {
			return value
		}
	}
	return nil
}
