package machine

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestALockIsOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "lock")
	held, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("a second one: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
