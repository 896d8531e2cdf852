package version

import "testing"

func TestASourceHasItsOwnOrder(t *testing.T) {
	for _, c := range []struct {
		source, a, b string
		order        int
		known        bool
	}{
		{"apt", "1.0~rc1", "1.0", -1, true},
		{"apt", "1.0", "1.0-0", 0, true},
		{"apt", "1:0.9", "1.0", 1, true},
		{"dnf", "1.0~rc1-1.el9", "1.0-1.el9", -1, true},
		{"dnf5", "1.0^git1-1.el9", "1.0-1.el9", 1, true},
		{"zypper", "1:0.9-1", "1.0-1", 1, true},
		{"docker", "1.0", "2.0", 0, false},
		{"", "1.0", "2.0", 0, false},
	} {
		if order, known := Compare(c.source, c.a, c.b); order != c.order || known != c.known {
			t.Errorf("%q and %q of %q: %d, %t", c.a, c.b, c.source, order, known)
		}
	}
}
