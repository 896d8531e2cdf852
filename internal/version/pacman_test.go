package version

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"redflag/internal/parts"
)

// anyPacmanVersion makes versions that are hard to compare.
func anyPacmanVersion(r *rand.Rand) string {
	pieces := []string{"0", "1", "01", "10", "a", "Z", "alpha", "rc1", ".", "..", "_", "+", "-", "-1", "-1.1", "~", "99999999999999999999", "00", "r12", ":"}
	v := fmt.Sprint(r.IntN(3))
	for range r.IntN(5) {
		v += pieces[r.IntN(len(pieces))]
	}
	if r.IntN(4) == 0 {
		v = fmt.Sprint(r.IntN(3)) + ":" + v
	}
	return v
}

func TestVersionsCompareAsInPacman(t *testing.T) {
	vercmp := parts.Need(t, "vercmp")
	r := rand.New(rand.NewPCG(5, 6))
	for range 3 * pairs {
		a, b := anyPacmanVersion(r), anyPacmanVersion(r)
		out, err := exec.CommandContext(t.Context(), vercmp, a, b).Output()
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := strconv.Atoi(strings.TrimSpace(string(out)))
		if err != nil {
			t.Fatal(err)
		}
		if ours := ComparePacman(a, b); ours != theirs {
			t.Errorf("%q and %q compare as %d, to pacman as %d", a, b, ours, theirs)
		}
	}
}

// The manual's own examples (vercmp(8)), in rising order.
func TestVersionsCompareAsInPacmansManual(t *testing.T) {
	for _, row := range []string{"1.0a 1.0b 1.0beta 1.0p 1.0pre 1.0rc 1.0 1.0.a 1.0.1", "1 1.0 1.1 1.1.1 1.2 2.0 3.0.0"} {
		rising := strings.Fields(row)
		for i, a := range rising {
			for j, b := range rising {
				if got := ComparePacman(a, b); got != compareInts(i, j) {
					t.Errorf("%s and %s compare as %d", a, b, got)
				}
			}
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"1:1.0", "2.0", 1}, {"0:1.0", "1.0", 0}, {"1.5-1", "1.5", 0}, {"1.5-1", "1.5-2", -1}, {"1.0-1", "1:0.1-1", -1}, {"", "", 0}, {"1", "", 1}} {
		if got := ComparePacman(c.a, c.b); got != c.want {
			t.Errorf("%s and %s compare as %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func compareInts(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func FuzzComparePacman(f *testing.F) {
	f.Add("1:2.0-3", "2.1.a_1-1")
	f.Add("", "-")
	f.Fuzz(func(t *testing.T, a, b string) {
		if c := ComparePacman(a, b); c < -1 || c > 1 || ComparePacman(a, a) != 0 {
			t.Errorf("%q and %q compare as %d", a, b, c)
		}
	})
}
