package agent

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
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

// errStranger: what answers is not the server that made the token.
var errStranger = errors.New("what answers at this address is not the server that made this token (its authority has another fingerprint); " +
	"is something in between, or was the server set up anew?")

// learnCA is a TLS configuration for the first contact: it believes the one authority with the fingerprint, which the server shows
// with its certificate, and gives it to found.
func learnCA(fingerprint string, found func(*x509.Certificate)) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does all that is skipped, with the pinned authority
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, cert := range state.PeerCertificates {
				if wire.Fingerprint(cert) != fingerprint {
					continue
				}
				roots := x509.NewCertPool()
				roots.AddCert(cert)
				_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: state.ServerName})
				if err == nil {
					found(cert)
				}
				return err
			}
			return errStranger
		},
	}
}

// pinned is a TLS configuration that believes one authority and no other.
func pinned(ca string) (*tls.Config, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca)) {
		return nil, errors.New("the pinned authority of the server is damaged: enrol this host again")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
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
