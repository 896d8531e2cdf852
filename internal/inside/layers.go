package inside

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/distribution/reference"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"redflag/internal/fleet"
	"redflag/internal/registry"
)

// Bounds of an image that is unpacked.
const (
	// maxImage is what is downloaded of one, and maxUnpacked what a layer may become: images of machine learning have 10 GB and are refused.
	maxImage    = 4 << 30
	maxUnpacked = 16 << 30
	// maxEntries is how many files a layer may have.
	maxEntries = 2 << 20
	// maxDatabase bounds a file of a package database: rpm's of 3,000 packages has 150 MB. maxPieces is how many files one may be in (distroless: one a package).
	maxDatabase = 256 << 20
	maxPieces   = 10_000
	// maxWindow is how much memory zstd may ask for.
	maxWindow = 128 << 20
)

// extraction collects the files of package databases from an image's layers, the uppermost first, into a folder.
type extraction struct {
	root string
	// settled are paths that a layer has said the last word of, and hidden folders of which lower layers count no more.
	settled, hidden map[string]bool
	pieces          int
	bytes           int64
}

// unpack reads an image's package database, layer by layer from the top, until it has it.
func (r Reader) unpack(ctx context.Context, ref reference.Named, image registry.Content) (Contents, error) {
	if image.Size > maxImage {
		return Contents{}, &fleet.Unknown{
			Because: fmt.Sprintf("which packages are in it is not known: its layers have %d MB, and at most %d are read", image.Size>>20, maxImage>>20),
			Remedy:  "have its builder attach an SBOM (docker buildx build --sbom=true)",
		}
	}
	root, err := os.MkdirTemp("", "redflag-image-*")
	if err != nil {
		return Contents{}, fmt.Errorf("read its layers: %w", err)
	}
	defer os.RemoveAll(root)
	x := &extraction{root: root, settled: map[string]bool{}, hidden: map[string]bool{}}
	for i := len(image.Layers) - 1; i >= 0 && !x.enough(); i-- {
		if r.Told != nil {
			r.Told(fmt.Sprintf("%s: reading layer %d of %d (%.1f MB)", reference.FamiliarString(ref), i+1, len(image.Layers), float64(image.Layers[i].Size)/1e6))
		}
		if err := r.fetch(ctx, ref, image.Layers[i], x); err != nil {
			return Contents{}, fmt.Errorf("read layer %d of %d: %w", i+1, len(image.Layers), err)
		}
	}
	return r.packages(ctx, root)
}

// fetch downloads a layer and reads it.
func (r Reader) fetch(ctx context.Context, ref reference.Named, l registry.Layer, x *extraction) error {
	f, err := temporary()
	if err != nil {
		return err
	}
	defer discard(f)
	if err := r.Registry.Blob(ctx, ref, l.Digest, min(l.Size, maxImage), f); err != nil {
		return err
	}
	return x.layer(ctx, f)
}

