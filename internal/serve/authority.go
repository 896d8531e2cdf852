package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"

	"redflag/internal/store"
)

// authority is the server's own certificate authority, for a server that has no certificate from elsewhere. It lives in the database,
// so all processes on one database are one server. Enrolment tokens carry its fingerprint.
type authority struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	leafKey *ecdsa.PrivateKey // stable, so that a first download can pin it
	names   []string
	now     func() time.Time

	mu   sync.Mutex
	leaf *tls.Certificate
	till time.Time // when the next one is made
}

const (
	authorityLife = 20 * 365 * 24 * time.Hour
	// leafLife is what browsers accept at most, of public authorities: 398 days.
	leafLife = 397 * 24 * time.Hour
	// backdate is for clocks that are behind.
	backdate = 24 * time.Hour
)

// openAuthority reads the authority of a database, or makes it.
func openAuthority(ctx context.Context, s *store.Store, names []string, now func() time.Time) (*authority, error) {
	data, err := s.Setting(ctx, "authority", func() ([]byte, error) { return newAuthority(now()) })
	if err != nil {
		return nil, err
	}
	a := &authority{names: names, now: now}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			a.cert, err = x509.ParseCertificate(block.Bytes)
		case "EC PRIVATE KEY":
			a.key, err = x509.ParseECPrivateKey(block.Bytes)
		case "SERVER EC PRIVATE KEY":
			a.leafKey, err = x509.ParseECPrivateKey(block.Bytes)
		}
		if err != nil {
			return nil, fmt.Errorf("read the server's own authority: %w", err)
		}
	}
	if a.cert == nil || a.key == nil || a.leafKey == nil {
		return nil, errors.New("the server's own authority in the database is damaged")
	}
	return a, nil
}

// newAuthority makes a key, a certificate for it, and a key for the server itself.
func newAuthority(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "RedFlag " + rand.Text()[:6]},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	ca, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	own, err := x509.MarshalECPrivateKey(leafKey)
	if err != nil {
		return nil, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	out = append(out, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: ca})...)
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "SERVER EC PRIVATE KEY", Bytes: own})...), nil
}

func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return new(big.Int).SetBytes(b[:])
}

// certificate gives the server's certificate, and a fresh one before the last runs out.
func (a *authority) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.leaf != nil && now.Before(a.till) && now.After(a.till.Add(-leafLife)) {
		return a.leaf, nil
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: a.names[0]},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(leafLife - backdate),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range a.names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.leafKey.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("make the server's certificate: %w", err)
	}
	a.leaf = &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: a.leafKey}
	a.till = now.Add(leafLife / 2)
	return a.leaf, nil
}

// pin is the public key of the server's certificate as curl and wget take it (RFC 7469 §2.4): sha256//BASE64.
func (a *authority) pin() (string, error) {
	der, err := x509.MarshalPKIXPublicKey(&a.leafKey.PublicKey)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return "sha256//" + base64.StdEncoding.EncodeToString(sum[:]), nil
}
