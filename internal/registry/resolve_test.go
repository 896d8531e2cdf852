package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
	"redflag/internal/parts"
)

// sixty pushes 60 images and gives their references and digests.
func sixty(t testing.TB, l *lab) (refs []reference.NamedTagged, digests []fleet.Digest) {
	t.Helper()
	for i := range 60 {
		at := fmt.Sprintf("team/app%d:1", i)
		digests = append(digests, l.push(t, at, image(t, amd64, nil)))
		refs = append(refs, l.ref(t, at))
	}
	return refs, digests
}

// checkAll holds answers to the digests that were pushed.
func checkAll(t testing.TB, got []Resolved, want []fleet.Digest) {
	t.Helper()
	for i, r := range got {
		if r.Err != nil || r.Digest != want[i] {
			t.Errorf("answer %d: %s, %v; want %s", i, r.Digest, r.Err, want[i])
		}
	}
}

func TestSixtyUnchangedImagesCostSixtyHeadsAndAsksAgainCostNothing(t *testing.T) {
	b := newBearer(t)
	l := newLab(t, b.guards())
	refs, digests := sixty(t, l)
	dir := t.TempDir()
	c := start(t, Config{CacheDir: dir})
	checkAll(t, c.ResolveAll(t.Context(), refs), digests)
	if heads, all := l.count("HEAD", ""), l.count("", ""); heads != all || all > 61 {
		t.Errorf("%d requests, %d of them HEAD; want at most 61, all HEAD", all, heads)
	}
	if tokens := b.count("", ""); tokens != 6 {
		t.Errorf("%d token requests, want 6 for 60 repositories", tokens)
	}
	checkAll(t, start(t, Config{CacheDir: dir}).ResolveAll(t.Context(), refs), digests)
	if all := l.count("", ""); all > 61 {
		t.Errorf("the second process asked again: %d requests", all)
	}
}

func TestTheSameReferenceIsAskedOnce(t *testing.T) {
	l := newLab(t)
	want := l.push(t, "app:1", image(t, amd64, nil))
	c := start(t, Config{})
	refs := slices.Repeat([]reference.NamedTagged{l.ref(t, "app:1")}, 20)
	checkAll(t, c.ResolveAll(t.Context(), refs), slices.Repeat([]fleet.Digest{want}, 20))
	if n := l.count("", ""); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestOneFailureChangesNoOtherAnswer(t *testing.T) {
	l := newLab(t,
		only("/broken/", status(http.StatusBadGateway)),
		only("/private/", status(http.StatusForbidden)),
		only("/cut/", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		only("/odd/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>log in to the hotel</html>") }),
	)
	want := l.push(t, "app:1", image(t, amd64, nil))
	c := start(t, Config{})
	var refs []reference.NamedTagged
	for _, at := range []string{"cut/a:1", "broken/a:1", "private/a:1", "odd/a:1", "none/a:1", "app:1"} {
		refs = append(refs, l.ref(t, at))
	}
	got := c.ResolveAll(t.Context(), refs)
	for i, kind := range []error{ErrUnreachable, ErrUnreachable, ErrDenied, ErrBadAnswer, ErrGone, nil} {
		if !errors.Is(got[i].Err, kind) {
			t.Errorf("%s: %v, want %v", refs[i], got[i].Err, kind)
		}
		because, remedy := fleet.Explain(got[i].Err)
		if kind != nil && (because == "" || remedy == "") {
			t.Errorf("%s: because %q, remedy %q", refs[i], because, remedy)
		}
	}
	if got[5].Digest != want {
		t.Errorf("got %s, want %s", got[5].Digest, want)
	}
	// Nor does it when each is asked on its own, after the broken ones.
	if a, err := c.Resolve(t.Context(), l.ref(t, "app:1")); err != nil || a.Digest != want {
		t.Errorf("afterwards: %s, %v", a.Digest, err)
	}
}

func TestWhoGivesUpDoesNotTakeTheAnswerFromOthers(t *testing.T) {
	asked, release := make(chan struct{}, 10), make(chan struct{})
	l := newLab(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-release
			next.ServeHTTP(w, r)
		})
	})
	want := l.push(t, "app:1", image(t, amd64, nil))
	c := start(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var first, second error
	var answer Answer
	wg.Go(func() { _, first = c.Resolve(ctx, l.ref(t, "app:1")) })
	<-asked
	joined := make(chan struct{})
	wg.Go(func() {
		close(joined)
		answer, second = c.Resolve(t.Context(), l.ref(t, "app:1"))
	})
	<-joined
	cancel()
	close(release)
	wg.Wait()
	if first != nil && !errors.Is(first, context.Canceled) {
		t.Errorf("who gave up: %v", first)
	}
	if second != nil || answer.Digest != want {
		t.Errorf("who waited: %s, %v", answer.Digest, second)
	}
}

