package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
)

const someDigest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// drown writes until nobody reads any more.
func drown(w http.ResponseWriter, r *http.Request) {
	chunk := []byte(strings.Repeat(" ", 64<<10))
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func TestAHostileManifestIsABadAnswerWithinBounds(t *testing.T) {
	body := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
	}
	for _, c := range []struct {
		name string
		do   http.HandlerFunc
	}{
		{"endless body", drown},
		{"another content", body(`{"schemaVersion":2,"config":{"digest":"` + someDigest + `"}}`)},
		{"headers of 10 MB", func(w http.ResponseWriter, _ *http.Request) {
			for i := range 160 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 64<<10))
			}
		}},
		{"redirect loop", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
		}},
		{"redirect to no address", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "ftp://127.0.0.1/x")
			w.WriteHeader(http.StatusFound)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, only("/manifests/", c.do))
			_, err := start(t, Config{}).Content(t.Context(), l.canonical(t, "app", someDigest))
			if because, remedy := fleet.Explain(err); !errors.Is(err, ErrBadAnswer) && !errors.Is(err, ErrUnreachable) || remedy == "" {
				t.Errorf("%v: because %q, remedy %q", err, because, remedy)
			}
			if n := l.count("", ""); n > 3*(maxRedirects+1) {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// holding serves a body with its right digest, so that only its sense is in question.
func holding(t *testing.T, body string) (*lab, reference.Canonical) {
	t.Helper()
	l := newLab(t, only("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
	return l, l.canonical(t, "app", digestOf([]byte(body)))
}

func TestContentThatMakesNoSenseIsABadAnswer(t *testing.T) {
	child := `{"digest":"` + someDigest + `","size":1}`
	for name, body := range map[string]string{
		"truncated":            `{"schemaVersion":2,"manifests":[{"dig`,
		"no JSON":              `<html>`,
		"null":                 `null`,
		"neither":              `{"schemaVersion":2}`,
		"both":                 `{"schemaVersion":2,"manifests":[],"config":` + child + `}`,
		"many children":        `{"schemaVersion":2,"manifests":[` + strings.Repeat(child+",", 20000) + child + `]}`,
		"deep":                 strings.Repeat(`{"a":`, 100_000),
		"negative size":        `{"schemaVersion":2,"config":` + child + `,"layers":[{"digest":"` + someDigest + `","size":-1}]}`,
		"sizes that overflow":  `{"schemaVersion":2,"config":` + child + `,"layers":[{"size":9223372036854775807},{"size":1}]}`,
		"a size that is huge":  `{"schemaVersion":2,"config":` + child + `,"layers":[{"size":1e400}]}`,
		"no digest of a child": `{"schemaVersion":2,"manifests":[{"digest":"sha256:\u001b[2J"}]}`,
		"no config's digest":   `{"schemaVersion":2,"config":{"digest":"../../etc/passwd"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, ref := holding(t, body)
			_, err := start(t, Config{}).Content(t.Context(), ref)
			if because, _ := fleet.Explain(err); !errors.Is(err, ErrBadAnswer) || because != fleet.Plain(because) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnIndexInAnIndexIsOneChild(t *testing.T) {
	_, ref := holding(t, `{"schemaVersion":2,"manifests":[{"mediaType":"`+typeIndex+`","digest":"`+someDigest+`"}]}`)
	content, err := start(t, Config{}).Content(t.Context(), ref)
	if err != nil || len(content.Children) != 1 {
		t.Errorf("got %+v, %v", content, err)
	}
}

func TestALieAboutADigestIsFoundOut(t *testing.T) {
	manifest := `{"schemaVersion":2,"config":{"digest":"` + someDigest + `"},"layers":[]}`
	l := newLab(t, only("/manifests/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", typeManifest)
		w.Header().Set("Docker-Content-Digest", someDigest)
		fmt.Fprint(w, manifest)
	}))
	if _, err := start(t, Config{}).Resolve(t.Context(), l.ref(t, "app:1")); !errors.Is(err, ErrBadAnswer) {
		t.Errorf("a header that is not its body's: %v", err)
	}
}

func basic(user, password string) rule {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if u, p, _ := r.BasicAuth(); u != user || p != password {
				w.Header().Set("WWW-Authenticate", `Basic realm="Registry"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func TestABodyThatDripsEnds(t *testing.T) {
	l := newLab(t, only("/manifests/", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			fmt.Fprint(w, " ")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Millisecond)
		}
	}))
	c := start(t, Config{})
	c.patience = 50 * time.Millisecond
	_, err := c.Content(t.Context(), l.canonical(t, "app", someDigest))
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

func TestTagsThatATerminalMustNotSeeAreDropped(t *testing.T) {
	l := newLab(t, only("/tags/list", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"tags":["1.2","\u001b[2J","a b","", "`+strings.Repeat("x", 129)+`","-x","ok_3.4-alpine"]}`)
	}))
	tags, err := start(t, Config{}).Tags(t.Context(), l.ref(t, "app:1"))
	if err != nil || strings.Join(tags, " ") != "1.2 ok_3.4-alpine" {
		t.Errorf("got %q, %v", tags, err)
	}
}

func TestAListOfTagsIsWalkedOnItsOwnHostOnly(t *testing.T) {
	other := newLab(t)
	for _, c := range []struct {
		name, link string
		kind       error
		requests   int
	}{
		{"another host", "<http://" + other.host + `/v2/app/tags/list?last=x>; rel="next"`, ErrBadAnswer, 1},
		{"not the API", `</admin>; rel="next"`, ErrBadAnswer, 1},
		{"in circles", `</v2/app/tags/list?n=1000>; rel="next"`, nil, 2},
		{"no next", `</v2/app/tags/list?n=1000>; rel="prev"`, nil, 1},
		{"no link", `<<<,;;">`, nil, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, only("/tags/list", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Link", c.link)
				fmt.Fprint(w, `{"tags":["1"]}`)
			}))
			tags, err := start(t, Config{}).Tags(t.Context(), l.ref(t, "app:1"))
			if !errors.Is(err, c.kind) {
				t.Errorf("got %q, %v", tags, err)
			}
			if n := l.count("", ""); n > c.requests {
				t.Errorf("%d requests, want at most %d", n, c.requests)
			}
		})
	}
	if n := other.count("", ""); n > 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}

