package command

import (
	"errors"
	"testing"

	"redflag/internal/fleet"
)

func TestTheExitCodeOfAScan(t *testing.T) {
	image := func(k fleet.Kind) *fleet.ImageUpdate { return &fleet.ImageUpdate{Kind: k} }
	for _, c := range []struct {
		name         string
		state        fleet.State
		updates      []fleet.Update
		asked, plain exitCode
	}{
		{"nothing", fleet.OK, nil, 0, 0},
		{"unknown", fleet.Uncertain, nil, exitUnknown, exitUnknown},
		{"an update", fleet.OK, []fleet.Update{{}}, exitUpdates, 0},
		{"an update and an unknown", fleet.Uncertain, []fleet.Update{{}}, exitUpdates, exitUnknown},
		{"a security update", fleet.OK, []fleet.Update{{}, {Security: true}}, exitSecurityUpdates, 0},
		{"a held one", fleet.OK, []fleet.Update{{Blocked: fleet.Held}}, 0, 0},
		{"a held security update", fleet.OK, []fleet.Update{{Blocked: fleet.Held, Security: true}}, exitSecurityUpdates, 0},
		{"an image's rebuild", fleet.OK, []fleet.Update{{ImageUpdate: image(fleet.Rebuild)}}, exitUpdates, 0},
		{"an image's newer tag", fleet.OK, []fleet.Update{{ImageUpdate: image(fleet.Version)}}, 0, 0},
	} {
		scan := fleet.Scan{Findings: []fleet.Finding{{State: c.state, Updates: c.updates}}}
		for asked, want := range map[bool]exitCode{true: c.asked, false: c.plain} {
			var got exitCode
			errors.As(verdict(scan, asked), &got)
			if got != want {
				t.Errorf("%s, asked %v: %d, want %d", c.name, asked, got, want)
			}
		}
	}
}
