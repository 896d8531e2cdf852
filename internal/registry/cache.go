package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"redflag/internal/fleet"
)

// cache keeps what registries answered, between processes: plain files in a folder. Content goes by its digest
// and is checked against it whenever it is read; other answers are records that carry a checksum of their own. Files
// are renamed into place, so several processes may share the folder without a lock; damage costs a question and no more.
type cache struct {
	dir string // empty: nothing is kept
	now func() time.Time
	log *slog.Logger
	// damaged and unwritable are said once a process.
	damaged, unwritable sync.Once

	mu      sync.Mutex
	shelves map[string]*shelf
}

const (
	contentDir = "content"
	recordDir  = "records"
	// maxRecord bounds a record: 10,000 tags of 128 bytes are 1.3 MB.
	maxRecord = 4 << 20
	maxKept   = max(maxManifest, maxConfig)
	// touchEvery is how exactly the last use of an entry is known, so that reading does not write each time.
	touchEvery = 24 * time.Hour
)

// openCache makes a cache in a folder, which is made when there is something to keep: who asks no registry leaves no trace.
func openCache(dir string, now func() time.Time, log *slog.Logger) *cache {
	return &cache{dir: dir, now: now, log: log}
}

func (c *cache) cannotWrite(err error) {
	c.unwritable.Do(func() {
		c.log.Warn("answers of registries are not remembered, so the next scan asks again", "err", err)
	})
}

// damage removes an entry that is not what it should be.
func (c *cache) damage(path string) {
	c.damaged.Do(func() {
		c.log.Warn("the cache was damaged and is being rebuilt", "file", path)
	})
	c.drop(path)
}

// drop removes a file of the cache; another process may have been faster.
func (c *cache) drop(path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.cannotWrite(err)
	}
}

// content gives the bytes that a digest names.
func (c *cache) content(d fleet.Digest) ([]byte, bool) {
	if c.dir == "" {
		return nil, false
	}
	path := c.contentPath(d)
	data, ok := c.read(path, maxKept)
	if !ok {
		return nil, false
	}
	if !matches(d, data) {
		c.damage(path)
		return nil, false
	}
	return data, true
}

// keepContent keeps bytes that the caller has verified.
func (c *cache) keepContent(d fleet.Digest, data []byte) { c.write(c.contentPath(d), data) }

func (c *cache) contentPath(d fleet.Digest) string {
	algorithm, encoded, _ := strings.Cut(string(d), ":")
	return filepath.Join(c.dir, contentDir, algorithm+"-"+encoded)
}

// entry is a record in its file. Its checksum is over kind, key and data.
type entry struct {
	Kind string          `json:"kind"`
	Key  string          `json:"key"`
	Data json.RawMessage `json:"data"`
	Sum  string          `json:"sum"`
}

func (e entry) sum() string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(e.Kind), []byte(e.Key), e.Data} {
		h.Write(part)
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// decodeEntry reads a record's file; false when it is not whole.
func decodeEntry(data []byte) (entry, bool) {
	var e entry
	if json.Unmarshal(data, &e) != nil || e.Sum != e.sum() {
		return entry{}, false
	}
	return e, true
}

// record reads what was kept under a kind and a key.
func (c *cache) record(kind, key string, into any) bool {
	switch {
	case c.dir == "":
		return false
	case onShelf(kind):
		return c.shelfOf(kind, key).get(key, into)
	}
	return c.readFile(kind, key, into)
}

// keepRecord keeps a value that JSON can hold.
func (c *cache) keepRecord(kind, key string, v any) {
	if c.dir == "" {
		return
	}
	if !onShelf(kind) {
		c.keepFile(kind, key, v)
		return
	}
	data, err := json.Marshal(v)
	if err != nil {
		c.cannotWrite(err)
		return
	}
	c.shelfOf(kind, key).keep(key, data)
}

// readFile reads a record that has a file of its own.
func (c *cache) readFile(kind, key string, into any) bool {
	path := c.recordPath(kind, key)
	data, ok := c.read(path, maxRecord)
	if !ok {
		return false
	}
	e, ok := decodeEntry(data)
	if !ok || e.Kind != kind || e.Key != key || json.Unmarshal(e.Data, into) != nil {
		c.damage(path)
		return false
	}
	return true
}

func (c *cache) keepFile(kind, key string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		c.cannotWrite(err)
		return
	}
	e := entry{Kind: kind, Key: key, Data: data}
	e.Sum = e.sum()
	if data, err = json.Marshal(e); err != nil {
		c.cannotWrite(err)
		return
	}
	c.write(c.recordPath(kind, key), data)
}

func (c *cache) recordPath(kind, key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(c.dir, recordDir, kind, hex.EncodeToString(sum[:]))
}

// records gives all that was kept under a kind.
func (c *cache) records(kind string, each func(key string, data json.RawMessage)) {
	if c.dir == "" {
		return
	}
	c.walk(filepath.Join(c.dir, recordDir, kind), func(path string, _ fs.FileInfo) {
		data, ok := c.read(path, maxRecord)
		if !ok {
			return
		}
		if e, ok := decodeEntry(data); ok && e.Kind == kind {
			each(e.Key, e.Data)
		}
	})
}

// read reads a file of the cache and notes its use. What is too large or unreadable is not there.
func (c *cache) read(path string, limit int64) ([]byte, bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, false
	}
	if int64(len(data)) > limit {
		c.damage(path)
		return nil, false
	}
	if info, err := f.Stat(); err == nil {
		if age := c.now().Sub(info.ModTime()); age > touchEvery || age < 0 {
			_ = os.Chtimes(path, c.now(), c.now()) // a use that is not noted only brings the next question sooner
		}
	}
	return data, true
}

// write puts a file in its place whole. It is not synced to the disk: after a power cut a file may be damaged, which is noticed
// when it is read, and a sync for each of 60 answers would cost more than asking again.
func (c *cache) write(path string, data []byte) {
	if c.dir == "" {
		return
	}
	if err := writeWhole(path, data); err != nil {
		c.cannotWrite(err)
	}
}

// tempPrefix marks a file that is being written.
const tempPrefix = ".new-"

// writeWhole writes a file under another name and renames it. Sixty answers are written in one pass, so it asks the file system for no more
// than it must: the folder is made when it turns out not to be there.
func writeWhole(path string, data []byte) error {
	temp := filepath.Join(filepath.Dir(path), tempPrefix+rand.Text())
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		f, err = os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(temp))
	}
	return err
}
