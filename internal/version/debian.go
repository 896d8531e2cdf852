package version

import (
	"cmp"
	"strings"
)

// CompareDebian orders two versions as dpkg does (deb-version(7)): by epoch, by upstream version, by revision; a tilde comes before
// everything, even the end. It gives -1, 0 or 1, as cmp.Compare does; it takes any text and never fails.
func CompareDebian(a, b string) int {
	epochA, restA := cutEpoch(a)
	epochB, restB := cutEpoch(b)
	if c := compareDigits(epochA, epochB); c != 0 {
		return c
	}
	upstreamA, revisionA := cutRevision(restA)
	upstreamB, revisionB := cutRevision(restB)
	if c := comparePart(upstreamA, upstreamB); c != 0 {
		return c
	}
	return comparePart(revisionA, revisionB)
}

func cutEpoch(v string) (epoch, rest string) {
	if before, after, found := strings.Cut(v, ":"); found {
		return before, after
	}
	return "", v
}

func cutRevision(v string) (upstream, revision string) {
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return v[:i], v[i+1:]
	}
	return v, ""
}

// comparePart compares an upstream version or a revision: stretches without digits by character, stretches of digits by number, in turn.
func comparePart(a, b string) int {
	for a != "" || b != "" {
		for (a != "" && !isDigit(a[0])) || (b != "" && !isDigit(b[0])) {
			if c := cmp.Compare(weight(a), weight(b)); c != 0 {
				return c
			}
			a, b = a[min(1, len(a)):], b[min(1, len(b)):]
		}
		digitsA, digitsB := digits(a), digits(b)
		if c := compareDigits(a[:digitsA], b[:digitsB]); c != 0 {
			return c
		}
		a, b = a[digitsA:], b[digitsB:]
	}
	return 0
}

// weight orders what is no digit: a tilde, the end (or a digit), letters, everything else.
func weight(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case 'a' <= s[0]|0x20 && s[0]|0x20 <= 'z':
		return int(s[0])
	default:
		return int(s[0]) + 256
	}
}

// compareDigits compares two numbers of any length.
func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
