package inside

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

const (
	// maxKept is how many images are remembered: a large host runs some hundred, in two versions each.
	maxKept = 1000
	// maxContents bounds the file of one: 20,000 packages of 200 bytes.
	maxContents = 8 << 20
	ending      = ".json"
)

// Recall gives what was read of an image; one of another version of RedFlag that cannot be read any more was never read.
func (r Reader) Recall(d fleet.Digest) (Contents, bool) {
	if r.Dir == "" {
		return Contents{}, false
	}
	here := machine.Machine{Root: r.Dir}
	data, err := here.ReadFile(fileOf(d), maxContents)
	if err != nil {
		return Contents{}, false
	}
	var c Contents
	if json.Unmarshal(data, &c) != nil || c.Digest != d || c.Packages == nil {
		return Contents{}, false
	}
	return c, true
}

// fileOf names the file of an image. A digest has a colon and letters.
func fileOf(d fleet.Digest) string {
	return strings.ReplaceAll(filepath.Base(string(d)), ":", "-") + ending
}

// keep remembers what was read of an image, and forgets the oldest where there are too many.
func (r Reader) keep(c Contents) error {
	if r.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return fmt.Errorf("keep what is in the image: %w", err)
	}
	data, err := json.Marshal(c)
	if err != nil || len(data) > maxContents {
		return err // a list that is too long to be kept is read anew the next time
	}
	if err := machine.WriteFile(filepath.Join(r.Dir, fileOf(c.Digest)), data, 0o600); err != nil {
		return fmt.Errorf("keep what is in the image: %w", err)
	}
	return r.forget()
}

func (r Reader) forget() error {
	entries, err := os.ReadDir(r.Dir)
	if err != nil || len(entries) <= maxKept {
		return err
	}
	type file struct {
		name string
		at   int64
	}
	files := make([]file, 0, len(entries))
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ending) {
			files = append(files, file{e.Name(), info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return int((b.at - a.at) >> 63) })
	for _, f := range files[min(maxKept, len(files)):] {
		if err := os.Remove(filepath.Join(r.Dir, f.name)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}
