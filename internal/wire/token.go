package wire

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
)

// An enrolment token is SECRET, or SECRET.FINGERPRINT where the server has an authority of its own: then the very first contact is
// already with the server that made the token, and with nobody in between.

// JoinToken gives a token as people paste it. The fingerprint may be empty.
func JoinToken(secret, fingerprint string) string {
	if fingerprint == "" {
		return secret
	}
	return secret + "." + fingerprint
}

// ErrToken: a text that is no token.
var ErrToken = errors.New("this is no enrolment token: was it pasted whole?")

// SplitToken gives a token's parts.
func SplitToken(token string) (secret, fingerprint string, err error) {
	secret, fingerprint, _ = strings.Cut(strings.TrimSpace(token), ".")
	if secret == "" || fingerprint != "" && len(fingerprint) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return "", "", ErrToken
	}
	return secret, fingerprint, nil
}

// Fingerprint gives an authority's fingerprint as tokens carry it: SHA-256 of the certificate.
func Fingerprint(authority *x509.Certificate) string {
	sum := sha256.Sum256(authority.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
