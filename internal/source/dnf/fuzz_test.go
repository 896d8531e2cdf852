package dnf

import (
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source/rpm"
)

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(`{"dnf":"4.14.0","repos":[{"id":"base","cache":"/var/cache/dnf/base-1"}],"missing":["x"],"updates":[{"name":"a","epoch":1,"version":"2","release":"3","arch":"noarch"}],` +
		`"obsoleting":[{"new":{"name":"b"},"old":{"name":"a"}}],"excluded":[{"package":{"name":"c"},"because":"x"}],"kept_back":{"a.noarch":"why"},"transaction":[{"name":"a","way":"in"}]}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseAnswer(data)
		if (err == nil) == (a.DNF == "") {
			t.Errorf("%v and a dnf %q", err, a.DNF)
		}
		for _, u := range a.all(map[string]rpm.Package{}) {
			if u.Name != fleet.Plain(u.Name) || u.To != fleet.Plain(u.To) {
				t.Errorf("%q %q", u.Name, u.To)
			}
		}
		_ = a.problems()
		var p fleet.Plan
		Source{}.fill(&p, nil, a.Transaction)
	})
}

func FuzzRefusal(f *testing.F) {
	f.Add("Error: \n Problem: conflicting requests\n  - nothing provides x\n(try to add ...)", 1)
	f.Add("", 0)
	f.Fuzz(func(t *testing.T, said string, code int) {
		if because, _ := fleet.Explain(refusal(machine.Result{Stderr: []byte(said), Code: code})); because == "" {
			t.Error("no reason")
		}
	})
}
