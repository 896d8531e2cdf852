package registry

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"redflag/internal/fleet"
)

// warnings are the lines of a log.
type warnings struct {
	mu sync.Mutex
	bytes.Buffer
}

func (w *warnings) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Buffer.Write(b)
}

func (w *warnings) count(part string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.String(), part)
}

func (w *warnings) log() *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// files lists what a folder holds.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestADamagedCacheIsRebuiltWithOneWarning(t *testing.T) {
	for name, damage := range map[string]func(path string, data []byte) error{
		"cut":     func(path string, data []byte) error { return os.WriteFile(path, data[:len(data)/2], 0o600) },
		"emptied": func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o600) },
		"changed": func(path string, data []byte) error { data[len(data)/2] ^= 1; return os.WriteFile(path, data, 0o600) },
		"forged": func(path string, _ []byte) error {
			return os.WriteFile(path, []byte(`{"kind":"tag","data":{}}`), 0o600)
		},
		"enormous":  func(path string, _ []byte) error { return os.Truncate(path, 1<<30) },
		"a folder":  func(path string, _ []byte) error { return swapForFolder(path) },
		"not there": func(path string, _ []byte) error { return os.Remove(path) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			want := l.push(t, "app:1", image(t, amd64, nil))
			var said warnings
			cfg := Config{CacheDir: t.TempDir(), Log: said.log()}
			look := func() {
				c := start(t, cfg)
				a, err := c.Resolve(t.Context(), l.ref(t, "app:1"))
				if err != nil || a.Digest != want {
					t.Fatalf("got %s, %v", a.Digest, err)
				}
				if _, err := c.Content(t.Context(), l.canonical(t, "app", want)); err != nil {
					t.Fatal(err)
				}
			}
			look()
			for _, path := range files(t, cfg.CacheDir) {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := damage(path, data); err != nil {
					t.Fatal(err)
				}
			}
			look()
			if n := said.count("cache was damaged"); n > 1 || n == 0 && name != "not there" && name != "a folder" {
				t.Errorf("%d warnings: %s", n, said.String())
			}
		})
	}
}

func swapForFolder(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.Mkdir(path, 0o700)
}

func TestACacheThatCannotBeWrittenIsOneWarningAndNoError(t *testing.T) {
	l := newLab(t)
	refs, digests := sixty(t, l)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var said warnings
	c := New(Config{CacheDir: filepath.Join(file, "cache"), Log: said.log()})
	checkAll(t, c.ResolveAll(t.Context(), refs), digests)
	c.Close()
	if n := said.count("level=WARN"); n != 1 {
		t.Errorf("%d warnings: %s", n, said.String())
	}
}

func TestTwoProcessesShareACache(t *testing.T) {
	l := newLab(t)
	refs, digests := sixty(t, l)
	var said warnings
	cfg := Config{CacheDir: t.TempDir(), TagLifetime: -1, Log: said.log()}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := New(cfg)
			defer c.Close()
			for range 3 {
				checkAll(t, c.ResolveAll(t.Context(), refs), digests)
				c.cache.sweep()
			}
		})
	}
	wg.Wait()
	if said.Len() > 0 {
		t.Errorf("they got in each other's way: %s", said.String())
	}
}

func TestNothingAskedLeavesNoTrace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	New(Config{CacheDir: dir}).Close()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a folder was made: %v", err)
	}
}

func TestASweepRemovesTheOldAndTheTooMuchAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	watch := newClock()
	c := openCache(dir, watch.Now, slog.New(slog.DiscardHandler))
	put := func(text string, age time.Duration) string {
		d := digestOf([]byte(text))
		c.keepContent(d, []byte(text))
		path := c.contentPath(d)
		when := watch.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		return path
	}
	kept := []string{put("young", time.Hour), put("middling", 80*24*time.Hour), put("of the future", -time.Hour)}
	gone := []string{put("old", 91*24*time.Hour)}
	for _, name := range []string{"notes.txt", "content/notes.txt", "records/tag/notes"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(0, 0), time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, path)
	}
	c.tidy()
	checkFiles(t, kept, gone)
}

func checkFiles(t *testing.T, kept, gone []string) {
	t.Helper()
	for _, path := range kept {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("kept: %v", err)
		}
	}
	for _, path := range gone {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}

func TestACacheThatIsFullLosesWhatWasLongestUnused(t *testing.T) {
	watch := newClock()
	c := openCache(t.TempDir(), watch.Now, slog.New(slog.DiscardHandler))
	var paths []string
	for i := range 5 {
		d := digestOf(fmt.Append(nil, i))
		c.keepContent(d, nil)
		path := c.contentPath(d)
		if err := os.Truncate(path, maxCache/4); err != nil { // sparse: it takes no space
			t.Fatal(err)
		}
		when := watch.Now().Add(-time.Duration(i) * time.Hour)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	c.sweep()
	checkFiles(t, paths[:3], paths[3:])
}

func TestTheCacheNeverServesContentThatIsNotItsDigests(t *testing.T) {
	c := openCache(t.TempDir(), time.Now, slog.New(slog.DiscardHandler))
	d := fleet.Digest(someDigest)
	c.keepContent(d, []byte("something else"))
	if data, ok := c.content(d); ok {
		t.Errorf("got %q", data)
	}
}

func TestAShelfIsPrunedAndHoldsWhatTwoProcessesWrote(t *testing.T) {
	watch := newClock()
	dir := t.TempDir()
	open := func() *cache { return openCache(dir, watch.Now, slog.New(slog.DiscardHandler)) }
	first, second := open(), open()
	for i := range maxShelf {
		first.keepRecord(recordTag, fmt.Sprintf("r.example/app:%d", i), i)
	}
	first.flush()
	watch.advance(time.Hour)
	second.keepRecord(recordTag, "r.example/app:new", 1)
	second.flush()
	first.keepRecord(recordTag, "r.example/app:newest", 2)
	first.flush()
	third := open()
	var n int
	for _, key := range []string{"new", "newest"} {
		if !third.record(recordTag, "r.example/app:"+key, &n) {
			t.Errorf("%s is not there", key)
		}
	}
	if got := len(third.shelfOf(recordTag, "r.example/x").records); got != maxShelf {
		t.Errorf("%d records are kept, want %d", got, maxShelf)
	}
	watch.advance(maxUnused + time.Hour)
	third.keepRecord(recordTag, "r.example/app:last", 3)
	third.flush()
	if got := len(open().shelfOf(recordTag, "r.example/x").read()); got != 1 {
		t.Errorf("%d records outlived their time", got-1)
	}
}
