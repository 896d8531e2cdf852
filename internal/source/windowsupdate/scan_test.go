package windowsupdate

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/source"
	"redflag/internal/source/sourcetest"
)

// What the source is meant to be.
var (
	_ source.Refresher = Source{}
	_ source.Lister    = Source{}
	_ source.Holder    = Source{}
)

func TestScan(t *testing.T) { sourcetest.Replay(t, Source{}) }

func TestNoFailedSearchIsUpToDate(t *testing.T) {
	for _, name := range []string{"not-everywhere", "no-network", "forbidden-by-policy", "unheard-of", "silent", "gave-up", "constrained", "never-searched", "long-ago", "broken", "cut-off"} {
		m := sourcetest.Machine(t, "testdata/machines/"+name)
		if f := source.Scan(t.Context(), m, []source.Source{Source{}}, source.Options{})[0]; f.State != fleet.Uncertain || f.Because == "" || f.Remedy == "" {
			t.Errorf("%s: %s because %q, remedy %q", name, f.State, f.Because, f.Remedy)
		}
	}
}

func TestTheScriptsFitWhereTheyAreCarried(t *testing.T) {
	for name, script := range map[string]string{"search": searchScript, "fetch": fetchScript, "install": installScript, "hide": hideScript} {
		text := common + script
		const most = 32767 // of a variable (SetEnvironmentVariable)
		if len(text) > most || strings.ContainsRune(text, 0) || !strings.HasPrefix(text, "# ") {
			t.Errorf("%s cannot be carried: %d bytes", name, len(text))
		}
		for _, pair := range []string{"{}", "()", "[]"} {
			if strings.Count(text, pair[:1]) != strings.Count(text, pair[1:]) {
				t.Errorf("%s: %s do not match", name, pair)
			}
		}
	}
}

// FuzzParse holds that whatever Windows prints is either read or refused, and that what is read is plain.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"windows11", "one-as-windows-powershell-writes-it", "german-by-wsus", "no-network", "broken", "cut-off"} {
		text, err := os.ReadFile("testdata/machines/" + name + "/commands/pending.stdout")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		lines, err := parse(text)
		if (err == nil) != (len(lines) > 0) {
			t.Fatalf("%d lines, %v", len(lines), err)
		}
		for _, r := range lines {
			for i, name := range r.names() {
				u := r.Updates[i]
				if !u.valid() {
					continue
				}
				one := u.update(name, r.origin())
				if one.Name != fleet.Plain(one.Name) || one.Summary != fleet.Plain(one.Summary) || !identity.MatchString(one.To) && u.Revision < 1e9 {
					t.Fatalf("%+v", one)
				}
				if _, err := json.Marshal(one); err != nil {
					t.Fatal(err)
				}
			}
			if because, _ := explain(r.Error, r.Message); because != fleet.Plain(because) {
				t.Fatalf("%q", because)
			}
		}
	})
}

func TestAnUpdateIsForSecurityByItsCategoryItsSeverityOrItsFlaws(t *testing.T) {
	for name, c := range map[string]struct {
		u    update
		want bool
	}{
		"by its category":         {update{Categories: list[string]{strings.ToUpper(securityUpdates)}}, true},
		"by its severity":         {update{Severity: "Important"}, true},
		"by its flaws":            {update{CVEs: list[string]{"cve-2026-1234"}}, true},
		"a severity that is none": {update{Severity: "Unspecified", CVEs: list[string]{"none"}}, false},
		"a driver":                {update{Type: driver, Categories: list[string]{drivers}}, false},
	} {
		if got := c.u.security(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
