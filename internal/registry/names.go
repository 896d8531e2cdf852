package registry

import (
	"fmt"
	"net"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"redflag/internal/fleet"
)

const (
	// hub is Docker Hub's name in references; its API answers under another (docs.docker.com, registry API).
	hub    = "docker.io"
	hubAPI = "registry-1.docker.io"
	// hubKey is Docker Hub's key in Docker's config.json, for historical reasons a URL of the first API.
	hubKey = "https://index.docker.io/v1/"
)

// registryOf gives the registry's name of a reference, with Docker Hub's by-names folded into one.
func registryOf(name reference.Named) string {
	return foldHub(reference.Domain(name))
}

func foldHub(domain string) string {
	switch domain {
	case "index.docker.io", hubAPI, "www.docker.com":
		return hub
	}
	return domain
}

// addressOf gives the address at which a registry answers.
func addressOf(registry string) string {
	if registry == hub {
		return hubAPI
	}
	return registry
}

// isLoopback says whether a host or host:port is this machine itself, where the engine too allows plain HTTP.
func isLoopback(address string) bool {
	host := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Canonical names what a digest stands for in the repository of name.
func Canonical(name reference.Named, d fleet.Digest) (reference.Canonical, error) {
	if _, ok := validDigest(string(d)); !ok {
		return nil, fmt.Errorf("%q is no digest", fleet.Plain(string(d)))
	}
	return reference.WithDigest(reference.TrimNamed(name), digest.Digest(d))
}

// validDigest takes a digest as a registry wrote it, when it is one that we can compare and verify.
func validDigest(s string) (fleet.Digest, bool) {
	d, err := digest.Parse(s)
	if err != nil {
		return "", false
	}
	return fleet.Digest(d), true
}

func digestOf(data []byte) fleet.Digest { return fleet.Digest(digest.FromBytes(data)) }

// matches says whether data is what a digest names.
func matches(d fleet.Digest, data []byte) bool {
	parsed, err := digest.Parse(string(d))
	return err == nil && parsed.Algorithm().FromBytes(data) == parsed
}
