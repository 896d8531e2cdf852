package machine

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// OpenForeign opens a file or a folder for reading that is in a user's hands, and need not be what it is called: it waits for nothing. A pipe that nobody ever writes
// into would keep root for good.
func (m *Machine) OpenForeign(name string) (*os.File, error) {
	f, err := os.OpenFile(m.Path(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode()&fs.ModeType&^fs.ModeDir != 0 {
		err = fmt.Errorf("%s is neither a file nor a folder", name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ReadForeign reads a whole file that is in a user's hands, at most limit bytes; see [Machine.OpenForeign].
func (m *Machine) ReadForeign(name string, limit int64) ([]byte, error) {
	f, err := m.OpenForeign(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, name, limit)
}
