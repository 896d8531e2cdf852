package helper

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/registry"
	"redflag/internal/source/docker"
)

// asker asks an engine at a socket.
type asker struct {
	testing.TB
	http.Client
}

func at(t testing.TB, socket string) *asker {
	var d net.Dialer
	return &asker{t, http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) }}}}
}

func (a *asker) ask(method, path, body string) (int, string) {
	a.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(a.Context()), method, "http://engine"+path, strings.NewReader(body))
	if err != nil {
		a.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.Do(req)
	if err != nil {
		a.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestTheAgentSeesWhatRunsInAnEngineAndCanDoNothingThere(t *testing.T) {
	socket := strings.TrimPrefix(parts.Engine(t).Host, "unix://")
	real := at(t, socket)
	if status, text := real.ask("POST", "/images/create?fromSrc=-&repo=example.org/seen&tag=1", string(make([]byte, 1024))); status != http.StatusOK {
		t.Fatal(text)
	}
	made := `{"Image":"example.org/seen:1","Cmd":["/serve","--password=hunter2"],"Env":["PASSWORD=hunter2"],"Labels":{"a":"b"},"Healthcheck":{"Test":["CMD","check","hunter2"]}}`
	if status, text := real.ask("POST", "/containers/create?name=seen", made); status != http.StatusCreated {
		t.Fatal(text)
	}
	t.Cleanup(func() { real.ask("DELETE", "/containers/seen?force=1", "") })

	dir, err := os.MkdirTemp("", "view")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	e := Engine{Real: socket, View: filepath.Join(dir, "docker.sock")}
	ctx, stop := context.WithCancel(t.Context())
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		ShowEngines(ctx, []Engine{e, {Real: "/nowhere", View: filepath.Join(dir, "none.sock")}}, -1, os.Getuid(), slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() { stop(); <-shown })
	for _, err := os.Stat(e.View); err != nil; _, err = os.Stat(e.View) {
		time.Sleep(10 * time.Millisecond)
	}
	view := at(t, e.View)

	if status, text := view.ask("GET", "/v1.41/containers/seen/json", ""); status != http.StatusOK || strings.Contains(text, "hunter2") || !strings.Contains(text, "example.org/seen:1") {
		t.Errorf("%d %s", status, text)
	}
	s := docker.New(registry.New(registry.Config{CacheDir: t.TempDir()}), docker.Options{Host: "unix://" + e.View})
	list, err := s.Containers(t.Context(), machine.Local())
	if err != nil || len(list) != 1 || list[0].Name != "seen" {
		t.Errorf("%+v, %v", list, err)
	}
	if d, err := s.Describe(t.Context(), machine.Local()); err != nil || d.Version == "" {
		t.Errorf("%+v, %v", d, err)
	}
	for _, no := range []struct{ method, path string }{
		{"POST", "/containers/create"}, {"POST", "/v1.41/containers/seen/start"}, {"DELETE", "/containers/seen"}, {"PUT", "/containers/seen/archive?path=/"}, {"POST", "/containers/seen/json"},
		{"GET", "/containers/seen/logs?stdout=1"}, {"GET", "/containers/seen/export"}, {"GET", "/containers/seen/archive?path=/etc"}, {"GET", "/containers/seen/attach/ws"}, {"GET", "/events"}, {"GET", "/secrets"},
		{"GET", "/images/get?names=x"}, {"GET", "/containers/seen/../../secrets/json"}, {"GET", "/containers/%2e%2e/secrets/json"}, {"GET", "/images/..%2f..%2fsecrets/json"}, {"GET", "//containers/json"}, {"GET", "/"},
	} {
		if status, text := view.ask(no.method, no.path, "{}"); status != http.StatusForbidden && status != http.StatusNotFound {
			t.Errorf("%s %s: %d %s", no.method, no.path, status, text)
		}
	}
	if status, text := real.ask("GET", "/containers/json?all=1", ""); status != http.StatusOK || !strings.Contains(text, "/seen") {
		t.Errorf("the container is gone: %s", text)
	}
	if _, err := os.Stat(filepath.Join(dir, "none.sock")); err == nil {
		t.Error("an engine is shown that is not there")
	}
}
