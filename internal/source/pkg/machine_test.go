package pkg

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source"
	"redflag/internal/source/sourcetest"
)

const (
	queryLine   = "pkg query -a " + fields
	versionLine = "pkg version -vRU -L="
	planLine    = "pkg upgrade -nU"
	auditLine   = "pkg audit --raw=json-compact"
)

// scripted is a machine with what a recording has, on which things can be done.
func scripted(t *testing.T, recording string) *sourcetest.Script {
	t.Helper()
	s := sourcetest.NewScript(t)
	for _, file := range glob(t, filepath.Join("testdata/machines", recording, "commands/*.cmd")) {
		base := strings.TrimSuffix(file, ".cmd")
		r := sourcetest.Reply{Stdout: text(t, base+".stdout"), Stderr: text(t, base+".stderr")}
		if text(t, base+".rc") != "" {
			r.Code = 1
		}
		s.Answer(strings.TrimSpace(text(t, file)), r)
	}
	s.Write("var/db/pkg/local.sqlite", "")
	s.Write("var/db/pkg/repos/FreeBSD/db", "")
	s.Write("var/db/pkg/vuln.xml", "")
	return s
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	return files
}

func text(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(data)
}

// installed writes what pkg query would answer after a change of words of it.
func installed(t *testing.T, recording string, replace ...string) string {
	t.Helper()
	return strings.NewReplacer(replace...).Replace(text(t, filepath.Join("testdata/machines", recording, "commands/query.stdout")))
}

func plan(t *testing.T, s *sourcetest.Script, sel fleet.Selection) fleet.Plan {
	t.Helper()
	p, err := Source{}.Plan(t.Context(), s.Machine(), sel)
	if err != nil {
		t.Fatal(fleet.Explain(err))
	}
	return p
}

func refused(t *testing.T, s *sourcetest.Script, sel fleet.Selection, because string) {
	t.Helper()
	_, err := Source{}.Plan(t.Context(), s.Machine(), sel)
	if got, _ := fleet.Explain(err); !strings.Contains(got, because) {
		t.Errorf("refused because %q, want %q", got, because)
	}
}

func lines(changes []fleet.Change) string {
	var list []string
	for _, c := range changes {
		list = append(list, c.String())
	}
	return strings.Join(list, ", ")
}

// becomes has pkg answer another inventory from now on, by a file that a script writes.
func becomes(s *sourcetest.Script, name, inventory string) (do string) {
	s.Write("after/"+name, inventory)
	return `for f in "$root"/script/*.cmd; do if grep -q '^pkg query' "$f"; then cat "$root/after/` + name + `" >"${f%.cmd}.stdout"; fi; done`
}

func old(t *testing.T, s *sourcetest.Script, file string) {
	t.Helper()
	then := time.Now().Add(-30 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Join(s.Root(), file), then, then); err != nil {
		t.Fatal(err)
	}
}

func apply(t *testing.T, s *sourcetest.Script, p fleet.Plan, w source.Work) fleet.Outcome {
	t.Helper()
	o, err := Source{}.Apply(t.Context(), s.Machine(), p, w)
	if err != nil {
		t.Fatal(fleet.Explain(err))
	}
	return o
}
