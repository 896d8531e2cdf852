package dnf

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source/rpm/rpmtest"
)

// repositories are the lab's, as a configuration has them.
const repositories = `
[base]
name=Base
baseurl=file:///srv/toys/base
gpgcheck=0
[updates]
name=Updates
baseurl=file:///srv/toys/updates
gpgcheck=0
[later]
name=Later
baseurl=file:///srv/toys/later
gpgcheck=0
enabled=0
`

// ordinary are the toys that a machine has installed.
var ordinary = []string{
	"toy-lib-1.0-1.el9.x86_64.rpm", "toy-lib-1.0-1.el9.i686.rpm", "toy-app-*", "toy-conf-*", "toy-old-*",
	"kernel-5.14.0-1.*", "kernel-5.14.0-2.*", "kernel-5.14.0-3.*",
}

// newLab gives a lab whose metadata is fetched.
func newLab(t *testing.T, words ...string) *rpmtest.Lab {
	t.Helper()
	l := rpmtest.New(t, words...)
	l.Write("/etc/dnf/dnf.conf", "[main]\ngpgcheck=1\ninstallonly_limit=3\nclean_requirements_on_remove=True\nbest=True\nskip_if_unavailable=False\n")
	l.Write("/etc/os-release", "NAME=Toys\nID=toys\nVERSION_ID=9\n")
	l.Write("/etc/yum.repos.d/toys.repo", repositories)
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
const everything = "remove kernel.x86_64 5.14.0-1.el9, remove toy-old.noarch 1.0-1.el9, install kernel.x86_64 5.14.0-4.el9, install toy-brought.noarch 0.5-1.el9, " +
	"install toy-replacement.noarch 3.0-1.el9, upgrade toy-app.x86_64 1:2.0-3.el9 → 1:2.1-1.el9, upgrade toy-conf.noarch 1.0-1.el9 → 2.0-1.el9, " +
	"upgrade toy-lib.i686 1.0-1.el9 → 1.2-1.el9, upgrade toy-lib.x86_64 1.0-1.el9 → 1.2-1.el9"

func TestAScanTellsWhatIsOnOfferAndWhatIsForSecurity(t *testing.T) {
	l := newLab(t, append(ordinary, "toy-broken-*", "toy-held-*")...)
	want := "kernel.x86_64 5.14.0-3.el9→5.14.0-4.el9!, toy-app.x86_64 1:2.0-3.el9→1:2.1-1.el9, toy-broken.noarch 1.0-1.el9→2.0-1.el9 (kept back), " +
		"toy-conf.noarch 1.0-1.el9→2.0-1.el9, toy-held.noarch 1.0-1.el9→1.5-1.el9, toy-lib.i686 1.0-1.el9→1.2-1.el9!, toy-lib.x86_64 1.0-1.el9→1.2-1.el9!, " +
		"toy-replacement.noarch 1.0-1.el9→3.0-1.el9"
	f := l.Finding(quick())
	slices.SortFunc(f.Updates, func(a, b fleet.Update) int { return strings.Compare(a.Name+a.Arch, b.Name+b.Arch) })
	if got := rpmtest.Updates(f); got != want {
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

func TestWhatIsNotKnownIsNotCalledUpToDate(t *testing.T) {
	l := newLab(t, ordinary...)
	t.Run("no advisory data", func(t *testing.T) {
		l.Sh("mkdir /srv/toys/plain && cp /srv/toys/updates/*.rpm /srv/toys/plain && createrepo_c -q /srv/toys/plain && sed -i 's,toys/updates,toys/plain,' /etc/yum.repos.d/toys.repo")
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

func TestEverythingIsInstalledAsPlannedAndUndone(t *testing.T) {
	l := newLab(t, ordinary...)
	s := quick()
	l.Write("/etc/toy.conf", "setting=mine\n")
	before := l.Everything()
	p := l.Plan(s, fleet.Selection{All: true})
	if got := rpmtest.Lines(p.Changes); got != everything {
		t.Fatalf("got  %s\nwant %s", got, everything)
	}
	if p.Download == 0 || !slices.Equal(p.ConfigFiles, []string{"/etc/toy.conf"}) || p.Reboot.Needed != fleet.Needed || len(p.Warnings) != 1 {
		t.Errorf("%+v", p)
	}
	for _, c := range p.Changes {
		if c.Security != (c.To != "" && (c.Name == "toy-lib" || c.Name == "kernel")) || c.Automatic != (c.Name == "toy-brought") {
			t.Errorf("%+v", c)
		}
	}
	if got := l.Everything(); got != before {
		t.Fatalf("a plan changed the machine:\n%s", got)
	}
	o, w := l.Succeeds(s, p)
	if got := rpmtest.Lines(o.Done); got != everything || !slices.Equal(o.ConfigFiles, []string{"/etc/toy.conf.rpmnew"}) {
		t.Errorf("done: %s, to review: %v", got, o.ConfigFiles)
	}
	if again := l.Plan(s, fleet.Selection{All: true}); len(again.Changes) != 0 {
		t.Errorf("it would go on: %v", again.Changes)
	}
	l.Sh("rm /srv/toys/base/*.rpm && rm -r /srv/toys/base/repodata && createrepo_c -q /srv/toys/base && rm -rf /var/cache/dnf/*/packages") // the old versions are nowhere but here
	refresh(l)
	back := l.Undo(s, p, o, w)
	l.Succeeds(s, back)
	if got := l.Everything(); got != before {
		t.Errorf("after the undo:\n%s\nwant:\n%s", got, before)
	}
}

func TestOneIsInstalledWithWhatItNeeds(t *testing.T) {
	l := newLab(t, ordinary...)
	s := quick()
	p := l.Plan(s, fleet.Selection{Names: []string{"toy-app"}})
	if got := rpmtest.Lines(p.Changes); got != "install toy-brought.noarch 0.5-1.el9, upgrade toy-app.x86_64 1:2.0-3.el9 → 1:2.1-1.el9, upgrade toy-lib.i686 1.0-1.el9 → 1.2-1.el9, upgrade toy-lib.x86_64 1.0-1.el9 → 1.2-1.el9" &&
		got != "install toy-brought.noarch 0.5-1.el9, upgrade toy-app.x86_64 1:2.0-3.el9 → 1:2.1-1.el9" {
		t.Fatal(got)
	}
	l.Succeeds(s, p)
	if got := strings.TrimSpace(l.Sh("dnf -q -C repoquery --userinstalled toy-brought")); got != "" {
		t.Errorf("what came because another needs it counts as chosen: %s", got)
	}
	security := l.Plan(s, fleet.Selection{Security: true})
	for _, c := range security.Changes {
		if c.To != "" && !c.Security {
			t.Errorf("not for security: %s", c)
		}
	}
	l.Succeeds(s, security)
	kernels := l.Installed("kernel")
	if kernels != "kernel-5.14.0-2.el9.x86_64 kernel-5.14.0-3.el9.x86_64 kernel-5.14.0-4.el9.x86_64" {
		t.Error(kernels)
	}
}

func TestWhatMustNotBePlannedIsRefused(t *testing.T) {
	l := newLab(t, append(ordinary, "toy-broken-*", "openssh-server-*")...)
	s := quick()
	l.Refused(s, fleet.Selection{All: true}, "the plan would remove openssh-server, which this machine needs")
	l.Refused(s, fleet.Selection{Names: []string{"toy-broken"}}, "nothing provides nobody-has-this")
	l.Refused(s, fleet.Selection{Names: []string{"no-such-thing"}}, "no update of \"no-such-thing\"")
	l.Refused(s, fleet.Selection{Names: []string{"--setopt=x"}}, "no update of")
	l.Refused(s, fleet.Selection{Back: []fleet.Change{{Name: "-e", Arch: "noarch", To: "1-1"}}}, "is no package")
	l.Refused(s, fleet.Selection{Back: []fleet.Change{{Name: "toy-lib", Arch: "x86_64", To: "0.9-1.el9"}}}, "toy-lib 0:0.9-1.el9.x86_64 is nowhere")
	l.Refused(s, fleet.Selection{Back: []fleet.Change{{Name: "toy-lib", Arch: "x86_64", From: "1.0-1.el9"}, {Name: "toy-lib", Arch: "i686", From: "1.0-1.el9"}}}, "toy-app")
	l.Sh("cd /srv/toys/updates && rpm -i --nodeps --force toy-conf-2.0*")
	l.Refused(s, fleet.Selection{All: true}, "two versions are installed of toy-conf.noarch")
	w := l.Work()
	o, err := s.Repair(context.Background(), l.Machine(), w)
	if err != nil || !o.Succeeded() || rpmtest.Lines(o.Done) != "remove toy-conf.noarch 1.0-1.el9" {
		t.Errorf("repair: %+v, %v\n%s", o, err, l.Log(w))
	}
}

func TestAPlanThatIsNotTheApprovedOneDoesNotStart(t *testing.T) {
	l := newLab(t, ordinary...)
	s := quick()
	for _, sel := range []fleet.Selection{{All: true}, {Names: []string{"toy-app"}}} {
		p := l.Plan(s, sel)
		w := l.Work()
		if err := s.Fetch(context.Background(), l.Machine(), p, w); err != nil {
			t.Fatal(fleet.Explain(err))
		}
		// What is approved is not what would be done: one change more, or one less.
		less := p
		less.Changes = p.Changes[:len(p.Changes)-1]
		before := l.Everything()
		o, err := s.Apply(context.Background(), l.Machine(), less, w)
		if err != nil {
			t.Fatal(err)
		}
		if len(o.Done) > 0 || len(o.Missing) != len(less.Changes) || !strings.Contains(o.Because, "it is not the plan that was approved") || l.Everything() != before {
			t.Errorf("%+v\n%s", o, l.Log(w))
		}
	}
	p := l.Plan(s, fleet.Selection{All: true})
	l.Sh("sed -i '/later/,$ s/enabled=0/enabled=1/' /etc/yum.repos.d/toys.repo")
	refresh(l)
	before := l.Everything()
	w := l.Work()
	if err := s.Fetch(context.Background(), l.Machine(), p, w); err == nil {
		t.Error("another plan was fetched")
	}
	o, err := s.Apply(context.Background(), l.Machine(), p, w)
	if err != nil || len(o.Done) > 0 || !strings.Contains(o.Because, "it would now have [in toy-lib-0:1.3-1.el9") || l.Everything() != before {
		t.Errorf("%+v, %v\n%s", o, err, l.Log(w))
	}
}

func TestFailuresAreToldAsTheyAre(t *testing.T) {
	l := newLab(t, "toy-post-*", "toy-pre-*", "toy-conf-*")
	s := quick()
	o := l.CarryOut(s, l.Plan(s, fleet.Selection{Names: []string{"toy-post"}}), l.Work())
	if o.Succeeded() || len(o.Missing) > 0 || !slices.Equal(o.HalfDone, []string{"toy-post"}) || !strings.Contains(o.Because, "the %post script of toy-post failed; its files are installed all the same") {
		t.Errorf("a script that fails afterwards: %+v", o)
	}
	w := l.Work()
	o = l.CarryOut(s, l.Plan(s, fleet.Selection{Names: []string{"toy-pre", "toy-conf"}}), w)
	if o.Succeeded() || rpmtest.Lines(o.Missing) != "upgrade toy-pre.noarch 1.0-1.el9 → 2.0-1.el9" || !strings.Contains(o.Because, "the %pre script of toy-pre failed") {
		t.Errorf("a script that fails before: %+v\n%s", o, l.Log(w))
	}
	if got := l.Installed("toy-pre", "toy-conf"); got != "toy-conf-2.0-1.el9.noarch toy-pre-1.0-1.el9.noarch" {
		t.Error(got)
	}
}

func TestALockIsWaitedForAndTold(t *testing.T) {
	l := newLab(t, "toy-conf-*")
	s := quick()
	p := l.Plan(s, fleet.Selection{All: true})
	holder := exec.CommandContext(context.Background(), "chroot", l.Root, "sh", "-c", "echo $$ >/var/lib/dnf/rpmdb_lock.pid; echo held; read x")
	stdin, _ := holder.StdinPipe()
	stdout, _ := holder.StdoutPipe()
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = stdout.Read(make([]byte, 5))
	w := l.Work()
	o := l.CarryOut(s, p, w)
	if len(o.Done) > 0 || !strings.Contains(o.Because, "is at work on the packages") {
		t.Errorf("%+v\n%s", o, l.Log(w))
	}
	done := make(chan fleet.Outcome, 1)
	patient := Source{LockWait: time.Hour}
	go func() { done <- l.CarryOut(patient, p, l.Work()) }()
	stdin.Close()
	_ = holder.Wait()
	if o := <-done; !o.Succeeded() {
		t.Errorf("%+v", o)
	}
}

func TestWhatWasKilledIsToldByWhatIsThere(t *testing.T) {
	l := newLab(t, "toy-slow-*", "toy-conf-*")
	s := quick()
	p := l.Plan(s, fleet.Selection{All: true})
	w := l.Work()
	if o, err := s.Settle(context.Background(), l.Machine(), p, w); err != nil || len(o.Missing) != 2 || !strings.Contains(o.Because, "before it began") {
		t.Errorf("before: %+v, %v", o, err)
	}
	if err := s.Fetch(context.Background(), l.Machine(), p, w); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = s.Apply(context.Background(), l.Machine(), p, w) // what it says is not what this is about
	}()
	for {
		if _, err := os.Stat(l.Path("/tmp/slow-began")); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	kill(l)
	<-done
	l.Write("/tmp/slow-ends", "")
	if err := os.Remove(l.Path(filepath.Join(w.Dir, "code"))); err != nil {
		t.Fatal(err)
	}
	o, err := s.Settle(context.Background(), l.Machine(), p, w)
	if err != nil || o.Succeeded() || len(o.HalfDone) == 0 || !strings.Contains(o.Remedy, "redflag repair") {
		t.Fatalf("after: %+v, %v\n%s", o, err, l.Everything())
	}
	l.Refused(s, fleet.Selection{All: true}, "an installation was interrupted")
	if o, err := s.Repair(context.Background(), l.Machine(), l.Work()); err != nil || !o.Succeeded() {
		t.Errorf("repair: %+v, %v", o, err)
	}
	l.Succeeds(s, l.Plan(s, fleet.Selection{All: true}))
}

// kill ends the dnf of a lab as a machine that loses its power does.
func kill(l *rpmtest.Lab) {
	l.Helper()
	found, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range found {
		root, _ := os.Readlink(dir + "/root")
		line, _ := os.ReadFile(dir + "/cmdline")
		if root == l.Root && strings.Contains(string(line), "redflag.py") || root == l.Root && strings.Contains(string(line), "request.json") {
			_ = exec.CommandContext(context.Background(), "kill", "-KILL", filepath.Base(dir)).Run()
		}
	}
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
	if got := hold(true, "--help"); !strings.Contains(got, "is no name of a package") {
		t.Errorf("an option: %q", got)
	}
	if got := hold(true, "no-such-thing"); got != "no-such-thing is not installed" {
		t.Errorf("what is not there: %q", got)
	}
	if got := rpmtest.Updates(l.Finding(s)); got != "toy-conf.noarch 1.0-1.el9→2.0-1.el9, toy-held.noarch 1.0-1.el9→1.5-1.el9 (held)" {
		t.Error(got)
	}
	l.Refused(s, fleet.Selection{Names: []string{"toy-held"}}, "toy-held is on hold: a version lock")
	p := l.Plan(s, fleet.Selection{All: true})
	if got := rpmtest.Lines(p.Changes); got != "upgrade toy-conf.noarch 1.0-1.el9 → 2.0-1.el9" {
		t.Error(got)
	}
	l.Succeeds(s, p)
	if got := hold(false, "toy-held"); got != "" {
		t.Fatal(got)
	}
	if got := rpmtest.Lines(l.Plan(s, fleet.Selection{All: true}).Changes); got != "upgrade toy-held.noarch 1.0-1.el9 → 1.5-1.el9" {
		t.Error(got)
	}
}
