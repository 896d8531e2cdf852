package apt

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// Hold implements source.Holder. A name that is none of a package here is refused, and nothing is changed then.
func (s Source) Hold(ctx context.Context, m *machine.Machine, names []string, hold bool) error {
	db, err := s.database(m)
	if err != nil {
		return err
	}
	var unknown []string
	for _, name := range names {
		known := slices.ContainsFunc(db.Packages, func(p *Package) bool {
			return (p.Installed() || p.Held()) && (p.Name == name || p.Name+":"+p.Arch == name)
		})
		if !known || !aptName.MatchString(name) {
			unknown = append(unknown, fmt.Sprintf("%q", fleet.Plain(name)))
		}
	}
	if len(unknown) > 0 {
		return &fleet.Unknown{Because: "no package of this name is installed here: " + strings.Join(unknown, ", "), Remedy: "dpkg -l lists those that are"}
	}
	action := "hold"
	if !hold {
		action = "unhold"
	}
	result, err := m.Run(ctx, machine.Command{Name: "apt-mark", Args: append([]string{action}, names...)})
	if err != nil {
		return fmt.Errorf("apt-mark %s: %w", action, err)
	}
	if result.Code != 0 {
		return &fleet.Unknown{Because: "apt-mark does not " + action + ": " + fleet.Plain(complaint(result)), Remedy: "see what apt-mark says"}
	}
	return s.isHeld(m, names, hold)
}

// isHeld looks whether packages are held now, or are not: a host's configuration may have apt-mark only pretend.
func (s Source) isHeld(m *machine.Machine, names []string, hold bool) error {
	db, err := s.database(m)
	if err != nil {
		return err
	}
	for _, p := range db.Packages {
		if p.Installed() && (slices.Contains(names, p.Name) || slices.Contains(names, p.Name+":"+p.Arch)) && p.Held() == hold {
			return nil
		}
	}
	return &fleet.Unknown{Because: "apt-mark ended well, and the database of packages is as it was", Remedy: "see whether apt's configuration makes it only pretend: apt-config dump"}
}

// Held implements source.Holder.
func (s Source) Held(m *machine.Machine) ([]string, error) {
	db, err := s.database(m)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, p := range db.Packages {
		if !p.Held() {
			continue
		}
		name := p.Name
		if slices.ContainsFunc(db.Packages, func(o *Package) bool { return o != p && o.Name == p.Name }) {
			name += ":" + p.Arch
		}
		names = append(names, fleet.Plain(name))
	}
	slices.Sort(names)
	return names, nil
}
