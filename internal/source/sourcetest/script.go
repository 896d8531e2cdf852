package sourcetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"redflag/internal/machine"
	"redflag/internal/parts"
	"redflag/internal/source"
)

// Script is a machine whose programs are a script: it answers the command lines that it was told, to the letter, and any other makes the test fail. It is for
// managers that cannot be had where the tests run. What it answers should be recordings; where it is written from documentation, the test says so.
type Script struct {
	Bench
	root string
	n    int
}

// Reply is what a scripted program leaves behind.
type Reply struct {
	Stdout string
	Stderr string
	// FD3 is what it writes to file descriptor 3.
	FD3  string
	Code int
	// Do is a shell script for what is done first, with $root as the machine's root and $line as the command line.
	Do string
}

// script answers from files: N.cmd is a command line, N.do is what is done for it, N.stdout, N.stderr, N.fd3 and N.rc are what it leaves. What was told last
// counts. The words of replace, a script for sed, are put in the place of what differs in each run.
const script = `root=$1
dir=$root/script
shift
line="$*"
if [ -s "$dir/replace" ]; then line=$(printf '%s\n' "$line" | sed -f "$dir/replace"); fi
printf '%s\n' "$line" >>"$dir/asked"
for f in $(ls "$dir" | grep 'cmd$' | sort -rn); do
	IFS= read -r told <"$dir/$f" || : # one line, without an end
	if [ "$line" = "$told" ]; then
		b=$dir/${f%.cmd}
		. "$b.do"
		cat "$b.stdout"
		cat "$b.stderr" >&2
		if [ -s "$b.fd3" ]; then cat "$b.fd3" >&3; fi
		exit "$(cat "$b.rc")"
	fi
done
printf '%s\n' "$line" >>"$dir/unexpected"
exit 99
`

// NewScript makes a machine with an empty root that was told nothing yet.
func NewScript(t testing.TB) *Script {
	t.Helper()
	parts.Need(t, "sh")
	s := &Script{root: t.TempDir()}
	s.Bench = Bench{TB: t, On: s.Machine, In: s.Work}
	s.Write("script/answer.sh", script)
	s.Write("script/replace", "")
	t.Cleanup(func() {
		if lines, err := os.ReadFile(filepath.Join(s.root, "script/unexpected")); err == nil {
			t.Errorf("nobody expected:\n%s", lines)
		}
	})
	return s
}

// Root is the folder that is the machine's root.
func (s *Script) Root() string { return s.root }

// Write puts a file on the machine.
func (s *Script) Write(name, text string) {
	s.Helper()
	file := filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
}

// Read gives a file of the machine.
func (s *Script) Read(name string) string {
	s.Helper()
	data, err := os.ReadFile(filepath.Join(s.root, name))
	if err != nil {
		s.Fatal(err)
	}
	return string(data)
}

// Answer tells the machine what a command line leaves behind: the program and its arguments with a space between them.
func (s *Script) Answer(line string, r Reply) {
	s.Helper()
	s.n++
	for ending, text := range map[string]string{
		"cmd": line, "stdout": r.Stdout, "stderr": r.Stderr, "fd3": r.FD3, "rc": fmt.Sprint(r.Code), "do": r.Do + "\n",
	} {
		s.Write(fmt.Sprintf("script/%d.%s", s.n, ending), text)
	}
}

// Replace has sed put something else in the place of what differs in each run, as the name of a temporary folder: s/redflag-[0-9]*/redflag-X/g.
func (s *Script) Replace(sed string) { s.Write("script/replace", sed+"\n") }

// Asked gives the command lines so far, one on each line.
func (s *Script) Asked() string {
	data, err := os.ReadFile(filepath.Join(s.root, "script/asked"))
	if err != nil && !os.IsNotExist(err) {
		s.Fatal(err)
	}
	return string(data)
}

func (s *Script) prefix() []string {
	return []string{"sh", filepath.Join(s.root, "script/answer.sh"), s.root}
}

// Run implements machine.Runner. What the command has in its environment is in the script's.
func (s *Script) Run(ctx context.Context, c machine.Command) (machine.Result, error) {
	words := append(s.prefix(), c.Name)
	return machine.Exec{}.Run(ctx, machine.Command{Name: words[0], Args: append(words[1:], c.Args...), Env: c.Env, Limit: c.Limit})
}

// Machine gives the machine, with the clock of now.
func (s *Script) Machine() *machine.Machine {
	return &machine.Machine{Root: s.root, Runner: s, Prefix: s.prefix(), Now: time.Now}
}

// Work gives the folder of a job on the machine, with a log.
func (s *Script) Work() source.Work {
	s.Helper()
	s.Write("job/"+source.LogFile, "")
	log, err := os.OpenFile(filepath.Join(s.root, "job", source.LogFile), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { log.Close() })
	return source.Work{Dir: "/job", Log: log}
}
