package zypper

import (
	"os"
	"strings"
	"testing"

	"redflag/internal/source/rpm"
	"redflag/internal/source/sourcetest"
)

// recorded gives a recording of zypper 1.14.101, which says more than the one that the other tests run.
func recorded(t *testing.T, name string) stream {
	t.Helper()
	data, err := os.ReadFile("testdata/recorded/" + name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseStream(data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNewerZyppersAreUnderstood(t *testing.T) {
	installed := []rpm.Package{{Name: "demo-lib", EVR: "1.0-1.el9", Arch: "x86_64"}, {Name: "demo-old", EVR: "1.0-1.el9", Arch: "noarch"}, {Name: "demo-app", EVR: "1:2.0-3.el9", Arch: "x86_64"}}
	s := recorded(t, "dry-run-exact-xml.stdout.txt")
	changes := s.changes(installed)
	if got := sourcetest.Lines(changes); got != "upgrade demo-lib.x86_64 1.0-1.el9 → 1.1-1.el9" || s.origin(changes[0]) != "updates" || number(s.Summary.Download) != 6560 {
		t.Error(got, s.Summary)
	}
	dup := recorded(t, "dup-dry-run-xml.stdout.txt")
	got := sourcetest.Lines(dup.changes(installed))
	for _, want := range []string{"remove demo-old.noarch 1.0-1.el9", "install demo-replacement.noarch 3.0-1.el9", "upgrade demo-app.x86_64 1:2.0-3.el9 → 1:2.1-1.el9"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s: no %s", got, want)
		}
	}
	if dup.Summary.Reboot != "1" {
		t.Errorf("%+v", dup.Summary)
	}
	if list := recorded(t, "list-updates-all-xml.stdout.txt").offered(map[string]rpm.Package{"demo-lib.x86_64": {EVR: "1.0-1.el9"}}); len(list) != 9 {
		t.Errorf("%d updates", len(list))
	}
	if locks := recorded(t, "locks-xml.stdout.txt").Locks; len(locks) != 1 || locks[0].Name != "demo-locked" {
		t.Errorf("%+v", locks)
	}
	// Patches and patterns are names for packages, and no change of their own.
	if out, in := recorded(t, "dry-run-patch-xml.stdout.txt").transaction(); len(out) != 1 || len(in) != 1 || in[0].Name != "demo-lib" {
		t.Errorf("%v %v", out, in)
	}
	for _, bad := range []string{"", "   \n", "hello", "<html/>", "<stream><update"} {
		if _, err := parseStream([]byte(bad)); err == nil {
			t.Errorf("%q is understood", bad)
		}
	}
}
