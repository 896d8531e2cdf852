package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestATokenServiceThatFailsOnceIsAskedAgain(t *testing.T) {
	for _, code := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
		b := newBearer(t)
		failed := false
		l := newLab(t, b.guards())
		gate := newLab(t, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !failed {
					failed = true
					w.WriteHeader(code)
					return
				}
				b.give(w, r)
			})
		})
		b.host = gate.host
		want := l.push(t, "app:1", image(t, amd64, nil))
		if a, err := start(t, Config{}).Resolve(t.Context(), l.ref(t, "app:1")); err != nil || a.Digest != want {
			t.Errorf("after a %d: %s, %v", code, a.Digest, err)
		}
	}
}

func TestATokenIsAskedForAsItsRealmSays(t *testing.T) {
	b := newBearer(t)
	l := newLab(t, b.guards())
	l.push(t, "team/app:1", image(t, amd64, nil))
	if _, err := start(t, Config{}).Resolve(t.Context(), l.ref(t, "team/app:1")); err != nil {
		t.Fatal(err)
	}
	got := b.requests[0].URL
	want := url.Values{"service": {"The Service"}, "scope": {"repository:team/app:pull"}}
	if got.Path != "/Token" || got.Query().Encode() != want.Encode() {
		t.Errorf("asked %s, want /Token?%s", got, want.Encode())
	}
}

func TestAPasswordIsForTheTokenServiceAlone(t *testing.T) {
	b := newBearer(t)
	b.user, b.password = "anna", "secret"
	l := newLab(t, b.guards())
	want := l.push(t, "app:1", image(t, amd64, nil))
	c := start(t, Config{DockerConfig: dockerLogin(t, auths(l.host, "anna", "secret"))})
	if a, err := c.Resolve(t.Context(), l.ref(t, "app:1")); err != nil || a.Digest != want {
		t.Fatalf("got %s, %v", a.Digest, err)
	}
	for _, sent := range l.sent("Authorization") {
		if !strings.HasPrefix(sent, "Bearer ") {
			t.Errorf("the registry was shown %q", sent)
		}
	}
}

func TestAnIdentityTokenIsChangedForATokenByPost(t *testing.T) {
	b := newBearer(t)
	b.user, b.password = "nobody", "refresh-me"
	l := newLab(t, b.guards())
	want := l.push(t, "app:1", image(t, amd64, nil))
	config := obj{"auths": obj{l.host: obj{"identitytoken": "refresh-me"}}}
	a, err := start(t, Config{DockerConfig: dockerLogin(t, config)}).Resolve(t.Context(), l.ref(t, "app:1"))
	if err != nil || a.Digest != want {
		t.Errorf("got %s, %v", a.Digest, err)
	}
	if b.count("POST", "/Token") != 1 || b.count("", "refresh-me") != 0 {
		t.Error("the identity token did not go by the body of a POST")
	}
}

func TestABatchThatIsRefusedIsAskedForOneByOne(t *testing.T) {
	b := newBearer(t)
	b.largest = 1
	l := newLab(t, b.guards())
	refs, digests := sixty(t, l)
	checkAll(t, start(t, Config{}).ResolveAll(t.Context(), refs), digests)
}

func TestATokenThatDoesNotOpenOneRepositoryStillOpensTheOthers(t *testing.T) {
	b := newBearer(t)
	l := newLab(t, b.guards(), only("/app7/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/Token",error="insufficient_scope"`, b.host))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	refs, digests := sixty(t, l)
	got := start(t, Config{}).ResolveAll(t.Context(), refs)
	if !errors.Is(got[7].Err, ErrDenied) {
		t.Errorf("the private one: %v", got[7].Err)
	}
	checkAll(t, slices.Delete(got, 7, 8), slices.Delete(digests, 7, 8))
}

func TestATokenIsUsedUntilItExpires(t *testing.T) {
	b := newBearer(t)
	l := newLab(t, b.guards())
	l.push(t, "app:1", image(t, amd64, nil))
	watch := newClock()
	c := start(t, Config{Now: watch.Now, TagLifetime: -1})
	for i, want := range []int{1, 1, 2} {
		if _, err := c.Resolve(t.Context(), l.ref(t, "app:1")); err != nil {
			t.Fatal(err)
		}
		if n := b.count("", ""); n != want {
			t.Errorf("question %d: %d tokens, want %d", i, n, want)
		}
		watch.advance(200 * time.Second) // tokens are good for 300
	}
}
