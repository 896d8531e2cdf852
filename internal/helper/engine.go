package helper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// An Engine is a container engine whose socket is root's, and whom that lets speak to it is root as well. The agent gets a view of it that shows
// what a scan needs, and takes nothing.
type Engine struct {
	// Real is the engine's socket, and View the one that the agent is given.
	Real, View string
}

// Engines are those of a machine.
func Engines() []Engine {
	return []Engine{
		{"/var/run/docker.sock", filepath.Join(Dir, "docker.sock")},
		{"/run/podman/podman.sock", filepath.Join(Dir, "podman.sock")},
	}
}

// readable are the paths that a scan reads: lists, and one container, image or version at a time. The version of the API comes before.
var readable = regexp.MustCompile(`^(/v[0-9]\.[0-9]{1,3})?/(_ping|version|info|containers/json|images/json|containers/[A-Za-z0-9][A-Za-z0-9_.-]*/json|images/[A-Za-z0-9][A-Za-z0-9_.:@/-]*/json)$`)

// inspected is the path of one container, whose answer has secrets.
var inspected = regexp.MustCompile(`/containers/[^/]+/json$`)

const (
	// engineCheck is how often it is looked whether there is an engine.
	engineCheck = 10 * time.Second
	// engineSilence is how long one may take over an answer.
	engineSilence = time.Minute
	// maxInspect bounds what is read of one container: 50 KB is usual.
	maxInspect = 8 << 20
)

// ShowEngines gives a group views of the engines that there are, until ctx ends.
func ShowEngines(ctx context.Context, engines []Engine, group, user int, log *slog.Logger) {
	views := map[string]*http.Server{}
	for {
		for _, e := range engines {
			_, err := os.Stat(e.Real)
			switch view := views[e.View]; {
			case err == nil && view == nil:
				if view, err = e.show(group, user); err != nil {
					log.Warn("the container engine is not shown to the agent", "engine", e.Real, "err", err)
					continue
				}
				views[e.View] = view
			case errors.Is(err, fs.ErrNotExist) && view != nil:
				view.Close()
				delete(views, e.View)
			}
		}
		select {
		case <-time.After(engineCheck):
		case <-ctx.Done():
			for _, v := range views {
				v.Close()
			}
			return
		}
	}
}

// show listens for one engine.
func (e Engine) show(group, user int) (*http.Server, error) {
	l, err := Listen(e.View, group)
	if err != nil {
		return nil, err
	}
	s := &http.Server{Handler: e.handler(), ReadHeaderTimeout: readPatience, MaxHeaderBytes: 16 << 10}
	go func() { _ = s.Serve(known{l, user}) }() // it ends when it is closed
	return s, nil
}

// known lets in root and the agent.
type known struct {
	net.Listener
	user int
}

// Accept implements net.Listener.
func (k known) Accept() (net.Conn, error) {
	for {
		conn, err := k.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if user, err := peer(conn); err == nil && (user == 0 || user == k.user) {
			return conn, nil
		}
		conn.Close()
	}
}

// handler passes on what may be asked.
func (e Engine) handler() http.Handler {
	var d net.Dialer
	engine := &http.Transport{
		DisableCompression: true, ResponseHeaderTimeout: engineSilence,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", e.Real) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead || !readable.MatchString(r.URL.Path) || r.URL.Path != filepath.Clean(r.URL.Path) {
			http.Error(w, `{"message":"the agent may only look: this is not shown to it"}`, http.StatusForbidden)
			return
		}
		ask, err := http.NewRequestWithContext(r.Context(), r.Method, "http://engine"+r.URL.RequestURI(), nil)
		if err != nil {
			http.Error(w, `{"message":"this cannot be asked"}`, http.StatusBadRequest)
			return
		}
		answer, err := engine.RoundTrip(ask)
		if err != nil {
			http.Error(w, `{"message":"the engine does not answer"}`, http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		pass(w, answer, inspected.MatchString(r.URL.Path))
	})
}

// pass gives an answer on, without the secrets that a container's environment and commands have.
func pass(w http.ResponseWriter, answer *http.Response, secret bool) {
	body := io.Reader(answer.Body)
	if secret && answer.StatusCode == http.StatusOK {
		data, err := io.ReadAll(io.LimitReader(answer.Body, maxInspect+1))
		if err == nil {
			data, err = withoutSecrets(data)
		}
		if err != nil {
			http.Error(w, `{"message":"the engine's answer cannot be read"}`, http.StatusBadGateway)
			return
		}
		body = bytes.NewReader(data)
	}
	for _, name := range []string{"Content-Type", "Server", "Api-Version", "Docker-Experimental", "Ostype", "Builder-Version", "Libpod-Api-Version"} {
		if v := answer.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, body) // who does not read on needs no more
}

// withoutSecrets takes out of a container what no scan needs and people put passwords into.
func withoutSecrets(data []byte) ([]byte, error) {
	if len(data) > maxInspect {
		return nil, errors.New("it is too long")
	}
	var c map[string]json.RawMessage
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	for _, name := range []string{"Args", "ExecIDs", "Path"} {
		delete(c, name)
	}
	var config map[string]json.RawMessage
	if raw, ok := c["Config"]; ok && json.Unmarshal(raw, &config) == nil && config != nil {
		for _, name := range []string{"Env", "Cmd", "Entrypoint", "Healthcheck"} {
			delete(config, name)
		}
		raw, err := json.Marshal(config)
		if err != nil {
			return nil, err
		}
		c["Config"] = raw
	} else {
		delete(c, "Config")
	}
	return json.Marshal(c)
}
