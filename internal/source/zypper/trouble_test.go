package zypper

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"redflag/internal/fleet"
)

func TestFailuresAreToldAsTheyAre(t *testing.T) {
	newLab(t, "toy-post-*", "toy-pre-*", "toy-conf-*").ToldToFail()
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
	l.Refresh()
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

func TestWhatWasKilledIsToldByWhatIsThere(t *testing.T) {
	newLab(t, "toy-slow-*", "toy-conf-*").LosesPower("zypper", "rpm")
}
