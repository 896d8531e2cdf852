package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// rfcKey is test-key-ed25519 of RFC 9421, appendix B.1.4.
const rfcKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
`

// rfcRequest is the request of RFC 9421, appendix B.2.
func rfcRequest(t *testing.T) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://example.com/foo?param=Value&Pet=dog", strings.NewReader(`{"hello": "world"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Date", "Tue, 20 Apr 2021 02:07:55 GMT")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Length", "18")
	return r
}

func TestASignatureIsThatOfTheStandardsExample(t *testing.T) {
	block, _ := pem.Decode([]byte(rfcKey))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	// RFC 9421, appendix B.2.6.
	const header = `sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`
	const want = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
	in, err := parseInput(header)
	if err != nil {
		t.Fatal(err)
	}
	base, err := signatureBase(rfcRequest(t), in.components, in.params)
	if err != nil {
		t.Fatal(err)
	}
	if got := base64.StdEncoding.EncodeToString(ed25519.Sign(key.(ed25519.PrivateKey), base)); got != want {
		t.Errorf("signed\n%s\nas %s, want %s", base, got, want)
	}
}

func TestADigestIsThatOfTheStandardsExample(t *testing.T) {
	// RFC 9530, appendix D, over the body with its line feed taken from RFC 9421's request.
	if got, want := digestOf([]byte(`{"hello": "world"}`)), "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// signed makes a request of a host, and the key that proves it.
func signed(t testing.TB, body []byte) (*http.Request, ed25519.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://fleet.example/agent/v1/report?x=1", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	Signer{KeyID: "web1", Key: private, Now: func() time.Time { return noon }}.Sign(r, body)
	return r, public
}

// check reads and verifies, as a server does.
func check(r *http.Request, body []byte, key ed25519.PublicKey, seen *Nonces, now time.Time) error {
	s, err := ReadSignature(r, body)
	if err != nil {
		return err
	}
	return s.Verify(key, seen, now)
}

func TestWhatIsSignedIsBelievedOnceAndAtItsTime(t *testing.T) {
	body := []byte(`{"level":1}`)
	for _, skew := range []time.Duration{0, MaxSkew, -MaxSkew} {
		r, key := signed(t, body)
		var seen Nonces
		if err := check(r, body, key, &seen, noon.Add(skew)); err != nil {
			t.Errorf("skew %v: %v", skew, err)
		}
		if err := check(r, body, key, &seen, noon.Add(skew)); !errors.Is(err, ErrReplay) {
			t.Errorf("again: %v", err)
		}
	}
	for _, skew := range []time.Duration{MaxSkew + time.Second, -MaxSkew - time.Second, 365 * 24 * time.Hour} {
		r, key := signed(t, body)
		if err := check(r, body, key, &Nonces{}, noon.Add(skew)); !errors.Is(err, ErrClock) {
			t.Errorf("skew %v: %v", skew, err)
		}
	}
}

func TestNothingThatIsSignedCanBeChanged(t *testing.T) {
	body := []byte(`{"level":1}`)
	other := []byte(`{"level":2}`)
	for name, c := range map[string]struct {
		change func(r *http.Request)
		body   []byte
		want   error
	}{
		"method":       {func(r *http.Request) { r.Method = http.MethodPut }, body, ErrSignature},
		"path":         {func(r *http.Request) { r.URL.Path = "/agent/v1/enroll" }, body, ErrSignature},
		"query":        {func(r *http.Request) { r.URL.RawQuery = "x=2" }, body, ErrSignature},
		"no query":     {func(r *http.Request) { r.URL.RawQuery = "" }, body, ErrSignature},
		"body":         {func(*http.Request) {}, other, ErrDigest},
		"digest":       {func(r *http.Request) { r.Header.Set(headerDigest, digestOf(other)) }, other, ErrSignature},
		"two digests":  {func(r *http.Request) { r.Header.Add(headerDigest, digestOf(other)) }, body, ErrUnsigned},
		"key id":       {replace(headerInput, "web1", "web2"), body, ErrSignature},
		"created":      {replace(headerInput, "created=1", "created=2"), body, ErrSignature},
		"less covered": {replace(headerInput, ` "content-digest"`, ""), body, ErrUnsigned},
		"no nonce":     {replace(headerInput, ";nonce", ";nonsense"), body, ErrUnsigned},
		"no signature": {func(r *http.Request) { r.Header.Del(headerSignature) }, body, ErrUnsigned},
		"no base64":    {func(r *http.Request) { r.Header.Set(headerSignature, "s=:?:") }, body, ErrUnsigned},
		"another's": {func(r *http.Request) {
			r.Header.Set(headerSignature, "s=:"+base64.StdEncoding.EncodeToString(make([]byte, 64))+":")
		}, body, ErrSignature},
		"short": {func(r *http.Request) { r.Header.Set(headerSignature, "s=::") }, body, ErrSignature},
		"huge":  {func(r *http.Request) { r.Header.Set(headerInput, strings.Repeat("x", 1<<20)) }, body, ErrUnsigned},
	} {
		t.Run(name, func(t *testing.T) {
			r, key := signed(t, body)
			c.change(r)
			if err := check(r, c.body, key, &Nonces{}, noon); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func replace(header, from, to string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(header, strings.Replace(r.Header.Get(header), from, to, 1)) }
}

func TestAKeyThatIsNoneIsRefused(t *testing.T) {
	r, _ := signed(t, nil)
	if err := check(r, nil, nil, &Nonces{}, noon); !errors.Is(err, ErrSignature) {
		t.Errorf("got %v", err)
	}
}

func TestOneOfManyReplaysAtOnceIsBelieved(t *testing.T) {
	r, key := signed(t, nil)
	var seen Nonces
	var mu sync.Mutex
	var wg sync.WaitGroup
	believed := 0
	for range 50 {
		wg.Go(func() {
			if check(r, nil, key, &seen, noon) == nil {
				mu.Lock()
				defer mu.Unlock()
				believed++
			}
		})
	}
	wg.Wait()
	if believed != 1 {
		t.Errorf("%d were believed", believed)
	}
}

func TestANonceIsRememberedAsLongAsItsRequestIsBelieved(t *testing.T) {
	var seen Nonces
	at := noon
	for i := range 100 { // whatever the generations do, the earliest use is 2×MaxSkew before the last
		if !seen.add(fmt.Sprintf("n%d", i), at) {
			t.Errorf("%d is new", i)
		}
		if back := i - int(generation/time.Minute); back >= 0 && seen.add(fmt.Sprintf("n%d", back), at) {
			t.Errorf("after %d minutes it is forgotten", i-back)
		}
		at = at.Add(time.Minute)
	}
	if n := len(seen.young) + len(seen.old); n > 3*int(generation/time.Minute) {
		t.Errorf("%d nonces are kept", n)
	}
}

func FuzzReadSignature(f *testing.F) {
	r, _ := signed(f, nil)
	f.Add(r.Header.Get(headerInput), r.Header.Get(headerSignature))
	f.Add(`sig-b26=("date" "@method");created=1618884473;keyid="test-key-ed25519"`, "sig-b26=:AAAA:")
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	key := private.Public().(ed25519.PublicKey)
	f.Fuzz(func(t *testing.T, in, sig string) {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://fleet.example/x", nil)
		r.Header.Set(headerDigest, digestOf(nil))
		r.Header.Set(headerInput, in)
		r.Header.Set(headerSignature, sig)
		if err := check(r, nil, key, &Nonces{}, noon); err == nil {
			t.Errorf("%q %q is believed", in, sig)
		}
	})
}
