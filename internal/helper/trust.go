package helper

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Trust is root's own note of the fleet that this host is in: whoever owns the agent's files cannot change it.
type Trust struct {
	Host fleet.HostID `json:"host"`
	// Server is the base URL, for people.
	Server string `json:"server"`
	// OrderKey is the server's public key: no other gives orders here.
	OrderKey []byte `json:"order_key"`
}

const (
	trustFile = "trust.json"
	maxTrust  = 64 << 10
)

// Save puts it in place of the one before.
func (t Trust) Save(dir string) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := machine.WriteFile(filepath.Join(dir, trustFile), data, 0o600); err != nil {
		return fmt.Errorf("note which server may give orders: %w", err)
	}
	return nil
}

// LoadTrust reads it.
func LoadTrust(dir string) (Trust, error) {
	file := filepath.Join(dir, trustFile)
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Trust{}, &fleet.Unknown{Because: "root of this host has enrolled it in no fleet, so nobody may give orders", Remedy: "enrol it as root: `redflag agent enroll URL TOKEN`", Err: err}
	}
	if err != nil {
		return Trust{}, fmt.Errorf("read which server may give orders: %w", err)
	}
	if info.Size() > maxTrust {
		return Trust{}, fmt.Errorf("read %s: %w", file, machine.ErrTooLarge)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return Trust{}, fmt.Errorf("read which server may give orders: %w", err)
	}
	var t Trust
	if json.Unmarshal(data, &t) != nil || t.Host == 0 || len(t.OrderKey) != ed25519.PublicKeySize {
		return Trust{}, &fleet.Unknown{Because: file + " is damaged, so nobody may give orders", Remedy: "enrol this host again: it stays the same host"}
	}
	return t, nil
}

// ForgetTrust deletes it: afterwards nobody may give orders.
func ForgetTrust(dir string) error {
	err := os.Remove(filepath.Join(dir, trustFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
