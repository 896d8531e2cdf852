package zypper

import (
	"context"
	"slices"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/source/sourcetest"
)

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
	l.Refresh()
	l.Succeeds(s, l.Undo(s, p, o, w))
	if got := l.Everything(); got != before {
		t.Errorf("after the undo:\n%s\nwant:\n%s", got, before)
	}
}

func TestWhatWasFetchedNeedsNoNetworkAnyMore(t *testing.T) { newLab(t, "toy-conf-*").NeedsNoNetwork() }

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

func TestWhatCameBecauseAnotherNeedsItStaysKnownAsThat(t *testing.T) {
	l := newLab(t, "toy-conf-*")
	l.KeepsReasons("zypper -n install", "echo toy-old >>/var/lib/zypp/AutoInstalled && true", func() string {
		return strings.Join(strings.Fields(l.Sh("grep -v '^#' /var/lib/zypp/AutoInstalled | sort || true")), " ")
	})
}

func TestWhatMustNotBePlannedIsRefused(t *testing.T) {
	l := newLab(t, append(ordinary, "toy-broken-*", "openssh-server-*")...)
	s := quick()
	l.Refused(s, fleet.Selection{All: true}, "the plan would remove openssh-server, which this machine needs")
	l.Refused(s, fleet.Selection{Names: []string{"toy-broken"}}, "nothing provides nobody-has-this")
	l.Refused(s, fleet.Selection{Names: []string{"no-such-thing"}}, "no update of \"no-such-thing\"")
	l.Refused(s, fleet.Selection{Back: []fleet.Change{{Name: "-e", Arch: "noarch", To: "1-1"}}}, "is no package")
	l.Refused(s, fleet.Selection{Back: []fleet.Change{{Name: "toy-lib", Arch: "x86_64", To: "0.9-1.el9"}}}, "toy-lib.x86_64=0.9-1.el9 is nowhere")
	t.Run("a machine that changes by snapshots", func(t *testing.T) {
		l.Write("/usr/sbin/transactional-update", "")
		l.Write("/etc/fstab", "/dev/sda1 / btrfs ro 0 0\n")
		l.Refused(s, fleet.Selection{All: true}, "changed by transactional-update, in a snapshot for the next start")
		for _, u := range l.Finding(s).Updates {
			if u.Blocked != fleet.KeptBack || !strings.Contains(u.BlockedBecause, "transactional-update") {
				t.Errorf("%+v", u)
			}
		}
		l.Sh("rm /usr/sbin/transactional-update /etc/fstab")
	})
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
	l.Enable("later", true)
	l.Refresh()
	before := l.Everything()
	w := l.Work()
	o := l.CarryOut(s, p, w)
	if len(o.Done) > 0 || len(o.Missing) != len(p.Changes) || !strings.Contains(o.Because, "it is not the plan that was approved: it would now upgrade toy-lib 1.0-1.el9 → 1.3-1.el9") || l.Everything() != before {
		t.Errorf("%+v\n%s", o, l.Said(w))
	}
}
