package pacman

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

const (
	// refreshedDir has the databases that were fetched for a look alone: were they pacman's own, whoever installs a package next would upgrade that one
	// and not what it stands on.
	refreshedDir = "/var/cache/redflag/pacman"
	// stampFile is made anew when all of them were fetched.
	stampFile = "refreshed"
	// refreshLimit bounds a whole refresh.
	refreshLimit = 10 * time.Minute
)

// Refresh implements source.Refresher: it fetches the repositories' databases into a folder of ours.
func (s Source) Refresh(ctx context.Context, m *machine.Machine) error {
	c, err := readConfig(m)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return &fleet.Unknown{Because: "only root may fetch the repositories' databases", Remedy: "sudo redflag scan --refresh"}
	}
	if err := prepare(m, c); err != nil {
		return fmt.Errorf("prepare a database to refresh: %w", err)
	}
	held, err := machine.Lock(m.Path(path.Join(refreshedDir, "lock")))
	if errors.Is(err, machine.ErrLocked) {
		return &fleet.Unknown{Because: "the repositories' databases are being fetched by another process", Remedy: "wait until it has ended", Err: err}
	}
	if err != nil {
		return err
	}
	defer held.Close()
	// Nobody but we works here, and we have just begun: pacman's lock in this folder is one that was left behind.
	if err := os.Remove(m.Path(path.Join(refreshedDir, "db.lck"))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	args := append([]string{"-Sy", "--noconfirm", "--color", "never", "--dbpath", refreshedDir, "--logfile", "/dev/null"}, sandbox(m, c)...)
	result, err := m.Run(ctx, machine.Command{Name: "pacman", Args: args})
	if err == nil && result.Code != 0 {
		err = explain(string(result.Stdout)+"\n"+string(result.Stderr), fmt.Sprintf("pacman ended with code %d", result.Code))
	}
	if err != nil {
		because, remedy := err.Error(), "see what `pacman` says"
		if r := (*refusal)(nil); errors.As(err, &r) {
			remedy = r.remedy
		}
		return &fleet.Unknown{Because: "the repositories' databases could not all be fetched: " + fleet.Plain(because), Remedy: remedy, Err: err}
	}
	return machine.WriteFile(m.Path(path.Join(refreshedDir, stampFile)), nil, 0o644)
}

// prepare makes our folder what pacman takes for its database: what is installed is the machine's own. What pacman has fetched spares us from fetching it
// again.
func prepare(m *machine.Machine, c *config) error {
	sync := m.Path(path.Join(refreshedDir, "sync"))
	if err := os.MkdirAll(sync, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(m.Path(refreshedDir), 0o755); err != nil { //nolint:gosec // anybody may look at what is on offer
		return err
	}
	local := m.Path(path.Join(refreshedDir, "local"))
	if to, err := os.Readlink(local); err != nil || to != c.local() {
		if err := os.RemoveAll(local); err != nil {
			return err
		}
		if err := os.Symlink(c.local(), local); err != nil {
			return err
		}
	}
	for _, r := range c.repos {
		if _, err := m.Stat(path.Join(refreshedDir, "sync", r.name+".db")); errors.Is(err, fs.ErrNotExist) {
			_ = copyDatabase(m, c.sync(), path.Join(refreshedDir, "sync"), r.name) // without, it is fetched
		}
	}
	return nil
}

// copyDatabase copies a repository's database with its signature, and the time by which pacman asks whether there is a newer one.
func copyDatabase(m *machine.Machine, from, to, name string) error {
	for _, file := range []string{name + ".db", name + ".db.sig"} {
		info, err := m.Stat(path.Join(from, file))
		if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(file, ".sig") {
			if err := os.Remove(m.Path(path.Join(to, file))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := machine.CopyFile(m.Path(path.Join(from, file)), m.Path(path.Join(to, file))); err != nil {
			return err
		}
		if err := os.Chtimes(m.Path(path.Join(to, file)), time.Time{}, info.ModTime()); err != nil {
			return err
		}
	}
	return nil
}

// sandbox keeps pacman 7 and later from giving the download to a user who cannot get at our folder.
func sandbox(m *machine.Machine, c *config) []string {
	installed, err := readLocal(m, c)
	if err != nil {
		return nil
	}
	p := find(installed, "pacman")
	if p == nil {
		return nil
	}
	major, _, _ := strings.Cut(p.version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < 7 {
		return nil
	}
	return []string{"--disable-sandbox"}
}
