package apt

import (
	"strings"
	"testing"

	"redflag/internal/machine"
	"redflag/internal/parts"
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
