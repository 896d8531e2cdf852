package registry

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// maxCache bounds the folder: the manifests and configs of 10,000 images are 100 MB.
	maxCache = 256 << 20
	// afterSweep is what a sweep of a full folder leaves, so that it is not full again at once.
	afterSweep = maxCache / 10 * 8
	// maxUnused is how long an entry is kept that nobody asks for.
	maxUnused = 90 * 24 * time.Hour
	// sweepEvery is how often a folder is swept; sweepFile's time says when it last was.
	sweepEvery = 24 * time.Hour
	sweepFile  = "swept"
	// maxTemp is how old a file may be that somebody is still writing.
	maxTemp = time.Hour
)

// tidy writes down what is new, and sweeps the folder when it is time.
func (c *cache) tidy() {
	c.flush()
	if _, err := os.Stat(c.dir); c.dir == "" || err != nil {
		return // nothing was kept yet
	}
	stamp := filepath.Join(c.dir, sweepFile)
	info, err := os.Stat(stamp)
	if err == nil {
		if age := c.now().Sub(info.ModTime()); age >= 0 && age < sweepEvery {
			return
		}
	}
	// The stamp goes first: of two processes, the second sees it and leaves.
	if err := os.WriteFile(stamp, nil, 0o600); err != nil {
		c.cannotWrite(err)
		return
	}
	if err := os.Chtimes(stamp, c.now(), c.now()); err != nil {
		c.cannotWrite(err)
	}
	c.sweep()
}

// aged is a file of the cache and when it was last of use.
type aged struct {
	path string
	used time.Time
	size int64
}

// sweep removes what nobody used for long, and the longest unused of what is too much. An entry from the future, of a clock gone
// wrong, counts as used now at the latest when it is next read, and as unused until then.
func (c *cache) sweep() {
	var files []aged
	var total int64
	now := c.now()
	c.walk(c.dir, func(path string, info fs.FileInfo) {
		age := now.Sub(info.ModTime())
		temp := strings.HasPrefix(info.Name(), tempPrefix)
		switch {
		case temp && age < maxTemp && age > -maxTemp:
		case temp || age > maxUnused:
			c.drop(path)
		default:
			f := aged{path, info.ModTime(), info.Size()}
			if age < 0 {
				f.used = time.Time{}
			}
			files = append(files, f)
			total += f.size
		}
	})
	if total <= maxCache {
		return
	}
	slices.SortFunc(files, func(a, b aged) int { return a.used.Compare(b.used) })
	for _, f := range files {
		if total <= afterSweep {
			return
		}
		c.drop(f.path)
		total -= f.size
	}
}

// walk visits the cache's own files below a folder, those of its own naming alone.
func (c *cache) walk(dir string, visit func(path string, info fs.FileInfo)) {
	// An error of one entry, which another process may have removed, is nobody's business.
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !c.owns(path) {
			return nil //nolint:nilerr // see above
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			visit(path, info)
		}
		return nil
	})
}

// owns says whether a file is one that this cache could have written.
func (c *cache) owns(path string) bool {
	rel, err := filepath.Rel(c.dir, path)
	if err != nil {
		return false
	}
	parts := strings.Split(filepath.ToSlash(rel), "/")
	name := parts[len(parts)-1]
	switch {
	case len(parts) == 2 && parts[0] == contentDir:
		algorithm, encoded, ok := strings.Cut(name, "-")
		return strings.HasPrefix(name, tempPrefix) || ok && algorithm != "" && isHex(encoded)
	case len(parts) == 3 && parts[0] == recordDir:
		return strings.HasPrefix(name, tempPrefix) || isHex(name)
	}
	return false
}

// isHex tells a digest in hexadecimal from a name that somebody gave.
func isHex(s string) bool {
	return len(s) >= 64 && strings.Trim(s, "0123456789abcdef") == ""
}
