package agent

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Identity is who this host is in a fleet, and whom it believes. Its key never leaves the host.
type Identity struct {
	Host fleet.HostID `json:"host"`
	// Server is the base URL of the fleet's server.
	Server string `json:"server"`
	// Key is the seed of the host's private key (Ed25519).
	Key []byte `json:"key"`
	// OrderKey is the server's public key, pinned at enrolment: no other may give orders.
	OrderKey []byte `json:"order_key"`
	// CA is the server's own authority (PEM), pinned at enrolment; empty where the system's roots vouch for the server.
	CA string `json:"ca,omitempty"`
	// Machine is a hash of the ID of the machine that was enrolled. On another one, a copy, this identity is not used.
	Machine string `json:"machine"`
	// Interval is how long to wait between check-ins, in seconds, as the server said.
	Interval   int       `json:"interval_seconds"`
	EnrolledAt time.Time `json:"enrolled_at"`
}

const (
	// IdentityFile is its name in the agent's folder.
	IdentityFile = "identity.json"
	// maxIdentity bounds what is read: an identity with a CA is 2 KB.
	maxIdentity = 64 << 10
)

// ErrNotEnrolled: this host is in no fleet.
var ErrNotEnrolled = errors.New("this host is in no fleet")

// LoadIdentity reads the identity in the agent's folder.
func LoadIdentity(dir string) (Identity, error) {
	path := filepath.Join(dir, IdentityFile)
	data, err := readFile(path, maxIdentity)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Identity{}, &fleet.Unknown{Because: ErrNotEnrolled.Error(), Remedy: "`redflag agent enroll URL TOKEN`, with a token that the server makes: `redflag token create`", Err: ErrNotEnrolled}
	case errors.Is(err, fs.ErrPermission):
		return Identity{}, &fleet.Unknown{Because: "the agent's identity in " + path + " is not yours to read", Remedy: "do it as root", Err: err}
	case err != nil:
		return Identity{}, fmt.Errorf("read the agent's identity: %w", err)
	}
	var id Identity
	if err := json.Unmarshal(data, &id); err != nil || len(id.Key) != ed25519.SeedSize || len(id.OrderKey) != ed25519.PublicKeySize || id.Host == 0 {
		return Identity{}, &fleet.Unknown{Because: "the agent's identity in " + path + " is damaged", Remedy: "enrol this host again: it stays the same host", Err: err}
	}
	return id, nil
}

// readFile reads a small file of ours.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes: %w", path, info.Size(), machine.ErrTooLarge)
	}
	return os.ReadFile(path)
}

// save puts an identity in place of the one before.
func (id Identity) save(dir string) error {
	data, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return machine.WriteFile(filepath.Join(dir, IdentityFile), data, 0o600)
}

// Remove deletes all that the agent keeps: afterwards the host is in no fleet, as far as it knows.
func Remove(dir string) error {
	var err error
	for _, name := range []string{IdentityFile, packagesFile, journalFile, statusFile} {
		if e := os.Remove(filepath.Join(dir, name)); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// Belongs refuses an identity that was made on another machine.
func (id Identity) Belongs(machineID string) error {
	if id.Machine == machineID {
		return nil
	}
	return &fleet.Unknown{
		Because: "the agent's identity is another machine's: this one was copied from it, or has a new machine ID",
		Remedy:  "enrol this host with a token of its own: `redflag agent enroll URL TOKEN`",
	}
}
