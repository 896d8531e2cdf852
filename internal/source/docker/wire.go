package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/go-connections/tlsconfig"

	"redflag/internal/fleet"
)

// wire makes the connections to an engine's address, and says whether http or https is spoken over them.
func (e *engine) wire(host string, getenv func(string) string) (*http.Transport, string, error) {
	scheme, address, _ := strings.Cut(host, "://")
	switch scheme {
	case "unix":
		var d net.Dialer
		return &http.Transport{
			DisableCompression: true,
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", address) },
		}, "http", nil
	case "tcp":
		return e.wireTCP(getenv)
	}
	return nil, "", &fleet.Unknown{
		Because: fmt.Sprintf("%s is at %s, and only unix:// and tcp:// can be asked", e.brand.title, addressOf(host)),
		Remedy:  "run RedFlag on that host, or set " + e.brand.env + " to a socket",
	}
}

// wireTCP speaks TLS where the variables beside DOCKER_HOST say so, as the docker command does: with the files of DOCKER_CERT_PATH (~/.docker
// where only DOCKER_TLS_VERIFY is set), and checking the engine's certificate where DOCKER_TLS_VERIFY is set.
func (e *engine) wireTCP(getenv func(string) string) (*http.Transport, string, error) {
	dir := getenv("DOCKER_CERT_PATH")
	if dir == "" && getenv("DOCKER_TLS_VERIFY") != "" {
		dir = filepath.Join(getenv("HOME"), ".docker")
	}
	if dir == "" {
		return &http.Transport{}, "http", nil
	}
	config, err := tlsconfig.Client(tlsconfig.Options{
		CAFile:             filepath.Join(dir, "ca.pem"),
		CertFile:           filepath.Join(dir, "cert.pem"),
		KeyFile:            filepath.Join(dir, "key.pem"),
		InsecureSkipVerify: getenv("DOCKER_TLS_VERIFY") == "",
	})
	if err != nil {
		return nil, "", &fleet.Unknown{
			Because: "the certificates of DOCKER_CERT_PATH cannot be used: " + fleet.Plain(err.Error()),
			Remedy:  "put ca.pem, cert.pem and key.pem into " + fleet.Plain(dir), Err: err,
		}
	}
	return &http.Transport{TLSClientConfig: config}, "https", nil
}

// RoundTrip implements http.RoundTripper: it looks at who answers, and bounds how much is read.
func (e *engine) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := e.wires.RoundTrip(r)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			e.forbidden.Store(true)
		}
		return nil, err
	}
	if strings.HasPrefix(resp.Header.Get("Server"), "Libpod/") {
		e.libpod.Store(true)
		e.libpodVersion.Store(resp.Header.Get("Libpod-Api-Version"))
	}
	if !strings.HasSuffix(r.URL.Path, pullPath) { // which says how far it is, for as long as it takes, and is read line by line
		resp.Body = &bounded{ReadCloser: resp.Body, left: maxAnswer}
	}
	return resp, nil
}

// pullPath is the end of what is asked for to pull an image.
const pullPath = "/images/create"

// maxAnswer bounds an answer of the engine: 2,000 containers are 5 MB.
const maxAnswer = 32 << 20

// bounded is a body of which no more than left bytes are read.
type bounded struct {
	io.ReadCloser
	left int64
}

var errEndless = fmt.Errorf("an answer of over %d MB", maxAnswer>>20)

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errEndless
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
