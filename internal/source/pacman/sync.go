package pacman

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

const (
	// maxDatabase bounds a repository's database, uncompressed: Arch's extra has 60 MB.
	maxDatabase = 1 << 30
	// maxOffered bounds the packages of one; Arch's extra has 14,000.
	maxOffered = 500_000
	// maxWindow bounds what zstd may make us allocate.
	maxWindow = 128 << 20
)

// database is what is on offer in one repository, by name.
type database struct {
	repo     repo
	packages map[string]*pkg
	// replacers are the packages that replace others, in the database's order.
	replacers []*pkg
}

// uncompressed opens the forms in which repo-add writes databases.
func uncompressed(r io.Reader) (io.Reader, func(), error) {
	b := bufio.NewReaderSize(r, 64<<10)
	magic, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		return z, func() {}, err
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzip2.NewReader(b), func() {}, nil
	case bytes.HasPrefix(magic, []byte{0xfd, '7', 'z', 'X'}):
		return nil, nil, errors.New("it is compressed with xz, which is not read here")
	}
	return b, func() {}, nil
}

// parseDatabase reads a repository's database: an archive with a folder for each package.
func parseDatabase(r io.Reader) ([]*pkg, error) {
	z, end, err := uncompressed(r)
	if err != nil {
		return nil, err
	}
	defer end()
	bounded := &io.LimitedReader{R: z, N: maxDatabase}
	t := tar.NewReader(bounded)
	list, at := []*pkg{}, map[string]*pkg{}
	files := 0
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		files++
		dir, name := path.Split(path.Clean(h.Name))
		if name != "desc" && name != "depends" || h.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(t, maxDesc))
		if err != nil {
			return nil, err
		}
		if at[dir] == nil {
			at[dir] = &pkg{}
			list = append(list, at[dir])
		}
		if at[dir].parse(data); len(list) > maxOffered {
			return nil, fmt.Errorf("it has over %d packages", maxOffered)
		}
	}
	if bounded.N <= 0 {
		return nil, fmt.Errorf("it has over %d bytes", maxDatabase)
	}
	if len(list) == 0 && files > 0 {
		return nil, errNoPackage
	}
	for _, p := range list {
		if err := p.check(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// offers is all that is on offer, and since when that is known.
type offers struct {
	databases []database
	// dir is the folder that has sync/: pacman's own, or that of our refresh.
	dir string
	// asOf is when all of it was still so.
	asOf time.Time
}

// readOffers reads the databases of all repositories. What cannot be read is in the error.
func readOffers(m *machine.Machine, c *config) (*offers, error) {
	o := &offers{dir: c.dbPath}
	if fresher(m, c) {
		o.dir = refreshedDir
		if info, err := m.Stat(path.Join(refreshedDir, stampFile)); err == nil {
			o.asOf = info.ModTime().UTC()
		}
	}
	var problems []error
	for _, r := range c.repos {
		file := path.Join(o.dir, "sync", r.name+".db")
		list, at, err := readDatabase(m, file)
		if errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, &fleet.Unknown{
				Because: "nothing is known of the repository " + fleet.Plain(r.name) + ": its database was never fetched", Remedy: "sudo redflag scan --refresh", Err: err,
			})
			continue
		}
		if err != nil {
			problems = append(problems, &fleet.Unknown{Because: fmt.Sprintf("%s cannot be read: %s", file, fleet.Plain(err.Error())), Remedy: "sudo redflag scan --refresh", Err: err})
			continue
		}
		// All are fetched together: the one that was published last says since when they are known.
		if at.After(o.asOf) {
			o.asOf = at.UTC()
		}
		d := database{repo: r, packages: make(map[string]*pkg, len(list))}
		for _, p := range list {
			p.repo = r.name
			d.packages[p.name] = p
			if len(p.replaces) > 0 {
				d.replacers = append(d.replacers, p)
			}
		}
		o.databases = append(o.databases, d)
	}
	if len(c.repos) == 0 {
		problems = append(problems, &fleet.Unknown{Because: "no repository is configured", Remedy: "see " + confFile})
	}
	return o, errors.Join(problems...)
}

func readDatabase(m *machine.Machine, file string) ([]*pkg, time.Time, error) {
	f, err := m.Open(file)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	list, err := parseDatabase(f)
	return list, info.ModTime(), err
}

// fresher says whether what our refresh has fetched is whole, and pacman has fetched nothing since.
func fresher(m *machine.Machine, c *config) bool {
	stamp, err := m.Stat(path.Join(refreshedDir, stampFile))
	if err != nil {
		return false
	}
	if to, err := os.Readlink(m.Path(path.Join(refreshedDir, "local"))); err != nil || to != c.local() {
		return false
	}
	return !slices.ContainsFunc(c.repos, func(r repo) bool {
		if _, err := m.Stat(path.Join(refreshedDir, "sync", r.name+".db")); err != nil {
			return true
		}
		own, err := m.Stat(path.Join(c.sync(), r.name+".db"))
		return err == nil && placed(own).After(stamp.ModTime())
	})
}

// offered gives the newer version of an installed package, as pacman's full upgrade looks for it (libalpm's sync.c): in the first repository that has its
// name, or something that replaces it.
func (o *offers) offered(p *pkg) (to *pkg, replacers []*pkg) {
	for _, d := range o.databases {
		if !d.repo.upgrades {
			continue
		}
		if q := d.packages[p.name]; q != nil {
			return q, nil
		}
		for _, q := range d.replacers {
			if slices.ContainsFunc(q.replaces, func(text string) bool { return parseDependency(text).isNamed(p) }) {
				replacers = append(replacers, q)
			}
		}
		if len(replacers) > 0 {
			slices.SortFunc(replacers, func(a, b *pkg) int { return strings.Compare(a.name, b.name) })
			return nil, replacers
		}
	}
	return nil, nil
}
