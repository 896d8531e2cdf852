package apt

import (
	"context"
	"os"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

func TestARefreshThatFailedSaysWhy(t *testing.T) {
	for file, want := range map[string][]string{
		"fine.rc0.txt":              {},
		"unreachable.rc0.txt":       {"http://127.0.0.1:9 does not answer"},
		"lists-lock-held.rc100.txt": {"python3 (process 19443) is refreshing them right now"},
		"release-expired.rc100.txt": {"what http://mirror.example.org/debian/dists/sid/InRelease has is expired since 17d 0h 51min 15s"},
		"failures.rc100.txt": {
			"http://mirror.example.org/debian bookworm-nosuch has no release file: the suite is gone, or misspelt",
			"the key 6ED0E7B82643E131 that signs http://mirror.example.org/debian trixie is not known here",
		},
	} {
		said, err := os.ReadFile("testdata/refresh/" + file)
		if err != nil {
			t.Fatal(err)
		}
		code := 0
		if strings.Contains(file, "rc100") {
			code = 100
		}
		because, remedy := fleet.Explain(readRefresh(machine.Result{Stderr: said, Code: code}))
		for _, w := range want {
			if !strings.Contains(because, w) || remedy == "" {
				t.Errorf("%s: because %q, remedy %q; want %q", file, because, remedy, w)
			}
		}
		if n := strings.Count(because, "could not all be refreshed"); n != len(want) {
			t.Errorf("%s: %d reasons, want %d: %s", file, n, len(want), because)
		}
	}
}

func TestARefreshThatFailsWithoutAWordIsNoSuccess(t *testing.T) {
	for _, r := range []machine.Result{
		{Code: 100},
		{Code: -1, Stdout: []byte("Reading package lists...\n")},
		{Code: 100, Stderr: []byte("E: Etwas ist schiefgelaufen\n")},
		{Code: 0, Stderr: []byte("W: Failed to fetch http://a.example.org/x  500  Internal Server Error\n")},
		{Code: 0, Stderr: []byte("W: Failed to fetch http://a.example.org/x  Temporary failure resolving 'a.example.org'\n")},
	} {
		if readRefresh(r) == nil {
			t.Errorf("%+v is a success", r)
		}
	}
}

func refreshIn(l *lab) (because, remedy string) {
	return fleet.Explain(Source{}.Refresh(context.Background(), l.machine()))
}

func refreshes(l *lab) {
	l.sh("rm /var/lib/apt/lists/*security*Packages")
	l.unknown("no package lists for", "")
	if because, _ := refreshIn(l); because != "" {
		l.Errorf("refresh: %s", because)
	}
	l.agrees()
	l.write("/etc/apt/sources.list.d/dead.list", "deb http://127.0.0.1:9/debian x main\n")
	because, remedy := refreshIn(l)
	if !strings.Contains(because, "http://127.0.0.1:9 does not answer") || remedy == "" {
		l.Errorf("a dead mirror: because %q, remedy %q", because, remedy)
	}
	l.user = "nobody:nogroup"
	if because, remedy = refreshIn(l); because != "only root may refresh apt's package lists" || !strings.Contains(remedy, "sudo") {
		l.Errorf("as nobody: because %q, remedy %q", because, remedy)
	}
}

func refreshLocked(l *lab) {
	release := hold(l, "/var/lib/apt/lists/lock")
	defer release()
	if because, _ := refreshIn(l); !strings.Contains(because, "is refreshing them right now") {
		l.Errorf("because %q", because)
	}
}
