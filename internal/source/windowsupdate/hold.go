package windowsupdate

import (
	"context"
	"strconv"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Held implements source.Holder: the updates that are hidden.
func (s Source) Held(m *machine.Machine) ([]string, error) {
	r, err := ask(context.Background(), m, lookLimit, "pending", "offline")
	if err != nil {
		return nil, err
	}
	held, names := []string{}, r.names()
	for i, u := range r.Updates {
		if u.Hidden && u.valid() {
			held = append(held, names[i])
		}
	}
	return held, nil
}

// Hold implements source.Holder: an update is hidden, as a person does it in Windows Update. Only that revision is; Microsoft may publish another.
func (s Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	f, err := s.Scan(ctx, m)
	if err != nil && len(f.Updates) == 0 {
		return err
	}
	var words, strange []string
	for _, name := range names {
		if u := find(f.Updates, name); u != nil {
			words = append(words, u.To)
		} else {
			strange = append(strange, name)
		}
	}
	if len(strange) > 0 {
		return source.NotOnOffer(strange, "")
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	if _, err := run(ctx, m, hideScript, append([]string{strconv.FormatBool(hold)}, words...)...); err != nil {
		return err
	}
	now, err := stateOf(ctx, m, words)
	if err != nil {
		return err
	}
	for _, word := range words {
		if u, known := now[word]; !known || u.Hidden != hold {
			return &fleet.Unknown{Because: "Windows does not do it: " + strings.Join(names, ", "), Remedy: asAdministrator}
		}
	}
	return nil
}
