package fleet

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// PlainLimit bounds what [Plain] gives, in characters: more than any name or reason, less than what drowns a table or a log.
const PlainLimit = 1000

// Plain makes a foreign text (a process's name, a label, a line of a tool's output) safe to show: it gives one line of valid
// UTF-8, at most [PlainLimit] characters, that neither moves a terminal's cursor nor reverses what is read. White space of
// any kind becomes a space, and none is left at the ends; every other character that is not graphic in the sense of
// [unicode.IsGraphic] (controls, escape, bidirectional overrides, zero-width and private ones) becomes U+FFFD. What is
// plain already is given back as it is.
func Plain(s string) string {
	s = strings.TrimSpace(s)
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	kept := 0
	for _, r := range s {
		if kept == PlainLimit-1 {
			return strings.TrimSpace(b.String()) + "…"
		}
		b.WriteRune(plainRune(r))
		kept++
	}
	return b.String()
}

// Defuse keeps a spreadsheet from taking a foreign text in a cell for a formula (OWASP, CSV Injection).
func Defuse(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func isPlain(s string) bool {
	if len(s) > PlainLimit || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if plainRune(r) != r {
			return false
		}
	}
	return true
}

func plainRune(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case unicode.IsGraphic(r):
		return r
	default:
		return unicode.ReplacementChar
	}
}
