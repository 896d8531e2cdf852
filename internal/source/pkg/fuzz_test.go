package pkg

import (
	"os"
	"testing"

	"redflag/internal/fleet"
)

func FuzzSimulated(f *testing.F) {
	for _, name := range []string{"upgradable", "old-pkg", "pkgbase", "up-to-date"} {
		data, err := os.ReadFile("testdata/machines/" + name + "/commands/upgrade.stdout")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		p, err := parseSimulated(out)
		if err != nil {
			return
		}
		for _, c := range p.changes {
			if c.Action == "" || c.Action == again || !packageName.MatchString(c.Name) || c.From == c.To {
				t.Errorf("%+v", c)
			}
		}
	})
}

func FuzzInstalled(f *testing.F) {
	f.Add([]byte("curl\t8.9.1\tFreeBSD:14:amd64\t0\t0\t4560123\tCommand line tool\n"), []byte("curl-8.9.1   <   needs updating (remote has 8.10.1)\n"))
	f.Fuzz(func(t *testing.T, out, versions []byte) {
		list, err := parseInstalled(out)
		if err == nil && len(list) == 0 {
			t.Error("no package is told as none")
		}
		newer, err := parseVersions(versions, list)
		for name, v := range newer {
			if err == nil && (find(list, name) == nil || !packageVersion.MatchString(v)) {
				t.Errorf("%q %q", name, v)
			}
		}
	})
}

func FuzzAudit(f *testing.F) {
	data, err := os.ReadFile("testdata/machines/upgradable/commands/audit.stdout")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, out []byte) {
		found, err := parseAudit(out)
		if err != nil {
			return
		}
		for _, flaws := range found {
			for _, flaw := range flaws {
				if n := flaw.Notice(); n.ID != fleet.Plain(n.ID) {
					t.Errorf("%+v", n)
				}
			}
		}
	})
}

func FuzzSaid(f *testing.F) {
	f.Add("[1/6] Upgrading curl from 8.9.1 to 8.10.1...\npkg: PRE-INSTALL script failed\n")
	f.Fuzz(func(t *testing.T, said string) {
		if explainText(said, "otherwise") == nil {
			t.Error("no reason")
		}
	})
}
