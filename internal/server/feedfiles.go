package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"redflag/internal/advisory"
	"redflag/internal/exposure"
	"redflag/internal/fleet"
	"redflag/internal/store"
)

// feeds are the feeds of advisories as this process has them: copies of those in the database, in a folder.
type feeds struct {
	store    *store.Store
	dir      string // empty where there is no folder: then there are no feeds
	exposure *exposure.Exposure

	taking sync.Mutex // held by who imports: one at a time, and as long as a feed takes to come

	mu    sync.Mutex // held by who changes the folder
	here  map[string]copied
	shelf *advisory.Shelf // nil before the first
}

// copied is a feed's file in the folder.
type copied struct {
	digest string
	// checked is when it was last found to be all that there is, in unix milliseconds.
	checked int64
}

const (
	// feedEnding is that of feeds' files.
	feedEnding = ".feed"
	// stagingDir is where feeds are imported before they are kept.
	stagingDir = "staging"
)

// sync brings the folder to what the database has, and says whether anything has changed by that. Feeds that cannot be copied leave those that are there.
func (f *feeds) sync(ctx context.Context) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.syncLocked(ctx)
}

func (f *feeds) syncLocked(ctx context.Context) (changed bool, err error) {
	if f.dir == "" {
		return false, nil
	}
	if f.here == nil {
		if err := f.look(); err != nil {
			return false, err
		}
	}
	kept, err := f.store.Feeds(ctx)
	if err != nil {
		return false, err
	}
	changed = f.shelf == nil
	there := map[string]bool{}
	var problems []error
	for _, k := range kept {
		file := advisory.FileOf(f.dir, k.Name)
		there[file] = true
		if have := f.here[file]; have.digest == k.Digest && have.checked == k.CheckedAt.UnixMilli() {
			continue
		}
		if err := f.copy(ctx, k, file); err != nil {
			problems = append(problems, err)
			continue
		}
		changed = true
	}
	for file := range f.here {
		if !there[file] {
			problems = append(problems, os.Remove(file))
			delete(f.here, file)
			changed = true
		}
	}
	if changed {
		problems = append(problems, f.open(ctx))
	}
	return changed, errors.Join(problems...)
}

// look finds what is in the folder.
func (f *feeds) look() error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of feeds: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(f.dir, "*"+feedEnding))
	if err != nil {
		return err
	}
	here := map[string]copied{}
	for _, file := range files {
		digest, err := digestOf(file)
		if err != nil {
			return fmt.Errorf("look at feeds: %w", err)
		}
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("look at feeds: %w", err)
		}
		here[file] = copied{digest, info.ModTime().UnixMilli()}
	}
	f.here = here
	return nil
}

func digestOf(file string) (string, error) {
	r, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer r.Close()
	h := sha256.New()
	_, err = io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), err
}

// copy puts a feed's file into the folder: whole, and in the place of the one before.
func (f *feeds) copy(ctx context.Context, k store.Feed, file string) error {
	if f.here[file].digest != k.Digest {
		temp, err := os.CreateTemp(f.dir, ".copy.*.tmp")
		if err != nil {
			return fmt.Errorf("copy a feed: %w", err)
		}
		defer os.Remove(temp.Name())
		err = f.store.ReadFeed(ctx, k, temp)
		if err = errors.Join(err, temp.Close()); err != nil {
			return err
		}
		if err := os.Rename(temp.Name(), file); err != nil {
			return fmt.Errorf("copy a feed: %w", err)
		}
	}
	if err := os.Chtimes(file, k.CheckedAt, k.CheckedAt); err != nil {
		return fmt.Errorf("copy a feed: %w", err)
	}
	f.here[file] = copied{k.Digest, k.CheckedAt.UnixMilli()}
	return nil
}

// open has what is in the folder now be asked from now on. One that is damaged there is copied again the next time.
func (f *feeds) open(ctx context.Context) error {
	shelf, err := advisory.Open(f.dir)
	if err != nil {
		return err
	}
	if err := f.exposure.Feeds(ctx, shelf); err != nil {
		return err
	}
	if len(shelf.Damaged) > 0 {
		f.here = nil
	}
	var last error
	if f.shelf != nil {
		last = f.shelf.Close() // nobody asks it any more
	}
	f.shelf = shelf
	return last
}

// end closes what is open.
func (f *feeds) end() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shelf == nil {
		return nil
	}
	return f.shelf.Close()
}

// take imports feeds beside those that are there, by what do does in a folder that has the same ones, and keeps what was taken for all processes.
func (f *feeds) take(ctx context.Context, now time.Time, do func(dir string) ([]advisory.Imported, error)) ([]advisory.Imported, error) {
	f.taking.Lock()
	defer f.taking.Unlock()
	if f.dir == "" {
		return nil, &fleet.Unknown{Because: "this server has no folder for feeds"}
	}
	staging := filepath.Join(f.dir, stagingDir)
	staged, err := f.stage(ctx, staging)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(staging) }() // the next one begins with that
	done, problem := do(staging)
	for _, one := range done {
		before := staged[advisory.FileOf(f.dir, one.Name)].digest
		if err := f.keep(ctx, staging, one, before, now); err != nil {
			return nil, err
		}
	}
	_, err = f.sync(ctx)
	return done, errors.Join(problem, err)
}

// stage makes a folder with the feeds that are there now, and says which: links, as nobody writes into a feed's file.
func (f *feeds) stage(ctx context.Context, staging string) (map[string]copied, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.syncLocked(ctx); err != nil {
		return nil, err
	}
	err := errors.Join(os.RemoveAll(staging), os.MkdirAll(staging, 0o700))
	for file := range f.here {
		if err == nil {
			err = os.Link(file, filepath.Join(staging, filepath.Base(file)))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("prepare to import a feed: %w", err)
	}
	return maps.Clone(f.here), nil
}

// keep gives one feed that was imported to all processes, in the place of the one whose digest is before.
func (f *feeds) keep(ctx context.Context, staging string, one advisory.Imported, before string, now time.Time) error {
	if one.Unchanged {
		return f.store.CheckedFeed(ctx, one.Name, now)
	}
	about, err := feedText(one.Feed)
	if err != nil {
		return err
	}
	file, err := os.Open(advisory.FileOf(staging, one.Name))
	if err != nil {
		return fmt.Errorf("keep a feed: %w", err)
	}
	defer file.Close()
	checked := one.CheckedAt
	if checked.IsZero() {
		checked = now
	}
	return f.store.SaveFeed(ctx, store.Feed{Name: one.Name, About: about, CheckedAt: checked.Truncate(time.Millisecond)}, before, file, now)
}
