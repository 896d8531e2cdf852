// Package tag reads image tags as versions and says which tags of a repository are newer than one of them. It knows
// spelling only and asks nobody: that a tag reads as newer is a reason to look behind it, not a proof. Tags are compared
// when they are of one shape, which is everything but the numbers: 15.4-alpine3.19 is newer than 15.3-alpine3.18,
// 16.0-bookworm is neither newer nor older than either. Where a tag can be read in two ways, it is not offered: a missing
// suggestion costs less than one that leads to another program.
package tag

// Best holds the newest tag of each level; an empty one means that there is none.
//
// The level follows from the first number that differs: the first one makes it major, the second minor, any later one
// patch, and so does what comes behind the numbers (a build such as -ls215, a base such as -alpine3.19, a release
// candidate's number). Years count as first numbers: 2025.1 is major to 2024.12. A date alone (20240101) says nothing of
// what it breaks: a later one is minor.
type Best struct {
	Patch, Minor, Major string
}

// Versioned says whether a tag reads as a version that others can be compared with: not latest, a branch or a codename,
// not a commit or a digest, not a signature.
func Versioned(tag string) bool {
	_, ok := parse(tag)
	return ok
}

// Newer gives the newest of the candidates for each level, whatever their order. They have the same shape as the current
// tag: prefix, count and separators of the numbers, scheme (a year, a date, neither), and suffix, in which only the version of the
// operating system below and a counter of builds may differ. A pre-release is offered to a pre-release of the same kind
// only, and so is its release.
func Newer(current string, candidates []string) Best {
	now, ok := parse(current)
	if !ok {
		return Best{}
	}
	var best [levels]struct {
		tag string
		version
	}
	for _, tag := range candidates {
		v, ok := parse(tag)
		if !ok || !now.comparable(v) || v.compare(now) <= 0 {
			continue
		}
		b := &best[now.level(v)]
		// Two spellings of one version (1.2 and 1.02) have an order too: the answer must not depend on the registry's.
		if c := v.compare(b.version); b.tag == "" || c > 0 || c == 0 && tag < b.tag {
			b.tag, b.version = tag, v
		}
	}
	return Best{Patch: best[patch].tag, Minor: best[minor].tag, Major: best[major].tag}
}

// level is how far a tag lies from a newer one.
type level int

const (
	patch level = iota
	minor
	major
	levels // how many there are
)

// level says how far a newer version of the same shape is from this one.
func (v version) level(newer version) level {
	differs := len(v.numbers)
	for i := range v.numbers {
		if compareNumbers(v.numbers[i], newer.numbers[i]) != 0 {
			differs = i
			break
		}
	}
	switch {
	case v.scheme == date && differs == 0:
		return minor
	case v.scheme == date:
		return patch
	case differs == 0:
		return major
	case differs == 1 && len(v.numbers) > 1:
		return minor
	default:
		return patch
	}
}
