package apt

import (
	"context"
	"errors"
	"path"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Repair lets dpkg finish what it was interrupted in, with configuration files kept. What it changed is the outcome; what is still half done then
// needs a person.
func (s Source) Repair(ctx context.Context, m *machine.Machine, w source.Work) (fleet.Outcome, error) {
	before, err := s.snapshot(ctx, m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	code, err := s.run(context.WithoutCancel(ctx), m, w, machine.Command{
		Name: "dpkg", Args: []string{"--force-confdef", "--force-confold", "--configure", "-a"}, Env: calmly,
	})
	if err := errors.Join(err, writeJSON(m, path.Join(w.Dir, beforeFile), before), writeJSON(m, path.Join(w.Dir, codeFile), code)); err != nil {
		return fleet.Outcome{}, err
	}
	return s.Settle(ctx, m, fleet.Plan{Source: s.Name()}, w)
}

// Hold implements source.Holder.
func (s Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	action := "hold"
	if !hold {
		action = "unhold"
	}
	if err := checkWords(append([]string{action}, names...)); err != nil {
		return err
	}
	result, err := m.Run(ctx, machine.Command{Name: "apt-mark", Args: append([]string{action}, names...)})
	if err == nil && result.Code != 0 {
		err = &fleet.Unknown{Because: "apt-mark does not " + action + ": " + fleet.Plain(complaint(result))}
	}
	return err
}
