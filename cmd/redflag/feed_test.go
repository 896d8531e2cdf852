//go:build unix

package main

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"redflag/internal/client"
	"redflag/internal/store"
)

// codenames are those of the releases that simulated hosts run, by which Debian's tracker speaks of them.
var codenames = map[string]string{"Debian:11": "bullseye", "Debian:12": "bookworm", "Debian:13": "trixie"}

// feed runs redflag feed, and gives what it prints; its exit code is the one that is wanted.
func (o *operator) feed(code int, args ...string) string {
	o.Helper()
	cmd := exec.CommandContext(o.Context(), o.exe, append([]string{"feed"}, args...)...) //nolint:gosec // a test's own program
	cmd.Env = o.env()
	out, _ := cmd.CombinedOutput() // the exit code says it
	if got := cmd.ProcessState.ExitCode(); got != code {
		o.Fatalf("redflag feed %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

func TestAFeedIsGivenToAServerAndWhatItSpeaksOfIsMendedFromTheTerminal(t *testing.T) {
	o := newOperator(t, 2, 3)
	c, err := client.New(client.Config{Server: o.s.url, Key: o.s.key})
	if err != nil {
		t.Fatal(err)
	}
	offers, err := client.All[store.Offer](t.Context(), c, "/updates", url.Values{"source": {"apt"}})
	if err != nil || len(offers) == 0 || offers[0].Update.Build == nil {
		t.Fatal(offers, err)
	}
	b := offers[0].Update.Build
	file := filepath.Join(t.TempDir(), "tracker.json")
	text := fmt.Sprintf(`{%q: {"CVE-2026-0001": {"releases": {%q: {"status": "resolved", "fixed_version": %q, "urgency": "high"}}}}}`, b.Package, codenames[b.Ecosystem], b.To)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o.says(o.job(0, "vulnerabilities"), "")
	o.says(o.feed(0, "import", file), "debian-tracker: 1 entries")
	o.says(o.feed(0, "list"), "debian-tracker", "not known: what is exploited")
	o.says(o.feed(1, "import", "https://198.51.100.7/feed"), "only the addresses that its configuration names")
	o.says(o.feed(2, "import"), "which feed")
	o.says(o.job(0, "vulnerabilities"), "this window", "CVE-2026-0001", b.Package)
	o.says(o.job(0, "vulnerabilities", "CVE-2026-0001"), b.From, "mended in "+b.To, "→ "+b.To)
	o.says(o.job(0, "mend", "CVE-2026-0001", "--yes"), offers[0].Update.Name)
	o.says(o.job(1, "mend", "CVE-1999-0001"), "no host is known to have this vulnerability")
	o.feed(0, "delete", "debian-tracker")
	o.says(o.feed(0, "list"), "no advisory data")
}
