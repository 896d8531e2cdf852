//go:build unix

package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	model "redflag/internal/fleet"
	"redflag/internal/parts"
	"redflag/internal/store"
)

// oddCharacters are what a console of Windows would show as garbage.
var oddCharacters = regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f]`)

func TestTheProgramOfWindowsRunsUnderWine(t *testing.T) {
	w := parts.Wine(t)
	exe := w.Build("redflag/cmd/redflag", false)
	t.Run("what a person types", func(t *testing.T) { typedOnWindows(t, w, exe) })
	t.Run("the agent reports to a real server", func(t *testing.T) { reportedFromWindows(t, w, exe) })
}

func typedOnWindows(t *testing.T, w *parts.Windows, exe string) {
	for _, c := range []struct {
		args string
		code int
		says []string
	}{
		{"--version", 0, []string{"redflag version "}},
		{"--help", 0, []string{"Exit codes: 0 done, 1 failed", "scan ", "doctor "}},
		{"list", 1, []string{"this machine was not scanned yet by this user"}},
		{"scan", 3, []string{"Windows", "windowsupdate: unknown", "PowerShell has said nothing that can be read", "reboot needed or not: unknown", "no updates known, and not everything is known of windowsupdate"}},
		{"list", 3, []string{"windowsupdate: unknown"}},
		{"doctor", 3, []string{`windows/amd64`, `C:\ProgramData\redflag\config\config.toml`, `C:\ProgramData\redflag\state`, "an administrator", "!!  windowsupdate", "not on this machine: apt, ", ", winget, chocolatey, "}},
		{"install KB5031455 --yes", 1, []string{"Windows Update cannot be asked"}},
		{"hold KB5031455", 1, []string{"Windows Update cannot be asked"}},
		{"agent install", 1, []string{"this host is in no fleet"}},
		{"scan --no-such-flag", 2, []string{"unknown flag"}},
	} {
		stdout, stderr, code := w.Run(exe, strings.Fields(c.args)...)
		said := stdout + stderr
		if code != c.code {
			t.Errorf("%s: code %d: %s", c.args, code, said)
		}
		for _, words := range c.says {
			if !strings.Contains(said, words) {
				t.Errorf("%s does not say %q: %s", c.args, words, said)
			}
		}
		if strings.Contains(said, "up to date") && c.args != "--help" || strings.Contains(said, "goroutine ") || oddCharacters.MatchString(said) {
			t.Errorf("%s says %q", c.args, said)
		}
	}
	stdout, stderr, code := w.Run(exe, "scan", "--format", "json")
	var scan model.Scan
	if err := json.Unmarshal([]byte(stdout), &scan); err != nil || code != 3 {
		t.Fatalf("%d, %v: %s%s", code, err, stdout, stderr)
	}
	if h := scan.Host; h.OSID != "windows" || h.OSVersion == "" || h.Reboot.Needed != model.NeedUnknown || h.Restart.Needed != model.NeedUnknown || h.Restart.Because == "" {
		t.Errorf("%+v", h)
	}
	if len(scan.Findings) != 1 || scan.Findings[0].State != model.Uncertain || scan.Findings[0].Remedy == "" {
		t.Errorf("%+v", scan.Findings)
	}
	if kept, err := filepath.Glob(w.Disk("ProgramData/redflag/state/*.json")); err != nil || len(kept) == 0 {
		t.Errorf("nothing is remembered: %v", err)
	}
}

func reportedFromWindows(t *testing.T, w *parts.Windows, agent string) {
	server, data := build(t), t.TempDir()
	p := startProcess(t, server, "serve", "--data-dir", data, "--listen", "127.0.0.1:0")
	at := regexp.MustCompile(`serves the fleet at (\S+)`)
	until(t, "the server listens", func() bool { return at.MatchString(p.said()) })
	url := at.FindStringSubmatch(p.said())[1]
	out, err := exec.CommandContext(t.Context(), server, "token", "create", "--data-dir", data).Output() //nolint:gosec // a test's own program
	if err != nil {
		t.Fatal(err)
	}
	token := lastLine(string(out))
	if stdout, stderr, code := w.Run(agent, "agent", "enroll", url, token); code != 0 || !strings.Contains(stdout, "This host is ") {
		t.Fatalf("%d: %s%s", code, stdout, stderr)
	}
	if stdout, stderr, code := w.Run(agent, "agent", "run", "--once"); code != 0 {
		t.Fatalf("%d: %s%s", code, stdout, stderr)
	}
	s, err := store.Open(t.Context(), filepath.Join(data, "fleet.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hosts, _, err := s.Hosts(t.Context(), store.HostFilter{}, store.Page{})
	if err != nil || len(hosts) != 1 || hosts[0].Facts.OSID != "windows" || hosts[0].ReportedAt.IsZero() || hosts[0].Unknown == 0 {
		t.Fatalf("%+v, %v", hosts, err)
	}
	findings, err := s.Findings(t.Context(), hosts[0].ID)
	if err != nil || len(findings) != 1 || findings[0].Source != "windowsupdate" || findings[0].State != model.Uncertain || findings[0].Because == "" {
		t.Errorf("%+v, %v", findings, err)
	}
	if stdout, stderr, code := w.Run(agent, "agent", "status"); !strings.Contains(stdout+stderr, url) {
		t.Errorf("%d: %s%s", code, stdout, stderr)
	}
}
