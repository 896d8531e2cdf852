package wire

import (
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kinds of refusal of a signed request. The agent acts on them, so they have names on the wire: see [Refusal].
var (
	// ErrUnsigned: no signature of our profile.
	ErrUnsigned = errors.New("the request is not signed as it must be")
	// ErrSignature: the signature is not that of the key.
	ErrSignature = errors.New("the signature does not match")
	// ErrDigest: the body is not the one that was signed.
	ErrDigest = errors.New("the body is not the one that was signed")
	// ErrClock: created is too far from the server's time.
	ErrClock = errors.New("the clocks differ too much")
	// ErrReplay: the nonce was seen before.
	ErrReplay = errors.New("the request was sent before")
)

const (
	// MaxSkew is how far an agent's clock may be from the server's.
	MaxSkew = 5 * time.Minute
	// maxInput bounds the Signature-Input header: ours have 150 bytes.
	maxInput = 1 << 10
	// maxKeyID bounds a key's name: a host's ID has 22 characters.
	maxKeyID = 64
	maxNonce = 64
	// keySize is an Ed25519 public key's.
	keySize = ed25519.PublicKeySize
)

// Signed is a request that claims to be somebody's: nothing of it is proven before [Signed.Verify].
type Signed struct {
	KeyID   string
	Created time.Time
	nonce   string
	base    []byte
	sig     []byte
}

// ReadSignature reads the signature of a request whose body was read already.
func ReadSignature(r *http.Request, body []byte) (Signed, error) {
	if len(r.Header.Values(headerInput)) != 1 || len(r.Header.Values(headerSignature)) != 1 || len(r.Header.Values(headerDigest)) != 1 {
		return Signed{}, ErrUnsigned
	}
	in, err := parseInput(r.Header.Get(headerInput))
	if err != nil {
		return Signed{}, fmt.Errorf("%w: %w", ErrUnsigned, err)
	}
	if !slices.Equal(in.components, covered[:]) || in.keyID == "" || in.nonce == "" || in.created == 0 {
		return Signed{}, ErrUnsigned
	}
	sig, err := parseBytes(r.Header.Get(headerSignature))
	if err != nil {
		return Signed{}, fmt.Errorf("%w: %w", ErrUnsigned, err)
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(headerDigest)), []byte(digestOf(body))) != 1 {
		return Signed{}, ErrDigest
	}
	base, err := signatureBase(r, in.components, in.params)
	if err != nil {
		return Signed{}, fmt.Errorf("%w: %w", ErrUnsigned, err)
	}
	return Signed{KeyID: in.keyID, Created: time.Unix(in.created, 0).UTC(), nonce: in.nonce, base: base, sig: sig}, nil
}

// Verify says whether the request is of the key's owner, of now, and new. The nonces remember it when it is.
func (s Signed) Verify(key ed25519.PublicKey, seen *Nonces, now time.Time) error {
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, s.base, s.sig) {
		return ErrSignature
	}
	if skew := now.Sub(s.Created); skew > MaxSkew || skew < -MaxSkew {
		return fmt.Errorf("%w: the request is of %s, here it is %s", ErrClock, s.Created.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if !seen.add(s.KeyID+" "+s.nonce, now) {
		return ErrReplay
	}
	return nil
}

// input is what a Signature-Input says (RFC 9421 §4.1).
type input struct {
	components   []string
	params       string // the inner list and its parameters, as they were sent
	created      int64
	nonce, keyID string
}

// parseInput reads the narrow form of Signature-Input that we write: one label, bare components, created, nonce and keyid.
func parseInput(header string) (input, error) {
	if len(header) > maxInput {
		return input{}, errors.New("the header is too long")
	}
	_, params, ok := strings.Cut(header, "=")
	list, rest, closed := strings.Cut(strings.TrimPrefix(params, "("), ")")
	if !ok || !closed || !strings.HasPrefix(params, "(") {
		return input{}, errors.New("no list of components")
	}
	in := input{params: params}
	for c := range strings.SplitSeq(list, " ") {
		name, ok := unquote(c)
		if !ok {
			return input{}, fmt.Errorf("%q is no component", c)
		}
		in.components = append(in.components, name)
	}
	for p := range strings.SplitSeq(strings.TrimPrefix(rest, ";"), ";") {
		if err := in.set(p); err != nil {
			return input{}, err
		}
	}
	return in, nil
}

func (in *input) set(param string) error {
	name, value, _ := strings.Cut(param, "=")
	var ok bool
	switch name {
	case "created":
		n, err := strconv.ParseInt(value, 10, 64)
		in.created, ok = n, err == nil && in.created == 0 && n > 0
	case "nonce":
		was := in.nonce
		in.nonce, ok = unquote(value)
		ok = ok && was == "" && len(in.nonce) <= maxNonce
	case "keyid":
		was := in.keyID
		in.keyID, ok = unquote(value)
		ok = ok && was == "" && len(in.keyID) <= maxKeyID
	}
	if !ok {
		return fmt.Errorf("%q is no parameter", param)
	}
	return nil
}

// unquote reads a string of RFC 8941 that needs no escapes.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	s = s[1 : len(s)-1]
	return s, !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' })
}

// parseBytes reads label=:base64: .
func parseBytes(header string) ([]byte, error) {
	_, value, ok := strings.Cut(header, "=:")
	if !ok || !strings.HasSuffix(value, ":") || len(value) > maxInput {
		return nil, errors.New("no signature")
	}
	return base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(value, ":"))
}

// Nonces remembers which requests were seen, for as long as their time is believed. It is safe for many goroutines.
type Nonces struct {
	mu sync.Mutex
	// young and old are two generations: one of them is always older than every request that is still believed.
	young, old map[string]struct{}
	turned     time.Time
}

// maxNonces bounds a generation: 10,000 hosts that ask once a second.
const maxNonces = 10_000 * int(generation/time.Second)

// generation is how long a nonce can be of use: from the earliest to the latest time at which its request is believed.
const generation = 2 * MaxSkew

// add says whether a nonce is new.
func (n *Nonces) add(nonce string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.young == nil || now.Sub(n.turned) > generation || now.Before(n.turned.Add(-generation)) || len(n.young) >= maxNonces {
		n.young, n.old, n.turned = map[string]struct{}{}, n.young, now
	}
	if _, seen := n.young[nonce]; seen {
		return false
	}
	if _, seen := n.old[nonce]; seen {
		return false
	}
	n.young[nonce] = struct{}{}
	return true
}
