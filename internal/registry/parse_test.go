package registry

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestChallengesAreReadInEveryForm(t *testing.T) {
	for _, c := range []struct {
		headers []string
		want    challenge
		ok      bool
	}{
		{[]string{`Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull"`},
			challenge{scheme: "bearer", realm: "https://auth.docker.io/token", service: "registry.docker.io", scope: "repository:library/nginx:pull"}, true},
		{[]string{`bearer REALM=https://ghcr.io/token , Service = "GHCR"`}, challenge{scheme: "bearer", realm: "https://ghcr.io/token", service: "GHCR"}, true},
		{[]string{`Basic realm="Sonatype Nexus"`}, challenge{scheme: "basic", realm: "Sonatype Nexus"}, true},
		{[]string{`Basic realm="a", Bearer realm="https://b"`}, challenge{scheme: "bearer", realm: "https://b"}, true},
		{[]string{`Basic realm="a"`, `Bearer realm="https://b",error="insufficient_scope"`}, challenge{scheme: "bearer", realm: "https://b", failure: "insufficient_scope"}, true},
		{[]string{`Bearer realm="https://a/\"x\""`}, challenge{scheme: "bearer", realm: `https://a/"x"`}, true},
		{[]string{`Bearer realm="https://a,b",scope="repository:a:pull,push"`}, challenge{scheme: "bearer", realm: "https://a,b", scope: "repository:a:pull,push"}, true},
		{[]string{`Bearer`}, challenge{}, false},
		{[]string{`Negotiate`}, challenge{}, false},
		{[]string{``, `,,,`, `="`, `Bearer realm="`}, challenge{}, false},
		{nil, challenge{}, false},
	} {
		if got, ok := parseChallenge(c.headers); ok != c.ok || got != c.want {
			t.Errorf("%q: %+v, %v; want %+v", c.headers, got, ok, c.want)
		}
	}
}

func TestRetryAfterIsReadInEveryForm(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		header, body string
		want         time.Duration
	}{
		{"30", "", 30 * time.Second},
		{" 1.5 ", "", 1500 * time.Millisecond},
		{"Mon, 02 Mar 2026 08:01:00 GMT", "", time.Minute},
		{"Mon, 02 Mar 2026 07:00:00 GMT", "", 0},
		{"1m30s", "", 90 * time.Second},
		{"", `{"errors":[{"message":"retry-after: 791.153µs, allowed: 44000/minute"}]}`, 791153},
		{"", `Retry-After: 1.5s`, 1500 * time.Millisecond},
		{"", `{"retry_after":"12"}`, 12 * time.Second},
		{"99999999999999999999", "", maxLimited},
		{"1e300", "", maxLimited},
		{"NaN", "", 0},
		{"Inf", "", maxLimited},
		{"-5", "", 0},
		{"soon", "", 0},
		{"", "", 0},
	} {
		if got := retryAfter(c.header, []byte(c.body), now); got != c.want {
			t.Errorf("%q %q: %v, want %v", c.header, c.body, got, c.want)
		}
	}
}

func TestRateLimitHeadersAreReadInEveryForm(t *testing.T) {
	for _, c := range []struct {
		s         string
		n, window int
		ok        bool
	}{
		{"100;w=21600", 100, 21600, true},
		{" 76 ; w=21600", 76, 21600, true},
		{"100", 100, 0, true},
		{"100;w=x", 100, 0, true},
		{"100;q=1;w=60", 100, 60, true},
		{"-1;w=60", 0, 0, false},
		{"99999999999", 0, 0, false},
		{"", 0, 0, false},
	} {
		if n, window, ok := parseRate(c.s); n != c.n || window != c.window || ok != c.ok {
			t.Errorf("%q: %d, %d, %v", c.s, n, window, ok)
		}
	}
}

func TestTheNextPageIsFoundInALinkHeader(t *testing.T) {
	base, _ := url.Parse("https://r.example/v2/app/tags/list?n=1000")
	for link, want := range map[string]string{
		`</v2/app/tags/list?last=b&n=2>; rel="next"`:                     "https://r.example/v2/app/tags/list?last=b&n=2",
		`<https://r.example/v2/app/tags/list?last=b>; title=x; rel=next`: "https://r.example/v2/app/tags/list?last=b",
		`</a>; rel="prev", </v2/app/tags/list?last=c>; rel="next"`:       "https://r.example/v2/app/tags/list?last=c",
		`?last=d; rel="next"`: "",
		`<>; rel="nextish"`:   "",
		`<%zz>; rel="next"`:   "",
		``:                    "",
	} {
		got := ""
		if u, ok := nextPage([]string{link}, base); ok {
			got = u.String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}

func TestAChildIsChosenAsTheEngineChoosesIt(t *testing.T) {
	children := func(names ...string) Content {
		var c Content
		for _, n := range names {
			c.Children = append(c.Children, Child{Digest: digestOf([]byte(n)), Platform: platform(n)})
		}
		return c
	}
	for _, c := range []struct {
		have       []string
		want, pick string
	}{
		{[]string{"linux/amd64", "linux/arm64"}, "linux/arm64", "linux/arm64"},
		{[]string{"linux/amd64", "linux/arm64/v8"}, "linux/arm64", "linux/arm64/v8"},
		{[]string{"linux/arm/v5", "linux/arm/v7", "linux/arm/v6"}, "linux/arm", "linux/arm/v7"},
		{[]string{"linux/arm/v5", "linux/arm/v7"}, "linux/arm/v6", "linux/arm/v5"},
		{[]string{"linux/arm/v7"}, "linux/arm/v6", ""},
		{[]string{"linux/amd64", "linux/amd64/v3"}, "linux/amd64", "linux/amd64"},
		{[]string{"linux/amd64", "linux/amd64/v3"}, "linux/amd64/v3", "linux/amd64/v3"},
		{[]string{"windows/amd64"}, "linux/amd64", ""},
		{[]string{"linux/386"}, "linux/amd64", ""},
		{[]string{"linux/s390x"}, "linux/s390x", "linux/s390x"},
		{[]string{""}, "linux/amd64", ""},
		{nil, "linux/amd64", ""},
	} {
		got, err := children(c.have...).Select(platform(c.want))
		if c.have != nil && c.have[0] == "" {
			if err != nil {
				t.Errorf("the one child without a platform is not chosen: %v", err)
			}
			continue
		}
		if (err == nil) != (c.pick != "") || err == nil && got.Platform != platform(c.pick) {
			t.Errorf("%s of %q: %s, %v; want %q", c.want, c.have, got.Platform, err, c.pick)
		}
	}
}

// platform reads os/architecture[/variant].
func platform(s string) Platform {
	os, rest, _ := strings.Cut(s, "/")
	architecture, variant, _ := strings.Cut(rest, "/")
	return Platform{OS: os, Architecture: architecture, Variant: variant}
}
