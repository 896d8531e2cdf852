package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Begin prepares a command that writes to a file, so that it goes on if we end: nothing breaks that it writes to. Extra files are its
// descriptors 3 and up. It gets [Environment] and the command's own, no standard input, and is not ended by anything but itself.
func (m *Machine) Begin(c Command, out *os.File, extra ...*os.File) (*exec.Cmd, error) {
	if len(m.Prefix) == 0 && m.Root != rootFolder() {
		return nil, errors.New("a machine in a folder has no way to begin commands: they would run on this computer instead")
	}
	words := append(append(append([]string{}, m.Prefix...), c.Name), c.Args...)
	program, err := LookPath(words[0])
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), program, words[1:]...)
	cmd.Env = append(Environment(), c.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	give(cmd, extra)
	return cmd, nil
}

// Follow runs such a command to its end, or until ctx ends: then it and all that it has begun is killed. It gives its exit code.
func (m *Machine) Follow(ctx context.Context, c Command, out *os.File, extra ...*os.File) (code int, err error) {
	cmd, err := m.Begin(c, out, extra...)
	if err != nil {
		return -1, err
	}
	killed := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	killed.Env, killed.Stdout, killed.Stderr = cmd.Env, cmd.Stdout, cmd.Stderr
	give(killed, extra)
	ownGroup(killed)
	return Code(ctx, killed, killed.Run())
}

// Code gives the exit code of a command that has run; how it ended is no error, that it could not be run, or was stopped because ctx ended, is.
func Code(ctx context.Context, cmd *exec.Cmd, err error) (int, error) {
	if ctx.Err() != nil {
		return -1, fmt.Errorf("run %s: %w", cmd.Path, ctx.Err())
	}
	if cmd.ProcessState == nil {
		return -1, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	return cmd.ProcessState.ExitCode(), nil
}