func TestAHeadThatSaysTooLittleIsAskedAgainAsGet(t *testing.T) {
	for _, c := range []struct {
		name string
		rule rule
	}{
		{"no HEAD", func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					w.WriteHeader(http.StatusMethodNotAllowed)
					return
				}
				next.ServeHTTP(w, r)
			})
		}},
		{"no digest", func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(withoutDigest{w}, r)
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, c.rule)
			want := l.push(t, "app:1", image(t, amd64, nil))
			a, err := start(t, Config{}).Resolve(t.Context(), l.ref(t, "app:1"))
			if err != nil || a.Digest != want {
				t.Errorf("got %s, %v; want %s", a.Digest, err, want)
			}
		})
	}
}

type withoutDigest struct{ http.ResponseWriter }

func (w withoutDigest) WriteHeader(status int) {
	w.Header().Del("Docker-Content-Digest")
	w.ResponseWriter.WriteHeader(status)
}

func TestOneAcceptHeaderNamesAllFourTypesAndNeverSchema1(t *testing.T) {
	l := newLab(t)
	l.push(t, "app:1", image(t, amd64, nil))
	_, _ = start(t, Config{}).Resolve(t.Context(), l.ref(t, "app:1"))
	l.mu.Lock()
	defer l.mu.Unlock()
	accept := l.requests[0].Header.Values("Accept")
	if len(accept) != 1 || strings.Contains(accept[0], "manifest.v1+") && strings.Contains(accept[0], "docker.distribution.manifest.v1") {
		t.Errorf("Accept: %q", accept)
	}
	for _, want := range []string{typeIndex, typeList, typeManifest, typeManifestV2} {
		if !strings.Contains(accept[0], want) {
			t.Errorf("Accept: %q lacks %s", accept, want)
		}
	}
}

func TestSchema1IsUnknownAndCostsNoPull(t *testing.T) {
	l := newLab(t, only("/manifests/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", typeSchema1JWS)
	}))
	_, err := start(t, Config{}).Resolve(t.Context(), l.ref(t, "old:1"))
	if !errors.Is(err, ErrSchema1) {
		t.Errorf("got %v", err)
	}
}

func TestAnOldAnswerStandsWhileTheRegistryCannotBeAsked(t *testing.T) {
	for _, c := range []struct {
		name   string
		broken http.HandlerFunc
		kind   error
		stale  bool
	}{
		{"limited", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}, ErrLimited, true},
		{"broken", status(http.StatusInternalServerError), ErrUnreachable, true},
		{"gone", status(http.StatusNotFound), ErrGone, false},
		{"denied", status(http.StatusForbidden), ErrDenied, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := false
			l := newLab(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if broken {
						c.broken(w, r)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			want := l.push(t, "app:1", image(t, amd64, nil))
			watch := newClock()
			cfg := Config{CacheDir: t.TempDir(), Now: watch.Now}
			fresh, err := start(t, cfg).Resolve(t.Context(), l.ref(t, "app:1"))
			if err != nil {
				t.Fatal(err)
			}
			broken = true
			watch.advance(time.Hour)
			got := start(t, cfg).ResolveAll(t.Context(), []reference.NamedTagged{l.ref(t, "app:1")})[0]
			if !errors.Is(got.Err, c.kind) || got.Stale != c.stale {
				t.Errorf("stale %v, %v", got.Stale, got.Err)
			}
			if c.stale && (got.Digest != want || !got.CheckedAt.Equal(fresh.CheckedAt)) {
				t.Errorf("the old answer is %s of %v, want %s of %v", got.Digest, got.CheckedAt, want, fresh.CheckedAt)
			}
		})
	}
}

func TestAnAnswerFromTheFutureIsNotImmortal(t *testing.T) {
	l := newLab(t)
	l.push(t, "app:1", image(t, amd64, nil))
	watch := newClock()
	watch.advance(1000 * time.Hour)
	cfg := Config{CacheDir: t.TempDir(), Now: watch.Now}
	if _, err := start(t, cfg).Resolve(t.Context(), l.ref(t, "app:1")); err != nil {
		t.Fatal(err)
	}
	watch.advance(-1000 * time.Hour)
	want := l.push(t, "app:1", image(t, amd64, nil))
	if a, err := start(t, cfg).Resolve(t.Context(), l.ref(t, "app:1")); err != nil || a.Digest != want || a.Cached {
		t.Errorf("got %+v, %v; want %s, asked anew", a, err, want)
	}
}

func TestTagsMoveAndVanishInARealRegistry(t *testing.T) {
	host := parts.Registry(t)
	c := start(t, Config{CacheDir: t.TempDir(), TagLifetime: -1})
	app := tagged(t, host+"/team/app:1")
	for range 2 {
		want := pushTo(t, host, "team/app:1", index(t, amd64, arm64))
		a, err := c.Resolve(t.Context(), app)
		if err != nil || a.Digest != want || a.MediaType != typeIndex || a.Host != host {
			t.Fatalf("got %+v, %v; want %s", a, err, want)
		}
		checkImages(t, c, app, want)
	}
	if _, err := c.Resolve(t.Context(), tagged(t, host+"/team/app:2")); !errors.Is(err, ErrGone) {
		t.Errorf("a tag that is not there: %v", err)
	}
	if tags, err := c.Tags(t.Context(), app); err != nil || !slices.Equal(tags, []string{"1"}) {
		t.Errorf("tags %q, %v", tags, err)
	}
}

