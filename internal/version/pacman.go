package version

import (
	"cmp"
	"strings"
)

// ComparePacman orders two versions as pacman does (vercmp(8)): by epoch, by version, and by release where both have one. It takes any text and
// never fails.
func ComparePacman(a, b string) int {
	if a == b {
		return 0
	}
	epochA, restA := cutPacmanEpoch(a)
	epochB, restB := cutPacmanEpoch(b)
	versionA, releaseA, hasA := cutLast(restA, '-')
	versionB, releaseB, hasB := cutLast(restB, '-')
	if c := cmp.Or(comparePacmanPart(epochA, epochB), comparePacmanPart(versionA, versionB)); c != 0 || !hasA || !hasB {
		return c
	}
	return comparePacmanPart(releaseA, releaseB)
}

// cutPacmanEpoch takes the digits before a colon; 0 where there are none.
func cutPacmanEpoch(v string) (epoch, rest string) {
	n := digits(v)
	if n == len(v) || v[n] != ':' {
		return "0", v
	}
	return cmp.Or(v[:n], "0"), v[n+1:]
}

func cutLast(s string, separator byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, separator); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// comparePacmanPart compares stretches of digits and of letters in turn (rpmvercmp of libalpm's version.c). What stands between them counts only by
// its length.
func comparePacmanPart(a, b string) int {
	if a == b {
		return 0
	}
	for a != "" && b != "" {
		apartA, apartB := leading(a, isSeparator), leading(b, isSeparator)
		a, b = a[apartA:], b[apartB:]
		if a == "" || b == "" {
			break
		}
		if apartA != apartB {
			return cmp.Compare(apartA, apartB)
		}
		kind := isLetter
		if isDigit(a[0]) {
			kind = isDigit
		}
		partA, partB := a[:leading(a, kind)], b[:leading(b, kind)]
		a, b = a[len(partA):], b[len(partB):]
		switch {
		case partB == "" && isDigit(partA[0]):
			return 1
		case partB == "":
			return -1
		case isDigit(partA[0]):
			if c := compareDigits(partA, partB); c != 0 {
				return c
			}
		default:
			if c := cmp.Compare(partA, partB); c != 0 {
				return c
			}
		}
	}
	switch {
	case a == "" && b == "":
		return 0
	case a == "" && !isLetter(b[0]), a != "" && isLetter(a[0]):
		return -1 // letters at the end are of an earlier version than none
	}
	return 1
}

// leading counts the bytes of a kind at the beginning.
func leading(s string, kind func(byte) bool) int {
	n := 0
	for n < len(s) && kind(s[n]) {
		n++
	}
	return n
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isSeparator(c byte) bool { return !isDigit(c) && !isLetter(c) }
