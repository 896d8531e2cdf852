package registry

import (
	"net/http"
	"testing"
)

// mirrored makes a client that knows a mirror of Docker Hub.
func mirrored(t *testing.T, mirror, real *lab, cfg Config) *Client {
	t.Helper()
	cfg.Hosts = map[string]HostConfig{hub: {Mirrors: []string{"http://" + mirror.host + "/"}}}
	c := start(t, cfg)
	atHub(t, c, real)
	return c
}

func TestAMirrorIsAskedFirstAndTheRegistryWhereItFails(t *testing.T) {
	for name, broken := range map[string]http.HandlerFunc{
		"works":    nil,
		"lacks it": status(http.StatusNotFound),
		"breaks":   status(http.StatusInternalServerError),
		"denies":   status(http.StatusUnauthorized),
		"lies":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
	} {
		t.Run(name, func(t *testing.T) {
			real, mirror := newLab(t), newLab(t)
			if broken != nil {
				mirror = newLab(t, only("/", broken))
			} else {
				real = newLab(t, only("/", status(http.StatusInternalServerError)))
			}
			img := image(t, amd64, nil)
			want := real.push(t, "library/app:1", img)
			mirror.push(t, "library/app:1", img)
			a, err := mirrored(t, mirror, real, Config{}).Resolve(t.Context(), tagged(t, "app:1"))
			if err != nil || a.Digest != want {
				t.Errorf("got %+v, %v", a, err)
			}
			if (a.Host == mirror.host) != (broken == nil) {
				t.Errorf("answered by %s", a.Host)
			}
		})
	}
}

func TestAMirrorIsNotShownTheRegistrysCredentials(t *testing.T) {
	real, mirror := newLab(t, basic("anna", "secret")), newLab(t, basic("anna", "secret"))
	want := real.push(t, "library/app:1", image(t, amd64, nil))
	c := mirrored(t, mirror, real, Config{DockerConfig: dockerLogin(t, auths(hubKey, "anna", "secret"))})
	if a, err := c.Resolve(t.Context(), tagged(t, "app:1")); err != nil || a.Digest != want {
		t.Errorf("got %s, %v", a.Digest, err)
	}
	if sent := mirror.sent("Authorization"); len(sent) > 0 {
		t.Errorf("the mirror was shown %q", sent)
	}
}

func TestMirrorsAreForDockerHubAlone(t *testing.T) {
	l, mirror := newLab(t), newLab(t)
	want := l.push(t, "app:1", image(t, amd64, nil))
	c := start(t, Config{Hosts: map[string]HostConfig{l.host: {Mirrors: []string{"http://" + mirror.host}}}})
	if a, err := c.Resolve(t.Context(), l.ref(t, "app:1")); err != nil || a.Digest != want {
		t.Errorf("got %s, %v", a.Digest, err)
	}
	if n := mirror.count("", ""); n != 0 {
		t.Errorf("the mirror was asked %d times", n)
	}
}
