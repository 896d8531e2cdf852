package tag

import (
	"cmp"
	"slices"
	"strings"
)

// version is what a tag says. Numbers are kept as digits: a date with a time or a build id overflows any integer.
type version struct {
	// shape is all that two tags must share to be compared, written so that it can be told by ==.
	shape   string
	scheme  scheme
	numbers []string
	// stage is what makes it a pre-release; empty for a release.
	stage stage
	// build are the numbers of the suffix that may differ.
	build []string
}

// scheme tells apart numbers that must never be compared: 3.1 is not older than 20240101.
type scheme string

const (
	plain scheme = "plain"
	year  scheme = "year" // 2024.1.5
	date  scheme = "date" // 20240101, 2024-01-01T00-00-00Z
)

// stage is the part of a pre-release that turns into a release one day.
type stage struct {
	kind   string // alpha, beta, rc, pre; empty for a release
	number string // empty for a moving tag such as 3.13-rc
}

// comparable says whether another tag is one that this one's user could move to.
func (v version) comparable(other version) bool {
	if v.shape != other.shape {
		return false
	}
	released := other.stage.kind == ""
	sameKind := other.stage.kind == v.stage.kind && (other.stage.number == "") == (v.stage.number == "")
	return released || sameKind
}

// compare orders two comparable versions.
func (v version) compare(other version) int {
	return cmp.Or(
		slices.CompareFunc(v.numbers, other.numbers, compareNumbers),
		v.stage.compare(other.stage),
		slices.CompareFunc(v.build, other.build, compareNumbers),
	)
}

func (s stage) compare(other stage) int {
	switch {
	case s.kind == other.kind:
		return compareNumbers(s.number, other.number)
	case s.kind == "":
		return 1
	case other.kind == "":
		return -1
	default:
		return 0
	}
}

// compareNumbers compares two runs of digits as numbers of any size.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
