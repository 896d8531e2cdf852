package pacman

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source/sourcetest"
)

const offered = "linux.x86_64 6.10.1.arch1-1→6.11.2.arch1-1, toy-app.x86_64 1:2.0-3→1:2.1-1, toy-conf.x86_64 1.0-1→2.0-1, toy-grouped.x86_64 1.0-1→1.1-1, " +
	"toy-ignored.x86_64 1.0-1→1.5-1 (held), toy-lib.x86_64 1.0-1→1.1-1, toy-replacement.x86_64 1.0-1→3.0-1"

func TestAScanTellsWhatIsOnOfferAndThatSecurityIsNotKnown(t *testing.T) {
	l := newLab(t)
	l.Unknown(quick(), "nothing is known of the repository toys: its database was never fetched")
	before := l.synced()
	l.refresh()
	f := l.Finding(quick())
	if got := sourcetest.Updates(f); got != offered {
		t.Errorf("got  %s\nwant %s", got, offered)
	}
	if f.SecurityUnknown == "" || f.AsOf.IsZero() {
		t.Errorf("security %q, as of %s", f.SecurityUnknown, f.AsOf)
	}
	if l.synced() != before {
		t.Error("a look has changed pacman's own databases")
	}
	for _, u := range f.Updates {
		if u.Origin != "toys" || u.Size == 0 || !strings.Contains(u.Summary, "The toy ") {
			t.Errorf("%+v", u)
		}
		if u.Blocked == fleet.Held && u.BlockedBecause != "IgnorePkg = toy-ignored in /etc/pacman.conf" {
			t.Errorf("held because %q", u.BlockedBecause)
		}
	}
	t.Run("as anybody, in another locale", func(t *testing.T) {
		l.Env = []string{"LC_ALL=de_DE.UTF-8", "LANGUAGE=de"}
		defer func() { l.Env = nil }()
		if got := sourcetest.Updates(l.Finding(quick())); got != offered {
			t.Error(got)
		}
	})
	t.Run("a group is held", func(t *testing.T) {
		l.Write("/etc/pacman.d/mine.conf", "IgnoreGroup = to*\n")
		l.also("Include = /etc/pacman.d/mine.conf")
		if got := sourcetest.Updates(l.Finding(quick())); !strings.Contains(got, "toy-grouped.x86_64 1.0-1→1.1-1 (held)") {
			t.Error(got)
		}
		l.offer("toys")
	})
	t.Run("what pacman has fetched itself since counts", func(t *testing.T) {
		l.Sh("pacman -Sy")
		if got := sourcetest.Updates(l.Finding(quick())); got != offered {
			t.Error(got)
		}
	})
	t.Run("packages", func(t *testing.T) {
		list, err := quick().Packages(context.Background(), l.Machine())
		if err != nil || len(list) != 9 {
			t.Errorf("%d packages, %v", len(list), err)
		}
	})
	t.Run("Arch's own are of Arch Linux", func(t *testing.T) { ownAreOfArch(t, l) })
	t.Run("what is old is said to be", func(t *testing.T) {
		l.Later = 30 * 24 * time.Hour
		defer func() { l.Later = 0 }()
		l.Unknown(quick(), "what is on offer was last fetched ")
	})
	t.Run("a database that is none", func(t *testing.T) {
		l.Write("/var/lib/pacman/sync/toys.db", "<html>not found</html>")
		l.Unknown(quick(), "toys.db cannot be read")
	})
}

func TestWhatIsNotKnownIsNotCalledUpToDate(t *testing.T) {
	l := newLab(t)
	l.offer("toys")
	l.refresh()
	t.Run("a package without a description", func(t *testing.T) {
		file := l.Path("/var/lib/pacman/local/toy-lib-1.0-1/desc")
		if err := os.Rename(file, file+"~"); err != nil {
			t.Fatal(err)
		}
		l.Unknown(quick(), "toy-lib-1.0-1 cannot be read")
		if err := os.Rename(file+"~", file); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a full upgrade that cannot be", func(t *testing.T) {
		l.offer("broken", "toys")
		l.refresh()
		f := l.Finding(quick())
		for _, u := range f.Updates {
			if u.Blocked == "" || u.Name == "linux" && !strings.Contains(u.BlockedBecause, "toy-lib needs nobody-has-this, which nothing on offer provides") {
				t.Errorf("%s is blocked because %q", u.Name, u.BlockedBecause)
			}
		}
		l.Refused(quick(), fleet.Selection{All: true}, "toy-lib needs nobody-has-this")
	})
	t.Run("a repository that is gone", func(t *testing.T) {
		l.offer("toys", "nowhere")
		err := quick().Refresh(context.Background(), l.Machine())
		if got, remedy := fleet.Explain(err); !strings.Contains(got, "the repositories' databases could not all be fetched: ") || remedy == "" {
			t.Errorf("%q (%q)", got, remedy)
		}
		l.Unknown(quick(), "nothing is known of the repository nowhere")
		l.Refused(quick(), fleet.Selection{All: true}, "nothing is known of the repository nowhere")
	})
	t.Run("no repository", func(t *testing.T) {
		l.offer()
		l.Unknown(quick(), "no repository is configured")
	})
	t.Run("no configuration", func(t *testing.T) {
		l.Write("/etc/pacman.conf", "[options]\nInclude = /etc/pacman.conf\n")
		l.Unknown(quick(), "files include each other")
	})
}

// ownAreOfArch has a lab whose databases are fetched be an Arch, and then have come its packages from elsewhere.
func ownAreOfArch(t *testing.T, l lab) {
	t.Helper()
	own := func(name string) (installed, update string) {
		list, err := quick().Packages(context.Background(), l.Machine())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			if p.Name == name {
				installed = p.Ecosystem
			}
		}
		for _, u := range l.Finding(quick()).Updates {
			if u.Name == name {
				update = u.Build.Ecosystem
			}
		}
		return installed, update
	}
	said := func(what, installed, update string) {
		if i, u := own("toy-app"); i != installed || u != update {
			t.Errorf("%s: %q and %q, want %q and %q", what, i, u, installed, update)
		}
	}
	said("another distribution with such a repository", "", "")
	l.Write("/etc/os-release", "ID=arch\n")
	said("another repository", "", "")
	data, err := os.ReadFile(l.Path("/var/lib/pacman/sync/toys.db"))
	if err != nil {
		t.Fatal(err)
	}
	l.Write("/var/lib/pacman/sync/extra.db", string(data))
	l.Write("/etc/pacman.conf", "[options]\nArchitecture = x86_64\nSigLevel = Never\n[extra]\nServer = file:///srv/toys/new\n")
	said("extra", ecosystem, ecosystem)
	if i, _ := own("toy-foreign"); i != "" {
		t.Errorf("a foreign one is of %q", i)
	}
	desc := "/var/lib/pacman/local/toy-app-1:2.0-3/desc"
	if data, err = os.ReadFile(l.Path(desc)); err != nil {
		t.Fatal(err)
	}
	l.Write(desc, string(data)+"\n%INSTALLED_DB%\nmine\n")
	said("it came from elsewhere", "", "")
	l.Write(desc, string(data))
	l.Sh("rm /var/lib/pacman/sync/extra.db /etc/os-release")
	l.offer("toys")
}
