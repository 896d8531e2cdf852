package server

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Address says who is at the other end of a request, without a port: of the connection, or, where that is a proxy that is trusted, of
// whom it names. X-Forwarded-For is read from its end, and only as far as trusted proxies wrote it: what a stranger puts
// in front is not looked at.
func Address(r *http.Request, trusted []netip.Prefix) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if !isTrusted(host, trusted) {
		return host
	}
	named := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(named) - 1; i >= 0; i-- {
		ip, err := netip.ParseAddr(strings.TrimSpace(named[i]))
		if err != nil {
			break
		}
		host = ip.Unmap().String()
		if !isTrusted(host, trusted) {
			break
		}
	}
	return host
}

func (s *Server) address(r *http.Request) string { return Address(r, s.cfg.TrustedProxies) }

// Admit says how long an address that nobody vouches for has to wait for its turn: 0 is now.
func (s *Server) Admit(address string) time.Duration {
	return s.guests.take(network(address), s.cfg.Now())
}

// site is by what a request is counted whose sender nobody vouches for.
func (s *Server) site(r *http.Request) string { return network(s.address(r)) }

// onePlace is how much of an IPv6 address one customer has: who counts single addresses counts nothing (RFC 6177).
const onePlace = 64

// network gives what one sender has of addresses.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().Is4() {
		return address
	}
	p, err := ip.WithZone("").Prefix(onePlace)
	if err != nil {
		return address
	}
	return p.String()
}

// Unlimited takes the limits off who nobody vouches for. It is for tests that ask from one address what a whole fleet does.
func (s *Server) Unlimited() {
	s.guests, s.newcomer = newLimiter(1e9, 1e9), newLimiter(1e9, 1e9)
}

func isTrusted(host string, trusted []netip.Prefix) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, p := range trusted {
		if p.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}
