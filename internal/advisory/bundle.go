package advisory

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"redflag/internal/fleet"
)

// A bundle is a shelf in one file, for machines that reach no network: a tar of tables, compressed with zstd.

// zstdMagic begins what zstd has compressed (RFC 8878, 3.1.1).
const zstdMagic = "\x28\xb5\x2f\xfd"

func isBundle(f io.ReaderAt) bool {
	head := make([]byte, len(zstdMagic))
	_, err := f.ReadAt(head, 0)
	return err == nil && string(head) == zstdMagic
}

// Export writes the feeds of a folder as a bundle, and gives those that it wrote. With ecosystems (Debian:12) only what is said of them goes in, and
// whole feeds that are of none.
func Export(dir string, w io.Writer, ecosystems ...string) ([]Feed, error) {
	shelf, err := Open(dir)
	if err != nil {
		return nil, err
	}
	defer shelf.Close()
	if len(shelf.Damaged) > 0 {
		return nil, &fleet.Unknown{Because: "a feed cannot be read: " + strings.Join(shelf.Damaged, "; "), Remedy: "import it again"}
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("export advisories: %w", err)
	}
	out := tar.NewWriter(z)
	var all []string
	for _, e := range ecosystems {
		all = append(all, within(e)...)
	}
	ecosystems = all
	var written []Feed
	for _, t := range shelf.tables {
		if len(ecosystems) > 0 && len(t.Ecosystems) > 0 && !slices.ContainsFunc(ecosystems, func(e string) bool { return t.Ecosystems[e] > 0 }) {
			continue
		}
		f, err := t.export(dir, out, ecosystems)
		if err != nil {
			return written, fmt.Errorf("export feed %s: %w", t.Name, err)
		}
		written = append(written, f)
	}
	if len(written) == 0 {
		return nil, &fleet.Unknown{Because: "there is nothing to export", Remedy: "`redflag advisories status` says what was imported"}
	}
	return written, errors.Join(out.Close(), z.Close())
}

// export writes one table, reduced to ecosystems where some are given.
func (t *table) export(dir string, out *tar.Writer, ecosystems []string) (Feed, error) {
	f := t.Feed
	if IsURL(f.From) { // who carries it need not know what gives access
		f.From = shown(f.From)
	}
	temp, err := os.CreateTemp("", "redflag-export-*")
	if err != nil {
		return f, err
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	var entries []entry
	if len(ecosystems) > 0 && len(f.Ecosystems) > 0 {
		f.Rows, f.Ecosystems = 0, map[string]int{}
		for _, e := range ecosystems {
			if n := t.Ecosystems[e]; n > 0 {
				f.Ecosystems[e] = n
				f.Rows += n
			}
		}
		f.SHA256, f.ETag = "", "" // it is a part of what they name
	}
	err = t.each(func(key string, value []byte) error {
		if e, _, ok := strings.Cut(key[1:], "\x00"); len(f.Ecosystems) == 0 || ok && f.Ecosystems[e] > 0 {
			entries = append(entries, entry{key, value})
		}
		return nil
	})
	if err != nil {
		return f, err
	}
	b := &buffered{w: temp}
	if err := errors.Join(writeTable(b, f, entries), b.flush()); err != nil {
		return f, err
	}
	size, err := temp.Seek(0, io.SeekEnd)
	if err != nil {
		return f, err
	}
	name := filepath.Base(fileOf(dir, f.Name))
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: f.CheckedAt}); err != nil {
		return f, err
	}
	_, err = io.Copy(out, io.NewSectionReader(temp, 0, size))
	return f, err
}

// maxFeeds bounds a bundle's feeds.
const maxFeeds = 1000

// bundle imports the feeds of a bundle. Each is checked from end to end before it takes the place of another.
func (i Import) bundle(f *os.File, about Feed) ([]Imported, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	in := tar.NewReader(&capped{r: z, left: unpacked(info.Size())})
	var done []Imported
	var problems []error
	for range maxFeeds {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return done, errors.Join(problems...)
		}
		if err != nil {
			return done, fmt.Errorf("the bundle is damaged or not whole: %w", err)
		}
		if h.Typeflag != tar.TypeReg || !strings.HasSuffix(h.Name, ending) {
			continue
		}
		one, err := i.feed(in, h, about)
		if err != nil {
			problems = append(problems, explained(fleet.Plain(h.Name), err))
			continue
		}
		done = append(done, one)
	}
	return done, refused("the bundle has over %d feeds", maxFeeds)
}

// feed imports one table of a bundle.
func (i Import) feed(r io.Reader, h *tar.Header, about Feed) (Imported, error) {
	temp, err := os.CreateTemp(i.Dir, ".feed.*.tmp")
	if err != nil {
		return Imported{}, err
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	size, err := io.Copy(temp, r)
	if err != nil {
		return Imported{}, err
	}
	t, err := newTable(temp, size)
	if err != nil {
		return Imported{}, err
	}
	if err := t.verify(); err != nil {
		return Imported{}, err
	}
	t.CheckedAt = h.ModTime.UTC()
	if unchanged, err := i.check(t.Feed); err != nil || unchanged != nil {
		return value(unchanged), err
	}
	if IsURL(about.From) && t.ETag == "" {
		t.From = about.From
	}
	if err := errors.Join(temp.Chmod(0o644), temp.Sync(), temp.Close(), os.Chtimes(temp.Name(), t.CheckedAt, t.CheckedAt)); err != nil {
		return Imported{}, err
	}
	return Imported{Feed: t.Feed}, os.Rename(temp.Name(), fileOf(i.Dir, t.Name))
}

// verify reads all of a table as look-ups would.
func (t *table) verify() error {
	if t.Name == "" || len(t.Name) > maxName || t.Kind == "" {
		return errDamaged
	}
	return t.each(func(key string, v []byte) error {
		var err error
		switch key[:min(1, len(key))] {
		case "r":
			_, err = readRules(v)
		case "d":
			_, err = readDetail(v)
		case "k":
			_, err = readExploited(v)
		case "p":
			_, err = readProbability(v)
		case "s":
		default:
			err = errDamaged
		}
		return err
	})
}
