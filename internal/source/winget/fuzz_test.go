package winget

import (
	"strings"
	"testing"

	"redflag/internal/fleet"
)

// FuzzTable holds that a table is read into updates that can be trusted, or refused.
func FuzzTable(f *testing.F) {
	for _, name := range []string{"upgrades-en.txt", "upgrades-de.txt", "upgrades-zh.txt", "pins.txt", "pins-none.txt"} {
		f.Add([]byte(written(f, name)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, err := parseTable(text, updateColumns)
		if err == nil && len(rows) == 0 {
			t.Fatal("nothing is a table")
		}
		for _, r := range rows {
			check(t, row{Name: r[0], ID: r[1], Version: r[2], Available: r[3], Source: r[4]})
		}
		pinned, err := parsePins(text)
		for id := range pinned {
			if err != nil || id == "" || strings.ContainsRune(id, ' ') {
				t.Fatalf("%q, %v", id, err)
			}
		}
	})
}

// FuzzJSON holds the same of what the module says and what winget exports.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(written(f, "module.json")))
	f.Add([]byte(written(f, "export.json")))
	f.Add([]byte(noModule))
	f.Fuzz(func(t *testing.T, text []byte) {
		if a, err := parseAnswer(text); err == nil {
			for _, r := range a.Packages {
				check(t, r)
			}
		}
		installed, err := parseExport(text)
		for id, version := range installed {
			if err != nil || !packageID.MatchString(id) || version != fleet.Plain(version) {
				t.Fatalf("%q %q, %v", id, version, err)
			}
		}
	})
}

func check(t *testing.T, r row) {
	t.Helper()
	u, err := r.update(nil)
	if err != nil {
		return
	}
	for _, text := range []string{u.Name, u.From, u.To, u.Summary, u.Origin} {
		if text != fleet.Plain(text) {
			t.Fatalf("%+v", u)
		}
	}
	if _, err := words(fleet.Change{Action: fleet.Upgrade, Name: u.Name, To: u.To, Origin: u.Origin}); err != nil || strings.HasPrefix(u.Name, "-") {
		t.Fatalf("%+v, %v", u, err)
	}
}
