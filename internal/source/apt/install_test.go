package apt

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"redflag/internal/fleet"
)

func TestEverythingIsInstalledAsPlannedAndUndone(t *testing.T) {
	b := newBench(t)
	p := b.plan(fleet.Selection{All: true})
	if got := lines(p.Changes); got != "upgrade toy-lib 1 → 2, upgrade toy-one 1 → 2, upgrade toy-two 1 → 2" {
		t.Fatal(got)
	}
	o, w := b.succeeds(p)
	if got := lines(o.Done); got != lines(p.Changes) || b.auto() != "toy-lib" {
		t.Errorf("done: %s, automatic: %s", got, b.auto())
	}
	b.offer(toys("2")...) // version 1 is on no archive any more
	sel, err := b.source().Undo(b.machine(), p, o, w)
	if err != nil {
		t.Fatal(err)
	}
	back := b.plan(sel)
	if got := lines(back.Changes); got != "downgrade toy-lib 2 → 1, downgrade toy-one 2 → 1, downgrade toy-two 2 → 1" {
		t.Fatal(got)
	}
	b.succeeds(back)
	if got := b.versions("toy-one", "toy-two", "toy-lib"); got != "toy-lib=1:ii  toy-one=1:ii  toy-two=1:ii" || b.auto() != "toy-lib" {
		t.Errorf("%s, automatic: %s", got, b.auto())
	}
	if p := b.plan(fleet.Selection{All: true}); len(p.Changes) != 3 {
		t.Errorf("after the undo it offers %v", p.Changes)
	}
}

func TestOneIsInstalledWithWhatItNeedsAndMarksStay(t *testing.T) {
	b := newBench(t)
	p := b.plan(fleet.Selection{Names: []string{"toy-two"}})
	if got := lines(p.Changes); got != "upgrade toy-lib 1 → 2, upgrade toy-two 1 → 2" {
		t.Fatal(got)
	}
	o, w := b.succeeds(p)
	if got := b.versions("toy-one", "toy-two", "toy-lib"); got != "toy-lib=2:ii  toy-one=1:ii  toy-two=2:ii" || b.auto() != "toy-lib" {
		t.Errorf("%s, automatic: %s", got, b.auto())
	}
	sel, err := b.source().Undo(b.machine(), p, o, w)
	if err != nil {
		t.Fatal(err)
	}
	b.succeeds(b.plan(sel))
	if got := b.versions("toy-two", "toy-lib"); got != "toy-lib=1:ii  toy-two=1:ii" {
		t.Error(got)
	}
}

func TestWhatMustNotBePlannedIsRefused(t *testing.T) {
	b := newBench(t)
	b.refused(fleet.Selection{Names: []string{"no-such-thing"}}, "no update of \"no-such-thing\"")
	b.refused(fleet.Selection{Names: []string{"-o", "DPkg::Pre-Invoke::=touch /pwned"}}, "no update of")
	b.refused(fleet.Selection{Back: []fleet.Change{{Name: "-oDebug", To: "1"}}}, "no name of a package")
	b.refused(fleet.Selection{Back: []fleet.Change{{Name: "toy-one", To: "1 --allow-remove-essential"}}}, "no name of a package")
	b.refused(fleet.Selection{Back: []fleet.Change{{Name: "openssh-server", Action: fleet.Remove}}}, "would remove openssh-server")
	b.sh("apt-mark hold toy-one")
	b.refused(fleet.Selection{Names: []string{"toy-one"}}, "toy-one is on hold")
	if got := lines(b.plan(fleet.Selection{All: true}).Changes); strings.Contains(got, "toy-one") {
		t.Errorf("one on hold is planned: %s", got)
	}
	b.sh("dpkg-query -s toy-one | sed 's/^Status: .*/Status: hold ok half-configured/' >/var/lib/dpkg/updates/0001")
	b.refused(fleet.Selection{All: true}, "dpkg was interrupted")
}

