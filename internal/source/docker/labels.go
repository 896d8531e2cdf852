package docker

import (
	"net/url"
	"path"
	"strings"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
)

// Labels of the OCI image-spec (annotations.md), and of label-schema.org before it.
const (
	labelVersion    = "org.opencontainers.image.version"
	labelOldVersion = "org.label-schema.version"
	labelRefName    = "org.opencontainers.image.ref.name"
	labelSource     = "org.opencontainers.image.source"
	labelOldSource  = "org.label-schema.vcs-url"
	labelURL        = "org.opencontainers.image.url"
)

// maxVersion bounds a version: the longest real ones are a tag and a commit's hash.
const maxVersion = 128

// versionOf gives the version of the program in an image: from its labels, else from the variable that official images set
// (NGINX_VERSION in nginx). Empty where neither says, or says what cannot be shown.
func versionOf(ref reference.Named, labels map[string]string, env []string) string {
	name := path.Base(reference.Path(ref))
	candidates := []string{labels[labelVersion], labels[labelOldVersion], variable(env, name), shortVariable(env, name)}
	if isBases(labels, name) {
		candidates = candidates[2:]
	}
	for _, v := range candidates {
		if v != "" && len(v) <= maxVersion && fleet.Plain(v) == v {
			return v
		}
	}
	return ""
}

// isBases says whether the version in the labels is the base image's: Ubuntu labels its own, and what is built on it inherits that.
func isBases(labels map[string]string, name string) bool {
	return labels[labelRefName] == "ubuntu" && name != "ubuntu"
}

// variable gives the value of NAME_VERSION.
func variable(env []string, name string) string {
	key := strings.Map(func(r rune) rune {
		if r == '-' || r == '.' {
			return '_'
		}
		return r
	}, strings.ToUpper(name)) + "_VERSION="
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, key); ok {
			return v
		}
	}
	return ""
}

// shortVariable gives the value of PG_VERSION: the image of PostgreSQL alone has a variable that does not have its name.
func shortVariable(env []string, name string) string {
	if name != "postgres" {
		return ""
	}
	return variable(env, "pg")
}

// links gives where an image's source is, and where what is new in a version is told.
func links(labels map[string]string, version string) (source, notes string) {
	for _, label := range []string{labelSource, labelOldSource, labelURL} {
		if source = link(labels[label]); source != "" {
			break
		}
	}
	return source, releases(source, version)
}

// maxLink is longer than any link that a person would follow.
const maxLink = 500

// link gives an address that is safe to show and to follow: http or https, a host, no credentials, nothing but plain characters.
// Otherwise it is empty.
func link(s string) string {
	if len(s) > maxLink || fleet.Plain(s) != s {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}

// releases gives the page of a GitHub repository's releases. Its search finds a version however its tag is spelt.
func releases(source, version string) string {
	u, err := url.Parse(source)
	if err != nil || u.Host != "github.com" {
		return ""
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return ""
	}
	page := url.URL{Scheme: "https", Host: u.Host, Path: "/" + parts[0] + "/" + strings.TrimSuffix(parts[1], ".git") + "/releases"}
	if version != "" {
		page.RawQuery = url.Values{"q": {version}}.Encode()
	}
	return page.String()
}
