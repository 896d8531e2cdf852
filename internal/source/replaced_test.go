package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// recorder is a source with a log.
type recorder struct {
	Source
	owners   map[string]Owner
	upgrades []Upgrade
	err      error
}

func (recorder) Name() string { return "apt" }

func (r recorder) Owners(context.Context, *machine.Machine, []string) (map[string]Owner, error) {
	return r.owners, nil
}

func (r recorder) Upgrades(context.Context, *machine.Machine, []Owner) ([]Upgrade, error) {
	return r.upgrades, r.err
}

func TestAServiceRunsTheVersionThatWasThereWhenItWasStarted(t *testing.T) {
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	ssl, curl := Owner{"libssl3", "amd64"}, Owner{"curl", ""}
	installed := []fleet.Package{
		{Source: "apt", Name: "libssl3", Arch: "amd64", Version: "3-1", From: "openssl"}, {Source: "apt", Name: "libssl3", Arch: "i386", Version: "1-1", From: "openssl"},
		{Source: "apt", Name: "curl", Arch: "amd64", Version: "2-1+b1", FromVersion: "2-1"}, {Source: "apt", Name: "odd", Arch: "amd64", Version: "2-1", FromVersion: "7-1"},
	}
	owners := map[string]Owner{"/lib/ssl": ssl, "/lib/crypto": ssl, "/bin/curl": curl, "/bin/odd": {"odd", ""}}
	log := []Upgrade{
		{ssl, "2-1", "3-1", noon.Add(-time.Hour), 0}, {ssl, "1-1", "2-1", noon.Add(-48 * time.Hour), 0}, {ssl, "0-1", "1-1", noon.Add(-96 * time.Hour), 0},
		{curl, "1-1+b3", "2-1+b1", noon.Add(-time.Hour), 14 * time.Hour}, {curl, "0-1", "1-1+b3", noon.Add(-7 * time.Hour), 14 * time.Hour}, {Owner{"odd", ""}, "1-1", "2-1", noon.Add(-time.Hour), 0},
	}
	files := func(names ...string) fleet.Service {
		return fleet.Service{Name: "a.service", Kind: "unit", Files: names}
	}
	for _, c := range []struct {
		name    string
		service fleet.Service
		started time.Duration
		log     []Upgrade
		want    string
	}{
		{"before the last", files("/lib/crypto", "/lib/ssl"), -2 * time.Hour, log, "libssl3 amd64 2-1 "},
		{"before the last two", files("/lib/ssl"), -72 * time.Hour, log, "libssl3 amd64 1-1 "},
		{"before all that is known", files("/lib/ssl"), -200 * time.Hour, log, "libssl3 amd64 0-1 "},
		{"after all of them", files("/lib/ssl"), -time.Minute, log, "unknown: which version it runs of libssl3 is not known"},
		{"the log lacks the last", files("/lib/ssl"), -72 * time.Hour, log[1:], "unknown: which version it runs of libssl3 is not known"},
		{"the log lacks one between", files("/lib/ssl"), -200 * time.Hour, []Upgrade{log[0], log[2]}, "libssl3 amd64 2-1 "},
		{"installed again", files("/lib/ssl"), -2 * time.Hour, []Upgrade{{ssl, "3-1", "3-1", noon.Add(-time.Hour), 0}}, ""},
		{"a rebuild, and a log without zones", files("/bin/curl"), -8 * time.Hour, log, "curl amd64 1-1+b3 1-1"},
		{"of no package", files("/opt/x", "/lib/ssl"), -2 * time.Hour, log, "libssl3 amd64 2-1 unknown: no installed package has /opt/x any more"},
		{"a source with versions of its own", files("/bin/odd"), -2 * time.Hour, log, "unknown: which version it runs of odd is not known"},
		{"a container", fleet.Service{Kind: "container", Files: []string{"/lib/ssl"}}, -2 * time.Hour, log, "unknown: what runs in a container is of its image"},
		{"nobody knows since when", files("/lib/ssl"), 0, log, "unknown: which version it runs of libssl3 is not known"},
	} {
		if c.started != 0 {
			c.service.StartedAt = noon.Add(c.started)
		}
		services := []fleet.Service{c.service, files("/lib/ssl")}
		Replaced(t.Context(), nil, []Source{recorder{owners: owners, upgrades: c.log, err: errors.New("there may be more")}}, installed, services)
		var got []string
		for _, r := range services[0].Replaced {
			got = append(got, fmt.Sprint(r.Name, " ", r.Arch, " ", r.Before, " ", r.SourceBefore))
		}
		if u := services[0].ReplacedUnknown; u != "" {
			got = append(got, "unknown: "+u)
		}
		if s := strings.Join(got, ""); s != c.want {
			t.Errorf("%s: %q, want %q", c.name, s, c.want)
		}
	}
}
