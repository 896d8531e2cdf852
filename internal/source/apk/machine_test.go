package apk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/source"
)

// scripted is a machine whose apk is a script: it answers the command lines that it was told, to the letter, and any other makes the test fail. apk is no
// package of Debian's; the answers are recordings of apk-tools 2.14.10 and 3.0.6 (testdata/README.md).
type scripted struct {
	*testing.T
	root string
	n    int
}

// script answers from files: N.cmd is a command line, N.do is what is done for it, N.stdout, N.stderr, N.fd3 and N.rc are what it leaves. What was told last
// counts.
const script = `dir=$1/script
shift
for f in $(ls "$dir" | grep 'cmd$' | sort -rn); do
	if [ "$*" = "$(cat "$dir/$f")" ]; then
		b=$dir/${f%.cmd}
		. "$b.do"
		cat "$b.stdout"
		cat "$b.stderr" >&2
		if [ -s "$b.fd3" ]; then cat "$b.fd3" >&3; fi
		exit "$(cat "$b.rc")"
	fi
done
printf '%s\n' "$*" >>"$dir/unexpected"
exit 99
`

const (
	listLine     = "apk --cache-max-age 5256000 list --upgradable"
	simulateLine = "apk --cache-max-age 5256000 --simulate upgrade --no-self-upgrade"
	upgradeLine  = "apk --cache-max-age 5256000 --wait 300 --progress-fd 3 upgrade --no-self-upgrade"
)

// versions are the apk-tools of which there are recordings.
var versions = []string{"v2", "v3"}

func newScripted(t *testing.T, version string) *scripted {
	t.Helper()
	parts.Need(t, "sh")
	s := &scripted{T: t, root: t.TempDir()}
	if err := os.CopyFS(s.root, os.DirFS(filepath.Join("testdata/machines", version, "root"))); err != nil {
		t.Fatal(err)
	}
	s.write("script/apk.sh", script)
	t.Cleanup(func() {
		if lines, err := os.ReadFile(filepath.Join(s.root, "script/unexpected")); err == nil {
			t.Errorf("nobody expected:\n%s", lines)
		}
	})
	commands := filepath.Join("testdata/machines", version, "commands")
	s.answers(listLine, s.file(commands, "list-upgradable.stdout"), "", 0, "")
	s.answers(simulateLine, s.file(commands, "upgrade-simulate.stdout"), "", 0, "")
	return s
}

func (s *scripted) file(parts ...string) string {
	s.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		s.Fatal(err)
	}
	return string(data)
}

func (s *scripted) write(name, text string) {
	s.Helper()
	file := filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
}

// answers tells the machine an answer. Do is a script for what is done then, with $root as the machine's root.
func (s *scripted) answers(line, stdout, stderr string, code int, do string) {
	s.Helper()
	s.n++
	for ending, text := range map[string]string{"cmd": line, "stdout": stdout, "stderr": stderr, "rc": fmt.Sprint(code), "do": "root=" + s.root + "\n" + do, "fd3": ""} {
		s.write(fmt.Sprintf("script/%d.%s", s.n, ending), text)
	}
}

func (s *scripted) prefix() []string {
	return []string{"sh", filepath.Join(s.root, "script/apk.sh"), s.root}
}

// Run implements machine.Runner.
func (s *scripted) Run(ctx context.Context, c machine.Command) (machine.Result, error) {
	words := append(s.prefix(), c.Name)
	return machine.Exec{}.Run(ctx, machine.Command{Name: words[0], Args: append(words[1:], c.Args...)})
}

func (s *scripted) machine() *machine.Machine {
	return &machine.Machine{Root: s.root, Runner: s, Prefix: s.prefix(), Now: time.Now}
}

func (s *scripted) work() source.Work {
	s.Helper()
	s.write("job/log", "")
	log, err := os.OpenFile(filepath.Join(s.root, "job/log"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { log.Close() })
	return source.Work{Dir: "/job", Log: log}
}

func (s *scripted) plan(sel fleet.Selection) fleet.Plan {
	s.Helper()
	p, err := Source{}.Plan(s.Context(), s.machine(), sel)
	if err != nil {
		because, _ := fleet.Explain(err)
		s.Fatal(because)
	}
	return p
}

func (s *scripted) refused(sel fleet.Selection, because string) {
	s.Helper()
	p, err := Source{}.Plan(s.Context(), s.machine(), sel)
	if got, _ := fleet.Explain(err); err == nil || !strings.Contains(got, because) {
		s.Errorf("planned %v, refused because %q; want %q", p.Changes, got, because)
	}
}

// carries tells the machine what an upgrade leaves: the recorded words, and a database.
func (s *scripted) carries(version, line, database string) {
	s.Helper()
	s.write("script/after", database)
	recorded := filepath.Join("testdata/recorded", version+"-upgrade-progress-fd.")
	s.answers(line, s.file(recorded+"stdout"), s.file(recorded+"stderr"), 1, `cat "$root/script/after" >"$root/lib/apk/db/installed"`)
	s.write(fmt.Sprintf("script/%d.fd3", s.n), s.file(recorded+"fd3"))
}