func TestARegistryThatWantsYearsOfRestIsLimitedForHours(t *testing.T) {
	l := newLab(t, only("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "99999999999999999999")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	c := start(t, Config{})
	_, err := c.Resolve(t.Context(), l.ref(t, "app:1"))
	if !errors.Is(err, ErrLimited) {
		t.Fatalf("got %v", err)
	}
	if _, err := c.Resolve(t.Context(), l.ref(t, "app:2")); !errors.Is(err, ErrLimited) || l.count("", "") != 1 {
		t.Errorf("the host was asked %d times; %v", l.count("", ""), err)
	}
}

func TestWhatATokenServiceMaySayIsBounded(t *testing.T) {
	for name, answer := range map[string]string{
		"no token":         `{}`,
		"no JSON":          `<html>`,
		"truncated":        `{"token":"abc`,
		"a header's end":   `{"token":"a\r\nX-Evil: 1"}`,
		"more than 1 MiB":  `{"token":"` + strings.Repeat("x", 2<<20) + `"}`,
		"a token of bytes": `{"token":"\u00ff\u0001"}`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBearer(t)
			b.answer = answer
			l := newLab(t, b.guards())
			_, err := start(t, Config{}).Resolve(t.Context(), l.ref(t, "app:1"))
			if !errors.Is(err, ErrBadAnswer) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnOddLifetimeDoesNotLoseAToken(t *testing.T) {
	for name, life := range map[string]string{
		"negative": "-5", "huge": "1e300", "text": `"300"`, "nothing": "null", "an object": `{}`, "zero": "0",
	} {
		t.Run(name, func(t *testing.T) {
			value, got, err := parseToken([]byte(`{"access_token":"abc","expires_in":` + life + `}`))
			if err != nil || value != "abc" || got <= 0 || got > longLife {
				t.Errorf("%q, %v, %v", value, got, err)
			}
		})
	}
}

func TestARealmWithoutTLSIsRefusedToARegistryWithTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://auth.example.com/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(srv.Close)
	host := srv.Listener.Addr().String()
	c := start(t, Config{Hosts: map[string]HostConfig{host: {CA: authority(t, srv)}}, DockerConfig: dockerLogin(t, auths(host, "anna", "secret"))})
	if _, err := c.Resolve(t.Context(), tagged(t, host+"/app:1")); !errors.Is(err, ErrBadAnswer) {
		t.Errorf("got %v", err)
	}
}
