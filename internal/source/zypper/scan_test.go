package zypper

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
	s := quick()
	if !s.Present(l.Machine()) {
		t.Error("zypper is not seen")
	}
	want := "kernel.x86_64 5.14.0-3.el9→5.14.0-4.el9!, toy-app.x86_64 1:2.0-3.el9→1:2.1-1.el9, toy-broken.noarch 1.0-1.el9→2.0-1.el9 (kept back), " +
		"toy-conf.noarch 1.0-1.el9→2.0-1.el9, toy-held.noarch 1.0-1.el9→1.5-1.el9, toy-lib.x86_64 1.0-1.el9→1.2-1.el9!"
	f := l.Sorted()
	if got := sourcetest.Updates(f); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, u := range f.Updates {
		if u.Name == "toy-broken" && !strings.Contains(u.BlockedBecause, "nothing provides nobody-has-this") {
			t.Errorf("kept back because %q", u.BlockedBecause)
		}
		if u.Origin != "updates" || u.Summary == "" {
			t.Errorf("%+v", u)
		}
	}
	t.Run("as anybody, in another locale", func(t *testing.T) {
		l.User, l.Env = "nobody", []string{"LC_ALL=de_DE.UTF-8", "LANGUAGE=de"}
		defer func() { l.User, l.Env = "", nil }()
		if got := sourcetest.Updates(l.Sorted()); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("what is locked is held", func(t *testing.T) {
		if err := s.Hold(context.Background(), l.Machine(), []string{"toy-held"}, true); err != nil {
			t.Fatal(err)
		}
		if got := sourcetest.Updates(l.Sorted()); got != strings.Replace(want, "→1.5-1.el9", "→1.5-1.el9 (held)", 1) {
			t.Error(got)
		}
		if held, err := s.Held(l.Machine()); err != nil || !slices.Equal(held, []string{"toy-held"}) {
			t.Errorf("held: %v, %v", held, err)
		}
		l.Refused(s, fleet.Selection{Names: []string{"toy-held"}}, "toy-held is on hold: a lock of zypper's")
		for _, c := range l.Plan(s, fleet.Selection{All: true}).Changes {
			if c.Name == "toy-held" {
				t.Errorf("planned: %s", c)
			}
		}
		if err := s.Hold(context.Background(), l.Machine(), []string{"toy-held"}, false); err != nil {
			t.Fatal(err)
		}
		if got := sourcetest.Updates(l.Sorted()); got != want {
			t.Error(got)
		}
		l.Sh("zypper -n addlock nobody-has-this")
		if got := sourcetest.Updates(l.Sorted()); got != want {
			t.Errorf("with a lock of what is not there: %s", got)
		}
		l.Sh("zypper -n removelock nobody-has-this")
		for _, name := range []string{"--help", "no-such-thing"} {
			if err := s.Hold(context.Background(), l.Machine(), []string{name}, true); err == nil {
				t.Errorf("%s is held", name)
			}
		}
	})
}

func TestAnUpdateSaysWhatItWasBuiltFromAndWhatItsRepositoryPublishes(t *testing.T) {
	l := newLab(t, "toy-lib-1.0-1.el9.x86_64.rpm", "toy-foreign-*", "toy-stream-*", "toy-part-*", "toy-sub-*", "toy-conf-*")
	l.Write("/etc/os-release", "ID=almalinux\nVERSION_ID=9.4\n")
	// zypper does not say what a new version was built from.
	want := strings.Replace(rpmtest.BehindToys, "toy-sub 3.0-1.el9→3.1-1.el9 AlmaLinux:9", "toy-sub 3.0-1.el9→", 1)
	if got := rpmtest.Behind(l.Sorted()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTwoArchitecturesOfAPackageAreNotMadeOne(t *testing.T) {
	l := newLab(t, "toy-lib-*", "toy-conf-*")
	s := quick()
	before := l.Everything()
	if got := sourcetest.Updates(l.Sorted()); got != "toy-conf.noarch 1.0-1.el9→2.0-1.el9, toy-lib.i686 1.0-1.el9→1.2-1.el9! (kept back), toy-lib.x86_64 1.0-1.el9→1.2-1.el9! (kept back)" {
		t.Error(got)
	}
	l.Refused(s, fleet.Selection{Names: []string{"toy-lib"}}, "toy-lib.x86_64 is installed for i686 too, which zypper would take away without saying so")
	l.Sh("sed -i 's/ID=toys/ID=opensuse-tumbleweed/' /etc/os-release")
	l.Refused(s, fleet.Selection{All: true}, "which zypper would take away without saying so")
	l.Sh("sed -i 's/ID=opensuse-tumbleweed/ID=toys/' /etc/os-release")
	o, _ := l.Succeeds(s, l.Plan(s, fleet.Selection{All: true}))
	if got := sourcetest.Lines(o.Done); got != "upgrade toy-conf.noarch 1.0-1.el9 → 2.0-1.el9" || l.Everything() == before {
		t.Errorf("done: %s", got)
	}
}

func TestWhatIsNotKnownIsNotCalledUpToDate(t *testing.T) {
	l := newLab(t, ordinary...)
	l.WithoutAdvisories()
	t.Run("a repository that does not answer", func(t *testing.T) {
		l.Write("/etc/zypp/repos.d/gone.repo", "[gone]\nname=Gone\nbaseurl=http://127.0.0.1:1/\ngpgcheck=0\nenabled=1\n")
		err := (Source{}).Refresh(context.Background(), l.Machine())
		if because, _ := fleet.Explain(err); !strings.Contains(because, "could not all be refreshed") || !strings.Contains(because, "127.0.0.1") {
			t.Errorf("refresh: %q", because)
		}
		l.Unknown(quick(), "gone")
		l.Sh("rm /etc/zypp/repos.d/gone.repo")
	})
	t.Run("no repository", func(t *testing.T) {
		l.Sh("mv /etc/zypp/repos.d/toys.repo /root")
		l.Unknown(quick(), "no repository is enabled")
		l.Sh("mv /root/toys.repo /etc/zypp/repos.d")
	})
	t.Run("a zypper that is broken", func(t *testing.T) {
		l.Sh("mv /usr/bin/zypper /root; printf '#!/bin/sh\\necho hello\\n' >/usr/bin/zypper; chmod 755 /usr/bin/zypper")
		l.Unknown(quick(), "zypper cannot be asked")
		l.Sh("mv /root/zypper /usr/bin/zypper")
	})
}

func TestWhatNeedsSomethingHeldIsKeptBackWithIt(t *testing.T) {
	l := newLab(t, ordinary...)
	if err := quick().Hold(context.Background(), l.Machine(), []string{"toy-lib"}, true); err != nil {
		t.Fatal(err)
	}
	l.KeepsBack()
}
