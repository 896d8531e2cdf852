package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"redflag/internal/fleet"
)

// explain turns what went wrong on the way to a host into a reason and a remedy.
func (c *Client) explain(ctx context.Context, h *host, err error) error {
	var known *fleet.Unknown
	var long errLongWait
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.As(err, &long):
		return c.limited(h, long.wait)
	case ctx.Err() != nil:
		return unknown(ErrUnreachable, "ask again later", "%s took too long", h.name)
	}
	return c.unreachable(h, err)
}

// limited tells that a host wants to be left alone, and for how long.
func (c *Client) limited(h *host, wait time.Duration) error {
	until := c.cfg.Now().Add(wait).UTC().Format("15:04 MST")
	return unknown(ErrLimited, fmt.Sprintf("scan again after %s; an account often has a higher limit: docker login %s", until, h.name),
		"%s limits how often it may be asked, until %s", h.name, until)
}

// refused tells that the credentials were wrong several times, so that they are not shown again.
func (c *Client) refused(h *host) error {
	return unknown(ErrDenied, "log in again: docker login "+h.name, "%s did not accept the credentials", h.name)
}

// denied tells that a host lets us not in. Registries do not say whether an image is private or not there.
func (c *Client) denied(h *host, cred credential) error {
	login := "check the name, or log in: docker login " + h.name
	switch {
	case c.creds.err != nil:
		return unknown(ErrDenied, "mend Docker's config.json", "%s denies access, and the credentials cannot be read: %v", h.name, c.creds.err)
	case !cred.none():
		return unknown(ErrDenied, login, "%s did not accept the credentials, or they may not read the image", h.name)
	}
	return unknown(ErrDenied, login, "%s denies access: the image is private, or gone", h.name)
}

// unreachable tells why there was no answer.
func (c *Client) unreachable(h *host, err error) error {
	reason, remedy := reasonOf(err)
	var long errTooLong
	if errors.As(err, &long) || strings.Contains(reason, "redirect") || strings.Contains(reason, "headers exceeded") {
		return badAnswer(h.name, "%s", reason)
	}
	if remedy == "" {
		remedy = "check the network and the registry; ask again later"
	}
	return unknown(ErrUnreachable, remedy, "%s cannot be reached: %s", h.name, reason)
}

// reasonOf says in words what a network error is, without the URL around it, which may hold a query.
func reasonOf(err error) (reason, remedy string) {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var dns *net.DNSError
	var unknownCA x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch {
	case errors.As(err, &dns):
		return "the name " + dns.Name + " is not known to the DNS", "check the registry's name, the network and the resolver"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refuses the connection", "is the registry running, and is the port right?"
	case errors.As(err, &unknownCA):
		return "its certificate is from an authority that is not trusted", "name the authority's PEM file as ca for this registry in the configuration"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired, or this machine's clock is wrong", "renew the certificate, or set the clock"
	case errors.As(err, &name):
		return "its certificate is for another name", "check the registry's name"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "it speaks plain HTTP", "allow it: plain_http = true for this registry in the configuration"
	case isTimeout(err):
		return "no answer in time", ""
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET):
		return "the connection was cut", ""
	}
	return err.Error(), ""
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// isConnecting tells that there was not even a connection: no name, no port, no trust.
func isConnecting(err error) bool {
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &cert)
}

// speaksNoTLS says whether an error is what comes of speaking TLS to a plain HTTP server. A certificate that does not hold is
// TLS spoken. A refused connection is a sign only where the address names no port: plain HTTP has another.
func speaksNoTLS(err error, address string) bool {
	var record tls.RecordHeaderError
	_, _, noPort := net.SplitHostPort(address)
	switch {
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return true
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return true
	case errors.Is(err, syscall.ECONNREFUSED):
		return noPort != nil
	}
	return false
}

// worthRepeating tells a broken connection, which may be whole the next time, from what will be the same again.
func worthRepeating(err error) bool {
	var known *fleet.Unknown
	var long errLongWait
	var tooLong errTooLong
	if errors.As(err, &known) || errors.As(err, &long) || errors.As(err, &tooLong) || isConnecting(err) || isTimeout(err) {
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
