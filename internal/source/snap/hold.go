package snap

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Held implements source.Holder.
func (Source) Held(m *machine.Machine) ([]string, error) {
	list, err := installed(context.Background(), m)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, i := range list {
		if i.Hold.After(m.Now()) {
			names = append(names, i.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Hold implements source.Holder by snapd's own holds, from everybody who does not name the snap, and without an end.
func (s Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	list, err := installed(ctx, m)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.ContainsFunc(list, func(i snap) bool { return i.Name == name }) {
			return &fleet.Unknown{Because: fmt.Sprintf("%q is not installed", fleet.Plain(name)), Remedy: "redflag list shows what is on offer"}
		}
	}
	i := instruction{Action: "unhold"}
	if hold {
		i = instruction{Action: "hold", Time: "forever", Level: "general"}
	}
	for _, name := range names {
		id, err := begin(ctx, m, name, i)
		if err != nil {
			if because, _ := fleet.Explain(err); strings.Contains(because, "unknown action") {
				err = &fleet.Unknown{Because: "this snapd is older than 2.58, and cannot hold a snap", Remedy: "update snapd", Err: err}
			}
			return err
		}
		done, err := s.await(ctx, m, id, io.Discard)
		if err == nil {
			err = done.failed()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
