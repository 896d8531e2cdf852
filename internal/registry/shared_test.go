package registry

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
)

// oracle is a Shared that says what a test has it say.
type oracle struct {
	digests func(ctx context.Context, refs []reference.NamedTagged) ([]Answer, error)
	tags    func(ctx context.Context) (TagList, error)

	mu    sync.Mutex
	asked []string
}

func (o *oracle) note(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, name)
}

func (o *oracle) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.asked)
}

func (o *oracle) Digests(ctx context.Context, refs []reference.NamedTagged) ([]Answer, error) {
	o.note("digests")
	return o.digests(ctx, refs)
}

func (o *oracle) TagList(ctx context.Context, name reference.Named) (TagList, error) {
	o.note(name.String())
	return o.tags(ctx)
}

// says makes an oracle with one answer to everything.
func says(a Answer, l TagList) *oracle {
	return &oracle{
		digests: func(_ context.Context, refs []reference.NamedTagged) ([]Answer, error) {
			return slices.Repeat([]Answer{a}, len(refs)), nil
		},
		tags: func(context.Context) (TagList, error) { return l, nil },
	}
}

// atLab makes a client that asks a lab when it asks Docker Hub.
func atLab(t testing.TB, l *lab, cfg Config) *Client {
	t.Helper()
	c := start(t, cfg)
	atHub(t, c, l)
	return c
}

func TestWhatASharedSaysIsBelievedAndKeptWithTheTimeAtWhichTheRegistrySaidIt(t *testing.T) {
	l, at := newLab(t), newClock()
	said := Answer{Digest: someDigest, MediaType: typeIndex, Size: 7, CheckedAt: at.Now().Add(-time.Minute)}
	o := says(said, TagList{Tags: []string{"1", "2"}, CheckedAt: at.Now().Add(-time.Hour)})
	c := atLab(t, l, Config{Shared: o, CacheDir: t.TempDir(), Now: at.Now})
	for range 2 {
		for _, r := range c.ResolveAll(t.Context(), []reference.NamedTagged{tagged(t, "app:1"), tagged(t, "app:2"), tagged(t, "app:1")}) {
			if r.Err != nil || r.Digest != someDigest || r.Size != 7 || r.Host != hubAPI || !r.CheckedAt.Equal(said.CheckedAt) {
				t.Errorf("got %+v", r)
			}
		}
		got, err := c.TagList(t.Context(), tagged(t, "app:1"))
		if err != nil || !slices.Equal(got.Tags, []string{"1", "2"}) || !got.CheckedAt.Equal(at.Now().Add(-time.Hour)) {
			t.Errorf("tags: %+v, %v", got, err)
		}
	}
	if n := o.count(); n != 2 {
		t.Errorf("it was asked %d times, want once for all digests and once for the tags", n)
	}
	if n := l.count("", ""); n != 0 {
		t.Errorf("the registry was asked %d times", n)
	}
	at.advance(DefaultTagLifetime - time.Minute)
	if _, ok := c.Recall(tagged(t, "app:1")); ok {
		t.Error("an answer is believed for longer than since the registry gave it")
	}
}

