package server

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	inprocess "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"redflag/internal/registry"
	"redflag/internal/wire"
)

// hub is a registry inside the test's process that counts what it is asked.
type hub struct {
	host  string
	asked atomic.Int64
}

func newHub(t testing.TB) *hub {
	t.Helper()
	h := &hub{}
	inside := inprocess.New(inprocess.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead || r.Method == http.MethodGet {
			h.asked.Add(1)
		}
		inside.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	h.host = srv.Listener.Addr().String()
	return h
}

// push puts a new image at repo:tag, and gives its reference and its digest.
func (h *hub) push(t testing.TB, at string) (ref, digest string) {
	t.Helper()
	img, err := random.Image(16, 1)
	if err != nil {
		t.Fatal(err)
	}
	to, err := name.ParseReference(h.host+"/"+at, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(to, img); err != nil {
		t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	h.asked.Store(0)
	return h.host + "/" + at, d.String()
}

// sharing makes a fleet whose server asks a registry for its hosts.
func sharing(t testing.TB, registries ...string) *fleetOf {
	t.Helper()
	f := newFleet(t)
	f.share(t, Config{SharedRegistries: registries, Now: time.Now}, registry.Config{CacheDir: t.TempDir()})
	return f
}

func (f *fleetOf) share(t testing.TB, cfg Config, asks registry.Config) {
	t.Helper()
	cfg.Images = registry.New(asks)
	t.Cleanup(cfg.Images.Close)
	f.images = newImages(cfg)
}

func about(refs ...string) wire.ImageQuestions {
	return wire.ImageQuestions{Level: wire.Level, References: refs}
}

func TestTheSecondHostsQuestionCostsTheRegistryNothing(t *testing.T) {
	h := newHub(t)
	ref, digest := h.push(t, "team/app:1")
	f := sharing(t, h.host)
	first, _ := f.join(t, "m1")
	second, _ := f.join(t, "m2")
	repo := strings.TrimSuffix(ref, ":1")
	for n, c := range []*wire.Client{first, second, first} {
		before := h.asked.Load()
		got, err := c.Images(t.Context(), about(ref))
		if err != nil || string(got.Digests[ref].Digest) != digest || got.Digests[ref].Age < 0 || got.Digests[ref].Age > 60 {
			t.Errorf("question %d: %+v, %v", n, got, err)
		}
		got, err = c.Images(t.Context(), wire.ImageQuestions{Repository: repo})
		if err != nil || got.Tags == nil || !slices.Equal(got.Tags.Tags, []string{"1"}) {
			t.Errorf("question %d: %+v, %v", n, got, err)
		}
		if cost := h.asked.Load() - before; (cost > 0) != (n == 0) {
			t.Errorf("question %d cost the registry %d requests", n, cost)
		}
	}
}

func TestManyHostsThatAskAtOnceAreOneQuestion(t *testing.T) {
	h := newHub(t)
	ref, digest := h.push(t, "team/app:1")
	h.asked.Store(0)
	f := sharing(t, h.host)
	f.guests.burst = 1000
	var wg sync.WaitGroup
	for n := range 2 * imagesAtOnce {
		c, _ := f.join(t, fmt.Sprint("m", n))
		wg.Go(func() {
			got, err := c.Images(context.Background(), about(ref))
			if err != nil || string(got.Digests[ref].Digest) != digest {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if n := h.asked.Load(); n > imagesAtOnce/2 { // one, and those who came between its answer and its being remembered
		t.Errorf("the registry was asked %d times", n)
	}
}

func TestARegistryThatIsNotOnTheListIsNeverAsked(t *testing.T) {
	other := newHub(t)
	ref, _ := other.push(t, "team/app:1")
	for _, list := range [][]string{nil, {}, {"registry.example"}} {
		f := sharing(t, list...)
		c, _ := f.join(t, "m1")
		repo := strings.TrimSuffix(ref, ":1")
		for _, q := range []wire.ImageQuestions{
			about(ref), {Repository: repo}, about("http://"+ref, "//"+ref, "docker.io@"+ref, "docker.io/../"+ref, "ghcr.io#"+ref, ref+"@sha256:"+strings.Repeat("a", 64)),
		} {
			if got, err := c.Images(t.Context(), q); err != nil || len(got.Digests) > 0 || got.Tags != nil {
				t.Errorf("%+v: %+v, %v", q, got, err)
			}
		}
	}
	if n := other.asked.Load(); n != 0 {
		t.Errorf("it was asked %d times", n)
	}
}

func TestAServerThatSharesNothingSaysNothing(t *testing.T) {
	f := newFleet(t)
	c, _ := f.join(t, "m1")
	if got, err := c.Images(t.Context(), about("docker.io/library/nginx:1")); err != nil || len(got.Digests) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if f.images.named("docker.io/library/nginx:1") != nil {
		t.Error("it would ask")
	}
	f.share(t, Config{Now: time.Now}, registry.Config{})
	if f.images.named("docker.io/library/nginx:1") == nil || f.images.named("nginx:1") != nil {
		t.Error("well-known registries are asked by their whole names where none are configured")
	}
}

func TestOneImageThatCannotBeHadLosesNoOtherAndIsNotExplained(t *testing.T) {
	h := newHub(t)
	ref, digest := h.push(t, "team/app:1")
	f := sharing(t, h.host, "localhost:1")
	c, _ := f.join(t, "m1")
	got, err := c.Images(t.Context(), about(h.host+"/none:1", "localhost:1/closed:1", "", "\x00", "UPPER", h.host+"/team/app", ref+"@"+digest, ref))
	if err != nil || len(got.Digests) != 1 || string(got.Digests[ref].Digest) != digest {
		t.Errorf("%+v, %v", got, err)
	}
	for _, repo := range []string{h.host + "/none", "localhost:1/closed", ref, "\x00"} {
		if got, err := c.Images(t.Context(), wire.ImageQuestions{Repository: repo}); err != nil || got.Tags != nil {
			t.Errorf("tags of %q: %+v, %v", repo, got, err)
		}
	}
}

func TestAHostThatMakesUpNamesUsesUpItsOwnShareAlone(t *testing.T) {
	h := newHub(t)
	ref, digest := h.push(t, "team/app:1")
	f := sharing(t, h.host)
	standing := time.Now()
	f.images.now = func() time.Time { return standing }
	f.imageAsks.burst = 1e6
	bad, _ := f.join(t, "bad")
	for n := range 10_000 / wire.MaxReferences {
		var refs []string
		for m := range wire.MaxReferences {
			refs = append(refs, fmt.Sprintf("%s/made/up%d-%d:1", h.host, n, m))
		}
		if _, err := bad.Images(t.Context(), about(refs...)); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.asked.Load(); n == 0 || n > tagBurst {
		t.Errorf("the registry was asked %d times", n)
	}
	for n := range 3 * listBurst {
		if _, err := bad.Images(t.Context(), wire.ImageQuestions{Repository: fmt.Sprintf("%s/made/up%d", h.host, n)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.asked.Load(); n > tagBurst+listBurst {
		t.Errorf("the registry was asked %d times", n)
	}
	f.images.now = time.Now
	good, _ := f.join(t, "good")
	if got, err := good.Images(t.Context(), about(ref)); err != nil || string(got.Digests[ref].Digest) != digest {
		t.Errorf("another host: %+v, %v", got, err)
	}
	if got, err := bad.Images(t.Context(), about(ref)); err != nil || string(got.Digests[ref].Digest) != digest {
		t.Errorf("what others asked costs nothing, so it is answered: %+v, %v", got, err)
	}
}

func TestAHostHasSoManyQuestionsOpenAndNoMore(t *testing.T) {
	h := newHub(t)
	ref, _ := h.push(t, "team/app:1")
	f := sharing(t, h.host)
	var leave []func()
	for range imagesOfHost {
		l, ok := f.images.enter(t.Context(), 1, true)
		if !ok {
			t.Fatal("a host may not ask what it may")
		}
		leave = append(leave, l)
	}
	if got := f.images.digests(t.Context(), 1, []string{ref}); len(got) > 0 {
		t.Errorf("one more: %+v", got)
	}
	if got := f.images.digests(t.Context(), 2, []string{ref}); len(got) != 1 {
		t.Errorf("another host: %+v", got)
	}
	for _, l := range leave {
		l()
	}
	if len(f.images.waiting) > 0 || len(f.images.slots) > 0 {
		t.Errorf("still waiting: %v, and %d places taken", f.images.waiting, len(f.images.slots))
	}
}

func TestWhoFindsNoPlaceInTimeIsAnsweredWhatIsKnown(t *testing.T) {
	h := newHub(t)
	ref, _ := h.push(t, "team/app:1")
	other, _ := h.push(t, "team/other:1")
	f := sharing(t, h.host)
	if got := f.images.digests(t.Context(), 1, []string{ref}); len(got) != 1 {
		t.Fatalf("got %+v", got)
	}
	for range imagesAtOnce {
		f.images.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if got := f.images.digests(ctx, 1, []string{ref, other}); len(got) != 1 || got[ref].Digest == "" {
		t.Errorf("got %+v", got)
	}
	if len(f.images.waiting) > 0 {
		t.Errorf("still waiting: %v", f.images.waiting)
	}
}

func TestAnAnswerOfAClockThatWasWrongIsNotPassedOn(t *testing.T) {
	h := newHub(t)
	ref, _ := h.push(t, "team/app:1")
	f := sharing(t, h.host)
	f.images.now = func() time.Time { return time.Now().Add(-time.Hour) }
	if got := f.images.digests(t.Context(), 1, []string{ref}); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	if got := f.images.list(t.Context(), 1, strings.TrimSuffix(ref, ":1")); got != nil {
		t.Errorf("got %+v", got)
	}
}

func TestHostileQuestionsAboutImagesAreRefused(t *testing.T) {
	f := sharing(t)
	f.imageAsks.burst = 1000
	c, _ := f.join(t, "bad")
	for name, q := range map[string]struct {
		body string
		want int
	}{
		"no JSON":         {"<html>", http.StatusBadRequest},
		"another type":    {`{"references":"a"}`, http.StatusBadRequest},
		"nested deep":     {strings.Repeat(`{"references":`, 10_000), http.StatusBadRequest},
		"too many":        {`{"references":[` + strings.Repeat(`"",`, wire.MaxReferences) + `""]}`, http.StatusUnprocessableEntity},
		"a long name":     {`{"references":["` + strings.Repeat("a", wire.MaxReference+1) + `"]}`, http.StatusUnprocessableEntity},
		"too large":       {strings.Repeat(" ", wire.MaxImages+1), http.StatusUnprocessableEntity},
		"nothing":         {`{}`, http.StatusNoContent},
		"no UTF-8":        {`{"references":["` + "\xff" + `"]}`, http.StatusNoContent},
		"a field of ours": {`{"level":99,"more":true}`, http.StatusNoContent},
	} {
		if got := send(t, c, wire.PathImages, []byte(q.body), ""); got != q.want {
			t.Errorf("%s: %d, want %d", name, got, q.want)
		}
	}
	if got := send(t, c, wire.PathImages, zipped(t, 8<<20), "gzip"); got != http.StatusUnprocessableEntity {
		t.Errorf("a bomb: %d", got)
	}
}

func TestQuestionsAboutImagesDoNotKeepAHostFromCheckingIn(t *testing.T) {
	f := sharing(t)
	c, _ := f.join(t, "m1")
	refused := 0
	for range 2 * imagesBurst {
		if _, err := c.Images(t.Context(), about()); code(err) == wire.CodeTooMany {
			refused++
		}
	}
	if refused == 0 {
		t.Error("a host may ask without end")
	}
	if _, err := c.CheckIn(t.Context(), wire.CheckIn{Session: "s1"}); err != nil {
		t.Error(err)
	}
}
