package server

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestForwardedHeadersAreBelievedFromTrustedProxiesAlone(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"192.0.2.7:1234", nil, "192.0.2.7"},
		{"192.0.2.7:1234", []string{"198.51.100.1"}, "192.0.2.7"}, // a stranger's word
		{"10.0.0.1:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1234", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"}, // what the client put in front
		{"10.0.0.1:1234", []string{"1.2.3.4", "198.51.100.1, 10.9.9.9"}, "198.51.100.1"},
		{"10.0.0.1:1234", []string{"nonsense"}, "10.0.0.1"},
		{"10.0.0.1:1234", []string{"198.51.100.1, nonsense"}, "10.0.0.1"},
		{"10.0.0.1:1234", nil, "10.0.0.1"},
		{"[::1]:1234", []string{"2001:db8::1"}, "2001:db8::1"},
		{"[::ffff:10.0.0.1]:1234", []string{"198.51.100.1"}, "198.51.100.1"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{}}
		for _, f := range c.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		if got := Address(r, trusted); got != c.want {
			t.Errorf("%s with %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

func TestASenderIsCountedByTheNetworkThatItHas(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "2001:db8::1": "2001:db8::/64", "2001:db8:0:0:ffff::2": "2001:db8::/64", "2001:db8:0:1::1": "2001:db8:0:1::/64",
		"::ffff:192.0.2.7": "::ffff:192.0.2.7", "fe80::1%eth0": "fe80::/64", "nonsense": "nonsense",
	} {
		if got := network(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
