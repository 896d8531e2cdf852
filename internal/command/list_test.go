package command

import (
	"path/filepath"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/memory"
	"redflag/internal/parts"
)

func TestRootIsShownTheAgentsScanWhereThatIsNewerAndSafe(t *testing.T) {
	parts.NeedRoot(t)
	p := &Program{dirs: machine.Folders{State: t.TempDir()}}
	if _, err := p.remembered(); err == nil {
		t.Error("something is remembered")
	}
	save := func(dir string, at time.Time, because string) {
		t.Helper()
		scan := fleet.Scan{ScannedAt: at, Host: fleet.Host{Name: "here"}, Findings: []fleet.Finding{{Source: "apt", State: fleet.Uncertain, Because: because, ScannedAt: at}}}
		if _, err := memory.Save(dir, scan); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now().UTC()
	agent := filepath.Join(p.dirs.State, "agent")
	save(agent, now, "the agent\x1b[2J says")
	scan, err := p.remembered()
	if err != nil || len(scan.Findings) != 1 || scan.Findings[0].Because != fleet.Plain("the agent\x1b[2J says") {
		t.Errorf("%+v, %v", scan.Findings, err)
	}
	save(p.dirs.State, now.Add(time.Minute), "root says")
	if scan, err = p.remembered(); err != nil || scan.Findings[0].Because != "root says" {
		t.Errorf("%+v, %v", scan.Findings, err)
	}
}
