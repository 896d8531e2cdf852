// Package sourcetest plays recorded machines to a source of updates. A recording is a folder below the testing package's
// testdata/machines: root/ holds the machine's files, commands/ what its tools answered, now its clock (RFC 3339), and finding.json what
// the source should say. A defect of a source arrives as a recording and leaves as one. `go test -update` writes finding.json anew.
//
// An answer is up to four files with one name: NAME.cmd is the command and its arguments with a space between them, NAME.stdout,
// NAME.stderr and NAME.rc are what it left behind; a missing one is empty, or 0.
package sourcetest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/machine"
	"redflag/internal/source"
)

var update = flag.Bool("update", false, "write the findings of recorded machines anew")

// Replay scans every recorded machine with a source and compares the findings with the recorded ones.
func Replay(t *testing.T, s source.Source) {
	t.Helper()
	dirs, err := filepath.Glob("testdata/machines/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("there is no recorded machine in testdata/machines (%v)", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			found := source.Scan(t.Context(), Machine(t, dir), []source.Source{s}, source.Options{})[0]
			got, err := json.MarshalIndent(found, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			compare(t, filepath.Join(dir, "finding.json"), append(got, '\n'))
		})
	}
}

func compare(t *testing.T, golden string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lines(want), lines(got)); diff != "" {
		t.Errorf("the finding is not the recorded one (run with -update if it should be; - recorded, + found):\n%s", diff)
	}
}

func lines(b []byte) []string { return strings.Split(string(b), "\n") }

// Machine gives the recorded machine of a folder. Its files are the recording itself: nothing may write to them.
func Machine(t testing.TB, dir string) *machine.Machine {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "now"))
	if err != nil {
		t.Fatal(err)
	}
	now, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return &machine.Machine{
		Root:   filepath.Join(dir, "root"),
		Runner: player{t: t, answers: answers(t, filepath.Join(dir, "commands"))},
		Now:    func() time.Time { return now },
	}
}

// answers reads what a machine's tools answered, by command line.
func answers(t testing.TB, dir string) map[string]machine.Result {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.cmd"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]machine.Result{}
	for _, file := range files {
		base := strings.TrimSuffix(file, ".cmd")
		found[strings.TrimSpace(string(content(t, file)))] = machine.Result{
			Stdout: content(t, base+".stdout"),
			Stderr: content(t, base+".stderr"),
			Code:   code(t, content(t, base+".rc")),
		}
	}
	return found
}

func content(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return data
}

func code(t testing.TB, text []byte) int {
	t.Helper()
	if len(bytes.TrimSpace(text)) == 0 {
		return 0
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// player answers commands from a recording. A program that the recording does not have is not installed; one that it has, with other
// arguments, is a test that asks what nobody recorded.
type player struct {
	t       testing.TB
	answers map[string]machine.Result
}

// Run implements machine.Runner.
func (p player) Run(ctx context.Context, c machine.Command) (machine.Result, error) {
	if err := ctx.Err(); err != nil {
		return machine.Result{}, err
	}
	line := strings.Join(append([]string{c.Name}, c.Args...), " ")
	if r, ok := p.answers[line]; ok {
		return r, nil
	}
	for recorded := range p.answers {
		if strings.HasPrefix(recorded, c.Name+" ") || recorded == c.Name {
			p.t.Errorf("nobody recorded what the machine answers to: %s", line)
		}
	}
	return machine.Result{}, fmt.Errorf("%s: %w", c.Name, machine.ErrNotInstalled)
}
