package dnf

import (
	"context"
	"slices"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/source/rpm/rpmtest"
	"redflag/internal/source/sourcetest"
)

func TestAScanTellsWhatIsOnOfferAndWhatIsForSecurity(t *testing.T) {
	l := newLab(t, append(ordinary, "toy-broken-*", "toy-held-*")...)
	want := "kernel.x86_64 5.14.0-3.el9→5.14.0-4.el9!, toy-app.x86_64 1:2.0-3.el9→1:2.1-1.el9, toy-broken.noarch 1.0-1.el9→2.0-1.el9 (kept back), " +
		"toy-conf.noarch 1.0-1.el9→2.0-1.el9, toy-held.noarch 1.0-1.el9→1.5-1.el9, toy-lib.i686 1.0-1.el9→1.2-1.el9!, toy-lib.x86_64 1.0-1.el9→1.2-1.el9!, " +
		"toy-replacement.noarch 1.0-1.el9→3.0-1.el9"
	f := l.Sorted()
	if got := sourcetest.Updates(f); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if f.AsOf.IsZero() || f.SecurityUnknown != "" {
		t.Errorf("as of %v, security is not known: %q", f.AsOf, f.SecurityUnknown)
	}
	for _, u := range f.Updates {
		if u.Name == "toy-broken" && !strings.Contains(u.BlockedBecause, "nothing provides nobody-has-this") {
			t.Errorf("kept back because %q", u.BlockedBecause)
		}
		if u.Origin != "updates" || u.Size == 0 || u.Summary == "" {
			t.Errorf("%+v", u)
		}
	}
	t.Run("as anybody, in another locale", func(t *testing.T) {
		l.User, l.Env = "nobody", []string{"LC_ALL=de_DE.UTF-8", "LANGUAGE=de"}
		defer func() { l.User, l.Env = "", nil }()
		l.Sh("chmod 1777 /tmp")
		if got := l.Finding(quick()); len(got.Updates) != len(f.Updates) {
			t.Errorf("%d updates, want %d", len(got.Updates), len(f.Updates))
		}
	})
	t.Run("as anybody, where nothing may be written", func(t *testing.T) {
		l.User = "nobody"
		defer func() { l.User = "" }()
		l.ReadOnly(func() {
			if got := l.Finding(quick()); len(got.Updates) != len(f.Updates) {
				t.Errorf("%d updates, want %d", len(got.Updates), len(f.Updates))
			}
		})
	})
	t.Run("what is excluded is held", func(t *testing.T) {
		l.Sh("sed -i 's/^best=.*/&\\nexcludepkgs=toy-held/' /etc/dnf/dnf.conf")
		for _, u := range l.Finding(quick()).Updates {
			if u.Name == "toy-held" && (u.Blocked != fleet.Held || u.BlockedBecause != "excludepkgs in the configuration: toy-held") {
				t.Errorf("%+v", u)
			}
		}
		l.Refused(quick(), fleet.Selection{Names: []string{"toy-held"}}, "toy-held is on hold: excludepkgs")
		l.Sh("sed -i '/^excludepkgs/d' /etc/dnf/dnf.conf")
	})
	t.Run("packages", func(t *testing.T) {
		list, err := quick().Packages(context.Background(), l.Machine())
		if err != nil || len(list) != 10 {
			t.Errorf("%d packages, %v", len(list), err)
		}
	})
}

func TestAnUpdateSaysWhatItWasBuiltFromAndWhatItsRepositoryPublishes(t *testing.T) {
	l := newLab(t, "toy-lib-1.0-1.el9.x86_64.rpm", "toy-foreign-*", "toy-stream-*", "toy-part-*", "toy-sub-*", "toy-conf-*")
	l.Write("/etc/os-release", "ID=almalinux\nVERSION_ID=9.4\n")
	if got := rpmtest.Behind(l.Sorted()); got != rpmtest.BehindToys {
		t.Errorf("got\n%s\nwant\n%s", got, rpmtest.BehindToys)
	}
	list, err := quick().Packages(context.Background(), l.Machine())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if own := p.Name != "toy-foreign"; own != (p.Ecosystem == "AlmaLinux:9") || (p.Module == "toys:1") != (p.Name == "toy-stream") || (p.From == "toy-sub") != (p.Name == "toy-part") {
			t.Errorf("%+v", p)
		}
	}
}

