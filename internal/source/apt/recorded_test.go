package apt

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"redflag/internal/fleet"
	"redflag/internal/source/sourcetest"
)

func TestReplay(t *testing.T) { sourcetest.Replay(t, Source{}) }

// upgradableLine is a line of `apt list --upgradable` in the C locale.
var upgradableLine = regexp.MustCompile(`^([^/]+)/\S+ (\S+) (\S+) \[upgradable from: (\S+)\]$`)

// upgradable reads what `apt list --upgradable` printed: "name arch from to" each.
func upgradable(t testing.TB, output []byte) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(string(output)) {
		line = strings.TrimSpace(line)
		if line == "" || line == "Listing..." {
			continue
		}
		m := upgradableLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("apt list printed %q", line)
		}
		all = append(all, strings.Join([]string{m[1], m[3], m[4], m[2]}, " "))
	}
	slices.Sort(all)
	return all
}

// listed gives a finding in the same form.
func listed(f fleet.Finding) []string {
	var all []string
	for _, u := range f.Updates {
		all = append(all, strings.Join([]string{u.Name, u.Arch, u.From, u.To}, " "))
	}
	slices.Sort(all)
	return all
}

func blocked(f fleet.Finding, why fleet.Block) []string {
	var names []string
	for _, u := range f.Updates {
		if u.Blocked == why {
			names = append(names, u.Name)
		}
	}
	slices.Sort(names)
	return names
}

func TestARecordedUbuntuGivesWhatAptListed(t *testing.T) {
	dir := filepath.Join("testdata", "machines", "noble-phased")
	output, err := os.ReadFile(filepath.Join(dir, "apt-list-upgradable.txt"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := Source{}.Scan(t.Context(), sourcetest.Machine(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(upgradable(t, output), listed(found)); diff != "" {
		t.Errorf("- apt list, + ours:\n%s", diff)
	}
	// "The following upgrades have been deferred due to phasing", said apt on that machine.
	deferred := strings.Fields(`libnss-systemd libpam-systemd libsystemd-shared libsystemd0 libudev1 systemd systemd-dev systemd-resolved
		systemd-sysv systemd-timesyncd udev`)
	if diff := cmp.Diff(deferred, blocked(found, fleet.Phased)); diff != "" {
		t.Errorf("- deferred by apt, + by us:\n%s", diff)
	}
}

func TestTheDieIsThatOfTheStandardLibraryOfC(t *testing.T) {
	data, err := os.ReadFile("testdata/rolls.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		i := strings.LastIndexByte(line, ' ')
		want := strings.TrimSpace(line[i:])
		if got := roll(line[:i]); want != strconv.Itoa(got) {
			t.Errorf("roll(%q) = %d, the C++ library rolls %s", line[:i], got, want)
		}
	}
}
