package agent

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"redflag/internal/fleet"
)

// checkServer refuses a server's URL that is none, and plain HTTP to another machine unless a person wants it.
func checkServer(server string, plainHTTP bool) error {
	u, err := url.Parse(server)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is no server's address; it looks like https://fleet.example.com", fleet.Plain(server))
	case u.Scheme == "http" && !plainHTTP && !loopback(u.Hostname()):
		return &fleet.Unknown{
			Because: "over plain HTTP anybody in between could read what this host reports, and pretend to be the server",
			Remedy:  "use https://, or --plain-http in a network that you trust",
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func toPEM(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

// Waits of the agent's connections.
const (
	dialPatience = 15 * time.Second
	idleLife     = 90 * time.Second
)

// newHTTP makes the client for one server. Proxies are those of the environment (HTTPS_PROXY, NO_PROXY).
func newHTTP(config *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: dialPatience}).DialContext,
			TLSClientConfig:     config,
			TLSHandshakeTimeout: dialPatience,
			MaxIdleConns:        2,
			IdleConnTimeout:     idleLife,
		},
		// The server has no reason to send an agent elsewhere, and a signature is for one path alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
