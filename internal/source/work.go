package source

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"redflag/internal/machine"
)

// Write writes a value into a file of the job's folder.
func (w Work) Write(m *machine.Machine, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return machine.WriteFile(m.Path(path.Join(w.Dir, name)), data, 0o600)
}

// maxWorkFile bounds a file of a job: what is installed on a large host has 1 MB.
const maxWorkFile = 64 << 20

// Read reads what [Work.Write] has written; fs.ErrNotExist where it has not.
func (w Work) Read(m *machine.Machine, name string, v any) error {
	data, err := m.ReadFile(path.Join(w.Dir, name), maxWorkFile)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// runMark begins the line in a job's log that names a command. What follows is what that said.
const runMark = "\n# "

// Carry runs what changes the machine, into the job's log. It is not interrupted, and goes on if we are gone: then nobody learns its exit code.
func (w Work) Carry(m *machine.Machine, c machine.Command) (code int, err error) {
	fmt.Fprintf(w.Log, "%s%s %s\n", runMark, c.Name, strings.Join(c.Args, " "))
	cmd, err := m.Begin(c, w.Log, w.Held...)
	if err != nil {
		return -1, err
	}
	err = cmd.Run()
	if cmd.ProcessState == nil {
		return -1, fmt.Errorf("run %s: %w", c.Name, err)
	}
	return cmd.ProcessState.ExitCode(), nil
}

// maxLogEnd is how much of the end of a log is looked at.
const maxLogEnd = 1 << 20

// LastRun gives what the last command in the job's log has said.
func (w Work) LastRun(m *machine.Machine) (string, error) {
	last, err := w.Said(m)
	if i := strings.LastIndex(last, runMark); i >= 0 {
		_, last, _ = strings.Cut(last[i+len(runMark):], "\n")
	}
	return last, err
}

// Said gives what all commands in the job's log have said, its end where that is long.
func (w Work) Said(m *machine.Machine) (string, error) {
	text, err := m.Tail(path.Join(w.Dir, LogFile), maxLogEnd)
	if err != nil {
		return "", fmt.Errorf("read the log: %w", err)
	}
	return string(text), nil
}
