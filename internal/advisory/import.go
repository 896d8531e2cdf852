package advisory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Import says how feeds are taken onto a shelf.
type Import struct {
	// Dir is the shelf's folder; it is made where it is missing.
	Dir string
	Now time.Time
	// Replace takes a feed even if it is older or much smaller than the one that is there.
	Replace bool
}

// Imported is what became of one feed.
type Imported struct {
	Feed
	// Unchanged: what is there is what would have been imported.
	Unchanged bool
}

// From imports a file, a folder or an address: one feed, or those of a bundle. A feed that is refused leaves the one that is there as it is.
func (i Import) From(ctx context.Context, from string) ([]Imported, error) {
	if err := os.MkdirAll(i.Dir, 0o755); err != nil { //nolint:gosec // public data
		return nil, fmt.Errorf("import %s: %w", shown(from), err)
	}
	done, err := i.from(ctx, from)
	if err != nil {
		return done, explained(shown(from), err)
	}
	return done, nil
}

// explained says of an error which feed it is about.
func explained(from string, err error) error {
	because, remedy := fleet.Explain(err)
	return &fleet.Unknown{Because: from + " is not imported: " + because, Remedy: remedy, Err: err}
}

func (i Import) from(ctx context.Context, from string) ([]Imported, error) {
	if IsURL(from) {
		return i.address(ctx, from)
	}
	path, err := filepath.Abs(from)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return i.folder(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return i.file(f, Feed{From: path})
}

// address fetches what is at an address, unless what was fetched from there is all that there is.
func (i Import) address(ctx context.Context, from string) ([]Imported, error) {
	shelf, err := Open(i.Dir)
	if err != nil {
		return nil, err
	}
	defer shelf.Close()
	var before []Feed
	etag := ""
	for _, f := range shelf.Feeds() {
		if f.From == from {
			before, etag = append(before, f), f.ETag
		}
	}
	f, err := os.CreateTemp(i.Dir, ".fetch.*.tmp")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	etag, err = fetch(ctx, from, etag, f)
	if errors.Is(err, errUnchanged) {
		var done []Imported
		for _, b := range before {
			done = append(done, i.unchanged(b))
		}
		return done, nil
	}
	if err != nil {
		return nil, err
	}
	return i.file(f, Feed{From: from, ETag: etag})
}

// unchanged notes that a feed was found to be all that there is.
func (i Import) unchanged(f Feed) Imported {
	if os.Chtimes(fileOf(i.Dir, f.Name), i.Now, i.Now) == nil {
		f.CheckedAt = i.Now
	}
	return Imported{f, true}
}

// file imports one file.
func (i Import) file(f *os.File, about Feed) ([]Imported, error) {
	if isBundle(f) {
		return i.bundle(f, about)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	about.SHA256 = hex.EncodeToString(h.Sum(nil))
	p, err := parseFile(f)
	if err != nil {
		return nil, err
	}
	one, err := i.take(p, about)
	return []Imported{one}, err
}

// folder imports a folder: of feeds, each for itself, or else of OSV records.
func (i Import) folder(dir string) ([]Imported, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var done []Imported
	var problems []error
	records := false
	for _, f := range files {
		name := filepath.Join(dir, f.Name())
		if f.IsDir() || isRecord(name) {
			records = true
			continue
		}
		one, err := i.fileNamed(name)
		done = append(done, one...)
		if err != nil {
			problems = append(problems, explained(f.Name(), err))
		}
	}
	if records {
		one, err := i.records(dir)
		done = append(done, one...)
		problems = append(problems, err)
	}
	if len(done) == 0 && errors.Join(problems...) == nil {
		return nil, refused("there is no feed in it")
	}
	return done, errors.Join(problems...)
}

func (i Import) fileNamed(name string) ([]Imported, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return i.file(f, Feed{From: name})
}

// isRecord tells an OSV record from a feed.
func isRecord(name string) bool {
	if !strings.HasSuffix(name, ".json") {
		return false
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head, _ := io.ReadAll(io.LimitReader(f, headSize))
	return jsonKind(bytes.TrimLeft(head, "\ufeff \t\r\n")) == OSV
}

func (i Import) records(dir string) ([]Imported, error) {
	p, err := parseFolder(dir)
	if err != nil {
		return nil, err
	}
	one, err := i.take(p, Feed{From: dir})
	return []Imported{one}, err
}

// take puts a feed onto the shelf: whole, and in the place of the one before.
func (i Import) take(p *parsed, about Feed) (Imported, error) {
	if p.Kind == OSV {
		if p.Rows == 0 {
			return Imported{}, refused("none of its %d records is of a distribution whose versions are known here", p.Records)
		}
		p.Name = nameOfOSV(p.Ecosystems)
	}
	f := p.Feed
	f.From, f.ETag, f.SHA256, f.ImportedAt, f.CheckedAt = about.From, about.ETag, about.SHA256, i.Now.UTC(), i.Now.UTC()
	f.licensed()
	if unchanged, err := i.check(f); err != nil || unchanged != nil {
		return value(unchanged), err
	}
	err := machine.WriteFileBy(fileOf(i.Dir, f.Name), 0o644, func(w *os.File) error {
		b := &buffered{w: w}
		if err := writeTable(b, f, p.entries); err != nil {
			return err
		}
		return b.flush()
	})
	if err != nil {
		return Imported{}, err
	}
	return Imported{Feed: f}, os.Chtimes(fileOf(i.Dir, f.Name), i.Now, i.Now)
}

func value(i *Imported) Imported {
	if i == nil {
		return Imported{}
	}
	return *i
}

// buffered writes in large pieces.
type buffered struct {
	w    io.Writer
	kept []byte
}

func (b *buffered) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p...)
	if len(b.kept) < 256<<10 {
		return len(p), nil
	}
	return len(p), b.flush()
}

func (b *buffered) flush() error {
	_, err := b.w.Write(b.kept)
	b.kept = b.kept[:0]
	return err
}

// nameOfOSV names a feed by the families in it: osv:AlmaLinux.
func nameOfOSV(ecosystems map[string]int) string {
	var families []string
	for e := range ecosystems {
		if !slices.Contains(families, family(e)) {
			families = append(families, family(e))
		}
	}
	if len(families) > 1 {
		return string(OSV)
	}
	return string(OSV) + ":" + families[0]
}

const (
	// tolerance is how far ahead of this clock a feed may be.
	tolerance = 48 * time.Hour
	// leastPart is how much of the records of the feed before a new one must have: what is much smaller is half a feed.
	leastPart = 0.5
)

// check refuses a feed that would lose what is there, and says if it is there already.
func (i Import) check(f Feed) (*Imported, error) {
	if f.AsOf.After(i.Now.Add(tolerance)) {
		return nil, &fleet.Unknown{Because: fmt.Sprintf("it says that it is of %s", f.AsOf.Format(time.DateOnly)), Remedy: "check the clock of this machine, and where the feed comes from"}
	}
	old, err := openTable(fileOf(i.Dir, f.Name))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamaged) {
			return nil, nil
		}
		return nil, err
	}
	defer func() { _ = old.close() }() // it was read
	switch {
	case f.SHA256 != "" && f.SHA256 == old.SHA256 && f.From == old.From && f.ETag == old.ETag:
		one := i.unchanged(old.Feed)
		return &one, nil
	case i.Replace:
		return nil, nil
	case f.AsOf.Before(old.AsOf):
		return nil, &fleet.Unknown{Because: fmt.Sprintf("it is of %s, and the one that is there of %s", f.AsOf.Format(time.DateOnly), old.AsOf.Format(time.DateOnly)), Remedy: "--replace takes it all the same"}
	case float64(f.Records) < leastPart*float64(old.Records):
		return nil, &fleet.Unknown{Because: fmt.Sprintf("it has %d records, and the one that is there %d: is it whole?", f.Records, old.Records), Remedy: "--replace takes it all the same"}
	}
	return nil, nil
}
