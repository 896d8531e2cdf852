package apt

import (
	"fmt"
	"strings"
)

// uri is the address of an archive in the parts that apt tells apart. It is not net/url's: apt takes cdrom:[name]/, file:/path and
// tor+mirror+https://… alike.
type uri struct {
	access, host, path string
}

// parseURI takes an address apart and drops the user's name and password.
func parseURI(s string) (uri, bool) {
	access, rest, found := strings.Cut(s, ":")
	if !found {
		return uri{}, false
	}
	rest = strings.TrimPrefix(rest, "//")
	slash := pathStart(rest)
	host, path := rest[:slash], rest[slash:]
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	host = strings.NewReplacer("[", "", "]", "").Replace(host)
	if !strings.HasSuffix(path, "/") {
		path += "/"
	}
	return uri{access: access, host: host, path: path}, true
}

// pathStart finds the slash that ends the host; those in square brackets do not.
func pathStart(s string) int {
	bracket := false
	for i := range len(s) {
		switch s[i] {
		case '[':
			bracket = true
		case ']':
			bracket = false
		case '/':
			if !bracket {
				return i
			}
		}
	}
	return len(s)
}

// String shows the address to people: it has no password in it.
func (u uri) String() string {
	if u.host == "" {
		return u.access + ":" + u.path
	}
	return u.access + "://" + u.host + u.path
}

// site is the host without a port: what a pin of the kind origin compares.
func (u uri) site() string {
	if strings.Count(u.host, ":") > 1 {
		return u.host // an IPv6 address
	}
	site, _, _ := strings.Cut(u.host, ":")
	return site
}

// local says that the archive is on this machine, so that nothing is ever fetched.
func (u uri) local() bool {
	switch u.access[strings.LastIndexByte(u.access, '+')+1:] {
	case "file", "copy", "cdrom":
		return true
	}
	return false
}

// listName gives the name that apt gives a file of the archive in its folder of lists: what is unsafe is escaped, and slashes become
// underscores (apt-pkg/contrib/strutl.cc, URItoFileName).
func (u uri) listName(file string) string {
	const unsafe = "\\|{}[]<>\"^~_=!@#$%^&*"
	var name strings.Builder
	for _, c := range []byte(u.host + u.path + file) {
		switch {
		case c == '/':
			name.WriteByte('_')
		case c <= ' ' || c >= 0x7f || strings.IndexByte(unsafe, c) >= 0:
			fmt.Fprintf(&name, "%%%02x", c)
		default:
			name.WriteByte(c)
		}
	}
	return name.String()
}

// suitePath gives where below its address an archive keeps a suite's Release file, with the escapes that apt puts into requests. A suite
// that ends in a slash is a path itself.
func suitePath(suite string) string {
	escaped := strings.NewReplacer("+", "%2b", "~", "%7e", " ", "%20", "%", "%25").Replace(suite)
	switch {
	case suite == "/":
		return ""
	case strings.HasSuffix(suite, "/"):
		return escaped
	default:
		return "dists/" + escaped + "/"
	}
}
