package fleet

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPlainLeavesNothingThatMovesACursorOrTurnsTextAround(t *testing.T) {
	cases := []struct{ in, want string }{
		{"", ""},
		{"nginx: master process", "nginx: master process"},
		{"größe ﬁ 漢字 é 🙂", "größe ﬁ 漢字 é 🙂"},
		{"  two\nlines\tand a tab\r\n", "two lines and a tab"},
		{"\x1b[2Jgone", "\ufffd[2Jgone"},
		{"c1 \u009b31m", "c1 \ufffd31m"},
		{"nul\x00del\x7f", "nul\ufffddel\ufffd"},
		{"exe\u202etxt.sh\u2066", "exe\ufffdtxt.sh\ufffd"},
		{"a\u2028b\u2029c\u0085d", "a b c d"},
		{"no\u00a0break", "no break"},
		{"zero\u200bwidth\ufeff", "zero\ufffdwidth\ufffd"},
		{"bad \xff\xfe utf-8", "bad \ufffd\ufffd utf-8"},
		{"private \ue000", "private \ufffd"},
	}
	for _, c := range cases {
		if got := Plain(c.in); got != c.want {
			t.Errorf("Plain(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestPlainIsBounded(t *testing.T) {
	whole := strings.Repeat("é", PlainLimit-1)
	if got := Plain(whole); got != whole {
		t.Errorf("a text within the bound became %d bytes of %d", len(got), len(whole))
	}
	got := Plain(strings.Repeat("é", 10*PlainLimit))
	if n := utf8.RuneCountInString(got); n != PlainLimit || !strings.HasSuffix(got, "é…") {
		t.Errorf("got %d characters that end in %q", n, got[len(got)-5:])
	}
}

func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"sshd", "\x1b]0;title\x07", "a\u202eb", "\xff", " x ", strings.Repeat("a ", PlainLimit)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Plain(s)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > PlainLimit {
			t.Fatalf("Plain(%q) = %q", s, got)
		}
		for _, r := range got {
			if r != ' ' && unicode.IsSpace(r) || r != unicode.ReplacementChar && !unicode.IsGraphic(r) {
				t.Fatalf("Plain(%q) holds %q", s, r)
			}
		}
		if again := Plain(got); again != got {
			t.Fatalf("Plain is not settled: %q, then %q", got, again)
		}
	})
}
