package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/registry"
)

// playing is an engine that answers with what it was given.
type playing struct {
	// version of the API and server of the ping.
	version, server string
	// answers by path without the version: /containers/json.
	answers map[string]string
}

// play lets an engine listen on a socket and gives its address.
func play(t testing.TB, handler http.Handler) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler}}
	srv.Start()
	t.Cleanup(srv.Close)
	return "unix://" + path
}

func (p playing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", p.version)
	w.Header().Set("Server", p.server)
	if r.URL.Path == "/_ping" {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	path := strings.TrimPrefix(r.URL.Path, "/v"+p.version)
	answer, ok := p.answers[path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		answer = fmt.Sprintf(`{"message":"No such thing: %s"}`, path)
	}
	fmt.Fprint(w, answer)
}

func noEnv(string) string { return "" }

// scan asks one engine, through a registry client that remembers nothing.
func scan(t testing.TB, s *Source) (fleet.Finding, error) {
	t.Helper()
	return s.Scan(t.Context(), machine.Local())
}

func newClient(t testing.TB) *registry.Client {
	t.Helper()
	reg := registry.New(registry.Config{})
	t.Cleanup(reg.Close)
	return reg
}

func TestAnEngineThatDoesNotAnswerIsUnknownAndNotEmpty(t *testing.T) {
	dead := filepath.Join(t.TempDir(), "dead")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()

	reply := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/_ping" {
				w.Header().Set("Api-Version", "1.41")
				return
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for _, c := range []struct {
		name, host, because, remedy string
	}{
		{"stopped", "unix://" + dead, "Docker is not running: nothing answers at unix://", "systemctl start docker"},
		{"no socket", "unix:///nowhere/docker.sock", "Docker is not running", "systemctl start docker"},
		{"no such address", "tcp://127.0.0.1:1", "Docker is not running", "systemctl start docker"},
		{"ssh", "ssh://user@host", "only unix:// and tcp:// can be asked", "DOCKER_HOST"},
		{"no address at all", "nonsense\x1b[2J", "only unix:// and tcp://", ""},
		{"no JSON", play(t, reply(200, "<html>hello")), "gave no answer that can be used", "API 1.40"},
		{"truncated JSON", play(t, reply(200, `[{"Id":"abc","Names":["/w`)), "gave no answer that can be used", ""},
		{"an error", play(t, reply(500, `{"message":"the disk is full\u001b[31m"}`)), "the disk is full", ""},
		{"too old", play(t, playing{version: "1.24"}), "gave no answer that can be used", "19.03"},
		{"not an engine", play(t, http.NotFoundHandler()), "gave no answer that can be used", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := scan(t, New(newClient(t), Options{Host: c.host, Getenv: noEnv}))
			var u *fleet.Unknown
			if !errors.As(err, &u) {
				t.Fatalf("finding %+v, error %v: want an unknown", f, err)
			}
			if !strings.Contains(u.Because, c.because) || !strings.Contains(u.Remedy, c.remedy) || u.Remedy == "" {
				t.Errorf("because %q, remedy %q: want %q, %q", u.Because, u.Remedy, c.because, c.remedy)
			}
			if u.Because != fleet.Plain(u.Because) {
				t.Errorf("because %q is not plain", u.Because)
			}
		})
	}
}

func TestAnEngineThatHangsIsGivenUp(t *testing.T) {
	for _, hangsAt := range []string{"/_ping", "/v1.41/images/json"} {
		release := make(chan struct{})
		host := play(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Api-Version", "1.41")
			if r.URL.Path == hangsAt {
				<-release
			}
			if strings.HasSuffix(r.URL.Path, ".json") || strings.HasSuffix(r.URL.Path, "/json") {
				fmt.Fprint(w, "[]")
			}
		}))
		s := New(newClient(t), Options{Host: host, Getenv: noEnv})
		s.patience = 20 * time.Millisecond
		_, err := scan(t, s)
		close(release)
		if because, remedy := fleet.Explain(err); !strings.Contains(because, "did not answer within 20ms") || remedy == "" {
			t.Errorf("%s: because %q, remedy %q", hangsAt, because, remedy)
		}
	}
}

func TestAnEndlessAnswerIsCut(t *testing.T) {
	host := play(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		if r.URL.Path == "/_ping" {
			return
		}
		chunk := []byte("[" + strings.Repeat(" ", 1<<20))
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
			chunk[0] = ' '
		}
	}))
	_, err := scan(t, New(newClient(t), Options{Host: host, Getenv: noEnv}))
	if !errors.Is(err, errEndless) {
		t.Errorf("got %v, want %v", err, errEndless)
	}
}

func TestAScanThatIsCancelledSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	host := play(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
	_, err := New(newClient(t), Options{Host: host, Getenv: noEnv}).Scan(ctx, machine.Local())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWhoMayNotAskIsToldHow(t *testing.T) {
	for _, s := range []*Source{New(nil, Options{}), NewPodman(nil, Options{})} {
		e := &engine{brand: s.brand, host: "unix:///var/run/docker.sock", patience: s.patience}
		e.wires = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", os.ErrPermission)}
		}}
		because, remedy := fleet.Explain(e.open(t.Context(), "http"))
		if !strings.HasPrefix(because, "no permission to ask "+s.brand.title) || !strings.Contains(remedy, "run as root") {
			t.Errorf("because %q, remedy %q", because, remedy)
		}
	}
}
