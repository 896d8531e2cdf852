package version

import rpm "github.com/knqyf263/go-rpm-version"

// CompareRPM orders two versions as rpm does (rpm-version(7)): by epoch, by version, by release; a tilde comes before everything, even the end, and
// a caret after the end and before all else. It gives -1, 0 or 1, as cmp.Compare does; it takes any text and never fails.
func CompareRPM(a, b string) int { return rpm.NewVersion(a).Compare(rpm.NewVersion(b)) }
