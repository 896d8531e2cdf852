package registry

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestARedirectToAnotherHostCarriesNoCredentials(t *testing.T) {
	elsewhere := newLab(t)
	want := elsewhere.push(t, "app:1", image(t, amd64, nil))
	l := newLab(t, basic("anna", "secret"), only("/manifests/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+elsewhere.host+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	c := start(t, Config{DockerConfig: dockerLogin(t, auths(l.host, "anna", "secret"))})
	a, err := c.Resolve(t.Context(), l.ref(t, "app:1"))
	if err != nil || a.Digest != want {
		t.Errorf("got %+v, %v", a, err)
	}
	if got := elsewhere.sent("Authorization"); len(got) > 0 {
		t.Errorf("the other host was shown %q", got)
	}
	if len(l.sent("Authorization")) == 0 {
		t.Error("the registry itself was shown nothing: the test proves nothing")
	}
}

func TestARedirectCannotNameTheRealmForARegistrysCredentials(t *testing.T) {
	thief := newBearer(t)
	trap := newLab(t, thief.guards())
	l := newLab(t, only("/manifests/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+trap.host+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	c := start(t, Config{DockerConfig: dockerLogin(t, auths(l.host, "anna", "secret"))})
	_, _ = c.Resolve(t.Context(), l.ref(t, "app:1"))
	if got := thief.sent("Authorization"); len(got) > 0 {
		t.Errorf("the realm of a redirect's target was shown %q", got)
	}
	if got := trap.sent("Authorization"); len(got) > 0 && strings.HasPrefix(got[0], "Basic") {
		t.Errorf("the redirect's target was shown %q", got)
	}
}

func TestARegistryThatIsAnothersNameAnswers(t *testing.T) {
	b := newBearer(t)
	behind := newLab(t, b.guards())
	want := behind.push(t, "linuxserver/app:1", image(t, amd64, nil))
	front := newLab(t, only("/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+behind.host+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
	a, err := start(t, Config{}).Resolve(t.Context(), front.ref(t, "linuxserver/app:1"))
	if err != nil || a.Digest != want {
		t.Errorf("got %+v, %v; want %s", a, err, want)
	}
}

// threatens speaks of a budget and a limit that are another host's.
func threatens(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Ratelimit-Limit", "100;w=21600")
		w.Header().Set("Ratelimit-Remaining", "0;w=21600")
		next.ServeHTTP(w, r)
	})
}

func TestARedirectCannotSpendTheRegistrysBudget(t *testing.T) {
	elsewhere := newLab(t, threatens)
	elsewhere.push(t, "app:1", image(t, amd64, nil))
	l := newLab(t, only("/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, fmt.Sprintf("http://%s%s", elsewhere.host, r.URL.Path), http.StatusTemporaryRedirect)
	}))
	c := start(t, Config{})
	if _, err := c.Resolve(t.Context(), l.ref(t, "app:1")); err != nil {
		t.Fatal(err)
	}
	if b := c.Budgets(); len(b) != 0 {
		t.Errorf("budgets %+v", b)
	}
}
