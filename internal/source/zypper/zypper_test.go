package zypper

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source"
	"redflag/internal/source/rpm/rpmtest"
	"redflag/internal/source/sourcetest"
)

// What the source is meant to be.
var (
	_ source.Installer = Source{}
	_ source.Refresher = Source{}
	_ source.Lister    = Source{}
	_ source.Holder    = Source{}
	_ source.Repairer  = Source{}
)

// repositories are the lab's, as a configuration has them.
const repositories = `[base]
name=Base
baseurl=dir:///srv/toys/base
enabled=1
gpgcheck=0
[updates]
name=Updates
baseurl=dir:///srv/toys/updates
enabled=1
gpgcheck=0
[later]
name=Later
baseurl=dir:///srv/toys/later
enabled=0
gpgcheck=0
`

// ordinary are the toys that a machine has installed.
var ordinary = []string{"toy-lib-1.0-1.el9.x86_64.rpm", "toy-app-*", "toy-conf-*", "toy-old-*", "kernel-5.14.0-1.*", "kernel-5.14.0-2.*", "kernel-5.14.0-3.*"}

// newLab gives a lab whose metadata is fetched.
func newLab(t *testing.T, words ...string) *rpmtest.Lab {
	t.Helper()
	l := rpmtest.New(t, words...)
	l.Write("/etc/zypp/zypp.conf", "[main]\nmultiversion = provides:multiversion(kernel)\n")
	l.Write("/etc/os-release", "NAME=Toys\nID=toys\nVERSION_ID=15\n")
	l.Write("/etc/zypp/repos.d/toys.repo", repositories)
	refresh(l)
	return l
}

func refresh(l *rpmtest.Lab) {
	l.Helper()
	if err := (Source{}).Refresh(context.Background(), l.Machine()); err != nil {
		l.Fatal(fleet.Explain(err))
	}
}

func quick() Source { return Source{LockWait: time.Nanosecond} }

// everything is what the ordinary toys become, as a plan.
const everything = "remove toy-old.noarch 1.0-1.el9, install kernel.x86_64 5.14.0-4.el9, install toy-brought.noarch 0.5-1.el9, " +
	"install toy-replacement.noarch 3.0-1.el9, upgrade toy-app.x86_64 1:2.0-3.el9 → 1:2.1-1.el9, upgrade toy-conf.noarch 1.0-1.el9 → 2.0-1.el9, " +
	"upgrade toy-lib.x86_64 1.0-1.el9 → 1.2-1.el9"