// layer reads one layer: a tar file, bare or compressed, whatever its media type says.
func (x *extraction) layer(ctx context.Context, f io.Reader) error {
	plain, err := inflate(f)
	if err != nil {
		return unreadable(err)
	}
	defer plain.Close()
	bounded := &io.LimitedReader{R: plain, N: maxUnpacked}
	archive := tar.NewReader(bounded)
	var above []func()
	for n := 0; ; n++ {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			// What a layer takes away it takes away from those below it.
			for _, settle := range above {
				settle()
			}
			return ctx.Err()
		case err != nil && bounded.N <= 0, n == maxEntries:
			return unreadable(fmt.Errorf("it has more than %d MB or %d files", maxUnpacked>>20, maxEntries))
		case err != nil:
			return unreadable(err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
		settle, err := x.entry(h, archive)
		if err != nil {
			return err
		}
		if settle != nil {
			above = append(above, settle)
		}
	}
}

func unreadable(err error) error {
	return &fleet.Unknown{Because: "it cannot be unpacked: " + fleet.Plain(err.Error()), Remedy: "push the image again, or have its builder attach an SBOM", Err: err}
}

// inflate tells by its first bytes how a layer is compressed.
func inflate(f io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReader(f)
	magic, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case strings.HasPrefix(string(magic), "\x1f\x8b"):
		return gzip.NewReader(b)
	case string(magic) == "\x28\xb5\x2f\xfd":
		d, err := zstd.NewReader(b, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(b), nil
}

// The files of package databases, and what says which distribution it is.
var (
	dpkgStatus = "var/lib/dpkg/status"
	dpkgPieces = "var/lib/dpkg/status.d/"
	apkFiles   = []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"}
	rpmFolders = []string{"var/lib/rpm", "usr/lib/sysimage/rpm"}
	rpmFiles   = []string{"rpmdb.sqlite", "rpmdb.sqlite-wal", "Packages.db", "Packages"}
	releases   = []string{"etc/os-release", "usr/lib/os-release"}
)

func databases() []string {
	list := append([]string{dpkgStatus}, apkFiles...)
	for _, dir := range rpmFolders {
		for _, file := range rpmFiles {
			list = append(list, dir+"/"+file)
		}
	}
	return list
}

func wanted(name string) bool {
	if piece, ok := strings.CutPrefix(name, dpkgPieces); ok {
		return piece != "" && !strings.Contains(piece, "/") && !strings.HasSuffix(piece, ".md5sums")
	}
	for _, list := range [][]string{databases(), releases} {
		for _, w := range list {
			if name == w {
				return true
			}
		}
	}
	return false
}

// holds says whether something that is wanted may lie below a folder.
func holds(dir string) bool {
	for _, w := range append(append(databases(), releases...), dpkgPieces) {
		if strings.HasPrefix(w, dir+"/") {
			return true
		}
	}
	return false
}

// Whiteouts (OCI image-spec, layer.md): .wh.NAME takes NAME of lower layers away, and .wh..wh..opq all of a folder.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// entry reads one entry of a layer. What it gives is to be done at the layer's end.
func (x *extraction) entry(h *tar.Header, body io.Reader) (settle func(), err error) {
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	switch {
	case base == opaque && dir == "": // all of it
		return func() { x.hidden["."] = true }, nil
	case base == opaque:
		return x.hide(dir), nil
	case strings.HasPrefix(base, whiteout):
		return x.hide(path.Join(dir, strings.TrimPrefix(base, whiteout))), nil
	case h.Typeflag == tar.TypeDir:
		return nil, nil
	case !wanted(name):
		if holds(name) { // a link or a file in the place of a folder
			return x.hide(name), nil
		}
		return nil, nil
	case x.gone(name):
		return nil, nil
	}
	if h.Typeflag == tar.TypeReg && !sparse(h) {
		if err := x.take(name, h.Size, body); err != nil {
			return nil, err
		}
	}
	return func() { x.settled[name] = true }, nil
}

// sparse tells a file that is longer than what was sent of it. A package database is none.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func (x *extraction) hide(name string) func() {
	if !wanted(name) && !holds(name) {
		return nil
	}
	return func() { x.hidden[name] = true }
}

// gone says whether a layer above has said the last word of a path.
func (x *extraction) gone(name string) bool {
	for dir := name; dir != "."; dir = path.Dir(dir) {
		if x.hidden[dir] {
			return true
		}
	}
	return x.hidden["."] || x.settled[name]
}

// take writes a file of a package database. Of two in one layer the last counts.
func (x *extraction) take(name string, size int64, body io.Reader) error {
	x.pieces++
	x.bytes += size
	if size > maxDatabase || x.bytes > 2*maxDatabase || x.pieces > maxPieces {
		return unreadable(fmt.Errorf("its package database is larger than %d MB, or in more than %d pieces", maxDatabase>>20, maxPieces))
	}
	file := filepath.Join(x.root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, body); err != nil {
		f.Close()
		return unreadable(err)
	}
	return f.Close()
}

// enough says whether lower layers can add nothing: there is a whole database, and it is known whose.
func (x *extraction) enough() bool {
	known := false
	for _, name := range databases() {
		known = known || x.settled[name]
	}
	return known && (x.settled[releases[0]] || x.settled[releases[1]])
}
