package apt

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// lockWait is how long another program that is at work on the packages is waited for.
const lockWait = 5 * time.Minute

// lockLook is how often it is looked whether it has ended.
const lockLook = 300 * time.Millisecond

func (s Source) patience() time.Duration { return cmp.Or(s.LockWait, lockWait) }

// atWork names the program that holds a lock without which apt cannot install; it is empty where none does.
func (s Source) atWork(m *machine.Machine) string {
	set, err := readSettings(m)
	if err != nil {
		return ""
	}
	dpkg := path.Dir(set.status)
	for _, lock := range []string{path.Join(dpkg, "lock-frontend"), path.Join(dpkg, "lock"), path.Join(s.archives(m), "lock")} {
		if who := m.Holder(lock); who != "" {
			return who
		}
	}
	return ""
}

// awaitLocks waits until nobody is at work on the packages. Apt itself waits for some of its locks only.
func (s Source) awaitLocks(ctx context.Context, m *machine.Machine, w source.Work) error {
	said := ""
	for deadline := time.Now().Add(s.patience()); ; {
		who := s.atWork(m)
		switch {
		case who == "":
			return nil
		case time.Now().After(deadline):
			return &fleet.Unknown{Because: who + " is at work on the packages", Remedy: "wait until it has ended, and try again"}
		case who != said:
			said = who
			fmt.Fprintf(w.Log, "# waiting for %s, which is at work on the packages\n", who)
		}
		select {
		case <-time.After(lockLook):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
