package apk

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha1" //nolint:gosec // the name of a file
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/version"
)

// alpineSigned begins the name of a signature by one of Alpine's own keys, which are called alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub.
var alpineSigned = regexp.MustCompile(`^\.SIGN\.RSA[0-9]*\.alpine-devel@lists\.alpinelinux\.org-[0-9a-f]+\.rsa\.pub$`)

// parseIndex reads an APKINDEX.tar.gz: a signature and an archive, each compressed for itself, one after the other. It says whether Alpine's own key has signed it;
// that the signature is right was apk's to check, when it fetched the file.
func parseIndex(r io.Reader) (list []*pkg, alpine bool, err error) {
	z, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return nil, false, err
	}
	bounded := &io.LimitedReader{R: z, N: maxIndex}
	t := tar.NewReader(bounded)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil, alpine, errors.New("it has no APKINDEX")
		}
		if err != nil {
			return nil, alpine, err
		}
		alpine = alpine || alpineSigned.MatchString(h.Name)
		if h.Name == "APKINDEX" && h.Typeflag == tar.TypeReg {
			list, err = parseStanzas(t)
			return list, alpine, err
		}
	}
}

// indexFile is a list of packages on the machine, and the repository that it is of; empty where that cannot be told.
type indexFile struct{ file, repository string }

// indexFiles names what was fetched of the repositories, and the lists of those on this machine. apk names a file by the first four bytes of the SHA-1 of the
// address (apk-tools 2, database.c); where it is named otherwise, its repository is not known.
func indexFiles(m *machine.Machine) ([]indexFile, error) {
	text, err := m.ReadFile(repositoriesFile, maxWorld)
	if err != nil {
		return nil, &fleet.Unknown{Because: repositoriesFile + " cannot be read: " + fleet.Plain(err.Error()), Remedy: "name Alpine's repositories there: setup-apkrepos", Err: err}
	}
	var files []indexFile
	of := map[string]string{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) > 1 && strings.HasPrefix(words[0], "@") {
			words = words[1:] // a tag
		}
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
		case strings.HasPrefix(words[0], "/"):
			files = append(files, indexFile{path.Join(words[0], arch(m), "APKINDEX.tar.gz"), words[0]})
		default:
			short, long := sha1.Sum([]byte(words[0])), sha256.Sum256([]byte(words[0])) //nolint:gosec // the name of a file
			of[hex.EncodeToString(short[:4])], of[hex.EncodeToString(long[:4])] = words[0], words[0]
		}
	}
	for _, dir := range []string{"/etc/apk/cache", "/var/cache/apk"} {
		found, err := filepath.Glob(filepath.Join(m.Path(dir), "APKINDEX.*.tar.gz"))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			name := filepath.Base(f)
			files = append(files, indexFile{path.Join(dir, name), of[strings.TrimPrefix(base(name), "APKINDEX.")]})
		}
	}
	return files, nil
}

// readIndexes reads what was fetched of the repositories, and those on this machine, and when the newest of them was. What is read here describes what apk says is
// on offer. Indexes of apk 3's own form are not read.
func readIndexes(m *machine.Machine) (offers []*pkg, asOf time.Time, err error) {
	files, err := indexFiles(m)
	if err != nil {
		return nil, asOf, err
	}
	var problems []error
	for _, f := range files {
		list, at, err := f.read(m)
		if err != nil {
			problems = append(problems, unreadable(f.file, err))
			continue
		}
		if at.After(asOf) {
			asOf = at
		}
		offers = append(offers, list...)
	}
	if len(files) == 0 {
		problems = append(problems, &fleet.Unknown{Because: "no index of a repository was fetched, so nothing is known of updates", Remedy: "sudo redflag scan --refresh"})
	}
	return offers, asOf, errors.Join(problems...)
}

func (i indexFile) read(m *machine.Machine) ([]*pkg, time.Time, error) {
	f, err := m.Open(i.file)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	list, alpine, err := parseIndex(f)
	of := ""
	if alpine {
		of = ecosystem(m, i.repository)
	}
	for _, p := range list {
		p.from, p.ecosystem = i.repository, of
	}
	return list, info.ModTime().UTC(), err
}

// branch is the release in the address of one of Alpine's repositories: https://dl-cdn.alpinelinux.org/alpine/v3.20/main, on whatever mirror.
var (
	branch = regexp.MustCompile(`/(v[0-9]+\.[0-9]+|edge|latest-stable)/(?:main|community|testing)/?$`)
	stable = regexp.MustCompile(`^([0-9]+\.[0-9]+)\.[0-9]+$`)
)

// ecosystem names the release of Alpine that a repository is of, in OSV's words: Alpine:v3.20. Of what is called by no number, the machine's own version says it.
func ecosystem(m *machine.Machine, repository string) string {
	found := branch.FindStringSubmatch(repository)
	switch {
	case found == nil:
		return ""
	case found[1] != "latest-stable":
		return "Alpine:" + found[1]
	}
	if release := stable.FindStringSubmatch(m.OSRelease()["VERSION_ID"]); release != nil {
		return "Alpine:v" + release[1]
	}
	return ""
}

// origins says of what is on offer where each comes from.
type origins struct{ offers map[string][]*pkg }

func newOrigins(offers []*pkg) origins {
	o := origins{map[string][]*pkg{}}
	for _, p := range offers {
		o.offers[p.name] = append(o.offers[p.name], p)
	}
	return o
}

// ecosystem names the release of Alpine that a package comes from: the one that offers this version, or where none does any more, that of a newer one of the same
// origin, which has replaced it there. It is empty for what comes from elsewhere, and where nobody knows.
func (o origins) ecosystem(name, origin, text string) string {
	newer := ""
	for _, p := range o.offers[name] {
		switch order := version.CompareAPK(p.version, text); {
		case order == 0:
			return p.ecosystem
		case order > 0 && p.origin == origin && newer == "":
			newer = p.ecosystem
		}
	}
	return newer
}

// build gives what advisories go by: the origin, whose versions are those of its packages.
func (o origins) build(from *pkg, to string) *fleet.Build {
	b := &fleet.Build{Package: fleet.Plain(from.source()), From: from.version, To: to}
	if e := o.ecosystem(from.name, from.origin, from.version); e == o.ecosystem(from.name, from.origin, to) {
		b.Ecosystem = e
	}
	return b
}

// source is the origin's name, which is the package's own where it has none.
func (p *pkg) source() string {
	if p.origin == "" {
		return p.name
	}
	return p.origin
}
