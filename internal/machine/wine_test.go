//go:build unix

package machine_test

import (
	"strings"
	"testing"

	"redflag/internal/parts"
)

// TestWhatIsOnlyOnWindowsHoldsUnderWine runs the tests of this package that are for Windows alone, as far as Wine goes.
func TestWhatIsOnlyOnWindowsHoldsUnderWine(t *testing.T) {
	w := parts.Wine(t)
	stdout, stderr, code := w.Run(w.Build("redflag/internal/machine", true), "-test.v", "-test.run=^TestWindows")
	if code != 0 || strings.Count(stdout, "--- PASS") != 5 {
		t.Errorf("code %d: %s%s", code, stdout, stderr)
	}
	t.Log(stdout)
}
