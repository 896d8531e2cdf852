package version

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"redflag/internal/parts"
)

// anyRPMVersion makes versions that are hard to compare.
func anyRPMVersion(r *rand.Rand) string {
	pieces := []string{"0", "1", "09", "10", "a", "Z", "~", "~~", "^", "^git1", ".", "_", "+", "el9", "~rc1", "99999999999999999999", "00"}
	v := fmt.Sprint(r.IntN(3))
	for range r.IntN(6) {
		v += pieces[r.IntN(len(pieces))]
	}
	return v
}

// rpmPairs is how many versions rpm is asked about, all in one call.
const rpmPairs = 2000

func TestVersionsCompareAsInRPM(t *testing.T) {
	rpm := parts.Need(t, "rpm")
	r := rand.New(rand.NewPCG(5, 6))
	var pairs [][2]string
	var script strings.Builder
	for range rpmPairs {
		a, b := anyRPMVersion(r), anyRPMVersion(r)
		pairs = append(pairs, [2]string{a, b})
		fmt.Fprintf(&script, "print(rpm.vercmp(%q,%q)..' ')\n", a, b)
	}
	out, err := exec.CommandContext(t.Context(), rpm, "--eval", "%{lua:\n"+script.String()+"}").CombinedOutput()
	answers := strings.Fields(string(out))
	if err != nil || len(answers) != len(pairs) {
		t.Fatalf("rpm gives %d answers to %d questions: %v\n%.500s", len(answers), len(pairs), err, out)
	}
	for i, p := range pairs {
		if got := fmt.Sprint(CompareRPM(p[0], p[1])); got != answers[i] {
			t.Errorf("%q and %q compare as %s, to rpm as %s", p[0], p[1], got, answers[i])
		}
	}
}

func TestEpochAndReleaseCount(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		order int
	}{
		{"1:2.0-3.el9", "2.1-1.el9", 1}, {"0:1.0-1", "1.0-1", 0}, {"1.0-1.el9", "1.0-1.el9_1", -1}, {"1.0-2", "1.0-10", -1}, {"", "0", -1}, {"1.0-1", "1.0-1", 0},
	} {
		if got := CompareRPM(c.a, c.b); got != c.order || CompareRPM(c.b, c.a) != -c.order {
			t.Errorf("%q and %q: %d, %d", c.a, c.b, got, CompareRPM(c.b, c.a))
		}
	}
}

func FuzzCompareRPM(f *testing.F) {
	for _, v := range []string{"1:2.36.1-8.el9", "0.0~git20230101-1", "1.0^", "", ":", "-", "~", "^", "5.14.0-503.el9_5"} {
		f.Add(v, "1.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if CompareRPM(a, b) != -CompareRPM(b, a) || CompareRPM(a, a) != 0 {
			t.Errorf("no order of %q and %q", a, b)
		}
	})
}