// checkImages walks from an index to the configs of its images.
func checkImages(t *testing.T, c *Client, name reference.Named, d fleet.Digest) {
	t.Helper()
	ref, err := Canonical(name, d)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := c.Exists(t.Context(), ref); err != nil || !ok {
		t.Errorf("exists: %v, %v", ok, err)
	}
	content, err := c.Content(t.Context(), ref)
	if err != nil || len(content.Children) != 2 {
		t.Fatalf("content %+v, %v", content, err)
	}
	for _, p := range []Platform{amd64, arm64} {
		child, err := content.Select(p)
		if err != nil {
			t.Fatal(err)
		}
		at, err := Canonical(name, child.Digest)
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := c.Content(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		config, err := c.ImageConfig(t.Context(), name, manifest.Config)
		if err != nil || config.Platform != p || !config.Created.Equal(monday) {
			t.Errorf("config %+v, %v", config, err)
		}
	}
}

func TestAMirrorThatLacksADigestDoesNotSpeakForTheRegistry(t *testing.T) {
	real, mirror := newLab(t), newLab(t)
	d := real.push(t, "library/app:1", image(t, amd64, nil))
	c := start(t, Config{Hosts: map[string]HostConfig{hub: {Mirrors: []string{"http://" + mirror.host}}}})
	atHub(t, c, real)
	ref, err := Canonical(tagged(t, "docker.io/library/app:1"), d)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := c.Exists(t.Context(), ref); err != nil || !ok {
		t.Errorf("exists: %v, %v", ok, err)
	}
	if mirror.count("", "") == 0 {
		t.Error("the mirror was not asked: the test proves nothing")
	}
}

func TestAPageOfAHotelIsNoManifest(t *testing.T) {
	l := newLab(t, only("/manifests/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html>log in to the hotel</html>")
	}))
	if a, err := start(t, Config{}).Resolve(t.Context(), l.ref(t, "app:1")); !errors.Is(err, ErrBadAnswer) {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestWhatIsNoDigestIsNeverAPath(t *testing.T) {
	l := newLab(t)
	c := start(t, Config{CacheDir: t.TempDir()})
	for _, id := range []fleet.ImageID{"", "sha256:../../../../etc/passwd", "nonsense"} {
		if _, err := c.ImageConfig(t.Context(), l.ref(t, "app:1"), id); !errors.Is(err, ErrBadAnswer) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if n := l.count("", ""); n > 0 {
		t.Errorf("%d requests for what names nothing", n)
	}
}

func TestWhenNobodyWaitsAnyMoreTheRequestEnds(t *testing.T) {
	asked, ended := make(chan struct{}), make(chan struct{})
	l := newLab(t, only("/", func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
		close(ended)
	}))
	c := start(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := c.Resolve(ctx, l.ref(t, "app:1")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-ended
	if a, err := c.Resolve(t.Context(), tagged(t, "127.0.0.1:1/app:1")); !errors.Is(err, ErrUnreachable) {
		t.Errorf("another host afterwards: %+v, %v", a, err)
	}
}

func TestWhoWantsNoOldAnswersGetsNone(t *testing.T) {
	l := newLab(t)
	l.push(t, "app:1", image(t, amd64, nil))
	cfg := Config{CacheDir: t.TempDir()}
	if _, err := start(t, cfg).Tags(t.Context(), l.ref(t, "app:1")); err != nil {
		t.Fatal(err)
	}
	want := l.push(t, "app:2", image(t, amd64, nil))
	for _, c := range []struct {
		life time.Duration
		tags string
	}{{0, "1"}, {-1, "1 2"}} { // in this order: who asks anew, remembers anew
		cfg.TagLifetime = c.life
		if got, err := start(t, cfg).Tags(t.Context(), l.ref(t, "app:1")); err != nil || strings.Join(got, " ") != c.tags {
			t.Errorf("lifetime %d: tags %q, %v", c.life, got, err)
		}
	}
	a, err := start(t, cfg).ResolveWithin(t.Context(), l.ref(t, "app:2"), time.Hour)
	if err != nil || a.Digest != want || a.Cached {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestAnOldListOfTagsServesForAWeek(t *testing.T) {
	broken := false
	l := newLab(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if broken {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	l.push(t, "app:1", image(t, amd64, nil))
	watch := newClock()
	cfg := Config{CacheDir: t.TempDir(), Now: watch.Now}
	if _, err := start(t, cfg).Tags(t.Context(), l.ref(t, "app:1")); err != nil {
		t.Fatal(err)
	}
	broken = true
	watch.advance(3 * 24 * time.Hour)
	if _, err := start(t, cfg).Tags(t.Context(), l.ref(t, "app:1")); err != nil {
		t.Errorf("after three days: %v", err)
	}
	watch.advance(5 * 24 * time.Hour)
	if tags, err := start(t, cfg).Tags(t.Context(), l.ref(t, "app:1")); !errors.Is(err, ErrUnreachable) {
		t.Errorf("after eight days: %q, %v", tags, err)
	}
}
