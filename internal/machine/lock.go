package machine

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// ErrLocked: another process holds the lock.
var ErrLocked = errors.New("another process is at it")

// Lock takes a lock that is this process's until it is closed, or until the process ends, however it ends. The folder is made where
// it is missing, for its owner only. The file stays.
func Lock(path string) (io.Closer, error) {
	if err := MakeFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	f, err := lockFile(path)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}