func TestWhatIsNotKnownIsNotCalledUpToDate(t *testing.T) {
	l := newLab(t, ordinary...)
	l.WithoutAdvisories()
	t.Run("a repository that does not answer", func(t *testing.T) {
		l.Sh("sed -i 's/^skip_if_unavailable=.*/skip_if_unavailable=True/' /etc/dnf/dnf.conf")
		l.Write("/etc/yum.repos.d/gone.repo", "[gone]\nname=Gone\nbaseurl=http://127.0.0.1:1/\ngpgcheck=0\n")
		err := (Source{}).Refresh(context.Background(), l.Machine())
		if because, _ := fleet.Explain(err); !strings.Contains(because, "the repository gone cannot be refreshed") {
			t.Errorf("refresh: %q", because)
		}
		l.Unknown(quick(), "nothing is known of the repositories gone")
		l.Sh("sed -i 's/^skip_if_unavailable=.*/skip_if_unavailable=False/' /etc/dnf/dnf.conf")
		l.Unknown(quick(), "gone")
		l.Sh("rm /etc/yum.repos.d/gone.repo")
	})
	t.Run("no repository", func(t *testing.T) {
		l.Sh("mv /etc/yum.repos.d/toys.repo /root")
		l.Unknown(quick(), "no repository is enabled")
		l.Sh("mv /root/toys.repo /etc/yum.repos.d")
	})
	t.Run("a dnf that is broken", func(t *testing.T) {
		l.Sh("mv /usr/lib/python3/dist-packages/dnf /root/dnf.away")
		l.Unknown(quick(), "dnf cannot be asked")
		l.Sh("mv /root/dnf.away /usr/lib/python3/dist-packages/dnf")
	})
	t.Run("no database", func(t *testing.T) {
		l.Sh("mv /var/lib/rpm /root/rpm; mkdir /var/lib/rpm; rpm --initdb")
		l.Unknown(quick(), "rpm's database cannot be read: it names no package")
		l.Sh("rm -r /var/lib/rpm; mv /root/rpm /var/lib/rpm")
	})
	t.Run("yum 3", func(t *testing.T) {
		l.Sh("mv /usr/bin/dnf-3 /root; mv /usr/bin/dnf /root; touch /usr/bin/yum")
		if !quick().Present(l.Machine()) {
			t.Error("yum is not seen")
		}
		l.Unknown(quick(), "yum 3 is not supported")
	})
}

func TestWhatIsHeldIsShownSoAndNotInstalled(t *testing.T) {
	l := newLab(t, "toy-conf-*", "toy-held-*")
	s := quick()
	hold := func(on bool, names ...string) string {
		because, _ := fleet.Explain(s.Hold(context.Background(), l.Machine(), names, on))
		return because
	}
	if got := hold(true, "toy-held"); !strings.Contains(got, "its plugin for version locks is not installed") {
		t.Errorf("without the plugin: %q", got)
	}
	l.Sh("cp -r /srv/versionlock/. /")
	if got := hold(true, "toy-held"); got != "" {
		t.Fatal(got)
	}
	if held, err := s.Held(l.Machine()); err != nil || !slices.Equal(held, []string{"toy-held"}) {
		t.Errorf("held: %v, %v", held, err)
	}
	if got := hold(true, "--help"); !strings.Contains(got, "is no name of a package") {
		t.Errorf("an option: %q", got)
	}
	if got := hold(true, "no-such-thing"); got != "no-such-thing is not installed" {
		t.Errorf("what is not there: %q", got)
	}
	if got := sourcetest.Updates(l.Finding(s)); got != "toy-conf.noarch 1.0-1.el9→2.0-1.el9, toy-held.noarch 1.0-1.el9→1.5-1.el9 (held)" {
		t.Error(got)
	}
	l.Refused(s, fleet.Selection{Names: []string{"toy-held"}}, "toy-held is on hold: a version lock")
	p := l.Plan(s, fleet.Selection{All: true})
	if got := sourcetest.Lines(p.Changes); got != "upgrade toy-conf.noarch 1.0-1.el9 → 2.0-1.el9" {
		t.Error(got)
	}
	l.Succeeds(s, p)
	if got := hold(false, "toy-held"); got != "" {
		t.Fatal(got)
	}
	if got := sourcetest.Lines(l.Plan(s, fleet.Selection{All: true}).Changes); got != "upgrade toy-held.noarch 1.0-1.el9 → 1.5-1.el9" {
		t.Error(got)
	}
}

func TestWhatNeedsSomethingHeldIsKeptBackWithIt(t *testing.T) {
	l := newLab(t, ordinary...)
	l.Sh("sed -i 's/^best=.*/&\\nexcludepkgs=toy-lib/' /etc/dnf/dnf.conf")
	l.KeepsBack()
}
