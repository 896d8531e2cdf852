package apt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"redflag/internal/machine"
)

// A fingerprint covers every file that an answer comes from, by inode, size and modification time. What changes with the clock alone (that lists
// expire or grow stale) is not in the answer and is looked at each time.

// printVersion goes up when answers mean something else.
const printVersion = 3

// takePrint looks at all files. It is empty where something cannot be looked at: then nothing is recalled and nothing kept.
func takePrint(m *machine.Machine, set *settings) (string, error) {
	files := append([]string{set.status, set.archFile(), set.machineIDFile(), set.conf.path("Dir::State::extended_states")}, set.files...)
	written, all := writtenFiles(m, set)
	if !all {
		return "", nil
	}
	files = append(files, written...)
	for _, dir := range []string{path.Join(path.Dir(set.status), "updates"), set.lists} {
		found, err := m.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", unreadable(dir, err)
		}
		for _, f := range found {
			if !f.IsDir() && f.Name() != "lock" {
				files = append(files, path.Join(dir, f.Name()))
			}
		}
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d %s\n", printVersion, m.Root)
	for _, name := range files {
		printFile(h, m, name)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// writtenFiles lists the sources and the preferences, and says whether those are all. If not, the reader meets the same error and tells it.
func writtenFiles(m *machine.Machine, set *settings) (files []string, all bool) {
	sources, unsure := set.sourceFiles(m)
	preferences, unsureToo := set.preferenceFiles(m)
	return append(sources, preferences...), unsure == nil && unsureToo == nil
}

func printFile(w io.Writer, m *machine.Machine, name string) {
	info, err := m.Stat(follow(m, name))
	if err != nil {
		fmt.Fprintf(w, "%q -\n", name)
		return
	}
	fmt.Fprintf(w, "%q %d %d %d %o\n", name, inode(info), info.Size(), info.ModTime().UnixNano(), info.Mode())
}

// answer is what a scan learnt, our own reading and apt's plan, and the fingerprint of what it was learnt from.
type answer struct {
	Print  string
	Survey *survey
	Plan   *plan

	// kept says that the answer was recalled.
	kept bool
}

const (
	answerFile = "apt.json"
	// maxAnswer bounds what is recalled: 2,000 updates and their plan have 4 MB.
	maxAnswer = 64 << 20
)

// recall gives the answer that was kept under a fingerprint; nil where there is none.
func (s Source) recall(print string) *answer {
	if s.StateDir == "" || print == "" {
		return nil
	}
	f, err := os.Open(filepath.Join(s.StateDir, answerFile))
	if err != nil {
		return nil
	}
	defer f.Close()
	var a answer
	if err := json.NewDecoder(io.LimitReader(f, maxAnswer)).Decode(&a); err != nil || a.Print != print || a.Survey == nil {
		return nil
	}
	a.kept = true
	return &a
}

// keep remembers an answer that is whole. One that was taken while the files changed is not: it may be half of each. That it cannot be kept
// costs time and nothing else, so errors are passed over.
func (s Source) keep(m *machine.Machine, set *settings, a *answer) {
	if s.StateDir == "" || a.Print == "" || len(a.Survey.problems) > 0 {
		return
	}
	if after, err := takePrint(m, set); err != nil || after != a.Print {
		return
	}
	if data, err := json.Marshal(a); err == nil {
		_ = machine.WriteFile(filepath.Join(s.StateDir, answerFile), data, 0o600)
	}
}
