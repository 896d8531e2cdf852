package docker

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"redflag/internal/fleet"
	"redflag/internal/parts"
)

func TestAnEngineWithoutContainersIsAnEmptyListAndNoError(t *testing.T) {
	for name, w := range map[string]*world{"docker": newWorld(t, parts.Engine(t), New), "podman": newWorld(t, parts.Podman(t), NewPodman)} {
		f, err := w.scan()
		if err != nil || f.Checks == nil || f.Updates == nil || len(f.Checks)+len(f.Updates) > 0 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestAThousandContainersOfOneImageAreOneQuestion(t *testing.T) {
	const thousand = 1000
	l := newLedger(t)
	ref := l.host + "/t/app:latest"
	d := push(t, ref, recipe{content: "1"})
	list := make([]container.Summary, 0, thousand)
	for i := range thousand {
		list = append(list, summary(fmt.Sprintf("c%03d", i), ref, idA))
	}
	p := playing{version: "1.41", answers: map[string]string{
		"/containers/json": text(t, list),
		"/images/json":     text(t, []image.Summary{{ID: idA, RepoTags: []string{ref}, RepoDigests: []string{strings.TrimSuffix(ref, ":latest") + "@" + d}}}),
	}}
	var asked atomic.Int32
	host := play(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		p.ServeHTTP(w, r)
	}))
	l.since()
	f, err := scan(t, New(newClient(t), Options{Host: host, Getenv: noEnv}))
	wantAll(t, f, err, fleet.Current, 1)
	if n := len(f.Checks[0].Containers); n != thousand {
		t.Errorf("%d containers", n)
	}
	wantHeads(t, l.since(), 2)
	if n := asked.Load(); n > 3 { // the ping and two lists
		t.Errorf("the engine was asked %d times", n)
	}
}

// An engine that dies leaves the answers that it is not needed for; the others are unknown, and say that it is gone.
func TestAnEngineThatDiesInTheMiddleOfAScanIsSaid(t *testing.T) {
	l := newLedger(t)
	refs := []string{l.host + "/t/same:latest", l.host + "/t/rebuilt:latest"}
	digests := []string{push(t, refs[0], recipe{content: "1"}), push(t, refs[1], recipe{content: "1"})}
	push(t, refs[1], recipe{content: "2"})
	lists := classicAnswers(refs, digests)
	for _, c := range []struct {
		dies string
		want map[string]fleet.Answer // by container; nil where there is no finding
	}{
		{"/v1.41/containers/json", nil},
		{"/v1.41/images/json", nil},
		{"/v1.41/images/sha256:", map[string]fleet.Answer{"c0": fleet.Current, "c1": fleet.CannotAnswer}},
	} {
		t.Run(c.dies, func(t *testing.T) {
			host := playDying(t, c.dies, lists)
			f, err := scan(t, New(newClient(t), Options{Host: host, Getenv: noEnv}))
			if because, remedy := fleet.Explain(err); !strings.Contains(because, "Docker is not running") || !strings.Contains(remedy, "systemctl start docker") {
				t.Errorf("because %q, remedy %q", because, remedy)
			}
			got := outcomes(t, f)
			if len(got) != len(c.want) {
				t.Errorf("%+v", got)
			}
			for name, answer := range c.want {
				if got[name].Answer != answer {
					t.Errorf("%s: %+v, want %s", name, got[name], answer)
				}
			}
		})
	}
}

// playDying plays an engine that is gone for good once it is asked for a path. What it was asked for at the same time is answered.
func playDying(t *testing.T, at string, engine http.Handler) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	const list = "/v1.41/containers/json"
	listed := make(chan struct{})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, at) {
			if at != list {
				<-listed
			}
			listener.Close()
			panic(http.ErrAbortHandler)
		}
		engine.ServeHTTP(w, r)
		if r.URL.Path == list {
			close(listed)
		}
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(listener)
	}()
	t.Cleanup(func() {
		srv.Close()
		<-done
	})
	return "unix://" + path
}

// socketIn gives the path of a socket that somebody listens at.
func socketIn(t *testing.T, folder, file os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "docker.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Chmod(path, file); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, folder); err != nil {
		t.Fatal(err)
	}
	return path
}
