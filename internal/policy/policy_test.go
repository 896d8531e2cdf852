package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

func load(t *testing.T, text string) Policy {
	t.Helper()
	m := &machine.Machine{Root: t.TempDir()}
	if text != "" {
		file := m.Path(File)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(m)
}

func TestThePolicyHasTheLastWord(t *testing.T) {
	secure := fleet.Change{Action: fleet.Upgrade, Name: "openssl", From: "1", To: "2", Security: true}
	other := fleet.Change{Action: fleet.Upgrade, Name: "vim", From: "1", To: "2"}
	brought := fleet.Change{Action: fleet.Install, Name: "libnew", To: "2", Automatic: true}
	dragged := fleet.Change{Action: fleet.Upgrade, Name: "libvim", From: "1", To: "2", Automatic: true}
	removed := fleet.Change{Action: fleet.Remove, Name: "libold", From: "1", Automatic: true}
	at := func(clock string) time.Time {
		now, err := time.Parse("15:04", clock)
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	for _, c := range []struct {
		file    string
		changes []fleet.Change
		clock   string
		plan    bool
		refused string // empty: it may
	}{
		{"", []fleet.Change{secure}, "12:00", true, "install anything"},
		{`allow = "report"`, []fleet.Change{secure}, "12:00", false, "install anything"},
		{`allow = "security"`, []fleet.Change{secure, brought}, "12:00", true, ""},
		{`allow = "security"`, []fleet.Change{secure, other}, "12:00", true, "not for security: upgrade vim 1 → 2"},
		{`allow = "security"`, []fleet.Change{secure, removed}, "12:00", true, "not for security: remove libold 1"},
		{`allow = "security"`, []fleet.Change{secure, dragged}, "12:00", true, "not for security: upgrade libvim 1 → 2"},
		{`allow = "all"`, []fleet.Change{secure, other, removed}, "12:00", true, ""},
		{"allow = \"all\"\nnever = [\"vim*\"]", []fleet.Change{secure, other}, "12:00", true, "change vim"},
		{"allow = \"all\"\nonly = [\"open*\"]", []fleet.Change{secure, other}, "12:00", true, "change vim"},
		{"allow = \"all\"\nonly = [\"open*\"]", []fleet.Change{secure}, "12:00", true, ""},
		{"allow = \"all\"\nhours = \"22:00-05:30\"", []fleet.Change{secure}, "12:00", true, "at 22:00-05:30 alone"},
		{"allow = \"all\"\nhours = \"22:00-05:30\"", []fleet.Change{secure}, "05:29", true, ""},
		{"allow = \"all\"\nhours = \"22:00-05:30\"", []fleet.Change{secure}, "05:30", true, "at 22:00-05:30 alone"},
		{"allow = \"all\"\nhours = \"08:00-09:00\"", []fleet.Change{secure}, "08:00", true, ""},
	} {
		p := load(t, c.file)
		if p.Because != "" {
			t.Errorf("%s: %s", c.file, p.Because)
		}
		if may := p.MayPlan() == nil; may != c.plan {
			t.Errorf("%s: it may plan: %v", c.file, may)
		}
		got := ""
		if err := p.MayInstall(fleet.Plan{Changes: c.changes}, at(c.clock)); err != nil {
			got, _ = fleet.Explain(err)
		}
		if (got == "") != (c.refused == "") || !strings.Contains(got, c.refused) {
			t.Errorf("%s at %s: %q, want %q", c.file, c.clock, got, c.refused)
		}
	}
}

func TestAPolicyThatIsNotUnderstoodAllowsNothing(t *testing.T) {
	for _, bad := range []string{`allow = "everything"`, `alow = "all"`, `allow = `, "reboot = true\nallow = \"some\"", "restart = true\nreboots = true", "allow = \"all\"\nhours = \"late\"", "allow = \"all\"\nnever = [\"[\"]"} {
		p := load(t, bad)
		now := time.Now()
		for what, err := range map[string]error{
			"plan": p.MayPlan(), "install": p.MayInstall(fleet.Plan{}, now), "restart": p.MayRestart(now), "reboot": p.MayReboot(now),
			"hold": p.MayHold([]string{"curl"}), "repair": p.MayRepair(now),
		} {
			if because, _ := fleet.Explain(err); !strings.Contains(because, "cannot be understood (") {
				t.Errorf("%s: it may %s: %q", bad, what, because)
			}
		}
	}
}
