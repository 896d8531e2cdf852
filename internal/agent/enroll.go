package agent

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// Enrolment is what a host needs to join a fleet.
type Enrolment struct {
	// Server is the base URL, and Token what the server gave for this host.
	Server, Token string
	// PlainHTTP allows a server on another machine without TLS.
	PlainHTTP bool
	// Machine is a hash of the machine's own ID, by which the same host enrolled again is the same host.
	Machine string
	// Version is the program's.
	Version string
	Host    fleet.Host
	// Dir is the agent's folder.
	Dir string
}

// enrolPatience bounds the whole of it.
const enrolPatience = time.Minute

// Enroll joins a fleet: it makes a key, shows the public half to the server with the token, and keeps who this host is now. The same
// machine enrolled again is the same host, with a new key. Nothing on disk changes unless it succeeds.
func Enroll(ctx context.Context, e Enrolment) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, enrolPatience)
	defer cancel()
	if err := checkServer(e.Server, e.PlainHTTP); err != nil {
		return Identity{}, err
	}
	secret, fingerprint, err := wire.SplitToken(e.Token)
	if err != nil {
		return Identity{}, err
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return Identity{}, fmt.Errorf("make a key: %w", err)
	}
	id := Identity{Server: strings.TrimSuffix(e.Server, "/"), Key: private.Seed(), Machine: e.Machine, EnrolledAt: time.Now().UTC().Truncate(time.Second)}
	client := &wire.Client{Server: id.Server, Signer: wire.Signer{KeyID: wire.NewKeyID, Key: private}, HTTP: id.firstContact(fingerprint)}
	got, err := client.Enroll(ctx, wire.Enroll{Level: wire.Level, Token: secret, Key: public, Machine: e.Machine, Agent: e.Version, Host: e.Host})
	if err != nil {
		return Identity{}, fmt.Errorf("enrol at %s: %w", id.Server, advise(err))
	}
	if len(got.Server) != ed25519.PublicKeySize || got.Host == 0 {
		return Identity{}, errors.New("the server's answer lacks its key: is it a server of this version?")
	}
	id.Host, id.OrderKey, id.Interval = got.Host, got.Server, got.Interval
	if err := id.save(e.Dir); err != nil {
		return Identity{}, fmt.Errorf("keep the identity (the server knows this host now; enrol again when this is mended): %w", err)
	}
	return id, nil
}

// firstContact gives a client for a server that is not known yet, and takes over its authority.
func (id *Identity) firstContact(fingerprint string) *http.Client {
	if fingerprint == "" {
		return newHTTP(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	return newHTTP(wire.TrustFingerprint(fingerprint, func(ca *x509.Certificate) { id.CA = toPEM(ca) }))
}

// Client speaks to the server as this host.
func (id Identity) Client() (*wire.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if id.CA != "" {
		var err error
		if config, err = wire.TrustCA(id.CA); err != nil {
			return nil, err
		}
	}
	return &wire.Client{
		Server: id.Server,
		Signer: wire.Signer{KeyID: id.Host.String(), Key: ed25519.NewKeyFromSeed(id.Key)},
		HTTP:   newHTTP(config),
	}, nil
}

// advise says what a person can do about a refusal.
func advise(err error) error {
	var r *wire.Refusal
	var unknown x509.UnknownAuthorityError
	var remedy string
	switch {
	case errors.As(err, &unknown):
		remedy = "this machine's roots do not vouch for the server: use a token that carries the fingerprint of the server's own authority (`redflag token create` makes it)"
	case !errors.As(err, &r):
		return err
	case r.Code == wire.CodeToken:
		remedy = "make a new token at the server: `redflag token create`"
	case r.Code == wire.CodeSeats:
		remedy = "make a token with more seats at the server: `redflag token create --seats N`"
	case r.Code == wire.CodeClock:
		remedy = "set this machine's clock, or the server's"
	case r.Code == wire.CodeForgotten:
		remedy = "this host was taken out of the fleet; enrol it again if it belongs there: `redflag agent enroll URL TOKEN`"
	case r.Code == wire.CodeSignature:
		remedy = "this machine was enrolled again since, perhaps as a copy: enrol this one, with a machine ID of its own"
	case r.Code == wire.CodeClone:
		remedy = "give the copy a machine ID of its own (remove /etc/machine-id, run systemd-machine-id-setup) and enrol it: `redflag agent enroll URL TOKEN`"
	default:
		return err
	}
	return &fleet.Unknown{Because: err.Error(), Remedy: remedy, Err: err}
}
