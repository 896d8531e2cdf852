package inside

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"
	inprocess "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/registry"
)

// lab is a registry in the test's process, and a reader that asks it.
type lab struct {
	*testing.T
	host   string
	reader Reader
}

func newLab(t *testing.T) *lab {
	t.Helper()
	srv := httptest.NewServer(inprocess.New(inprocess.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(srv.Close)
	client := registry.New(registry.Config{})
	t.Cleanup(client.Close)
	return &lab{t, srv.Listener.Addr().String(), Reader{Registry: client, Dir: t.TempDir(), Runner: machine.Exec{}, Now: time.Now}}
}

// file is an entry of a layer: a file, or with a target a symbolic link.
type file struct{ name, text, target string }

func layer(t testing.TB, files ...file) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Size: int64(len(f.text)), Mode: 0o644, Typeflag: tar.TypeReg}
		if f.target != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.target
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// push makes an image of layers, the lowest first, and gives its place.
func (l *lab) push(layers ...v1.Layer) reference.Canonical {
	l.Helper()
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		l.Fatal(err)
	}
	at, err := name.ParseReference(l.host + "/app:1")
	if err != nil {
		l.Fatal(err)
	}
	if err := remote.Write(at, image); err != nil {
		l.Fatal(err)
	}
	d, err := image.Digest()
	if err != nil {
		l.Fatal(err)
	}
	return l.canonical(d)
}

var linux = registry.Platform{OS: "linux", Architecture: "amd64"}

func (l *lab) canonical(d v1.Hash) reference.Canonical {
	l.Helper()
	named, err := reference.ParseNormalizedNamed(l.host + "/app")
	if err != nil {
		l.Fatal(err)
	}
	c, err := registry.Canonical(named, fleet.Digest(d.String()))
	if err != nil {
		l.Fatal(err)
	}
	return c
}

// attested makes an index as BuildKit does: an image, and what is attested of it.
func (l *lab) attested(image v1.Image, predicateType string, sbom any) reference.Canonical {
	l.Helper()
	of, err := image.Digest()
	if err != nil {
		l.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": predicateType, "predicate": sbom})
	if err != nil {
		l.Fatal(err)
	}
	about, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer: static.NewLayer(text, "application/vnd.in-toto+json"), Annotations: map[string]string{predicate: predicateType}, MediaType: "application/vnd.in-toto+json",
	})
	if err != nil {
		l.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: about, Descriptor: v1.Descriptor{
			Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
			Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of.String()},
		}},
	)
	at, err := name.ParseReference(l.host + "/app:1")
	if err != nil {
		l.Fatal(err)
	}
	if err := remote.WriteIndex(at, index); err != nil {
		l.Fatal(err)
	}
	d, err := index.Digest()
	if err != nil {
		l.Fatal(err)
	}
	return l.canonical(d)
}

// say gives packages in short: name version [source version] ecosystem.
func say(list []fleet.Package) []string {
	lines := make([]string, 0, len(list))
	for _, p := range list {
		lines = append(lines, strings.Join([]string{p.Source, p.Name, p.Version, p.From, p.FromVersion, p.Ecosystem}, "|"))
	}
	return lines
}
