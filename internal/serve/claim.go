package serve

import (
	"errors"
	"io"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Claim keeps other servers from an embedded database until it is closed: each remembers what it has read and written there. PostgreSQL is for
// many, and needs no claim.
func (o Options) Claim() (io.Closer, error) {
	if o.postgres() {
		return io.NopCloser(nil), nil
	}
	lock, err := machine.Lock(o.DSN() + ".lock")
	if errors.Is(err, machine.ErrLocked) {
		return nil, &fleet.Unknown{
			Because: "another server is at work on the database " + o.DSN(), Err: err,
			Remedy: "stop that one, or choose another --data-dir; several servers can share a PostgreSQL",
		}
	}
	return lock, err
}

func (o Options) postgres() bool {
	return strings.HasPrefix(o.Database, "postgres://") || strings.HasPrefix(o.Database, "postgresql://")
}
