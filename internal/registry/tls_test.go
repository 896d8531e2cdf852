package registry

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"redflag/internal/fleet"
)

// authority writes the certificate of a test server into a PEM file.
func authority(t testing.TB, srv *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// overTLS serves a lab's registry over TLS and gives the server.
func overTLS(t testing.TB, l *lab) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(l.watch(l.store, nil))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func TestAPrivateAuthorityIsTrustedForTheRegistryItIsNamedFor(t *testing.T) {
	l := newLab(t)
	want := l.push(t, "app:1", image(t, amd64, nil))
	srv := overTLS(t, l)
	host := srv.Listener.Addr().String()
	ca := authority(t, srv)
	certs := t.TempDir()
	if err := os.MkdirAll(filepath.Join(certs, host), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(ca, filepath.Join(certs, host, "ca.crt")); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{
		"configured":   {Hosts: map[string]HostConfig{host: {CA: ca}}},
		"the engine's": {CertsDir: certs},
	} {
		if a, err := start(t, cfg).Resolve(t.Context(), tagged(t, host+"/app:1")); err != nil || a.Digest != want {
			t.Errorf("%s: %s, %v", name, a.Digest, err)
		}
	}
}

func TestNoConnectionHasAReasonAndARemedy(t *testing.T) {
	l := newLab(t)
	secure := overTLS(t, l)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	host := secure.Listener.Addr().String()
	for _, c := range []struct {
		name, host, because, remedy string
		cfg                         HostConfig
	}{
		{"unknown authority", host, "authority that is not trusted", "ca for this registry", HostConfig{}},
		{"refused", dead.Addr().String(), "refuses the connection", "running", HostConfig{}},
		{"no name", "no-such-host.invalid", "DNS", "name", HostConfig{}},
		{"no such CA", host, "cannot be read", "path", HostConfig{CA: "/nowhere/ca.pem"}},
		{"no PEM", host, "no certificate in it", "PEM", HostConfig{CA: noPEM}},
		{"no client certificate", host, "client certificate", "files", HostConfig{Cert: noPEM, Key: noPEM}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := start(t, Config{Hosts: map[string]HostConfig{c.host: c.cfg}})
			_, err := client.Resolve(t.Context(), tagged(t, c.host+"/app:1"))
			because, remedy := fleet.Explain(err)
			if !errors.Is(err, ErrUnreachable) || !strings.Contains(because, c.because) || !strings.Contains(remedy, c.remedy) {
				t.Errorf("because %q, remedy %q (%v)", because, remedy, err)
			}
		})
	}
	if n := l.count("", ""); n > 0 {
		t.Errorf("%d requests over connections that were not to be trusted", n)
	}
}

func TestALoopbackRegistryMaySpeakPlainHTTPAndTheTrialIsNoRequest(t *testing.T) {
	l := newLab(t)
	l.push(t, "app:1", image(t, amd64, nil))
	if _, err := start(t, Config{}).Resolve(t.Context(), l.ref(t, "app:1")); err != nil {
		t.Fatal(err)
	}
	if n := l.count("", ""); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestADownHostIsNotWaitedForAgainAndAgain(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tries := make(chan struct{}, 1000)
	go func() {
		for {
			conn, err := dead.Accept()
			if err != nil {
				return
			}
			tries <- struct{}{}
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}()
	t.Cleanup(func() { dead.Close() })
	c := start(t, Config{})
	if _, err := c.Resolve(t.Context(), tagged(t, dead.Addr().String()+"/app:1")); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	if n := len(tries); n > 2*(maxRepeats+1) {
		t.Errorf("%d connections for one question", n)
	}
}
