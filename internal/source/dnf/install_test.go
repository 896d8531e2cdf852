package dnf

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/source"
	"redflag/internal/source/sourcetest"
)

// repositories are the lab's, as a configuration has them.
// ordinary are the toys that a machine has installed.
// newLab gives a lab whose metadata is fetched.
// everything is what the ordinary toys become, as a plan.
func TestEverythingIsInstalledAsPlannedAndUndone(t *testing.T) {
	l := newLab(t, ordinary...)
	s := quick()
	l.Write("/etc/toy.conf", "setting=mine\n")
	before := l.Everything()
	p := l.Plan(s, fleet.Selection{All: true})
	if got := sourcetest.Lines(p.Changes); got != everything {
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
	if got := sourcetest.Lines(o.Done); got != everything || !slices.Equal(o.ConfigFiles, []string{"/etc/toy.conf.rpmnew"}) {
		t.Errorf("done: %s, to review: %v", got, o.ConfigFiles)
	}
	if again := l.Plan(s, fleet.Selection{All: true}); len(again.Changes) != 0 {
		t.Errorf("it would go on: %v", again.Changes)
	}
	owners, err := s.Owners(t.Context(), l.Machine(), []string{"/etc/toy.conf", "/etc/none"})
	conf := source.Owner{Name: "toy-conf", Arch: "noarch"}
	if err != nil || len(owners) != 1 || owners["/etc/toy.conf"] != conf {
		t.Errorf("%v, %v", owners, err)
	}
	if u, err := s.Upgrades(t.Context(), l.Machine(), []source.Owner{conf}); err != nil || len(u) != 1 || u[0].From != "1.0-1.el9" || u[0].To != "2.0-1.el9" {
		t.Errorf("%+v, %v", u, err)
	}
	l.Sh("rm /srv/toys/base/*.rpm && rm -r /srv/toys/base/repodata && createrepo_c -q /srv/toys/base && rm -rf /var/cache/dnf/*/packages") // the old versions are nowhere but here
	refresh(l)
	back := l.Undo(s, p, o, w)
	l.Succeeds(s, back)
	if got := l.Everything(); got != before {
		t.Errorf("after the undo:\n%s\nwant:\n%s", got, before)
	}
}

func TestWhatWasFetchedNeedsNoNetworkAnyMore(t *testing.T) {
	l := newLab(t, "toy-conf-*")
	server := httptest.NewServer(http.FileServer(http.Dir(l.Path("/srv/toys"))))
	defer server.Close()
	l.Write("/etc/yum.repos.d/toys.repo", strings.ReplaceAll(repositories, "file:///srv/toys", server.URL))
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
	if got := sourcetest.Lines(p.Changes); got != "install toy-brought.noarch 0.5-1.el9, upgrade toy-app.x86_64 1:2.0-3.el9 → 1:2.1-1.el9, upgrade toy-lib.i686 1.0-1.el9 → 1.2-1.el9, upgrade toy-lib.x86_64 1.0-1.el9 → 1.2-1.el9" &&
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
	if err != nil || !o.Succeeded() || sourcetest.Lines(o.Done) != "remove toy-conf.noarch 1.0-1.el9" {
		t.Errorf("repair: %+v, %v\n%s", o, err, l.Said(w))
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
			t.Errorf("%+v\n%s", o, l.Said(w))
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
		t.Errorf("%+v, %v\n%s", o, err, l.Said(w))
	}
}

// kill ends the dnf of a lab as a machine that loses its power does.
