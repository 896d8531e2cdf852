package registry

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"redflag/internal/fleet"
)

func FuzzParseChallenge(f *testing.F) {
	f.Add(`Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull"`)
	f.Add(`Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:user/image:pull"`)
	f.Add(`Basic realm="Sonatype Nexus Repository Manager", Bearer realm="https://a/\"b\""`)
	f.Fuzz(func(t *testing.T, header string) {
		c, ok := parseChallenge([]string{header})
		if ok && c.scheme != "basic" && (c.scheme != "bearer" || c.realm == "") {
			t.Errorf("%q: %+v", header, c)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("30", "")
	f.Add("Mon, 02 Mar 2026 08:01:00 GMT", "")
	f.Add("", `{"errors":[{"code":"TOOMANYREQUESTS","message":"retry-after: 791.153µs, allowed: 44000/minute"}]}`)
	f.Fuzz(func(t *testing.T, header, body string) {
		if d := retryAfter(header, []byte(body), monday); d < 0 || d > maxLimited {
			t.Errorf("%q %q: %v", header, body, d)
		}
	})
}

func FuzzParseContent(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"` + typeIndex + `","manifests":[{"digest":"` + someDigest + `","size":1,"platform":{"os":"linux","architecture":"arm","variant":"v7"}},{"digest":"` + someDigest + `","platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}}]}`))
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"` + someDigest + `"},"layers":[{"digest":"` + someDigest + `","size":28565893}]}`))
	f.Add([]byte(`{"schemaVersion":1,"name":"library/hello","fsLayers":[{"blobSum":"` + someDigest + `"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseContent(digestOf(data), data)
		if err == nil && (c.Children == nil) == (c.Config == "") {
			t.Errorf("%q is an index and an image, or neither: %+v", data, c)
		}
		for _, child := range c.Children {
			if _, ok := validDigest(string(child.Digest)); !ok || child.Platform.OS != fleet.Plain(child.Platform.OS) {
				t.Errorf("%q: %+v", data, child)
			}
		}
		_, _ = c.Select(amd64)
	})
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"architecture":"arm64","variant":"v8","os":"linux","created":"2026-02-24T19:13:42.128Z","config":{"Labels":{"org.opencontainers.image.version":"1.27"},"Env":["A=b"],"ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := parseConfig(data); err == nil && !c.Created.IsZero() && c.Created.Unix() <= 0 {
			t.Errorf("%q: made at %v", data, c.Created)
		}
	})
}

func FuzzParseTags(f *testing.F) {
	f.Add([]byte(`{"name":"library/nginx","tags":["1.27.4","1.27-alpine","latest"]}`))
	f.Add([]byte(`{"name":"a","tags":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tags, err := parseTags(data)
		for _, tag := range tags {
			if err != nil || tag == "" || len(tag) > 128 || strings.ContainsFunc(tag, unicode.IsSpace) {
				t.Errorf("%q: %q, %v", data, tag, err)
			}
		}
	})
}

func FuzzNextPage(f *testing.F) {
	f.Add(`</v2/library/nginx/tags/list?last=1.9&n=1000>; rel="next"`)
	f.Add(`<https://r.example/v2/app/tags/list?last=b>; title=x; rel=next`)
	f.Add(`</v2/tags/list#>rel=neXt`)
	base := &url.URL{Scheme: "https", Host: "r.example", Path: "/v2/app/tags/list"}
	f.Fuzz(func(t *testing.T, link string) {
		u, ok := nextPage([]string{link}, base)
		if !ok {
			return
		}
		if path, err := belowV2(u, base); err == nil && !strings.Contains(path, "/tags/list") {
			t.Errorf("%q leads to %q", link, path)
		}
	})
}

func FuzzParseRate(f *testing.F) {
	f.Add("100;w=21600")
	f.Fuzz(func(t *testing.T, s string) {
		if n, window, _ := parseRate(s); n < 0 || n > maxRate || window < 0 || window > maxRate {
			t.Errorf("%q: %d, %d", s, n, window)
		}
	})
}

func FuzzParseDockerConfig(f *testing.F) {
	f.Add([]byte(`{"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"},"ghcr.io":{"identitytoken":"x"}},"credHelpers":{"gcr.io":"gcloud"},"credsStore":"pass"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseDockerConfig(data)
		if err != nil {
			return
		}
		for host, cred := range c.auths {
			if cred.none() || strings.Contains(host, "/") {
				t.Errorf("%q: %q has %+v", data, host, cred)
			}
		}
	})
}

func FuzzParseToken(f *testing.F) {
	f.Add([]byte(`{"token":"eyJhbGciOi.J9","access_token":"eyJhbGciOi.J9","expires_in":300,"issued_at":"2026-03-02T08:00:00Z"}`))
	f.Add([]byte(`{"access_token":"abc","expires_in":"3600"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		value, life, err := parseToken(data)
		if err == nil && (value == "" || life <= 0 || life > 24*time.Hour || strings.ContainsAny(value, "\r\n")) {
			t.Errorf("%q: %q, %v", data, value, life)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add([]byte(`{"kind":"tag","key":"a:1","data":{"digest":"` + someDigest + `"},"sum":"00"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, ok := decodeEntry(data); ok && e.Sum != e.sum() {
			t.Errorf("%q is taken for whole", data)
		}
	})
}
