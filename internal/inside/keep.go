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
	"redflag/internal/registry"
)

const (
	// maxKept is how many images are remembered: a large host runs some hundred, in two versions each.
	maxKept = 1000
	// maxContents bounds the file of one: 20,000 packages of 200 bytes.
	maxContents = 8 << 20
	ending      = ".json"
)

// Recall gives what was read of an image: of a manifest, or of the image for a platform in an index. It asks nobody. What another version of RedFlag has written and
// this one cannot read was never read.
func (r Reader) Recall(d fleet.Digest, platform registry.Platform) (Contents, bool) {
	if r.Dir == "" {
		return Contents{}, false
	}
	here := machine.Machine{Root: r.Dir}
	for _, file := range []string{fileOf(d, registry.Platform{}), fileOf(d, platform)} {
		data, err := here.ReadFile(file, maxContents)
		if err != nil {
			continue
		}
		var c Contents
		if json.Unmarshal(data, &c) == nil && c.Digest != "" && c.Packages != nil {
			return c, true
		}
	}
	return Contents{}, false
}

// fileOf names the file of a manifest, or of what an index has for a platform. Of what is no digest and no platform nothing comes through.
func fileOf(d fleet.Digest, p registry.Platform) string {
	name := string(d)
	if p != (registry.Platform{}) {
		name += "-" + p.String()
	}
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, name) + ending
}

// keep remembers what was read of an image, under its own name and that of the index in which it is, and forgets the oldest where there are too many.
func (r Reader) keep(c Contents, asked fleet.Digest, platform registry.Platform) error {
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
	files := []string{fileOf(c.Digest, registry.Platform{})}
	if asked != c.Digest {
		files = append(files, fileOf(asked, platform))
	}
	for _, file := range files {
		if err := machine.WriteFile(filepath.Join(r.Dir, file), data, 0o600); err != nil {
			return fmt.Errorf("keep what is in the image: %w", err)
		}
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
