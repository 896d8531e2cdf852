package tag

import (
	"regexp"
	"strings"
)

// maxNumbers is how many numbers make a version; what follows belongs to the suffix.
const maxNumbers = 4

// maxLength is how long a tag may be.
const maxLength = 128

// wellFormed holds a tag to its grammar (OCI distribution-spec, "Pulling manifests"). A registry may send anything.
func wellFormed(tag string) bool {
	for i := range len(tag) {
		c := tag[i]
		word := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
		if !word && (i == 0 || c != '.' && c != '-') {
			return false
		}
	}
	return tag != "" && len(tag) <= maxLength
}

// parse reads a tag as prefix, numbers, stage and suffix: v | 2.0.0 | -rc.1 | -alpine.
func parse(tag string) (version, bool) {
	if !wellFormed(tag) || moving(tag) {
		return version{}, false
	}
	prefix, numbers, rest, ok := cutDate(tag)
	separators := "date"
	if !ok {
		prefix, rest, ok = cutPrefix(tag)
		if !ok {
			return version{}, false
		}
		numbers, separators, rest = cutNumbers(rest)
	}
	v := version{numbers: numbers, scheme: schemeOf(numbers[0])}
	if isAmbiguous(prefix, v, rest) {
		return version{}, false
	}
	v.stage, rest = cutStage(rest)
	suffix, build := readSuffix(rest)
	v.build = build
	v.shape = strings.Join([]string{prefix, string(v.scheme), separators, suffix}, "|")
	return v, true
}

// dashed is a date that is written with dashes, as MinIO's releases are: RELEASE.2024-01-01T00-00-00Z.
var dashed = regexp.MustCompile(`^([^0-9]*)((?:19|2[01])\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:T\d\d-\d\d-\d\dZ)?)([^0-9].*)?$`)

// cutDate reads a dashed date as one number.
func cutDate(tag string) (prefix string, numbers []string, rest string, ok bool) {
	if strings.Count(tag, "-") < 2 { // what most tags are spared
		return "", nil, "", false
	}
	m := dashed.FindStringSubmatch(tag)
	if m == nil {
		return "", nil, "", false
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, m[2])
	return m[1], []string{digits}, m[3], true
}

// cutPrefix cuts before the first number of the version. That is in the first word that begins with a digit or with v and
// a digit, and where there is none in the first that has a digit at all: arm64v8-1.2 is version 1.2, php8.2-fpm is 8.2.
func cutPrefix(tag string) (prefix, rest string, ok bool) {
	place := -1
	for at, word := range dashWords(tag) {
		i := strings.IndexAny(word, digits)
		leading := i == 0 || i == 1 && (word[0] == 'v' || word[0] == 'V')
		if i < 0 || !leading && architecture.MatchString(word) {
			continue
		}
		if place < 0 || leading {
			place = at + i
			ok = !isHash(word)
		}
		if leading {
			break
		}
	}
	if !ok {
		return "", "", false
	}
	return tag[:place], tag[place:], true
}

const digits = "0123456789"

// dashWords gives the words between dashes and where each begins.
func dashWords(s string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		at := 0
		for word := range strings.SplitSeq(s, "-") {
			if !yield(at, word) {
				return
			}
			at += len(word) + 1
		}
	}
}

// cutNumbers takes up to maxNumbers runs of digits off the front, and the separators between them.
func cutNumbers(s string) (numbers []string, separators, rest string) {
	for len(numbers) < maxNumbers {
		n := countDigits(s)
		numbers, s = append(numbers, s[:n]), s[n:]
		if len(s) < 2 || s[0] != '.' && s[0] != '_' || countDigits(s[1:]) == 0 || len(numbers) == maxNumbers {
			break
		}
		separators, s = separators+s[:1], s[1:]
	}
	return numbers, separators, s
}

func countDigits(s string) int {
	return len(s) - len(strings.TrimLeft(s, digits))
}

// compactDate is a day, with or without a time of day behind it.
var compactDate = regexp.MustCompile(`^(?:19|2[01])\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d\d){0,3}$`)

func schemeOf(first string) scheme {
	switch {
	case len(first) >= len("20240101") && compactDate.MatchString(first):
		return date
	case len(first) == 4 && "1900" <= first && first < "3000":
		return year
	default:
		return plain
	}
}

// minHash is the length of git's shortest abbreviation of a commit.
const minHash = 7

// isAmbiguous says whether a number that stands alone between dashes may as well be a commit whose hash has digits only:
// one in 27 abbreviated ones is such.
func isAmbiguous(prefix string, v version, rest string) bool {
	alone := len(v.numbers) == 1 && (prefix == "" || strings.HasSuffix(prefix, "-")) && (rest == "" || rest[0] == '-')
	return alone && v.scheme == plain && len(v.numbers[0]) >= minHash
}

// isHash says whether a word is a commit or a digest: hexadecimal, with a digit and a letter.
func isHash(word string) bool {
	return len(word) >= minHash && strings.Trim(word, "0123456789abcdef") == "" &&
		strings.ContainsAny(word, digits) && strings.ContainsAny(word, "abcdef")
}

// stages are the pre-releases that precede a release of the same numbers, directly behind them, as semver (2.0.0-rc.1) and
// Python (3.13.0rc1, 3.13.0b4) write them.
var stages = regexp.MustCompile(`^(?i:[-._]?(alpha|beta|rc|preview|pre)[-._]?(\d*)|(a|b)(\d+))(?:[-._]|$)`)

func cutStage(rest string) (stage, string) {
	if rest == "" {
		return stage{}, ""
	}
	m := stages.FindStringSubmatchIndex(rest)
	if m == nil {
		return stage{}, rest
	}
	group := func(i int) string {
		if m[2*i] < 0 {
			return ""
		}
		return rest[m[2*i]:m[2*i+1]]
	}
	kind := strings.ToLower(group(1) + group(3))
	switch kind {
	case "a":
		kind = "alpha"
	case "b":
		kind = "beta"
	case "preview":
		kind = "pre"
	}
	number := group(2) + group(4)
	end := m[1]
	if end > 0 && strings.ContainsAny(rest[end-1:end], "-._") {
		end--
	}
	return stage{kind, number}, rest[end:]
}
