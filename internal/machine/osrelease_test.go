package machine

import (
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestOSReleaseIsReadAsAShellWould(t *testing.T) {
	const file = `# a comment
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
ID=debian
VERSION_ID='12'
  INDENTED=yes

BUG="say \"hi\" for 5\$ \\ and \n"
SINGLE='back\slash "double"'
BARE=a\ b # comment
MIXED=a"b c"'d'
EMPTY=
ID=other
not an assignment
1X=no
=no
OPEN="to the end`
	want := osRelease{
		"PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)", "ID": "other", "VERSION_ID": "12", "INDENTED": "yes",
		"BUG": `say "hi" for 5$ \ and \n`, "SINGLE": `back\slash "double"`, "BARE": "a b", "MIXED": "ab cd", "EMPTY": "",
		"OPEN": "to the end",
	}
	if diff := cmp.Diff(want, parseOSRelease([]byte(file))); diff != "" {
		t.Error(diff)
	}
}

func TestAnOSReleaseThatNamesLittleHasATitle(t *testing.T) {
	cases := []struct{ file, title, id string }{
		{"", "Linux", "linux"},
		{"NAME=Alpine", "Alpine", "linux"},
		{"NAME=Fedora\nVERSION=\"41 (Server)\"\nID=fedora", "Fedora 41 (Server)", "fedora"},
		{"PRETTY_NAME=\"bad \x1b[2J\"\nID=\x00", "bad \ufffd[2J", "\ufffd"},
	}
	for _, c := range cases {
		r := parseOSRelease([]byte(c.file))
		if title, id := r.title("Linux"), r.id("linux"); title != c.title || id != c.id {
			t.Errorf("%q: %q, %q; want %q, %q", c.file, title, id, c.title, c.id)
		}
	}
}

func FuzzOSRelease(f *testing.F) {
	f.Add([]byte("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n"))
	f.Add([]byte("NAME='Arch Linux'\nBUILD_ID=rolling\nANSI_COLOR=\"38;2;23;147;209\"\n"))
	f.Add([]byte("A=\\\nB=\"\\\"\nC='"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, value := range parseOSRelease(data) {
			if !isShellName(name) || utf8.RuneCountInString(value) > len(data) {
				t.Fatalf("%q = %q", name, value)
			}
		}
	})
}
