// Package memory keeps the last scan of this host on disk, so that a list can be shown at once and an update that could
// not be checked today is not forgotten. It is one JSON document, the same one that a scan prints.
package memory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

const (
	file = "last-scan.json"
	// maxBytes bounds what is read: 10,000 updates are 4 MB.
	maxBytes = 64 << 20
)

// ErrEmpty is returned when no scan is remembered.
var ErrEmpty = errors.New("no scan is remembered")

// File is where the last scan of a state folder lies.
func File(dir string) string { return filepath.Join(dir, file) }

// Load gives the last scan that was kept in a state folder. A damaged one is an error that names the file.
func Load(dir string) (fleet.Scan, error) {
	path := File(dir)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fleet.Scan{}, ErrEmpty
	}
	if err != nil {
		return fleet.Scan{}, fmt.Errorf("read the last scan: %w", err)
	}
	defer f.Close()
	var scan fleet.Scan
	if err := json.NewDecoder(io.LimitReader(f, maxBytes)).Decode(&scan); err != nil {
		return fleet.Scan{}, fmt.Errorf("read the last scan: %s is damaged (a new scan replaces it): %w", path, err)
	}
	return scan, nil
}

// Save keeps a scan, laid over the one before it (see [fleet.Scan.After]), and gives what is remembered now. Two processes
// may save at once: one of them wins whole.
func Save(dir string, scan fleet.Scan) (fleet.Scan, error) {
	if before, err := Load(dir); err == nil {
		scan = scan.After(before)
	}
	data, err := json.Marshal(scan)
	if err != nil {
		return scan, fmt.Errorf("keep the scan: %w", err)
	}
	if err := machine.WriteFile(File(dir), data, 0o600); err != nil {
		return scan, fmt.Errorf("keep the scan: %w", err)
	}
	return scan, nil
}
