package apt

import "strings"

// glob matches as fnmatch(3) does with FNM_CASEFOLD and no other flag: a star is any text, a question mark any character, brackets a
// choice of characters; slashes and leading dots are nothing special.
func glob(pattern, text string) bool {
	pattern, text = lower(pattern), lower(text)
	// After a star that did not lead on, the next text begins one character later.
	star, resume := -1, 0
	p, t := 0, 0
	for t < len(text) {
		if p < len(pattern) && pattern[p] == '*' {
			star, resume = p, t
			p++
			continue
		}
		if n := one(pattern[p:], text[t]); n > 0 {
			p += n
			t++
			continue
		}
		if star < 0 {
			return false
		}
		resume++
		p, t = star+1, resume
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// one says how much of a pattern that begins with no star matches one character; 0 when it does not.
func one(pattern string, c byte) int {
	if pattern == "" {
		return 0
	}
	switch pattern[0] {
	case '?':
		return 1
	case '[':
		if n, ok := class(pattern, c); n > 0 {
			if ok {
				return n
			}
			return 0
		}
	case '\\':
		if len(pattern) > 1 {
			if pattern[1] == c {
				return 2
			}
			return 0
		}
	}
	if pattern[0] == c {
		return 1
	}
	return 0
}

// class reads [abc], [a-z], [!abc] and says how long it is and whether it has the character; its length is 0 where no bracket closes it.
func class(pattern string, c byte) (length int, has bool) {
	i, not := 1, false
	if i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^') {
		not = true
		i++
	}
	for first := i; i < len(pattern); i++ {
		switch {
		case pattern[i] == ']' && i > first:
			return i + 1, has != not
		case i+2 < len(pattern) && pattern[i+1] == '-' && pattern[i+2] != ']':
			has = has || pattern[i] <= c && c <= pattern[i+2]
			i += 2
		default:
			has = has || pattern[i] == c
		}
	}
	return 0, false
}

// lower is for ASCII alone: a Turkish reader's dotless i must not change what a pattern means.
func lower(s string) string {
	low := []byte(s)
	for i, c := range low {
		if 'A' <= c && c <= 'Z' {
			low[i] = c | 0x20
		}
	}
	return string(low)
}
