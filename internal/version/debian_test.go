package version

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	debversion "github.com/knqyf263/go-deb-version"
)

// anyVersion makes versions that are hard to compare.
func anyVersion(r *rand.Rand) string {
	pieces := []string{"0", "1", "09", "10", "a", "Z", "~", "~~", "+", ".", "-", "-0", "+b1", "deb12u1", "~rc1", "99999999999999999999", "00"}
	v := fmt.Sprint(r.IntN(3))
	for range r.IntN(6) {
		v += pieces[r.IntN(len(pieces))]
	}
	if r.IntN(3) == 0 {
		v = fmt.Sprint(r.IntN(3)) + ":" + v
	}
	return strings.TrimRight(v, "-") // a hyphen and no revision is no version to dpkg
}

// pairs is how many versions dpkg is asked about, at some milliseconds each.
const pairs = 300

func TestVersionsCompareAsInDpkg(t *testing.T) {
	dpkg, err := exec.LookPath("dpkg")
	if err != nil {
		t.Skip(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range pairs {
		a, b := anyVersion(r), anyVersion(r)
		ours := CompareDebian(a, b)
		for i, relation := range []string{"lt", "eq", "gt"} {
			err := exec.CommandContext(t.Context(), dpkg, "--compare-versions", a, relation, b).Run()
			if (err == nil) != (ours == i-1) {
				t.Errorf("%q and %q compare as %d, to dpkg %s is %t", a, b, ours, relation, err == nil)
			}
		}
	}
}

func TestVersionsCompareAsInAnotherImplementation(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		sameOrder(t, anyVersion(r), anyVersion(r))
	}
}

// tooLong is a number that go-deb-version, which counts in 64 bits, does not know from another.
var tooLong = regexp.MustCompile(`[0-9]{18}`)

// sameOrder compares two versions here and in go-deb-version, where that takes them for versions.
func sameOrder(t *testing.T, a, b string) {
	t.Helper()
	x, errX := debversion.NewVersion(a)
	y, errY := debversion.NewVersion(b)
	if errX != nil || errY != nil || tooLong.MatchString(a+" "+b) {
		return
	}
	if ours, theirs := CompareDebian(a, b), cmp.Compare(x.Compare(y), 0); ours != theirs {
		t.Errorf("%q and %q compare as %d, go-deb-version says %d", a, b, ours, theirs)
	}
}

func FuzzCompareDebian(f *testing.F) {
	for _, v := range []string{"1:2.36.1-8+deb12u1", "0.0~git20230101-1", "1.0-0", "", ":", "-", "~", "255.4-1ubuntu8.19", "5.2.15-2+b13"} {
		f.Add(v, "1.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if CompareDebian(a, b) != -CompareDebian(b, a) || CompareDebian(a, a) != 0 {
			t.Errorf("no order of %q and %q", a, b)
		}
		for _, c := range a + b {
			if !strings.ContainsRune("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+-~:", c) {
				return
			}
		}
		if strings.Count(a, ":") < 2 && strings.Count(b, ":") < 2 && len(epochOf(a))+len(epochOf(b)) < 12 {
			sameOrder(t, a, b)
		}
	})
}

func epochOf(v string) string {
	epoch, _ := cutEpoch(v)
	return epoch
}
