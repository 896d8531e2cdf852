package registry

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"
	inprocess "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"redflag/internal/fleet"
)

// rule is something between the client and a registry.
type rule func(http.Handler) http.Handler

// lab is a registry inside the test's process, with rules in front of it, that remembers what it was asked.
type lab struct {
	host string
	// store is the registry itself, without rules; nil for one in a process of its own.
	store http.Handler

	mu       sync.Mutex
	requests []*http.Request
	statuses []int
}

// newLab starts a registry. The first rule is the outermost.
func newLab(t testing.TB, rules ...rule) *lab {
	t.Helper()
	l := &lab{store: inprocess.New(inprocess.Logger(log.New(io.Discard, "", 0)))}
	srv := httptest.NewServer(l.watch(l.store, rules))
	t.Cleanup(srv.Close)
	l.host = srv.Listener.Addr().String()
	return l
}

func (l *lab) watch(h http.Handler, rules []rule) http.Handler {
	for _, r := range slices.Backward(rules) {
		h = r(h)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(s, r)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.requests = append(l.requests, r)
		l.statuses = append(l.statuses, s.status)
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// count says how many requests had a method (any, when it is empty) and a part in their path.
func (l *lab) count(method, part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, r := range l.requests {
		if (method == "" || r.Method == method) && strings.Contains(r.URL.RequestURI(), part) {
			n++
		}
	}
	return n
}

// answered says how many answers had a status.
func (l *lab) answered(status int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, s := range l.statuses {
		if s == status {
			n++
		}
	}
	return n
}

// sent gives the values of a header over all requests, without empty ones.
func (l *lab) sent(header string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var values []string
	for _, r := range l.requests {
		if v := r.Header.Get(header); v != "" {
			values = append(values, v)
		}
	}
	return values
}

// inside lets go-containerregistry speak to a handler without a network, so that pushing is not among what is counted.
type inside struct{ http.Handler }

func (i inside) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	served := r.Clone(r.Context())
	if served.Body == nil {
		served.Body = http.NoBody // as a server has it
	}
	i.ServeHTTP(w, served)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// push puts an image or an index at name:tag and gives its digest.
func (l *lab) push(t testing.TB, at string, what remote.Taggable) fleet.Digest {
	t.Helper()
	if l.store == nil {
		return pushTo(t, l.host, at, what)
	}
	return pushTo(t, l.host, at, what, remote.WithTransport(inside{l.store}))
}

func pushTo(t testing.TB, host, at string, what remote.Taggable, opts ...remote.Option) fleet.Digest {
	t.Helper()
	ref, err := name.ParseReference(host+"/"+at, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	var digest v1.Hash
	switch what := what.(type) {
	case v1.Image:
		err = remote.Write(ref, what, opts...)
		digest, _ = what.Digest()
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, what, opts...)
		digest, _ = what.Digest()
	default:
		t.Fatalf("cannot push %T", what)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fleet.Digest(digest.String())
}

// image makes an image of its own for a platform.
func image(t testing.TB, p Platform, labels map[string]string) v1.Image {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Variant = p.OS, p.Architecture, p.Variant
	cfg.Created = v1.Time{Time: monday}
	cfg.Config.Labels = labels
	if img, err = mutate.ConfigFile(img, cfg); err != nil {
		t.Fatal(err)
	}
	return img
}

// index makes an index of new images for platforms.
func index(t testing.TB, platforms ...Platform) v1.ImageIndex {
	t.Helper()
	ix := v1.ImageIndex(empty.Index)
	for _, p := range platforms {
		ix = mutate.AppendManifests(ix, mutate.IndexAddendum{
			Add: image(t, p, nil),
			Descriptor: v1.Descriptor{Platform: &v1.Platform{
				OS: p.OS, Architecture: p.Architecture, Variant: p.Variant,
			}},
		})
	}
	return ix
}

var (
	amd64  = Platform{OS: "linux", Architecture: "amd64"}
	arm64  = Platform{OS: "linux", Architecture: "arm64"}
	monday = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
)

// tagged reads host/repo:tag.
func tagged(t testing.TB, ref string) reference.NamedTagged {
	t.Helper()
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		t.Fatal(err)
	}
	return named.(reference.NamedTagged)
}

func (l *lab) ref(t testing.TB, at string) reference.NamedTagged { return tagged(t, l.host+"/"+at) }

// canonical names content of a lab's repository.
func (l *lab) canonical(t testing.TB, repo string, d fleet.Digest) reference.Canonical {
	t.Helper()
	named, err := reference.ParseNormalizedNamed(l.host + "/" + repo)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Canonical(named, d)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start makes a client that ends with the test.
func start(t testing.TB, cfg Config) *Client {
	t.Helper()
	c := New(cfg)
	t.Cleanup(c.Close)
	return c
}

// atHub lets what is asked of Docker Hub be answered by a lab.
func atHub(t testing.TB, c *Client, l *lab) {
	t.Helper()
	h := c.host(hub)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.address, h.scheme = l.host, "http"
}

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// dockerLogin writes a Docker config.json and gives its folder.
func dockerLogin(t testing.TB, config any) string {
	t.Helper()
	dir := t.TempDir()
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

type obj = map[string]any

// auths is a config.json with one user's password for one registry.
func auths(host, user, password string) obj {
	return obj{"auths": obj{host: obj{"auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}}}
}

// only lets a rule act on paths with a part in them.
func only(part string, do http.HandlerFunc) rule {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, part) {
				do(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// status answers with a status and nothing else.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// bearer is a registry's token service, of its own host.
type bearer struct {
	*lab
	// user and password open everything where they are set; otherwise anybody gets a token.
	user, password string
	// largest is the number of scopes that it gives a token for; 0 for any.
	largest int
	// answer is the body instead of a token.
	answer string
}

func newBearer(t testing.TB) *bearer {
	b := &bearer{lab: &lab{}}
	srv := httptest.NewServer(b.watch(http.HandlerFunc(b.give), nil))
	t.Cleanup(srv.Close)
	b.host = srv.Listener.Addr().String()
	return b
}

func (b *bearer) give(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	user, password, _ := r.BasicAuth()
	refresh := r.PostForm.Get("refresh_token") // a copy of the form is kept for tests that look at it
	scopes := r.Form["scope"]
	switch {
	case b.user != "" && (user != b.user || password != b.password) && refresh != b.password:
		w.WriteHeader(http.StatusUnauthorized)
	case b.largest > 0 && len(scopes) > b.largest:
		w.WriteHeader(http.StatusBadRequest)
	case b.answer != "":
		fmt.Fprint(w, b.answer)
	default:
		token := base64.RawURLEncoding.EncodeToString([]byte(strings.Join(scopes, " ")))
		fmt.Fprintf(w, `{"token":%q,"expires_in":300}`, token)
	}
}

// guards makes a registry ask for a token of this service for the repository that is asked for.
func (b *bearer) guards() rule {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			repo, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
			repo, _, _ = strings.Cut(repo, "/blobs/")
			repo, _, _ = strings.Cut(repo, "/tags/")
			token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			scopes, _ := base64.RawURLEncoding.DecodeString(token)
			if !slices.Contains(strings.Fields(string(scopes)), "repository:"+repo+":pull") {
				w.Header().Set("WWW-Authenticate",
					fmt.Sprintf(`Bearer realm="http://%s/Token",service="The Service",scope="repository:%s:pull"`, b.host, repo))
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// bucket allows so many requests a second, and as many at once.
func bucket(perSecond int) rule {
	return func(next http.Handler) http.Handler {
		var mu sync.Mutex
		tokens, last := float64(perSecond), time.Now()
		take := func() bool {
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			tokens = min(float64(perSecond), tokens+now.Sub(last).Seconds()*float64(perSecond))
			last = now
			if tokens < 1 {
				return false
			}
			tokens--
			return true
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !take() {
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
