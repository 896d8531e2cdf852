package docker

import (
	"context"
	"errors"

	"github.com/moby/moby/client"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Describe implements source.Describer: the first engine of this brand that answers, the system's before the user's own.
func (s *Source) Describe(ctx context.Context, m *machine.Machine) (fleet.Engine, error) {
	engines, lost := s.engines(ctx, m)
	defer closeAll(engines)
	if len(engines) == 0 {
		return fleet.Engine{}, lost
	}
	described := fleet.Engine{Name: s.Name()}
	err := engines[0].ask(ctx, func(ctx context.Context) error {
		r, err := engines[0].api.ServerVersion(ctx, client.ServerVersionOptions{})
		if described.Version = fleet.Plain(r.Version); err == nil && described.Version == "" {
			return errors.New("it has no version")
		}
		return err
	})
	if err != nil {
		return fleet.Engine{}, err
	}
	return described, nil
}
