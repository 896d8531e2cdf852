// Package serve is a fleet's server as a process: the database, the listener with its certificate, both doors, what is served beside
// them (the line that adds a host, health, metrics), and an end that loses nothing.
package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// TLS says where the server's certificate comes from.
type TLS string

// Ways to a certificate.
const (
	// TLSAuto: the server makes its own authority, which enrolment tokens vouch for.
	TLSAuto TLS = "auto"
	// TLSOff: plain HTTP, on loopback or behind a proxy that has a certificate.
	TLSOff TLS = "off"
	// TLSFiles: a certificate and a key in PEM files. They are read again when they change.
	TLSFiles TLS = "files"
	// TLSACME: from an ACME authority such as Let's Encrypt, for the host of the public URL. The listener must be reachable at its
	// port 443.
	TLSACME TLS = "acme"
)

// Options are what a server is started with.
type Options struct {
	// Listen is host:port.
	Listen string
	// DataDir is where the server keeps its files, and the database if Database is empty.
	DataDir string
	// Database is a file, or postgres://… .
	Database string
	TLS      TLS
	// Cert and Key are for TLSFiles.
	Cert, Key string
	// ACMEDirectory and ACMEEmail are for TLSACME; the directory is Let's Encrypt's when it is empty.
	ACMEDirectory, ACMEEmail string
	// PublicURL is how agents and people reach the server; empty derives it from the listener.
	PublicURL string
	// TrustedProxies are whom X-Forwarded-For is believed from.
	TrustedProxies []netip.Prefix
	// Interval is how long agents wait between check-ins, and Keep how long history is kept; 0 means the defaults.
	Interval, Keep time.Duration
	// SharedRegistries are asked by the server for all hosts; nil means the well-known public ones.
	SharedRegistries []string
	// Feeds are the addresses that are asked for feeds of advisories; without any nobody is asked.
	Feeds   []string
	Version string
	Log     *slog.Logger
}

// databaseFile is the embedded database in the data folder.
const databaseFile = "fleet.db"

// DSN gives the database that the options mean.
func (o Options) DSN() string {
	if o.Database != "" {
		return o.Database
	}
	return filepath.Join(o.DataDir, databaseFile)
}

// Check refuses options that do not go together, before anything is opened.
func (o Options) Check() error {
	if _, _, err := net.SplitHostPort(o.Listen); err != nil {
		return fmt.Errorf("listen %q: it looks like 0.0.0.0:7443 or :7443", o.Listen)
	}
	if !slices.Contains([]TLS{TLSAuto, TLSOff, TLSFiles, TLSACME}, o.TLS) {
		return fmt.Errorf("tls %q: choose one of auto, off, files, acme", o.TLS)
	}
	if strings.Contains(o.Database, "://") && !o.postgres() {
		return fmt.Errorf("database %q: it is a file, or postgres://user@host/database", o.Database)
	}
	if (o.TLS == TLSFiles) != (o.Cert != "" && o.Key != "") {
		return errors.New("a certificate and its key go with tls files, and tls files with them")
	}
	for _, a := range o.Feeds {
		if u, err := url.Parse(a); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return fmt.Errorf("feeds: %q is no address such as https://security-tracker.debian.org/tracker/data/json", a)
		}
	}
	if o.TLS == TLSACME && o.PublicURL == "" {
		return errors.New("tls acme needs the public URL: the certificate is for its host")
	}
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return fmt.Errorf("public URL %q: it looks like https://fleet.example.com", o.PublicURL)
		}
	}
	return nil
}

// url gives the address that agents and people use, once it is known what is listened on.
func (o Options) url(addr net.Addr) string {
	if o.PublicURL != "" {
		return strings.TrimSuffix(o.PublicURL, "/")
	}
	scheme := "https"
	if o.TLS == TLSOff {
		scheme = "http"
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return scheme + "://" + addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ownName()
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// LocalURL is how this machine itself reaches the server.
func (f *Fleet) LocalURL() string {
	scheme := "https"
	if f.opt.TLS == TLSOff {
		scheme = "http"
	}
	addr := f.listener.Addr().String()
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return scheme + "://" + addr
}

// ownName is what others in the network are likely to reach this machine by: its address, since not every network has names.
func ownName() string {
	for _, a := range ownAddresses() {
		if ip := net.ParseIP(a); ip.To4() != nil && !ip.IsLoopback() {
			return a
		}
	}
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// names are those that the server's own certificate is for.
func (o Options) names() []string {
	var names []string
	if u, err := url.Parse(o.PublicURL); err == nil && u.Hostname() != "" {
		names = append(names, u.Hostname())
	}
	if host, _, err := net.SplitHostPort(o.Listen); err == nil && host != "" {
		if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
			names = append(names, host)
		}
	}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	names = append(names, "localhost", "127.0.0.1", "::1")
	names = append(names, ownAddresses()...)
	slices.Sort(names[1:])
	return slices.Compact(names)
}

// ownAddresses are this machine's, without those that are good on one link only.
func ownAddresses() []string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []string
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			list = append(list, n.IP.String())
		}
	}
	return list
}