func TestWhatASharedSaysWrongIsAskedOfTheRegistry(t *testing.T) {
	l := newLab(t)
	want := l.push(t, "library/app:1", image(t, amd64, nil))
	at := newClock()
	now := at.Now()
	good := Answer{Digest: someDigest, MediaType: typeIndex, CheckedAt: now}
	list := func(tags ...string) TagList { return TagList{Tags: tags, CheckedAt: now} }
	with := func(change func(*Answer)) Answer { a := good; change(&a); return a }
	lists := map[string]TagList{
		"nothing": {}, "no tags": list(), "no tag that is one": list("a b", "\x1b[31m", ""),
		"of tomorrow": {Tags: []string{"2"}, CheckedAt: now.Add(time.Second)}, "of last week": {Tags: []string{"2"}, CheckedAt: now.Add(-tagsLifetime)},
		"more than there can be": {Tags: slices.Repeat([]string{"2"}, MaxTags+1), CheckedAt: now},
	}
	for name, tags := range lists {
		c := atLab(t, l, Config{Now: at.Now, Shared: says(good, tags)})
		if got, err := c.Tags(t.Context(), tagged(t, "app:1")); err != nil || !slices.Equal(got, []string{"1"}) {
			t.Errorf("tags, %s: %d, %v", name, len(got), err)
		}
	}
	for name, a := range map[string]Answer{
		"nothing":        {},
		"no digest":      with(func(a *Answer) { a.Digest = "sha256:../../etc/passwd" }),
		"a short digest": with(func(a *Answer) { a.Digest = "sha256:00" }),
		"no image":       with(func(a *Answer) { a.MediaType = "text/html" }),
		"schema 1":       with(func(a *Answer) { a.MediaType = typeSchema1 }),
		"of tomorrow":    with(func(a *Answer) { a.CheckedAt = now.Add(time.Second) }),
		"too old":        with(func(a *Answer) { a.CheckedAt = now.Add(-DefaultTagLifetime) }),
		"of no time":     with(func(a *Answer) { a.CheckedAt = time.Time{} }),
	} {
		c := atLab(t, l, Config{Now: at.Now, Shared: says(a, TagList{})})
		if got, err := c.Resolve(t.Context(), tagged(t, "app:1")); err != nil || got.Digest != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	c := atLab(t, l, Config{Now: at.Now, Shared: says(with(func(a *Answer) { a.Size, a.Host = -5, "\x1b[31m" }), list("1", "a b"))})
	if got, err := c.Resolve(t.Context(), tagged(t, "app:1")); err != nil || got.Size != 0 || got.Host != hubAPI {
		t.Errorf("a size and a host that are none: %+v, %v", got, err)
	}
	if got, err := c.Tags(t.Context(), tagged(t, "app:1")); err != nil || !slices.Equal(got, []string{"1"}) {
		t.Errorf("a tag that is none: %q, %v", got, err)
	}
}

func TestASharedThatFailsIsNoErrorAndIsLeftAloneForAWhile(t *testing.T) {
	hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, fails := range map[string]func(context.Context) ([]Answer, error){
		"fails":           func(context.Context) ([]Answer, error) { return nil, errors.New("down") },
		"hangs":           func(ctx context.Context) ([]Answer, error) { return nil, hangs(ctx) },
		"says too little": func(context.Context) ([]Answer, error) { return []Answer{}, nil },
		"says too much":   func(context.Context) ([]Answer, error) { return make([]Answer, 100), nil },
	} {
		t.Run(name, func(t *testing.T) {
			l, at := newLab(t), newClock()
			want := l.push(t, "library/app:1", image(t, amd64, nil))
			o := &oracle{digests: func(ctx context.Context, _ []reference.NamedTagged) ([]Answer, error) { return fails(ctx) }}
			o.tags = func(ctx context.Context) (TagList, error) { _, err := fails(ctx); return TagList{}, err }
			c := atLab(t, l, Config{Shared: o, Now: at.Now})
			c.sharing.patience = time.Millisecond
			look := func(asked int) {
				t.Helper()
				if a, err := c.Resolve(t.Context(), tagged(t, "app:1")); err != nil || a.Digest != want {
					t.Errorf("%+v, %v", a, err)
				}
				if tags, err := c.Tags(t.Context(), tagged(t, "app:1")); err != nil || len(tags) != 1 {
					t.Errorf("%q, %v", tags, err)
				}
				if o.count() != asked {
					t.Errorf("it was asked %d times, want %d", o.count(), asked)
				}
			}
			look(1)
			look(1)
			at.advance(sharedRest)
			look(2)
			at.advance(-24 * time.Hour) // the clock was wrong
			look(3)
		})
	}
}

func TestWhoGivesUpDoesNotTakeTheSharedFromOthers(t *testing.T) {
	l := newLab(t)
	o := says(Answer{}, TagList{})
	c := atLab(t, l, Config{Shared: o})
	ctx, cancel := context.WithCancel(t.Context())
	o.digests = func(ctx context.Context, refs []reference.NamedTagged) ([]Answer, error) {
		cancel()
		return make([]Answer, len(refs)), ctx.Err()
	}
	if _, err := c.Resolve(ctx, tagged(t, "app:1")); err == nil {
		t.Error("an answer after the end")
	}
	if c.sharing.resting(time.Now()) {
		t.Error("it is left alone because somebody gave up")
	}
}

func TestASharedIsNotAskedWhereThisHostKnowsTheRegistryItsOwnWay(t *testing.T) {
	certs := t.TempDir()
	if err := os.MkdirAll(filepath.Join(certs, hub), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(certs, hub, "client.cert"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unreadable := t.TempDir()
	if err := os.WriteFile(filepath.Join(unreadable, "config.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	host := func(h HostConfig) Config { return Config{Hosts: map[string]HostConfig{hub: h}} }
	for name, c := range map[string]struct {
		cfg  Config
		asks bool
	}{
		"nothing of its own":                  {Config{}, true},
		"credentials for another registry":    {Config{DockerConfig: dockerLogin(t, auths("ghcr.io", "anna", "secret"))}, true},
		"another registry's configuration":    {Config{Hosts: map[string]HostConfig{"ghcr.io": {PlainHTTP: true}}}, true},
		"credentials":                         {Config{DockerConfig: dockerLogin(t, auths(hubKey, "anna", "secret"))}, false},
		"a helper with credentials":           {Config{DockerConfig: dockerLogin(t, obj{"credHelpers": obj{hub: "none"}})}, false},
		"a store with credentials":            {Config{DockerConfig: dockerLogin(t, obj{"credsStore": "none"})}, false},
		"credentials that cannot be read":     {Config{DockerConfig: unreadable}, false},
		"a mirror":                            {host(HostConfig{Mirrors: []string{"https://mirror.example"}}), false},
		"plain HTTP":                          {host(HostConfig{PlainHTTP: true}), false},
		"an authority":                        {host(HostConfig{CA: "/ca.pem"}), false},
		"a client certificate":                {host(HostConfig{Cert: "/c.pem", Key: "/k.pem"}), false},
		"the engine's client certificate":     {Config{CertsDir: certs}, false},
		"a scan that asks even what is young": {Config{TagLifetime: -1}, false},
	} {
		if got := start(t, withShared(c.cfg)).mayShare(tagged(t, "app:1")); got != c.asks {
			t.Errorf("%s: asked: %v", name, got)
		}
	}
	for _, ref := range []string{"localhost:5000/app:1", "127.0.0.1:5000/app:1", "app:1@" + someDigest} {
		if start(t, withShared(Config{})).mayShare(tagged(t, ref)) {
			t.Errorf("%s means something of its own here, and is shared", ref)
		}
	}
}

func withShared(cfg Config) Config {
	cfg.Shared = says(Answer{}, TagList{})
	return cfg
}

func TestAHostWithCredentialsNeverAsksTheShared(t *testing.T) {
	l := newLab(t, basic("anna", "secret"))
	want := l.push(t, "library/app:1", image(t, amd64, nil))
	o := says(Answer{Digest: someDigest, MediaType: typeIndex, CheckedAt: time.Now()}, TagList{})
	c := atLab(t, l, Config{Shared: o, DockerConfig: dockerLogin(t, auths(hubKey, "anna", "secret"))})
	if a, err := c.Resolve(t.Context(), tagged(t, "app:1")); err != nil || a.Digest != want {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := c.Tags(t.Context(), tagged(t, "app:1")); err != nil {
		t.Error(err)
	}
	if n := o.count(); n != 0 {
		t.Errorf("it was asked %d times", n)
	}
	if n := l.answered(http.StatusOK); n != 2 {
		t.Errorf("the registry answered %d times", n)
	}
}

func FuzzBelieve(f *testing.F) {
	f.Add(someDigest, typeIndex, int64(7), int64(-60))
	f.Add("sha256:", "text/html", int64(-1), int64(1)<<62)
	c := New(Config{Now: func() time.Time { return monday }})
	ref := tagged(f, "app:1")
	f.Fuzz(func(t *testing.T, digest, mediaType string, size, at int64) {
		a, ok := c.believe(ref, Answer{Digest: fleet.Digest(digest), MediaType: mediaType, Size: size, CheckedAt: monday.Add(time.Duration(at))})
		if _, valid := validDigest(string(a.Digest)); ok && (!valid || a.Size < 0 || a.CheckedAt.After(monday)) || ok != (a != Answer{}) {
			t.Errorf("believed: %+v", a)
		}
	})
}

func TestAClientThatIsTidiedHasWrittenDownWhatItLearnt(t *testing.T) {
	l := newLab(t)
	l.push(t, "library/app:1", image(t, amd64, nil))
	dir := t.TempDir()
	c := atLab(t, l, Config{CacheDir: dir})
	if _, err := c.ResolveWithin(t.Context(), tagged(t, "app:1"), time.Hour); err != nil {
		t.Fatal(err)
	}
	c.Tidy()
	if _, ok := start(t, Config{CacheDir: dir}).Recall(tagged(t, "app:1")); !ok {
		t.Error("another process does not know it")
	}
	if _, err := os.Stat(filepath.Join(dir, sweepFile)); err != nil {
		t.Errorf("the folder is not swept: %v", err)
	}
}
