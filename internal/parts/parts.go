// Package parts gives tests the real parts that they run against: a container engine, a registry, a Debian root. Each is
// started on loopback or in a throw-away folder and is gone when the test ends. A part that is missing skips the test with
// a message that names it; with REDFLAG_TEST_PARTS=required, as `make test` sets it where it has installed them, it is a
// failure. Only tests import this package.
package parts

import (
	"os"
	"testing"

	"redflag/internal/machine"
)

// Need gives the path of a program, or ends the test when it is not installed.
func Need(t testing.TB, program string) string {
	t.Helper()
	path, err := machine.LookPath(program)
	if err != nil {
		Missing(t, program+" is not installed")
	}
	return path
}

// NeedRoot ends the test when it does not run as root.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "not running as root")
	}
}

// Missing ends the test for want of a part: skipped, or failed where all parts are required.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("REDFLAG_TEST_PARTS") == "required" {
		t.Fatalf("a part is missing: %s (run `make parts`)", what)
	}
	t.Skipf("a part is missing: %s (run `make parts` as root on Debian)", what)
}
