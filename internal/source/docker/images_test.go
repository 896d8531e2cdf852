package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
)

// recipe says what an image is made of. Equal recipes make equal images.
type recipe struct {
	content  string // what its layer holds
	platform string // os/arch[/variant]; linux/amd64 when empty
	version  string // its label
	labels   map[string]string
	env      []string
	created  time.Time
	loose    bool // the layer is packed without compression: another manifest, the same config
	program  []byte
	cmd      []string
	volume   string
	health   string // what the program is told to check
}

func may(day int) time.Time { return time.Date(2026, 5, day, 12, 0, 0, 0, time.UTC) }

func (r recipe) image(t testing.TB) v1.Image {
	t.Helper()
	if w, ok := t.(*world); ok {
		r.content = w.scene + ": " + r.content // what one scenario makes is like nothing in another
	}
	level := gzip.BestSpeed
	if r.loose {
		level = gzip.NoCompression
	}
	archive := archiveOf(t, r)
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }, tarball.WithCompressionLevel(level))
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	img, err = mutate.ConfigFile(img, r.config(t, img))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func (r recipe) config(t testing.TB, img v1.Image) *v1.ConfigFile {
	t.Helper()
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.DeepCopy()
	p := r.v1Platform(t)
	cfg.OS, cfg.Architecture, cfg.Variant = p.OS, p.Architecture, p.Variant
	if cfg.Created.Time = r.created; r.created.IsZero() {
		cfg.Created.Time = may(1)
	}
	cfg.Config.Entrypoint = []string{"/idle"}
	cfg.Config.Env = r.env
	cfg.Config.Cmd = r.cmd
	if r.volume != "" {
		cfg.Config.Volumes = map[string]struct{}{r.volume: {}}
	}
	if r.health != "" {
		cfg.Config.Healthcheck = &v1.HealthConfig{Test: []string{"CMD", "/idle", r.health}, Interval: 200 * time.Millisecond, Retries: 2, Timeout: time.Second}
	}
	cfg.Config.Labels = map[string]string{}
	for k, v := range r.labels {
		cfg.Config.Labels[k] = v
	}
	if r.version != "" {
		cfg.Config.Labels[labelVersion] = r.version
	}
	return cfg
}

func (r recipe) v1Platform(t testing.TB) *v1.Platform {
	t.Helper()
	s := r.platform
	if s == "" {
		s = "linux/amd64"
	}
	p, err := v1.ParsePlatform(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// archiveOf makes the layer: a file with the content, and where the recipe has one the program.
func archiveOf(t testing.TB, r recipe) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	write := func(name string, mode int64, data []byte) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data)), Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	write("content", 0o644, []byte(r.content))
	if r.program != nil {
		write("idle", 0o755, r.program)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// index makes an index of several images, and of attestations as BuildKit adds them: images for unknown/unknown.
func index(t testing.TB, recipes []recipe, attestations ...string) v1.ImageIndex {
	t.Helper()
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, r := range recipes {
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: r.image(t), Descriptor: v1.Descriptor{Platform: r.v1Platform(t)}})
	}
	for _, a := range attestations {
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{
			Add: recipe{content: "attestation " + a}.image(t),
			Descriptor: v1.Descriptor{
				Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
				Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"},
			},
		})
	}
	return idx
}

// push puts an image or an index into a registry and gives its digest.
func push(t testing.TB, ref string, what any) string {
	t.Helper()
	repo, tag := splitRef(t, ref)
	switch what := what.(type) {
	case recipe:
		return pushImage(t, repo, tag, what.image(t))
	case v1.ImageIndex:
		manifest, err := what.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range manifest.Manifests {
			child, err := what.Image(d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			pushImage(t, repo, d.Digest.String(), child)
		}
		raw, err := what.RawManifest()
		if err != nil {
			t.Fatal(err)
		}
		return putManifest(t, repo, tag, string(manifest.MediaType), raw)
	default:
		t.Fatalf("cannot push %T", what)
		return ""
	}
}

// splitRef gives the address of a repository in the API, and the tag.
func splitRef(t testing.TB, ref string) (repo, tag string) {
	t.Helper()
	host, path, ok := strings.Cut(ref, "/")
	path, tag, tagged := strings.Cut(path, ":")
	if !ok || !tagged {
		t.Fatalf("%q is not host/path:tag", ref)
	}
	return "http://" + host + "/v2/" + path, tag
}

func pushImage(t testing.TB, repo, tag string, img v1.Image) string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		putBlob(t, repo, data)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	putBlob(t, repo, config)
	manifest, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	mediaType, err := img.MediaType()
	if err != nil {
		t.Fatal(err)
	}
	return putManifest(t, repo, tag, string(mediaType), manifest)
}

// putBlob uploads in one piece (OCI distribution-spec, "POST then PUT").
func putBlob(t testing.TB, repo string, data []byte) {
	t.Helper()
	resp := send(t, http.MethodPost, repo+"/blobs/uploads/", "", nil, http.StatusAccepted)
	at, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := at.Query()
	q.Set("digest", digest.FromBytes(data).String())
	at.RawQuery = q.Encode()
	send(t, http.MethodPut, at.String(), "application/octet-stream", data, http.StatusCreated)
}

func putManifest(t testing.TB, repo, tag, mediaType string, raw []byte) string {
	t.Helper()
	send(t, http.MethodPut, repo+"/manifests/"+tag, mediaType, raw, http.StatusCreated)
	return digest.FromBytes(raw).String()
}

// unpublish takes what a tag points to out of a registry.
func unpublish(t testing.TB, ref, digest string) {
	t.Helper()
	repo, _ := splitRef(t, ref)
	send(t, http.MethodDelete, repo+"/manifests/"+digest, "", nil, http.StatusAccepted)
}

func send(t testing.TB, method, url, contentType string, body []byte, want int) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if resp.StatusCode != want {
		t.Fatalf("%s %s: %s: %s", method, url, resp.Status, text)
	}
	return resp
}

// idle builds the program that containers run, once.
var idle = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "idle")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", filepath.Join(dir, "idle"), "./testdata/idle")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return out, err
	}
	return os.ReadFile(filepath.Join(dir, "idle"))
})

func idleProgram(t testing.TB) []byte {
	t.Helper()
	program, err := idle()
	if err != nil {
		t.Fatalf("build the program for the containers: %v: %s", err, program)
	}
	return program
}
