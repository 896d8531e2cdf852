package serve

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"redflag/internal/store"
	"redflag/internal/wire"
)

// vouched is how the server is known to be itself.
type vouched struct {
	// config is nil for plain HTTP.
	config *tls.Config
	// fingerprint is that of the server's own authority, and pin its certificate's public key; empty where others vouch for it.
	fingerprint, pin string
}

// vouch makes what the options say the server is known by.
func (o Options) vouch(ctx context.Context, s *store.Store) (vouched, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	switch o.TLS {
	case TLSOff:
		return vouched{}, nil
	case TLSFiles:
		files := &certFiles{cert: o.Cert, key: o.Key}
		if _, err := files.certificate(nil); err != nil {
			return vouched{}, err
		}
		config.GetCertificate = files.certificate
		return vouched{config: config}, nil
	case TLSACME:
		return vouched{config: o.acme()}, nil
	}
	a, err := openAuthority(ctx, s, o.names(), time.Now)
	if err != nil {
		return vouched{}, err
	}
	config.GetCertificate = a.certificate
	pin, err := a.pin()
	return vouched{config: config, fingerprint: wire.Fingerprint(a.cert), pin: pin}, err
}

// acme asks an authority for certificates as they are needed, by the challenge on the listener itself (RFC 8737).
func (o Options) acme() *tls.Config {
	m := &autocert.Manager{Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(filepath.Join(o.DataDir, "acme")), Email: o.ACMEEmail}
	if o.ACMEDirectory != "" {
		m.Client = &acme.Client{DirectoryURL: o.ACMEDirectory}
	}
	if u, err := url.Parse(o.PublicURL); err == nil {
		m.HostPolicy = autocert.HostWhitelist(u.Hostname())
	}
	config := m.TLSConfig()
	config.MinVersion = tls.VersionTLS12
	return config
}

// certFiles is a certificate in files, which something else renews.
type certFiles struct {
	cert, key string

	mu     sync.Mutex
	loaded *tls.Certificate
	at     time.Time // of the certificate's file
	looked time.Time
}

// lookAgain is how often the files are looked at.
const lookAgain = time.Minute

// certificate gives what the files have. While a renewed pair cannot be read, the one before serves.
func (f *certFiles) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loaded != nil && time.Since(f.looked) < lookAgain {
		return f.loaded, nil
	}
	f.looked = time.Now()
	info, err := os.Stat(f.cert)
	if err == nil && f.loaded != nil && info.ModTime().Equal(f.at) {
		return f.loaded, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(f.cert, f.key)
	}
	if err != nil {
		if f.loaded != nil {
			return f.loaded, nil
		}
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	f.loaded, f.at = &pair, info.ModTime()
	return f.loaded, nil
}
