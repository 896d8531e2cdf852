package registry

import (
	"errors"
	"net/http"
	"testing"
)

// basic wants a user's password.
func TestARefusedLoginIsNotTriedForEveryRepository(t *testing.T) {
	b := newBearer(t)
	b.user, b.password = "anna", "right"
	l := newLab(t, b.guards())
	refs, _ := sixty(t, l)
	c := start(t, Config{DockerConfig: dockerLogin(t, auths(l.host, "anna", "wrong"))})
	for _, r := range c.ResolveAll(t.Context(), refs) {
		if !errors.Is(r.Err, ErrDenied) {
			t.Fatalf("got %v", r.Err)
		}
	}
	if n := b.answered(http.StatusUnauthorized); n > 3 {
		t.Errorf("%d failed logins; a registry locks an account after a few", n)
	}
}

func TestAWrongPasswordIsNotShownForEveryImage(t *testing.T) {
	l := newLab(t, basic("anna", "right"))
	refs, _ := sixty(t, l)
	c := start(t, Config{DockerConfig: dockerLogin(t, auths(l.host, "anna", "wrong"))})
	for _, r := range c.ResolveAll(t.Context(), refs) {
		if !errors.Is(r.Err, ErrDenied) {
			t.Fatalf("got %v", r.Err)
		}
	}
	if n := len(l.sent("Authorization")); n > maxWrong {
		t.Errorf("the wrong password was shown %d times; a registry locks an account after a few", n)
	}
}

func TestOnePrivateImageDoesNotSpendTheLogin(t *testing.T) {
	l := newLab(t, basic("anna", "right"), only("/private", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Registry"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	want := l.push(t, "app:1", image(t, amd64, nil))
	c := start(t, Config{DockerConfig: dockerLogin(t, auths(l.host, "anna", "right"))})
	if _, err := c.Resolve(t.Context(), l.ref(t, "app:1")); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"private1:1", "private2:1", "private3:1", "private4:1"} {
		if _, err := c.Resolve(t.Context(), l.ref(t, at)); !errors.Is(err, ErrDenied) {
			t.Errorf("%s: %v", at, err)
		}
	}
	if a, err := c.Resolve(t.Context(), l.ref(t, "app:1")); err != nil || a.Digest != want {
		t.Errorf("got %s, %v", a.Digest, err)
	}
}
