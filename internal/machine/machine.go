// Package machine is the computer underfoot: it reads files, runs commands and tells facts of a host. Everything that
// looks at a host goes through a [Machine], so that a recorded or a throw-away one (a folder with a root file system, a
// list of answers) can take its place in tests.
package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Machine is a computer to look at. Its fields are set once, before use; it is then safe for many goroutines.
type Machine struct {
	// Root is the folder that holds the machine's file system: "/" for the computer that we run on, or the disk of Windows.
	Root string
	// Runner runs its commands.
	Runner Runner
	// Prefix are the words that come before a command which is begun by [Machine.Begin]; none for the computer that we run on.
	Prefix []string
	// Now is its clock.
	Now func() time.Time
	// Interfaces lists its network interfaces; nil where it has none.
	Interfaces func() ([]Interface, error)
}

// Local is the computer that we run on.
func Local() *Machine {
	return &Machine{Root: rootFolder(), Runner: Exec{}, Now: time.Now, Interfaces: localInterfaces}
}

// Path gives the place on this computer of a file of the machine. The name is absolute on the machine, with slashes. On Windows what is below /var/lib/redflag,
// /var/cache/redflag and /etc/redflag lies in ProgramData.
func (m *Machine) Path(name string) string {
	return filepath.Join(m.Root, filepath.FromSlash(ourName(name)))
}

// Open opens a file of the machine for reading.
func (m *Machine) Open(name string) (*os.File, error) { return os.Open(m.Path(name)) }

// Stat describes a file of the machine; it follows symbolic links.
func (m *Machine) Stat(name string) (fs.FileInfo, error) { return os.Stat(m.Path(name)) }

// ReadDir lists a folder of the machine, sorted by name.
func (m *Machine) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(m.Path(name)) }

// ErrTooLarge is returned where a file or an output goes over its bound.
var ErrTooLarge = errors.New("larger than its bound")

// ReadFile reads a whole file of the machine, at most limit bytes: a larger one is [ErrTooLarge].
func (m *Machine) ReadFile(name string, limit int64) ([]byte, error) {
	f, err := m.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, name, limit)
}

func readAll(r io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: over %d bytes: %w", name, limit, ErrTooLarge)
	}
	return data, nil
}

// Run runs a command on the machine; see [Runner].
func (m *Machine) Run(ctx context.Context, c Command) (Result, error) { return m.Runner.Run(ctx, c) }

// Tail reads the last bytes of a file of the machine, at most so many.
func (m *Machine) Tail(name string, limit int64) ([]byte, error) {
	f, err := m.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(max(0, info.Size()-limit), io.SeekStart); err != nil {
		return nil, err
	}
	return readAll(f, name, limit)
}
