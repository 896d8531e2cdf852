package apk

import (
	"os"
	"path/filepath"
	"testing"

	"redflag/internal/source/sourcetest"
)

// scripted is a machine with apk, which is no package of Debian's; the answers are recordings of apk-tools 2.14.10 and 3.0.6 (testdata/README.md).
type scripted struct{ *sourcetest.Script }

const (
	listLine     = "apk --cache-max-age 5256000 list --upgradable"
	simulateLine = "apk --cache-max-age 5256000 --simulate upgrade --no-self-upgrade"
	upgradeLine  = "apk --cache-max-age 5256000 --wait 300 --progress-fd 3 upgrade --no-self-upgrade"
)

// versions are the apk-tools of which there are recordings.
var versions = []string{"v2", "v3"}

func newScripted(t *testing.T, version string) scripted {
	t.Helper()
	s := scripted{sourcetest.NewScript(t)}
	if err := os.CopyFS(s.Root(), os.DirFS(filepath.Join("testdata/machines", version, "root"))); err != nil {
		t.Fatal(err)
	}
	commands := filepath.Join("testdata/machines", version, "commands")
	s.answers(listLine, s.file(commands, "list-upgradable.stdout"), "", 0, "")
	s.answers(simulateLine, s.file(commands, "upgrade-simulate.stdout"), "", 0, "")
	return s
}

func (s scripted) file(parts ...string) string {
	s.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		s.Fatal(err)
	}
	return string(data)
}

// answers tells the machine an answer. Do is a script for what is done first, with $root as the machine's root.
func (s scripted) answers(line, stdout, stderr string, code int, do string) {
	s.Helper()
	s.Answer(line, sourcetest.Reply{Stdout: stdout, Stderr: stderr, Code: code, Do: do})
}

// carries tells the machine what an upgrade leaves: the recorded words, and a database.
func (s scripted) carries(version, line, database string) {
	s.Helper()
	s.Write("script/after", database)
	recorded := filepath.Join("testdata/recorded", version+"-upgrade-progress-fd.")
	s.Answer(line, sourcetest.Reply{
		Stdout: s.file(recorded + "stdout"), Stderr: s.file(recorded + "stderr"), FD3: s.file(recorded + "fd3"), Code: 1, Do: `cat "$root/script/after" >"$root/lib/apk/db/installed"`,
	})
}