func TestAScanTellsWhatIsOnOfferAndWhatIsForSecurity(t *testing.T) {
	l := newLab(t, append(ordinary, "toy-broken-*", "toy-held-*")...)
	s := quick()
	if !s.Present(l.Machine()) {
		t.Error("zypper is not seen")
	}
	sorted := func(f fleet.Finding) string {
		slices.SortFunc(f.Updates, func(a, b fleet.Update) int { return strings.Compare(a.Name+a.Arch, b.Name+b.Arch) })
		return sourcetest.Updates(f)
	}
	want := "kernel.x86_64 5.14.0-3.el9→5.14.0-4.el9!, toy-app.x86_64 1:2.0-3.el9→1:2.1-1.el9, toy-broken.noarch 1.0-1.el9→2.0-1.el9 (kept back), " +
		"toy-conf.noarch 1.0-1.el9→2.0-1.el9, toy-held.noarch 1.0-1.el9→1.5-1.el9, toy-lib.x86_64 1.0-1.el9→1.2-1.el9!"
	f := l.Finding(s)
	if got := sorted(f); got != want {
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
		if got := sorted(l.Finding(s)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("what is locked is held", func(t *testing.T) {
		if err := s.Hold(context.Background(), l.Machine(), []string{"toy-held"}, true); err != nil {
			t.Fatal(err)
		}
		if got := sorted(l.Finding(s)); got != strings.Replace(want, "→1.5-1.el9", "→1.5-1.el9 (held)", 1) {
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
		if got := sorted(l.Finding(s)); got != want {
			t.Error(got)
		}
		l.Sh("zypper -n addlock nobody-has-this")
		if got := sorted(l.Finding(s)); got != want {
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
	f := l.Finding(quick())
	slices.SortFunc(f.Updates, func(a, b fleet.Update) int { return strings.Compare(a.Name, b.Name) })
	// zypper does not say what a new version was built from.
	want := strings.Replace(rpmtest.BehindToys, "toy-sub 3.0-1.el9→3.1-1.el9 AlmaLinux:9", "toy-sub 3.0-1.el9→", 1)
	if got := rpmtest.Behind(f); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTwoArchitecturesOfAPackageAreNotMadeOne(t *testing.T) {
	l := newLab(t, "toy-lib-*", "toy-conf-*")
	s := quick()
	before := l.Everything()
	f := l.Finding(s)
	slices.SortFunc(f.Updates, func(a, b fleet.Update) int { return strings.Compare(a.Name+a.Arch, b.Name+b.Arch) })
	if got := sourcetest.Updates(f); got != "toy-conf.noarch 1.0-1.el9→2.0-1.el9, toy-lib.i686 1.0-1.el9→1.2-1.el9! (kept back), toy-lib.x86_64 1.0-1.el9→1.2-1.el9! (kept back)" {
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

// license has the repository updates ask for one with the new toy-conf.
const license = `cd /srv/toys/updates/repodata
zcat ./*-primary.xml.gz | sed 's,<name>toy-conf</name>,&<eula>The licence of toys.</eula>,' >/tmp/primary.xml
modifyrepo_c --remove primary . >/dev/null
modifyrepo_c --mdtype=primary /tmp/primary.xml . >/dev/null
rm -rf /var/cache/zypp/raw /var/cache/zypp/solv`

func TestALicenceIsForAPersonToAgreeTo(t *testing.T) {
	l := newLab(t, "toy-conf-*", "toy-held-*")
	l.Sh(license)
	refresh(l)
	s := quick()
	before := l.Everything()
	asks := "toy-conf asks to agree to a licence, which is for a person to do"
	l.Refused(s, fleet.Selection{All: true}, asks)
	l.Refused(s, fleet.Selection{Names: []string{"toy-conf"}}, asks)
	// Of one that asks since it was planned nothing is fetched, and nothing done.
	p := fleet.Plan{Source: "zypper", Selection: fleet.Selection{All: true}, Changes: []fleet.Change{
		{Action: fleet.Upgrade, Name: "toy-conf", Arch: "noarch", From: "1.0-1.el9", To: "2.0-1.el9"},
	}}
	if got, _ := fleet.Explain(s.Fetch(context.Background(), l.Machine(), p, l.Work())); got != "a package asks to agree to a licence, which is for a person to do" {
		t.Errorf("fetch: %q", got)
	}
	o, err := s.Apply(context.Background(), l.Machine(), p, l.Work())
	if err != nil || len(o.Done) > 0 || o.Because != asks || l.Everything() != before {
		t.Errorf("%+v, %v", o, err)
	}
	l.Succeeds(s, l.Plan(s, fleet.Selection{Names: []string{"toy-held"}}))
}

func TestWhatIsNotKnownIsNotCalledUpToDate(t *testing.T) {
	l := newLab(t, ordinary...)
	t.Run("no advisory data", func(t *testing.T) {
		l.Sh("mkdir /srv/toys/plain && cp /srv/toys/updates/*.rpm /srv/toys/plain && createrepo_c -q /srv/toys/plain && sed -i 's,toys/updates,toys/plain,' /etc/zypp/repos.d/toys.repo")
		refresh(l)
		if f := l.Finding(quick()); len(f.Updates) == 0 || f.SecurityUnknown != "no advisory data in updates" {
			t.Errorf("%d updates, and what is for security is not known: %q", len(f.Updates), f.SecurityUnknown)
		}
	})
	t.Run("an old cache", func(t *testing.T) {
		l.Later = 30 * 24 * time.Hour
		l.Unknown(quick(), "what is known of the repositories is 30 days old")
		l.Later = 0
	})
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

func TestEverythingIsInstalledAsPlannedAndUndone(t *testing.T) {
	l := newLab(t, ordinary...)
	s := quick()
	l.Write("/etc/toy.conf", "setting=mine\n")
	before := l.Everything()
	p := l.Plan(s, fleet.Selection{All: true})
	if got := sourcetest.Lines(p.Changes); got != everything {
		t.Fatalf("got  %s\nwant %s", got, everything)
	}
	if p.Download == 0 || !slices.Equal(p.ConfigFiles, []string{"/etc/toy.conf"}) || p.Reboot.Needed != fleet.Needed {
		t.Errorf("%+v", p)
	}
	for _, c := range p.Changes {
		if c.Security != (c.To != "" && (c.Name == "toy-lib" || c.Name == "kernel")) {
			t.Errorf("%+v", c)
		}
	}
	if got := l.Everything(); got != before {
		t.Fatalf("a plan changed the machine:\n%s", got)
	}
	o, w := l.Succeeds(s, p)
	if got := sourcetest.Lines(o.Done); got != everything || !slices.Equal(o.ConfigFiles, []string{"/etc/toy.conf.rpmnew"}) {
		t.Errorf("done: %s, to review: %v", got, o.ConfigFiles)
	}
	if again := l.Plan(s, fleet.Selection{All: true}); len(again.Changes) != 0 {
		t.Errorf("it would go on: %v", again.Changes)
	}
	l.Sh("rm -r /srv/toys/base/*.rpm /srv/toys/base/repodata && createrepo_c -q /srv/toys/base && rm -rf /var/cache/zypp/packages") // the old versions are nowhere but here
	refresh(l)
	l.Succeeds(s, l.Undo(s, p, o, w))
	if got := l.Everything(); got != before {
		t.Errorf("after the undo:\n%s\nwant:\n%s", got, before)
	}
}

func TestWhatWasFetchedNeedsNoNetworkAnyMore(t *testing.T) {
	l := newLab(t, "toy-conf-*")
	server := httptest.NewServer(http.FileServer(http.Dir(l.Path("/srv/toys"))))
	defer server.Close()
	l.Write("/etc/zypp/repos.d/toys.repo", strings.ReplaceAll(repositories, "dir:///srv/toys", server.URL))
	refresh(l)
	s, w := quick(), l.Work()
	p := l.Plan(s, fleet.Selection{All: true})
	if err := s.Fetch(context.Background(), l.Machine(), p, w); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	server.Close()
	o, err := s.Apply(context.Background(), l.Machine(), p, w)
	if err != nil || !o.Succeeded() {
		t.Fatalf("%+v, %v\n%s", o, err, l.Said(w))
	}
	l.Succeeds(s, l.Undo(s, p, o, w))
	if got := l.Installed("toy-conf"); got != "toy-conf-1.0-1.el9.noarch" {
		t.Error(got)
	}
}

func TestOneIsInstalledWithWhatItNeeds(t *testing.T) {
	l := newLab(t, ordinary...)
	s := quick()
	p := l.Plan(s, fleet.Selection{Names: []string{"toy-app"}})
	if got := sourcetest.Lines(p.Changes); got != "install toy-brought.noarch 0.5-1.el9, upgrade toy-app.x86_64 1:2.0-3.el9 → 1:2.1-1.el9, upgrade toy-lib.x86_64 1.0-1.el9 → 1.2-1.el9" {
		t.Fatal(got)
	}
	l.Succeeds(s, p)
	security := l.Plan(s, fleet.Selection{Security: true})
	if got := sourcetest.Lines(security.Changes); got != "install kernel.x86_64 5.14.0-4.el9" {
		t.Error(got)
	}
	l.Succeeds(s, security)
}

func TestWhatMustNotBePlannedIsRefused(t *testing.T) {
	l := newLab(t, append(ordinary, "toy-broken-*", "openssh-server-*")...)
	s := quick()
	l.Refused(s, fleet.Selection{All: true}, "the plan would remove openssh-server, which this machine needs")
	l.Refused(s, fleet.Selection{Names: []string{"toy-broken"}}, "nothing provides nobody-has-this")
	l.Refused(s, fleet.Selection{Names: []string{"no-such-thing"}}, "no update of \"no-such-thing\"")
	l.Refused(s, fleet.Selection{Back: []fleet.Change{{Name: "-e", Arch: "noarch", To: "1-1"}}}, "is no package")
	l.Refused(s, fleet.Selection{Back: []fleet.Change{{Name: "toy-lib", Arch: "x86_64", To: "0.9-1.el9"}}}, "toy-lib.x86_64=0.9-1.el9 is nowhere")
	l.Sh("cd /srv/toys/updates && rpm -i --nodeps --force toy-conf-2.0*")
	l.Refused(s, fleet.Selection{All: true}, "two versions are installed of toy-conf.noarch")
	if left, err := s.Unfinished(l.Machine()); err != nil || !slices.Equal(left, []string{"toy-conf.noarch"}) {
		t.Errorf("unfinished: %v, %v", left, err)
	}
	w := l.Work()
	o, err := s.Repair(context.Background(), l.Machine(), w)
	if err != nil || !o.Succeeded() || sourcetest.Lines(o.Done) != "remove toy-conf.noarch 1.0-1.el9" {
		t.Errorf("repair: %+v, %v\n%s", o, err, l.Said(w))
	}
}

func TestAPlanThatIsNotTheApprovedOneDoesNotStart(t *testing.T) {
	l := newLab(t, ordinary...)
	s := quick()
	p := l.Plan(s, fleet.Selection{All: true})
	l.Sh("sed -i 's/enabled=0/enabled=1/' /etc/zypp/repos.d/toys.repo")
	refresh(l)
	before := l.Everything()
	w := l.Work()
	o := l.CarryOut(s, p, w)
	if len(o.Done) > 0 || len(o.Missing) != len(p.Changes) || !strings.Contains(o.Because, "it is not the plan that was approved: it would now upgrade toy-lib 1.0-1.el9 → 1.3-1.el9") || l.Everything() != before {
		t.Errorf("%+v\n%s", o, l.Said(w))
	}
}

func TestFailuresAreToldAsTheyAre(t *testing.T) {
	l := newLab(t, "toy-post-*", "toy-pre-*", "toy-conf-*")
	s := quick()
	w := l.Work()
	o := l.CarryOut(s, l.Plan(s, fleet.Selection{Names: []string{"toy-post"}}), w)
	if o.Succeeded() || len(o.Missing) > 0 || !slices.Equal(o.HalfDone, []string{"toy-post"}) || !strings.Contains(o.Because, "the %post script of toy-post failed; its files are installed all the same") {
		t.Errorf("a script that fails afterwards: %+v\n%s", o, l.Said(w))
	}
	w = l.Work()
	o = l.CarryOut(s, l.Plan(s, fleet.Selection{Names: []string{"toy-pre"}}), w)
	if o.Succeeded() || sourcetest.Lines(o.Missing) != "upgrade toy-pre.noarch 1.0-1.el9 → 2.0-1.el9" || !strings.Contains(o.Because, "the %pre script of toy-pre failed") {
		t.Errorf("a script that fails before: %+v\n%s", o, l.Said(w))
	}
	if got := l.Installed("toy-pre"); got != "toy-pre-1.0-1.el9.noarch" {
		t.Error(got)
	}
}

func TestALockIsTold(t *testing.T) {
	l := newLab(t, "toy-conf-*")
	s := quick()
	p := l.Plan(s, fleet.Selection{All: true})
	// Whoever holds the lock is called zypper: libzypp looks at the process.
	holder := exec.CommandContext(context.Background(), "chroot", l.Root, "sh", "-c", "echo $$ >/run/zypp.pid; echo held; read x")
	stdin, _ := holder.StdinPipe()
	stdout, _ := holder.StdoutPipe()
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = stdout.Read(make([]byte, 5))
	before := l.Everything()
	if _, err := s.Scan(context.Background(), l.Machine()); err != nil {
		if because, _ := fleet.Explain(err); !strings.Contains(because, "is at work on the packages") {
			t.Errorf("a scan meanwhile: %s", because)
		}
	}
	w := l.Work()
	if err := s.Fetch(context.Background(), l.Machine(), p, w); err == nil {
		t.Error("it fetched while the packages are locked")
	} else if because, _ := fleet.Explain(err); !strings.Contains(because, "is at work on the packages") {
		t.Errorf("fetch: %s\n%s", because, l.Said(w))
	}
	o, err := s.Apply(context.Background(), l.Machine(), p, w)
	if err != nil || len(o.Done) > 0 || !strings.Contains(o.Because, "is at work on the packages") || l.Everything() != before {
		t.Errorf("%+v, %v\n%s", o, err, l.Said(w))
	}
	stdin.Close()
	_ = holder.Wait()
	l.Succeeds(s, p)
}
