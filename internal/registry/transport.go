package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Bounds of one HTTP exchange. Together they end whatever a registry or a network does.
const (
	dialPatience      = 10 * time.Second
	handshakePatience = 10 * time.Second
	headerPatience    = 20 * time.Second
	// exchangePatience is for all of one request and its answer, so that a body that drips ends too.
	exchangePatience = 40 * time.Second
	maxHeader        = 64 << 10
	maxRedirects     = 5
)

// newHTTP makes the connection pool of one registry.
func newHTTP(name string, cfg HostConfig, certsDir string) (*http.Client, error) {
	trust, err := tlsConfig(name, cfg, certsDir)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		CheckRedirect: checkRedirect,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: dialPatience}).DialContext,
			TLSClientConfig:        trust,
			TLSHandshakeTimeout:    handshakePatience,
			ResponseHeaderTimeout:  headerPatience,
			MaxResponseHeaderBytes: maxHeader,
			MaxConnsPerHost:        connections,
			MaxIdleConnsPerHost:    connections,
			IdleConnTimeout:        time.Minute,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // digests are over the bytes as they are sent
		},
	}, nil
}

// checkRedirect follows a few redirects, as blobs need, and never with credentials to another host or from HTTPS down to HTTP.
// The standard library would keep them for sub-domains, too.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	last := via[len(via)-1]
	if last.URL.Scheme == "https" && req.URL.Scheme != "https" {
		return errors.New("a redirect from HTTPS to " + req.URL.Scheme)
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return errors.New("a redirect of a " + req.Method)
	}
	if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		req.Header.Del("Authorization")
	}
	return nil
}

// tlsConfig says whom to trust: the system's authorities, and those that a person or the engine was told of for this registry.
func tlsConfig(name string, cfg HostConfig, certsDir string) (*tls.Config, error) {
	authorities, pairs := engineCerts(certsDir, name)
	if cfg.CA != "" {
		authorities = append(authorities, cfg.CA)
	}
	if cfg.Cert != "" {
		pairs = append(pairs, [2]string{cfg.Cert, cfg.Key})
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(authorities) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		for _, file := range authorities {
			pem, err := os.ReadFile(file)
			if err != nil {
				return nil, unknown(ErrUnreachable, "mend the path or its permissions", "the certificate authority for %s cannot be read: %v", name, err)
			}
			if !pool.AppendCertsFromPEM(pem) {
				return nil, unknown(ErrUnreachable, "put a PEM certificate there", "%s, the certificate authority for %s, has no certificate in it", file, name)
			}
		}
		config.RootCAs = pool
	}
	for _, p := range pairs {
		cert, err := tls.LoadX509KeyPair(p[0], p[1])
		if err != nil {
			return nil, unknown(ErrUnreachable, "mend the files or their permissions", "the client certificate for %s cannot be used: %v", name, err)
		}
		config.Certificates = append(config.Certificates, cert)
	}
	return config, nil
}

// engineCerts lists what Docker's own folder has for a registry: *.crt are authorities, *.cert with its *.key a client certificate
// (docs.docker.com, verify repository client with certificates).
func engineCerts(dir, name string) (authorities []string, pairs [][2]string) {
	if dir == "" || strings.ContainsAny(name, `/\`) || name == ".." {
		return nil, nil
	}
	entries, err := os.ReadDir(filepath.Join(dir, name))
	if err != nil {
		return nil, nil
	}
	for _, e := range entries {
		file := filepath.Join(dir, name, e.Name())
		switch filepath.Ext(file) {
		case ".crt":
			authorities = append(authorities, file)
		case ".cert":
			pairs = append(pairs, [2]string{file, strings.TrimSuffix(file, ".cert") + ".key"})
		}
	}
	return authorities, pairs
}