func TestAPlanThatIsNotTheApprovedOneDoesNotStart(t *testing.T) {
	b := newBench(t)
	p := b.plan(fleet.Selection{All: true})
	w := b.work()
	if err := b.source().Fetch(context.Background(), b.machine(), p, w); err != nil {
		t.Fatal(err)
	}
	b.offer(toys("3")...)
	before := b.versions("toy-one", "toy-two", "toy-lib", "toy-new")
	o, err := b.source().Apply(context.Background(), b.machine(), p, w)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Done) > 0 || len(o.Missing) != 3 || !strings.Contains(o.Because, "not the plan that was approved: it would now upgrade toy-lib 1 → 3") {
		t.Errorf("%+v\n%s", o, b.log(w))
	}
	if got := b.versions("toy-one", "toy-two", "toy-lib", "toy-new"); got != before {
		t.Errorf("%s, want %s", got, before)
	}
}

func TestAFailureIsToldAsItIs(t *testing.T) {
	b := newBench(t)
	b.add(deb{name: "toy-one", version: "2.5", files: map[string]string{"DEBIAN/postinst": "#!/bin/sh\necho it hurts >&2\nexit 3\n"}})
	p := b.plan(fleet.Selection{All: true})
	w := b.work()
	o := b.carryOut(p, w)
	if o.Succeeded() || !strings.Contains(o.Because, "toy-one") || len(o.HalfDone) != 1 || o.HalfDone[0] != "toy-one" || !strings.Contains(o.Remedy, "redflag repair") {
		t.Errorf("%+v\n%s", o, b.log(w))
	}
	if !strings.Contains(b.log(w), "it hurts") {
		t.Error("the log does not say what the script said")
	}
	b.refused(fleet.Selection{All: true}, "dpkg was interrupted, and has not finished with toy-one")
	b.sh("echo '#!/bin/sh' >/var/lib/dpkg/info/toy-one.postinst")
	fixed, err := b.source().Repair(context.Background(), b.machine(), b.work())
	if err != nil || len(fixed.HalfDone) > 0 {
		t.Errorf("repaired: %+v, %v", fixed, err)
	}
	b.plan(fleet.Selection{All: true})
}

func TestALockIsWaitedForAndNamed(t *testing.T) {
	b := newBench(t)
	p := b.plan(fleet.Selection{All: true})
	w := b.work()
	if err := b.source().Fetch(context.Background(), b.machine(), p, w); err != nil {
		t.Fatal(err)
	}
	release := hold(b.lab, "/var/lib/dpkg/lock-frontend")
	o, err := b.source().Apply(context.Background(), b.machine(), p, w)
	release()
	if because, _ := fleet.Explain(err); len(o.Done) > 0 || !strings.Contains(because, "python3 (process") || !strings.Contains(because, "is at work on the packages") {
		t.Errorf("%+v, %v\n%s", o, err, b.log(w))
	}
}

func TestAMirrorThatDiesOrADiskThatIsFullLeavesEverything(t *testing.T) {
	b := newBench(t)
	mirror := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(b.root, "srv/toys"))))
	defer mirror.Close()
	b.write("/etc/apt/sources.list.d/toys.list", "deb [trusted=yes] "+mirror.URL+" ./\n")
	b.fetch("toys")
	p := b.plan(fleet.Selection{All: true})
	fails := func(want string) {
		t.Helper()
		w := b.work()
		err := b.source().Fetch(context.Background(), b.machine(), p, w)
		if because, _ := fleet.Explain(err); err == nil || !strings.Contains(because, want) {
			t.Errorf("%v, want one about %q\n%s", err, want, b.log(w))
		}
		if got := b.versions("toy-one", "toy-two", "toy-lib"); got != "toy-lib=1:ii  toy-one=1:ii  toy-two=1:ii" {
			t.Error(got)
		}
	}
	cache := filepath.Join(b.root, "var/cache/apt/archives")
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=8k", "small", cache).CombinedOutput(); err != nil {
		t.Fatalf("no small disk: %v %s", err, out)
	}
	fails("there is not enough room at /var/cache/apt/archives: 8.4 MB are needed, and 0.0 MB are free")
	if out, err := exec.CommandContext(t.Context(), "umount", "-l", cache).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	w := b.work()
	if err := b.source().Fetch(context.Background(), b.machine(), p, w); err != nil {
		t.Fatal(err)
	}
	mirror.Close()
	if o, err := b.source().Apply(context.Background(), b.machine(), p, w); err != nil || !o.Succeeded() {
		t.Errorf("what was fetched is not enough: %+v, %v\n%s", o, err, b.log(w))
	}
	b.sh("apt-get install -yq --allow-downgrades /var/lib/redflag/packages/toy-*_1_all.deb && apt-get clean")
	fails("cannot be fetched")
}

