package docker

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/fleet"
)

func TestAChangeOfHowAnImageRunsIsTold(t *testing.T) {
	runs := behaviour{known: true, entrypoint: []string{"/entry.sh"}, command: []string{"run", "a b"}, user: "0", ports: []string{"80/tcp"}, volumes: []string{"/data"}}
	newer := behaviour{known: true, entrypoint: []string{"/entry.sh"}, command: []string{"run", "it's"}, user: "1000", ports: []string{"80/tcp", "443/tcp"}, directory: strings.Repeat("x", 400)}
	want := []fleet.ImageChange{
		{What: "command", From: "run 'a b'", To: `run 'it'\''s'`}, {What: "user", From: "0", To: "1000"},
		{What: "working directory", To: strings.Repeat("x", maxChange) + "…"}, {What: "ports", From: "80/tcp", To: "443/tcp 80/tcp"}, {What: "volumes", From: "/data"},
	}
	if diff := cmp.Diff(want, runs.changesTo(newer)); diff != "" {
		t.Error(diff)
	}
	if got := runs.changesTo(runs); got != nil {
		t.Error("the same is told as a change:", got)
	}
	if got := runs.changesTo(behaviour{}); got != nil {
		t.Error("what could not be read is told as a change:", got)
	}
}
