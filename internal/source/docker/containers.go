package docker

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Containers implements source.Runner: every container of every engine of this brand, running or not, in the order of their names. With one
// engine that does not answer it is an error: half a list would say that the rest is gone.
func (s *Source) Containers(ctx context.Context, m *machine.Machine) ([]fleet.Container, error) {
	engines, lost, theirs := s.connectAll(ctx, m)
	defer closeAll(engines)
	if err := errors.Join(lost, theirs); err != nil {
		return nil, err
	}
	list := []fleet.Container{}
	for _, e := range engines {
		err := e.ask(ctx, func(ctx context.Context) error {
			r, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true})
			for _, c := range r.Items {
				list = append(list, fleet.Container{
					Source: s.Name(), Name: e.called(nameOf(c)), Image: fleet.Plain(c.Image), ImageID: imageID(c.ImageID), State: fleet.Plain(string(c.State)),
				})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b fleet.Container) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}
