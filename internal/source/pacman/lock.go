package pacman

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

const (
	// lockWait is how long an installation waits for another program that is at work on the packages.
	lockWait = 5 * time.Minute
	// lockPause is how often it looks again.
	lockPause = time.Second
)

// locked says whether pacman's lock is there, and who holds it: a process has it open as long as it lives. It is empty where nobody does, who was
// interrupted then.
func locked(m *machine.Machine, c *config) (there bool, holder string) {
	if _, err := os.Lstat(m.Path(c.lock())); err != nil {
		return false, ""
	}
	place, err := filepath.EvalSymlinks(m.Path(c.lock()))
	if err != nil {
		return false, ""
	}
	// The processes are of the computer that we run on: it is its kernel that knows who has the file open.
	open, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return true, ""
	}
	info, err := os.Stat(place)
	if err != nil {
		return false, "" // it has just been given back
	}
	for _, fd := range open {
		to, err := os.Readlink(fd)
		if err != nil || !strings.HasSuffix(to, "/db.lck") {
			continue
		}
		if same, err := os.Stat(fd); err == nil && os.SameFile(same, info) {
			pid := strings.Split(fd, "/")[2]
			name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
			if err != nil {
				name = []byte("a program")
			}
			return true, fmt.Sprintf("%s (process %s)", fleet.Plain(strings.TrimSpace(string(name))), pid)
		}
	}
	return true, ""
}

// await waits until nobody is at work on the packages. A lock that nobody holds was left behind, and stays until it is repaired.
func (s Source) await(ctx context.Context, m *machine.Machine, c *config) error {
	patience := s.LockWait
	if patience == 0 {
		patience = lockWait
	}
	deadline := time.Now().Add(patience)
	for {
		there, holder := locked(m, c)
		switch {
		case !there:
			return nil
		case holder == "":
			return interrupted(c)
		case time.Now().After(deadline):
			return &fleet.Unknown{Because: holder + " is at work on the packages", Remedy: "wait until it has ended, and try again"}
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func interrupted(c *config) error {
	return &fleet.Unknown{Because: "pacman was interrupted: " + c.lock() + " is there, and no process has it open", Remedy: "let it be taken away: redflag repair"}
}
