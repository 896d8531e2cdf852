package apt

import (
	"context"
	"errors"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// Unfinished implements source.Repairer.
func (s Source) Unfinished(m *machine.Machine) ([]string, error) {
	db, err := s.database(m)
	if err != nil {
		return nil, err
	}
	return db.interrupted(), nil
}

// Repair lets dpkg finish what it was interrupted in, with configuration files kept: it installs and removes nothing. What it changed is the outcome;
// what is still half done then needs a plan of what mends it, or a person.
func (s Source) Repair(ctx context.Context, m *machine.Machine, w source.Work) (fleet.Outcome, error) {
	if err := s.awaitLocks(ctx, m, w); err != nil {
		return fleet.Outcome{}, err
	}
	before, err := s.snapshot(ctx, m)
	if err != nil {
		return fleet.Outcome{}, err
	}
	if err := w.Write(m, beforeFile, before); err != nil {
		return fleet.Outcome{}, err
	}
	code, err := s.run(context.WithoutCancel(ctx), m, w, machine.Command{
		Name: "dpkg", Args: []string{"--no-force-confnew,confask", "--force-confdef,confold", "--configure", "-a"}, Env: calmly,
	})
	if err := errors.Join(err, w.Write(m, codeFile, code)); err != nil {
		return fleet.Outcome{}, err
	}
	o, err := s.Settle(ctx, m, fleet.Plan{Source: s.Name()}, w)
	if err != nil {
		return o, err
	}
	mend, err := s.Plan(ctx, m, fleet.Selection{Mend: true})
	switch {
	case err != nil && o.Because == "":
		o.Because, o.Remedy = fleet.Explain(err)
	case err == nil && len(mend.Changes) > 0:
		o.Because, o.Remedy = "dpkg has done what it could, and packages still lack what they need", "see what would mend that, on the host: redflag repair"
	}
	return o, nil
}
