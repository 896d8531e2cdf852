package version

import (
	"cmp"
	"strings"
	"testing"
)

// Each row rises, by the rules of apk-package(5) and the cases that apk-tools' own tests have.
func TestVersionsCompareAsInAPK(t *testing.T) {
	for _, row := range []string{
		"1.0_alpha_pre2 1.0_alpha 1.0_alpha2 1.0_alpha10 1.0_beta1 1.0_pre20191002222144 1.0_rc1-r3 1.0 1.0-r0 1.0-r2 1.0-r10 1.0_git20200101 1.0_p9-r0 1.0_p10-r0 1.0a 1.0b 1.0.1 1.1 1.10 2",
		"0.12.3 0.13_beta1 0.13_beta2 0.13 0.47-r1 0.49 1.0.4-r3 1.0.4-r4 1.6 1.39",
		"1.00_beta2 1.02 1.02.07 1.02.10-r1 1.03-r1 1.06-r6 1.1 1.12 1.21",
		"1.3-r0 1.3.1-r0 1.3.2 3.0.20060720 006 7.0.17 7.0.174 20060720",
		"2.3.0b-r1 2.3.0b-r2 2.5.1-r8 2.5.1a-r1 2.25b 2.25b-r5",
		"0.9.28-r1 0.9.28-r2 0.9.28.1 1.0 1.0bc",
		"1.2~0a1b-r0 1.2~0a1c-r0 1.2.1~0a-r1",
	} {
		rising := strings.Fields(row)
		for i, a := range rising {
			for j, b := range rising {
				if got := CompareAPK(a, b); got != cmp.Compare(i, j) {
					t.Errorf("%s and %s compare as %d", a, b, got)
				}
			}
		}
	}
}

func FuzzCompareAPK(f *testing.F) {
	f.Add("1.3_alpha2-r1", "1.3.01~ab-r0")
	f.Add("", "-r")
	f.Fuzz(func(t *testing.T, a, b string) {
		if CompareAPK(a, b) != -CompareAPK(b, a) || CompareAPK(a, a) != 0 {
			t.Errorf("no order of %q and %q", a, b)
		}
	})
}
