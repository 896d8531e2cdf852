package apt

import (
	"slices"
	"strings"
	"testing"

	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/source/sourcetest"
)

func TestTheInventoryIsWhatDpkgQuerySays(t *testing.T) {
	parts.Need(t, "dpkg-query")
	m := machine.Local()
	r, err := m.Run(t.Context(), machine.Command{Name: "dpkg-query", Args: []string{"-W", "-f", "${db:Status-Status} ${Package} ${Architecture} ${Version} ${source:Package} ${source:Version}\n"}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for line := range strings.Lines(string(r.Stdout)) {
		state, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if state != "config-files" && state != "not-installed" {
			want[rest] = true
		}
	}
	got, err := Source{}.Packages(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range got {
		from, version := p.From, p.FromVersion
		if from == "" {
			from = p.Name
		}
		if version == "" {
			version = p.Version
		}
		line := strings.Join([]string{p.Name, p.Arch, p.Version, from, version}, " ")
		if !want[line] {
			t.Errorf("dpkg-query does not say %q", line)
		}
		delete(want, line)
	}
	for line := range want {
		t.Errorf("dpkg-query says %q", line)
	}
}

func TestWhatIsInstalledIsOfTheArchiveThatOffersIt(t *testing.T) {
	archive := func(r release) []*index { return []*index{{suite: &suite{release: &r}}} }
	debian := archive(release{origin: "Debian", label: "Debian", version: "12.15"})
	backports := archive(release{origin: "Debian Backports", label: "Debian Backports", suite: "bookworm-backports"})
	other := archive(release{origin: "nginx", label: "nginx"})
	v := func(name, source, text string, on []*index) *version {
		return &version{name: name, arch: "amd64", text: text, source: source, sourceVersion: text, on: on, phased: 100}
	}
	for _, c := range []struct {
		name      string
		installed *version
		offered   []*version
		want      string
	}{
		{"Debian's", v("curl", "curl", "1", nil), []*version{v("curl", "curl", "1", debian)}, "Debian:12"},
		{"Debian's of long ago", v("curl", "curl", "1", nil), []*version{v("curl", "curl", "2", debian)}, "Debian:12"},
		{"newer than Debian's", v("curl", "curl", "3", nil), []*version{v("curl", "curl", "2", debian)}, ""},
		{"on no list", v("mine", "mine", "1", nil), nil, ""},
		{"another's", v("nginx", "nginx", "1", nil), []*version{v("nginx", "nginx", "1", other), v("nginx", "nginx", "2", debian)}, ""},
		{"of backports", v("curl", "curl", "9~bpo12+1", nil), []*version{v("curl", "curl", "9~bpo12+1", backports), v("curl", "curl", "2", debian)}, ""},
		{"of another source", v("mysql", "mysql", "1", nil), []*version{v("mysql", "mariadb", "2", debian)}, ""},
		{"a kernel that was replaced", v("linux-image-6.1.0-17-amd64", "linux-signed-amd64", "6.1.69+1", nil), nil, "Debian:12"},
		{"a kernel of another series", v("linux-image-5.10.0-1-amd64", "linux-signed-amd64", "5.10.1+1", nil), nil, ""},
		{"a kernel of one's own", v("linux-image-6.1.5-mine", "linux-6.1.5-mine", "6.1.5-1", nil), nil, ""},
	} {
		meta := v("linux-image-amd64", "linux-signed-amd64", "6.1.148+1", debian)
		db := &Database{}
		offered := map[packageKey][]*version{{meta.name, "amd64"}: {meta}, {c.installed.name, "amd64"}: c.offered}
		for _, p := range []*version{c.installed, meta} {
			record := *p
			record.on = nil
			db.Packages = append(db.Packages, &Package{Name: p.name, Arch: p.arch, Version: p.text, Source: p.source, SourceVersion: p.sourceVersion, State: "installed", record: record})
		}
		s := &survey{}
		s.decide(db, offered, newPolicy("amd64", "", nil, nil, phasing{}))
		got := ""
		for ecosystem, keys := range s.Own {
			if slices.Contains(keys, db.Packages[0].key()) {
				got = ecosystem
			}
		}
		if got != c.want {
			t.Errorf("%s is of %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTheInventoryOfARecordedUbuntuNamesItsRelease(t *testing.T) {
	m, s := sourcetest.Machine(t, "testdata/machines/noble-phased"), Source{StateDir: t.TempDir()}
	for range 2 { // looked up, and as it was kept
		list, err := s.Packages(t.Context(), m)
		if err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		for _, p := range list {
			if p.Name == "systemd" && p.Ecosystem != "Ubuntu:24.04:LTS" {
				t.Errorf("%+v", p)
			}
		}
	}
}
