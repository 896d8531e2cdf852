package wire

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The headers of a signature (RFC 9421) and of a body's digest (RFC 9530).
const (
	headerInput     = "Signature-Input"
	headerSignature = "Signature"
	headerDigest    = "Content-Digest"
)

// label names the one signature of a request.
const label = "s"

// covered are the components that every signature is over, in this order: our profile of RFC 9421 has no choice, so there is
// nothing that a server could forget to require.
var covered = [...]string{"@method", "@path", "@query", "content-digest"}

// Signer signs requests with an agent's key.
type Signer struct {
	// KeyID says whose key it is: the host's ID at the server.
	KeyID string
	Key   ed25519.PrivateKey
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Sign adds a digest of the body and a signature over method, path, query and digest. The body is what the request will
// carry.
func (s Signer) Sign(r *http.Request, body []byte) {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	r.Header.Set(headerDigest, digestOf(body))
	params := fmt.Sprintf(`("%s");created=%d;nonce="%s";keyid="%s"`, strings.Join(covered[:], `" "`), now().Unix(), newNonce(), s.KeyID)
	base, err := signatureBase(r, covered[:], params)
	if err != nil {
		panic(err) // the components are our own
	}
	r.Header.Set(headerInput, label+"="+params)
	r.Header.Set(headerSignature, label+"=:"+base64.StdEncoding.EncodeToString(ed25519.Sign(s.Key, base))+":")
}

// signatureBase is what is signed (RFC 9421 §2.5): a line for each component, and the parameters as they are sent.
func signatureBase(r *http.Request, components []string, params string) ([]byte, error) {
	var b strings.Builder
	for _, c := range components {
		value, err := component(r, c)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "\"%s\": %s\n", c, value)
	}
	b.WriteString(`"@signature-params": ` + params)
	return []byte(b.String()), nil
}

// component gives one component of a request: a derived one (RFC 9421 §2.2) or a field (§2.1).
func component(r *http.Request, name string) (string, error) {
	switch name {
	case "@method":
		return r.Method, nil
	case "@path":
		return r.URL.EscapedPath(), nil
	case "@query":
		return "?" + r.URL.RawQuery, nil
	case "@authority":
		return strings.ToLower(r.Host), nil
	}
	values := r.Header.Values(name)
	if len(values) == 0 || strings.HasPrefix(name, "@") {
		return "", fmt.Errorf("the request has no %s", name)
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.TrimSpace(v)
	}
	return strings.Join(trimmed, ", "), nil
}

// digestOf gives a body's Content-Digest (RFC 9530).
func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// nonceBytes make a nonce of 16 characters.
const nonceBytes = 12

func newNonce() string {
	b := make([]byte, nonceBytes)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b)
}
