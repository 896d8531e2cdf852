package main

import (
	"strings"
	"testing"
)

func TestTheVerdictIsGoodOnlyWhereTestsRanAndAllIsWell(t *testing.T) {
	const (
		pass = `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n"
		fail = `{"Action":"output","Package":"p","Test":"TestB","Output":"b_test.go:7: no\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestB"}` + "\n"
		skip = `{"Action":"output","Package":"p","Test":"TestC","Output":"no dockerd\n"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestC"}` + "\n"
		none = `{"Action":"skip","Package":"q"}` + "\n" // a package without tests
	)
	for _, c := range []struct {
		name, log string
		all       bool
		good      bool
		says      string
	}{
		{"all pass", pass + none, true, true, "1 passed, 0 failed, 0 skipped"},
		{"one fails", pass + fail, false, false, "b_test.go:7: no"},
		{"one skips where it may", pass + skip, false, true, "no dockerd"},
		{"one skips where none may", pass + skip, true, false, "no dockerd"},
		{"does not build", pass + `{"Action":"build-output","ImportPath":"p","Output":"x.go:1: undefined\n"}` + "\n" + `{"Action":"build-fail","ImportPath":"p"}`, false, false, "undefined"},
		{"ends outside a test", pass + `{"Action":"output","Package":"p","Output":"panic: no\n"}` + "\n" + `{"Action":"fail","Package":"p"}`, false, false, "panic: no"},
		{"nothing ran", "", false, false, "0 passed"},
		{"a compiler's words", "# p\nx.go:1: undefined\n", false, false, "x.go:1: undefined"},
	} {
		var out strings.Builder
		if good := judge(strings.NewReader(c.log), &out, c.all); good != c.good || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %v, %q", c.name, good, out.String())
		}
	}
}
