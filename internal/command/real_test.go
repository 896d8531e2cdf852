package command

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/fleet"
	"redflag/internal/parts"
)

// debian is a root with real updates and this program in it.
type debian struct {
	testing.TB
	root string
}

func newDebian(t testing.TB) debian {
	t.Helper()
	parts.NeedRoot(t)
	d := debian{t, parts.Debian(t, "bookworm")}
	archive, security := parts.DebianArchives(t)
	lists := fmt.Sprintf("deb %s bookworm main\ndeb %s bookworm-security main\n", archive, security)
	if err := os.WriteFile(filepath.Join(d.root, "etc/apt/sources.list"), []byte(lists), 0o644); err != nil { //nolint:gosec // as in a real root
		t.Fatal(err)
	}
	d.in("root", nil, "apt-get", "update", "-q", "-o", "Acquire::Languages=none")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(d.root, "usr/local/bin/redflag"), "redflag/cmd/redflag")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return d
}

// in runs a command in the root as one of its users, and gives what it printed and its exit code.
func (d debian) in(user string, env []string, args ...string) (stdout string, code int) {
	d.Helper()
	cmd := exec.CommandContext(d.Context(), "chroot", append([]string{"--userspec=" + user, d.root}, args...)...)
	cmd.Env = append([]string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp"}, env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		d.Fatalf("%v: %v", args, err)
	}
	d.Logf("%v: exit code %d, standard error: %s", args, cmd.ProcessState.ExitCode(), stderr.String())
	return string(out), cmd.ProcessState.ExitCode()
}

// aptSays is apt's own list, as name:arch from to.
func (d debian) aptSays() []string {
	d.Helper()
	out, _ := d.in("root", []string{"LC_ALL=C"}, "apt", "list", "--upgradable")
	var list []string
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) < 6 {
			continue
		}
		name, _, _ := strings.Cut(words[0], "/")
		list = append(list, fmt.Sprintf("%s:%s %s %s", name, words[2], strings.TrimSuffix(words[5], "]"), words[1]))
	}
	slices.Sort(list)
	return list
}

func (d debian) scan(user string, env ...string) (fleet.Scan, int) {
	d.Helper()
	out, code := d.in(user, env, "redflag", "scan", "--source", "apt", "--format", "json", "--exit-code")
	var scan fleet.Scan
	if err := json.Unmarshal([]byte(out), &scan); err != nil {
		d.Fatalf("not one JSON document: %v: %s", err, out)
	}
	return scan, code
}

func TestAScanInARealDebianSaysWhatAptSays(t *testing.T) {
	if testing.Short() {
		t.Skip("long: it makes a Debian root")
	}
	d := newDebian(t)
	want := d.aptSays()
	if len(want) < 50 {
		t.Fatalf("the root has %d updates only", len(want))
	}
	d.in("root", nil, "apt-mark", "hold", "libssl3")
	for _, c := range []struct {
		user string
		env  []string
	}{
		{"root", nil},
		{"root", nil}, // the second time from what is remembered
		{"nobody", []string{"LC_ALL=tr_TR.UTF-8", "LANGUAGE=tr", "HOME=/nonexistent"}},
		{"nobody", []string{"LANG=de_DE.UTF-8", "XDG_STATE_HOME=/tmp/state", "XDG_CACHE_HOME=/tmp/cache", "XDG_CONFIG_HOME=/tmp/config"}},
	} {
		scan, code := d.scan(c.user, c.env...)
		if code != exitSecurityUpdates {
			t.Errorf("%v: exit code %d, want %d", c, code, exitSecurityUpdates)
		}
		finding := scan.Findings[0]
		if finding.State != fleet.OK {
			t.Errorf("%v: unknown: %s", c, finding.Because)
		}
		var got []string
		for _, u := range finding.Updates {
			got = append(got, fmt.Sprintf("%s:%s %s %s", u.Name, u.Arch, u.From, u.To))
			if blocked := u.Blocked == fleet.Held; blocked != (u.Name == "libssl3") {
				t.Errorf("%v: %s is blocked: %q", c, u.Name, u.Blocked)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: apt list (-) against the scan (+):\n%s", c, diff)
		}
	}
	advisedOffline(d)
}
