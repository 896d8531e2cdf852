package source

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// shop has some names on offer, or fails.
type shop struct {
	Installer
	name  string
	names []string
	fails string
}

func (s shop) Name() string { return s.name }

// Plan implements Planner.
func (s shop) Plan(_ context.Context, m *machine.Machine, sel fleet.Selection) (fleet.Plan, error) {
	p := fleet.NewPlan(s.name, sel, m.Now())
	if s.fails != "" {
		return p, &fleet.Unknown{Because: s.fails}
	}
	names := sel.Names
	if sel.All {
		names = s.names
	}
	if missing := without(names, s.names); len(missing) > 0 {
		return p, NotOnOffer(missing, "")
	}
	for _, n := range names {
		p.Changes = append(p.Changes, fleet.Change{Action: fleet.Upgrade, Name: n, From: "1", To: "2"})
	}
	return p, nil
}

func TestEachNameIsPlannedWhereItIsOnOffer(t *testing.T) {
	apt, docker, broken := shop{name: "apt", names: []string{"curl", "vim"}}, shop{name: "docker", names: []string{"web"}}, shop{name: "broken", fails: "it does not answer"}
	for _, c := range []struct {
		shops []Installer
		names []string // none: all
		want  string   // source: name name; …
		wrong string
	}{
		{[]Installer{apt, docker}, []string{"curl", "web"}, "apt: curl; docker: web", ""},
		{[]Installer{apt, docker}, []string{"vim"}, "apt: vim", ""},
		{[]Installer{apt, docker}, []string{"vim", "nonsense"}, "", `no update of "nonsense" is on offer`},
		{[]Installer{apt, broken}, []string{"curl"}, "apt: curl", ""},
		{[]Installer{apt, broken}, []string{"curl", "web"}, "", "it does not answer"},
		{[]Installer{broken}, []string{"curl"}, "", "it does not answer"},
		{[]Installer{apt, docker}, nil, "apt: curl vim; docker: web", ""},
		{[]Installer{apt, broken}, nil, "apt: curl vim; broken unknown because it does not answer:", ""},
		{[]Installer{broken, broken}, nil, "", "it does not answer"},
	} {
		plans, err := PlanAll(t.Context(), &machine.Machine{Now: time.Now}, c.shops, fleet.Selection{All: len(c.names) == 0, Names: c.names})
		var got []string
		for _, p := range plans {
			text := p.Source + ":"
			if p.Because != "" {
				text = p.Source + " unknown because " + p.Because + ":"
			}
			for _, change := range p.Changes {
				text += " " + change.Name
			}
			got = append(got, text)
		}
		because, _ := fleet.Explain(err)
		if strings.Join(got, "; ") != c.want || because != c.wrong {
			t.Errorf("%q: planned %q, %q; want %q, %q", c.names, got, because, c.want, c.wrong)
		}
	}
	var not *NotOffered
	if _, err := PlanAll(t.Context(), &machine.Machine{Now: time.Now}, []Installer{apt}, fleet.Selection{Names: []string{"a", "b"}}); !errors.As(err, &not) || !slices.Equal(not.Names, []string{"a", "b"}) {
		t.Errorf("%v", err)
	}
}
