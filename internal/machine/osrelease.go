package machine

import (
	"strings"

	"redflag/internal/fleet"
)

// OSRelease gives the assignments of the machine's os-release file (os-release(5)), unquoted: of the first that exists. It is empty where there is none. The
// values are what the file says, and not fit to be shown.
func (m *Machine) OSRelease() map[string]string {
	for _, file := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		if data, err := m.ReadFile(file, maxFact); err == nil {
			return parseOSRelease(data)
		}
	}
	return nil
}

// osRelease holds the assignments of an os-release file (os-release(5)), unquoted.
type osRelease map[string]string

// parseOSRelease reads the shell's assignments, one a line: bare, in double quotes with backslashes before " $ \ `, or
// in single quotes. Lines that are none are skipped, and of two for one name the last holds, as in a shell.
func parseOSRelease(data []byte) osRelease {
	r := osRelease{}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && isShellName(name) {
			r[name] = unquote(value)
		}
	}
	return r
}

func isShellName(s string) bool {
	for i, c := range s {
		letter := c == '_' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// unquote takes the shell's quotes off a value.
func unquote(s string) string {
	var b strings.Builder
	var quote rune
	escaped := false
	for _, c := range s {
		switch {
		case escaped:
			if quote == '"' && !strings.ContainsRune("\"$\\`", c) {
				b.WriteByte('\\')
			}
			b.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped = true
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == ' ' || c == '\t'):
			return b.String() // what follows is another word, or a comment
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// title is the system's name for people.
func (r osRelease) title(otherwise string) string {
	for _, name := range []string{r["PRETTY_NAME"], r["NAME"] + " " + r["VERSION"]} {
		if name = fleet.Plain(name); name != "" {
			return name
		}
	}
	return otherwise
}

func (r osRelease) id(otherwise string) string {
	if id := fleet.Plain(r["ID"]); id != "" {
		return id
	}
	return otherwise
}
