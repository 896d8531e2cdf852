package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// ErrStranger: what answers is not the server that a fingerprint is of.
var ErrStranger = errors.New("what answers at this address is not the server that made this token (its authority has another fingerprint); " +
	"is something in between, or was the server set up anew?")

// TrustFingerprint is a TLS configuration for the first contact: it believes the one authority with the fingerprint, which the server shows
// with its certificate, and gives it to found, where there is one.
func TrustFingerprint(fingerprint string, found func(*x509.Certificate)) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does all that is skipped, with the pinned authority
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, cert := range state.PeerCertificates {
				if Fingerprint(cert) != fingerprint {
					continue
				}
				roots := x509.NewCertPool()
				roots.AddCert(cert)
				_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: state.ServerName})
				if err == nil && found != nil {
					found(cert)
				}
				return err
			}
			return ErrStranger
		},
	}
}

// TrustCA is a TLS configuration that believes one authority and no other.
func TrustCA(ca string) (*tls.Config, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca)) {
		return nil, errors.New("the pinned authority of the server is damaged: enrol this host again")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}
