package access

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

func TestEachRoleAndScopeMayWhatItsRankAllows(t *testing.T) {
	for who, may := range map[string]func(Right) bool{
		"1 viewer": Viewer.May, "1 read": ScopeRead.May, "2 operator": Operator.May, "2 write": ScopeWrite.May,
		"3 admin": Admin.May, "3 scope admin": ScopeAdmin.May, "0 nobody": Role("").May, "0 a made-up role": Role("root").May,
	} {
		rank := int(who[0] - '0')
		for i, right := range []Right{Read, Operate, Administer} {
			if may(right) != (rank > i) {
				t.Errorf("%s may %s: %v", who, right, may(right))
			}
		}
		if may("") || may("anything") {
			t.Errorf("%s may what is no right", who)
		}
	}
	if _, err := ParseRole("root"); err == nil || !strings.Contains(err.Error(), "viewer, operator, admin") {
		t.Error(err)
	}
	if s, err := ParseScope("write"); err != nil || s != ScopeWrite {
		t.Error(s, err)
	}
}

func TestAPasswordIsKnownByItsHashAlone(t *testing.T) {
	hash, err := HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	other, _ := HashPassword("correct horse")
	switch {
	case !CheckPassword(hash, "correct horse"):
		t.Error("the right one is refused")
	case CheckPassword(hash, "correct horsf"), CheckPassword(hash, ""), CheckPassword("", ""), CheckPassword("x", "x"):
		t.Error("a wrong one is taken")
	case hash == other:
		t.Error("two hashes of one password are the same")
	}
	for _, bad := range []string{"short", strings.Repeat("x", MaxPassword+1)} {
		if _, err := HashPassword(bad); !errors.Is(err, ErrPassword) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	if !CheckPassword(must(HashPassword("пароль🔑8")), "пароль🔑8") {
		t.Error("letters of other scripts")
	}
}

func TestWhoIsNotThereTakesAsMuchWorkAsWhoIs(t *testing.T) {
	for _, hash := range []string{must(HashPassword("correct horse")), "", "$argon2id$v=19$m=8,t=1,p=1$$"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if CheckPassword(hash, "wrong password") {
			t.Errorf("%q takes a wrong password", hash)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n < argonMemory<<10 {
			t.Errorf("%q: nothing was derived with %d bytes", hash, n)
		}
	}
}

func must(s string, err error) string {
	if err != nil {
		panic(err)
	}
	return s
}

func FuzzParsePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")
	f.Add("$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdA$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err == nil && (p.memory > maxMemory || p.time > maxTime || p.lanes == 0 || len(p.salt) > maxField || len(p.key) > maxField) {
			t.Errorf("%q asks for too much: %+v", s, p)
		}
	})
}
