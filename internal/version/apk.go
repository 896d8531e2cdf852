package version

import (
	"cmp"
	"strings"
)

// CompareAPK orders two versions as apk does (apk-package(5)): numbers with dots between them, a letter, suffixes with their numbers, a commit, and the
// revision. It takes any text and never fails: what is no version of apk's goes by its bytes from there on.
func CompareAPK(a, b string) int {
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	x, y := apkTokens{rest: a}, apkTokens{rest: b}
	for {
		p, q := x.next(), y.next()
		switch {
		case p.kind != q.kind && p.before:
			return -1
		case p.kind != q.kind && q.before:
			return 1
		case p.kind != q.kind:
			return cmp.Compare(q.kind, p.kind) // what goes on longer is newer, and the larger part it goes on with, the more so
		case p.kind == apkEnd:
			return 0
		}
		if c := p.compare(q); c != 0 {
			return c
		}
	}
}

// apkKind is what a part of a version is, the largest first.
type apkKind int

const (
	apkOther apkKind = iota // no version
	apkNumber
	apkLetter
	apkSuffix
	apkSuffixNumber
	apkCommit
	apkRevision
	apkEnd
)

// apkToken is one part of a version.
type apkToken struct {
	kind apkKind
	text string
	rank int
	// before: a version with this suffix comes before one without.
	before bool
	// first: it is the version's first number.
	first bool
}

// apkSuffixes are those that there are, in their order; those before the gap come before the version without one.
var apkSuffixes = []string{"alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"}

func (t apkToken) compare(u apkToken) int {
	switch t.kind {
	case apkSuffix:
		return cmp.Compare(t.rank, u.rank)
	case apkSuffixNumber, apkRevision:
		return compareDigits(t.text, u.text)
	case apkNumber:
		// A number after a dot that begins with a zero is a fraction.
		if t.first || t.text[0] != '0' && u.text[0] != '0' {
			return compareDigits(t.text, u.text)
		}
	}
	return cmp.Compare(t.text, u.text)
}

// apkTokens takes a version apart.
type apkTokens struct {
	rest string
	last apkKind
}

// next gives the next part; the end comes again and again.
func (v *apkTokens) next() apkToken {
	first := v.last == 0
	t, n := v.look(first)
	if v.last == apkOther && !first {
		t, n = apkToken{kind: apkEnd}, 0
	}
	v.rest, v.last = v.rest[n:], t.kind
	t.first = first
	return t
}

// look gives the next part and how long it is.
func (v *apkTokens) look(first bool) (apkToken, int) {
	s := v.rest
	if s == "" {
		return apkToken{kind: apkEnd}, 0
	}
	number := func(kind apkKind, skip int) (apkToken, int, bool) {
		n := digits(s[skip:])
		return apkToken{kind: kind, text: s[skip : skip+n]}, skip + n, n > 0
	}
	switch {
	case first:
		if t, n, ok := number(apkNumber, 0); ok {
			return t, n
		}
	case s[0] == '.' && v.last <= apkNumber:
		if t, n, ok := number(apkNumber, 1); ok {
			return t, n
		}
	case 'a' <= s[0] && s[0] <= 'z' && v.last == apkNumber && (len(s) == 1 || !isLetter(s[1])):
		return apkToken{kind: apkLetter, text: s[:1]}, 1
	case s[0] == '_' && v.last <= apkSuffixNumber:
		for rank, name := range apkSuffixes {
			if end := len(name) + 1; name != "" && strings.HasPrefix(s[1:], name) && (len(s) == end || !isLetter(s[end])) {
				return apkToken{kind: apkSuffix, rank: rank, before: rank < 4}, end
			}
		}
	case isDigit(s[0]) && v.last == apkSuffix:
		t, n, _ := number(apkSuffixNumber, 0)
		return t, n
	case s[0] == '~' && v.last <= apkSuffixNumber:
		if n := leading(s[1:], func(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }); n > 0 {
			return apkToken{kind: apkCommit, text: s[1 : n+1]}, n + 1
		}
	case strings.HasPrefix(s, "-r") && v.last < apkRevision:
		if t, n, ok := number(apkRevision, 2); ok {
			return t, n
		}
	}
	return apkToken{kind: apkOther, text: s}, len(s)
}