func TestAConfigurationFileIsKeptAndToBeReviewed(t *testing.T) {
	b := newBench(t)
	conf := func(version string) deb {
		return deb{name: "toy-conf", version: version, files: map[string]string{"DEBIAN/conffiles": "/etc/toy.conf\n", "etc/toy.conf": "version " + version + "\n"}}
	}
	b.install(conf("1"))
	b.sh("echo mine >/etc/toy.conf; mkdir -p /var/lib/ucf; echo toy-conf /etc/toy-ucf.conf >/var/lib/ucf/registry")
	two := conf("2")
	two.files["DEBIAN/postinst"] = "#!/bin/sh\necho theirs >/etc/toy-ucf.conf.ucf-dist\n"
	b.add(two)
	p := b.plan(fleet.Selection{Names: []string{"toy-conf"}})
	if strings.Join(p.ConfigFiles, " ") != "/etc/toy.conf" {
		t.Errorf("at stake: %q", p.ConfigFiles)
	}
	o, w := b.succeeds(p)
	if strings.Join(o.ConfigFiles, " ") != "/etc/toy.conf.dpkg-dist /etc/toy-ucf.conf.ucf-dist" || strings.TrimSpace(string(b.sh("cat /etc/toy.conf"))) != "mine" {
		t.Errorf("%+v\n%s", o, b.log(w))
	}
}

func TestAJobThatWasKilledIsSettledByWhatIsThere(t *testing.T) {
	b := newBench(t)
	p := b.plan(fleet.Selection{All: true})
	w := b.work()
	o, err := b.source().Settle(context.Background(), b.machine(), p, w)
	if err != nil || len(o.Done) > 0 || len(o.Missing) != 3 || o.Because == "" {
		t.Errorf("before it began: %+v, %v", o, err)
	}
	if err := b.source().Fetch(context.Background(), b.machine(), p, w); err != nil {
		t.Fatal(err)
	}
	snap, err := b.source().snapshot(context.Background(), b.machine())
	if err := errors.Join(err, w.Write(b.machine(), beforeFile, snap)); err != nil {
		t.Fatal(err)
	}
	b.sh("apt-get install -yq toy-one=2") // and then it was killed
	o, err = b.source().Settle(context.Background(), b.machine(), p, w)
	if err != nil || lines(o.Done) != "upgrade toy-one 1 → 2" || len(o.Missing) != 2 || !strings.Contains(o.Because, "did not come to its end") {
		t.Errorf("in the middle: %+v, %v", o, err)
	}
}

func TestSecurityUpdatesOfTheRealArchiveAndTheWayBack(t *testing.T) {
	if testing.Short() {
		t.Skip("long: it installs fifty real updates, and goes back")
	}
	l := newLab(t, "bookworm")
	b := &bench{lab: l}
	all := func() string { return string(b.sh("dpkg-query -W; apt-mark showauto | sort")) }
	before := all()
	p := b.plan(fleet.Selection{Security: true})
	if len(p.Changes) < 20 || p.Download == 0 {
		t.Fatalf("%d changes, %d bytes", len(p.Changes), p.Download)
	}
	for _, c := range p.Changes {
		if c.Action != fleet.Upgrade || !c.Security {
			t.Errorf("%+v", c)
		}
	}
	o, w := b.succeeds(p)
	if left := b.plan(fleet.Selection{Security: true}); len(left.Changes) > 0 {
		t.Errorf("still pending: %s", lines(left.Changes))
	}
	sel, err := b.source().Undo(b.machine(), p, o, w)
	if err != nil {
		t.Fatal(err)
	}
	b.succeeds(b.plan(sel))
	if after := all(); after != before {
		t.Errorf("not what was there before:\n%s", after)
	}
}
