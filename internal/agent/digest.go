package agent

import (
	"encoding/json"
	"fmt"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/wire"
)

// The parts of a host, which have a digest each.
const (
	partHost       = "host"
	partPackages   = "packages"
	partContainers = "containers"
	partFinding    = "finding/" // and the source
)

// digest gives the digests of what a view says. Times at which something was looked at are no part of them: they change
// while nothing else does, and go with the check-in.
func digest(v View) (wire.Digests, error) {
	d := wire.Digests{}
	add := func(part string, value any) error {
		data, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("digest of %s: %w", part, err)
		}
		d[part] = wire.Digest(data)
		return nil
	}
	if err := add(partHost, v.Host); err != nil {
		return nil, err
	}
	if v.Packages != nil {
		if err := add(partPackages, v.Packages); err != nil {
			return nil, err
		}
	}
	if v.Containers != nil {
		if err := add(partContainers, v.Containers); err != nil {
			return nil, err
		}
	}
	for _, f := range v.Findings {
		if err := add(partFinding+f.Source, timeless(f)); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// timeless takes the times of looking off a finding.
func timeless(f fleet.Finding) fleet.Finding {
	f.ScannedAt, f.AsOf = time.Time{}, time.Time{}
	checks := make([]fleet.Check, len(f.Checks))
	for i, c := range f.Checks {
		c.CheckedAt = time.Time{}
		checks[i] = c
	}
	f.Checks = checks
	return f
}
