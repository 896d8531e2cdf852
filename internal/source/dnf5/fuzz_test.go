package dnf5

import (
	"testing"

	"redflag/internal/fleet"
)

func FuzzParseTable(f *testing.F) {
	for _, name := range []string{"assumeno-upgrade", "history-undo-assumeno", "store", "replay", "downgrade", "nothing", "upgrade-preinfail", "assumeno-no-match"} {
		f.Add(recorded(f, name+".stdout"), recorded(f, name+".stderr"))
	}
	f.Fuzz(func(t *testing.T, stdout, stderr string) {
		parsed, err := parseTable(stdout, stderr)
		if err != nil {
			return
		}
		for _, r := range append(parsed.in, parsed.out...) {
			if r.Name != fleet.Plain(r.Name) || r.EVR != fleet.Plain(r.EVR) {
				t.Errorf("%q", r)
			}
		}
		parsed.why("x")
	})
}

func FuzzParseStored(f *testing.F) {
	f.Add([]byte(transaction(f)))
	f.Add([]byte(`{"rpms":[],"version":"2.0"}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if s, err := parseStored(data); err == nil {
			s.changes(nil)
		}
	})
}

func FuzzParseOffers(f *testing.F) {
	f.Add([]byte(recorded(f, "repoquery-upgrades.stdout")))
	f.Add([]byte("a\t0\t1\t1\tnoarch\tupdates\t1\ta-1-1.src.rpm\tAlmaLinux\ta package\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, _, err := parseOffers(data, nil)
		for _, u := range list {
			if u.Name != fleet.Plain(u.Name) || err != nil {
				t.Errorf("%q, %v", u.Name, err)
			}
		}
	})
}

func FuzzParseRepositories(f *testing.F) {
	f.Add([]byte(`[{"id":"updates","name":"Updates","is_enabled":true}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		ids, err := parseRepositories(data)
		for _, id := range ids {
			if err == nil && !repositoryID.MatchString(id) {
				t.Errorf("%q", id)
			}
		}
	})
}
