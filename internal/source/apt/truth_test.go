package apt

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/source"
)

// apart gives a bench like this one, to change.
func (b *bench) apart(t *testing.T) *bench {
	t.Helper()
	return &bench{lab: b.copy(t)}
}

// fetched is a plan whose packages are fetched.
func (b *bench) fetched(sel fleet.Selection) (fleet.Plan, source.Work) {
	b.Helper()
	p, w := b.plan(sel), b.work()
	if err := b.source().Fetch(context.Background(), b.machine(), p, w); err != nil {
		because, _ := fleet.Explain(err)
		b.Fatalf("fetch: %s\n%s", because, b.log(w))
	}
	return p, w
}

// ends applies a plan, and fails the test unless it ends without success, for a reason, with that done and that left half done.
func (b *bench) ends(p fleet.Plan, w source.Work, because, done, half string) fleet.Outcome {
	b.Helper()
	o, err := b.source().Apply(context.Background(), b.machine(), p, w)
	if err != nil {
		b.Fatalf("apply: %v\n%s", err, b.log(w))
	}
	if o.Succeeded() || !strings.Contains(o.Because, because) || lines(o.Done) != done || strings.Join(o.HalfDone, " ") != half {
		b.Errorf("because %q (%s)\ndone %s\nmissing %s\nhalf done %s\n%s", o.Because, o.Remedy, lines(o.Done), lines(o.Missing), o.HalfDone, b.log(w))
	}
	return o
}

const failing = "#!/bin/sh\necho it hurts >&2\nexit 3\n"

// TestWhateverGoesWrongIsToldAsItIs: each case ends in the true state.
func TestWhateverGoesWrongIsToldAsItIs(t *testing.T) {
	base := newBench(t)
	everything := fleet.Selection{All: true}
	one := fleet.Selection{Names: []string{"toy-one"}}

	t.Run("the script before the installation fails", func(t *testing.T) {
		b := base.apart(t)
		b.add(deb{name: "toy-one", version: "2.5", files: map[string]string{"DEBIAN/preinst": failing}})
		p, w := b.fetched(one)
		b.ends(p, w, "dpkg fails with toy-one: new toy-one package pre-installation script subprocess returned error exit status 3", "", "")
		if got := b.versions("toy-one"); got != "toy-one=1:ii" {
			t.Error(got)
		}
		b.plan(everything) // nothing is in the way of the next one
	})
	t.Run("the old one's script before its removal fails, and the new one cannot help", func(t *testing.T) {
		b := base.apart(t)
		b.install(deb{name: "toy-one", version: "1.5", files: map[string]string{"DEBIAN/prerm": failing}})
		b.add(deb{name: "toy-one", version: "2.5", files: map[string]string{"DEBIAN/prerm": failing}})
		p, w := b.fetched(one)
		o := b.ends(p, w, "dpkg fails with toy-one", "", "")
		if got := b.versions("toy-one"); got != "toy-one=1.5:ii" || strings.Contains(o.Remedy, "repair") {
			t.Error(got, o.Remedy)
		}
	})
	t.Run("the disk is full while it is unpacked", func(t *testing.T) {
		b := base.apart(t)
		b.add(deb{name: "toy-one", version: "2.5", files: map[string]string{"opt/toy/data": strings.Repeat("x", 1<<20)}})
		small := filepath.Join(b.root, "opt/toy")
		b.sh("mkdir -p /opt/toy")
		mount(t, small, "64k")
		p, w := b.fetched(everything)
		o := b.ends(p, w, "the disk is full", "upgrade toy-lib 1 → 2, upgrade toy-two 1 → 2", "toy-lib toy-two")
		if got := b.versions("toy-one", "toy-lib", "toy-two"); !strings.Contains(got, "toy-one=1:ii") {
			t.Error(got, o)
		}
		unmount(t, small)
		if o, err := b.source().Repair(context.Background(), b.machine(), b.work()); err != nil || !o.Succeeded() {
			t.Errorf("repair: %+v, %v", o, err)
		}
		b.succeeds(b.plan(everything))
	})
}

// TestWhatIsNotWhatWasApprovedDoesNotBegin: whatever changes between the plan and its execution.
func TestWhatIsNotWhatWasApprovedDoesNotBegin(t *testing.T) {
	base := newBench(t)
	everything := fleet.Selection{All: true}

	t.Run("this program is gone", func(t *testing.T) {
		b := base.apart(t)
		p, w := b.fetched(everything)
		b.sh("mv \"/opt/it's redflag\" /opt/moved")
		b.ends(p, w, "this program could not be asked", "", "")
		if got := b.versions("toy-one", "toy-two", "toy-lib"); got != "toy-lib=1:ii  toy-one=1:ii  toy-two=1:ii" {
			t.Error(got)
		}
	})
	t.Run("the approved plan was tampered with", func(t *testing.T) {
		b := base.apart(t)
		p, w := b.fetched(everything)
		p.Changes = p.Changes[1:]
		b.ends(p, w, "not the plan that was approved: it would now upgrade toy-lib", "", "")
	})
	t.Run("somebody removes one between the plan and its execution", func(t *testing.T) {
		b := base.apart(t)
		p, w := b.fetched(everything)
		b.sh("dpkg --purge toy-one")
		b.ends(p, w, "it would not upgrade toy-one 1 → 2 any more", "", "")
	})
	t.Run("somebody installs one between the plan and its execution", func(t *testing.T) {
		b := base.apart(t)
		p, w := b.fetched(everything)
		b.sh("apt-get install -yq toy-one")
		b.ends(p, w, "it would not upgrade toy-one 1 → 2 any more", "", "")
	})
	t.Run("a need appears between the plan and its execution", func(t *testing.T) {
		b := base.apart(t)
		p, w := b.fetched(everything)
		b.add(deb{name: "toy-one", version: "2.1", more: []string{"Depends: toy-brought"}})
		b.ends(p, w, "it would now install toy-brought 2", "", "")
	})
}

// TestOthersAreWaitedForAndWhatTheyLeftIsMended: locks, and half-done work.
func TestOthersAreWaitedForAndWhatTheyLeftIsMended(t *testing.T) {
	base := newBench(t)
	everything := fleet.Selection{All: true}

	t.Run("apt's cache is locked", func(t *testing.T) {
		b := base.apart(t)
		p, w := b.plan(everything), b.work()
		release := hold(b.lab, "/var/cache/apt/archives/lock")
		defer release()
		err := b.source().Fetch(context.Background(), b.machine(), p, w)
		if because, _ := fleet.Explain(err); !strings.Contains(because, "python3 (process") {
			t.Error(err)
		}
		s := b.source()
		s.LockWait = time.Minute
		waited := make(chan bool)
		go func() {
			defer close(waited)
			for t.Context().Err() == nil {
				if data, _ := os.ReadFile(w.Log.Name()); strings.Count(string(data), "# waiting for python3") == 2 {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			release()
		}()
		defer func() { <-waited }()
		if err := s.Fetch(context.Background(), b.machine(), p, w); err != nil {
			t.Errorf("it does not wait: %v", err)
		}
	})
	t.Run("lists are being fetched", func(t *testing.T) {
		b := base.apart(t)
		defer hold(b.lab, "/var/lib/apt/lists/lock")()
		b.succeeds(b.plan(everything)) // that is in nobody's way
	})
	t.Run("packages lack what they need", func(t *testing.T) {
		b := base.apart(t)
		b.sh("dpkg --force-depends -r toy-lib")
		b.refused(everything, "packages that are installed lack others that they need")
		p := b.plan(fleet.Selection{Mend: true})
		if got := lines(p.Changes); got != "install toy-lib 2, upgrade toy-two 1 → 2" && got != "install toy-lib 2" {
			t.Fatal(got)
		}
		b.succeeds(p)
		b.plan(everything)
	})
	t.Run("apt is killed", func(t *testing.T) {
		b := base.apart(t)
		b.add(deb{name: "toy-one", version: "2.5", files: map[string]string{"DEBIAN/postinst": "#!/bin/sh\ntest -e /mended || kill -9 $(cat /proc/$PPID/stat | cut -d' ' -f4) $PPID\n"}})
		b.sh("mount -t proc proc /proc")
		t.Cleanup(func() { unmount(t, filepath.Join(b.root, "proc")) })
		p, w := b.fetched(fleet.Selection{Names: []string{"toy-one"}})
		o := b.ends(p, w, "", "upgrade toy-one 1 → 2.5", "toy-one")
		if o.Because == "" || !strings.Contains(o.Remedy, "redflag repair") {
			t.Errorf("%q, %q", o.Because, o.Remedy)
		}
		b.refused(everything, "dpkg was interrupted")
		b.sh("touch /mended")
		if o, err := b.source().Repair(context.Background(), b.machine(), b.work()); err != nil || !o.Succeeded() {
			t.Errorf("repair: %+v, %v", o, err)
		}
	})
	t.Run("one was unpacked in half", func(t *testing.T) {
		b := base.apart(t)
		b.sh("sed -i '/^Package: toy-one$/,/^$/s/^Status: .*/Status: install reinstreq half-installed/' /var/lib/dpkg/status")
		b.refused(everything, "has not finished with toy-one")
		o, err := b.source().Repair(context.Background(), b.machine(), b.work())
		if err != nil || o.Succeeded() || o.Because == "" {
			t.Errorf("repair: %+v, %v", o, err)
		}
		p := b.plan(fleet.Selection{Mend: true})
		t.Log(lines(p.Changes), p.Warnings)
		b.succeeds(p)
		if got := b.versions("toy-one"); got != "toy-one=2:ii" {
			t.Error(got)
		}
	})
}

func mount(t *testing.T, dir, size string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size="+size, "small", dir).CombinedOutput(); err != nil {
		t.Fatalf("no small disk: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
}

func unmount(t *testing.T, dir string) {
	t.Helper()
	if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
		t.Errorf("%v %s", err, out)
	}
}

// TestAHostsOwnSettingsDoNotChangeWhatIsDone: what an administrator has set for himself neither removes, purges, asks nor pretends.
func TestAHostsOwnSettingsDoNotChangeWhatIsDone(t *testing.T) {
	b := newBench(t)
	b.sh("apt-mark hold toy-one")
	b.write("/etc/apt/apt.conf.d/99own", `APT::Get::AutomaticRemove "true"; APT::Get::Purge "true"; APT::Get::Download-Only "true"; APT::Get::Assume-No "true";
DPkg::Options { "--force-confnew"; "--force-confmiss"; }; Debug::pkgDPkgPM "true"; APT::Get::allow-remove-essential "true"; APT::Get::Fix-Missing "true"; APT::Ignore-Hold "true";
APT::Get::allow-downgrades "true"; APT::Get::allow-change-held-packages "true";
`)
	conf := func(version string) deb {
		return deb{name: "toy-conf", version: version, files: map[string]string{"DEBIAN/conffiles": "/etc/toy.conf\n", "etc/toy.conf": "version " + version + "\n"}}
	}
	b.install(conf("1"), deb{name: "toy-unneeded", version: "1"})
	b.sh("echo mine >/etc/toy.conf; apt-mark auto toy-unneeded")
	b.add(conf("2"))
	p := b.plan(fleet.Selection{All: true})
	if got := lines(p.Changes); got != "upgrade toy-conf 1 → 2, upgrade toy-lib 1 → 2, upgrade toy-two 1 → 2" {
		t.Fatal(got)
	}
	o, _ := b.succeeds(p)
	if got := strings.TrimSpace(string(b.sh("cat /etc/toy.conf"))); got != "mine" || len(o.ConfigFiles) != 1 {
		t.Errorf("the file says %q, to review %q", got, o.ConfigFiles)
	}
	b.write("/etc/apt/preferences.d/down", "Package: toy-two\nPin: version 1\nPin-Priority: 1001\n")
	b.offer(append(toys("2"), control("toy-two", "1"))...)
	b.refused(fleet.Selection{All: true}, "the plan would put older versions in place: toy-two 2 → 1")
}

func TestWhatAMachineNeedsIsNotRemovedWhoeverAsks(t *testing.T) {
	b := newBench(t)
	b.install(deb{name: "toy-vital", version: "1", more: []string{"Essential: yes"}}, deb{name: "toy-guarded", version: "1", more: []string{"Protected: yes"}})
	b.refused(fleet.Selection{Back: []fleet.Change{{Name: "toy-vital", Arch: "all", Action: fleet.Remove, From: "1"}}}, "would remove toy-vital, which this machine needs")
	b.refused(fleet.Selection{Back: []fleet.Change{{Name: "toy-guarded", Arch: "all", Action: fleet.Remove, From: "1"}}}, "would remove toy-guarded")
	b.sh("mkdir -p /proc/sys/kernel; test -e /proc/sys/kernel/osrelease || echo 6.1.0-toy-amd64 >/proc/sys/kernel/osrelease")
	kernel := "linux-image-" + b.machine().Kernel()
	b.install(deb{name: kernel, version: "1"})
	b.refused(fleet.Selection{Back: []fleet.Change{{Name: kernel, Arch: "all", Action: fleet.Remove, From: "1"}}}, "would remove "+kernel)
	// An older library that openssh-server does not fit to takes it along: the plan of an undo is refused as any other.
	b.install(deb{name: "toy-libssl", version: "2"}, deb{name: "dropbear", version: "2", more: []string{"Depends: toy-libssl (>= 2)"}})
	b.add(deb{name: "toy-libssl", version: "1"})
	b.refused(fleet.Selection{Back: []fleet.Change{{Name: "toy-libssl", Arch: "all", Action: fleet.Downgrade, From: "2", To: "1"}}}, "would remove dropbear")
}

func TestTheWayBackTakesAlsoWhatCameAndWentAndSaysWhatCannotGo(t *testing.T) {
	b := newBench(t)
	b.install(deb{name: "toy-old", version: "1", files: map[string]string{"usr/share/toy-old/file": "old\n", "usr/share/doc/toy-old/gone": "x", "etc/toy-old.conf": "was\n", "DEBIAN/conffiles": "/etc/toy-old.conf\n"}})
	b.sh("rm /usr/share/doc/toy-old/gone; echo mine >/etc/toy-old.conf") // what was excluded is not there to be kept
	b.add(deb{name: "toy-one", version: "3", more: []string{"Depends: toy-brought", "Conflicts: toy-old"}})
	p := b.plan(fleet.Selection{Names: []string{"toy-one"}})
	if got := lines(p.Changes); got != "remove toy-old 1, install toy-brought 2, upgrade toy-one 1 → 3" {
		t.Fatal(got)
	}
	o, w := b.succeeds(p)
	if got := b.auto(); got != "toy-brought toy-lib" {
		t.Errorf("automatic: %s", got)
	}
	sel, err := b.source().Undo(b.machine(), p, o, w)
	if err != nil {
		t.Fatal(err)
	}
	back := b.plan(sel)
	if got := lines(back.Changes); got != "remove toy-brought 2, downgrade toy-one 3 → 1, install toy-old 1" {
		t.Fatal(got)
	}
	undone, w2 := b.succeeds(back)
	if got := b.versions("toy-one", "toy-old", "toy-brought"); !strings.Contains(got, "toy-old=1:ii") || !strings.Contains(got, "toy-one=1:ii") || strings.Contains(got, "toy-brought=2:ii") || b.auto() != "toy-lib" {
		t.Errorf("%s, automatic: %s", got, b.auto())
	}
	if got := string(b.sh("cat /usr/share/toy-old/file /etc/toy-old.conf")); got != "old\nmine\n" {
		t.Errorf("its files are %q", got)
	}
	if sel, err = b.source().Undo(b.machine(), back, undone, w2); err != nil {
		t.Fatal(err)
	}
	again := b.plan(sel)
	if got := lines(again.Changes); got != lines(p.Changes) {
		t.Errorf("the undo of the undo is %s", got)
	}
	// Where what it would need is gone, that is said before anything is asked.
	b.sh("rm /var/lib/redflag/packages/toy-one_3*")
	b.offer(toys("2")...)
	p2, err := b.source().Plan(context.Background(), b.machine(), sel)
	if err == nil && !strings.Contains(strings.Join(p2.Warnings, ";"), "toy-one cannot go back: its version 3 was not kept here") {
		t.Errorf("%v, %q", lines(p2.Changes), p2.Warnings)
	}
	only := fleet.Selection{Back: []fleet.Change{{Name: "toy-one", Arch: "all", Action: fleet.Downgrade, From: "1", To: "0.5"}}}
	b.refused(only, "its version 0.5 was not kept here, and no source has it any more")
}

func TestForeignArchitecturesAreNamedWithTheirs(t *testing.T) {
	b := newBench(t)
	b.sh("dpkg --add-architecture i386")
	shared := func(version, arch string) deb {
		return deb{name: "toy-shared", version: version, arch: arch, more: []string{"Multi-Arch: same"}, files: map[string]string{"usr/lib/" + arch + "/toy": version}}
	}
	b.install(shared("1", "amd64"), shared("1", "i386"))
	b.add(shared("2", "amd64"), shared("2", "i386"))
	p := b.plan(fleet.Selection{All: true})
	if got := lines(p.Changes); strings.Count(got, "upgrade toy-shared 1 → 2") != 2 {
		t.Fatal(got)
	}
	o, w := b.succeeds(p)
	sel, err := b.source().Undo(b.machine(), p, o, w)
	if err != nil {
		t.Fatal(err)
	}
	b.succeeds(b.plan(sel))
	if got := string(b.sh("cat /usr/lib/amd64/toy /usr/lib/i386/toy")); got != "11" {
		t.Errorf("back at %q", got)
	}
	if p := b.plan(fleet.Selection{Names: []string{"toy-shared:i386"}}); len(p.Changes) != 2 { // they go together
		t.Error(lines(p.Changes))
	}
}

func TestAKernelIsANewPackageAndNeedsAReboot(t *testing.T) {
	b := newBench(t)
	b.install(deb{name: "linux-image-1-toy", version: "1"}, deb{name: "linux-image-toy", version: "1", more: []string{"Depends: linux-image-1-toy"}})
	b.add(deb{name: "linux-image-2-toy", version: "1"}, deb{name: "linux-image-toy", version: "2", more: []string{"Depends: linux-image-2-toy"}})
	p := b.plan(fleet.Selection{Names: []string{"linux-image-toy"}})
	if got := lines(p.Changes); got != "install linux-image-2-toy 1, upgrade linux-image-toy 1 → 2" || p.Reboot.Needed != fleet.Needed {
		t.Errorf("%s, reboot %+v", got, p.Reboot)
	}
}

func TestOnePhasedIsInstalledByNameWithAWarning(t *testing.T) {
	b := newBench(t)
	b.sh("printf '#!/bin/sh\\nexit 1\\n' >/usr/bin/ischroot; echo 0123456789abcdef0123456789abcdef >/etc/machine-id")
	b.add(deb{name: "toy-one", version: "2.5", more: []string{"Phased-Update-Percentage: 0"}})
	p := b.plan(fleet.Selection{Names: []string{"toy-one"}})
	if got := strings.Join(p.Warnings, "; "); !strings.Contains(got, "toy-one is rolled out to 0% of machines so far") {
		t.Errorf("%s: %q", lines(p.Changes), got)
	}
}

func TestAHoldIsOfWhatIsThere(t *testing.T) {
	b := newBench(t)
	s, m := b.source(), b.machine()
	ctx := context.Background()
	if err := s.Hold(ctx, m, []string{"toy-one", "toy-two"}, true); err != nil {
		t.Fatal(err)
	}
	if held, err := s.Held(m); err != nil || strings.Join(held, " ") != "toy-one toy-two" {
		t.Errorf("%q, %v", held, err)
	}
	for _, names := range [][]string{{"toy-lib", "no-such"}, {"-o", "x"}, {"toy-*"}, {"--help"}} {
		if err := s.Hold(ctx, m, names, true); err == nil || !strings.Contains(err.Error(), "no package of this name is installed here") {
			t.Errorf("%q: %v", names, err)
		}
	}
	if err := s.Hold(ctx, m, []string{"toy-one"}, false); err != nil {
		t.Fatal(err)
	}
	if held, err := s.Held(m); err != nil || strings.Join(held, " ") != "toy-two" {
		t.Errorf("%q, %v", held, err)
	}
}

func TestTheNextDebianGoesTheSameWay(t *testing.T) {
	b := newBenchOf(t, "trixie")
	p := b.plan(fleet.Selection{All: true})
	if len(p.Changes) != 3 {
		t.Fatal(lines(p.Changes))
	}
	w := b.work()
	if err := b.source().Fetch(context.Background(), b.machine(), p, w); err != nil {
		t.Fatal(err)
	}
	b.offer(toys("3")...)
	b.ends(p, w, "not the plan that was approved: it would now upgrade toy-lib 1 → 3", "", "")
	b.offer(toys("2")...)
	o, w := b.succeeds(p)
	sel, err := b.source().Undo(b.machine(), p, o, w)
	if err != nil {
		t.Fatal(err)
	}
	b.succeeds(b.plan(sel))
	b.add(deb{name: "toy-one", version: "2.5", files: map[string]string{"DEBIAN/postinst": failing}})
	p, w = b.fetched(fleet.Selection{Names: []string{"toy-one"}})
	b.ends(p, w, "dpkg fails with toy-one: installed toy-one package post-installation script subprocess returned error exit status 3", "upgrade toy-one 1 → 2.5", "toy-one")
	if err := os.WriteFile(filepath.Join(b.root, "var/lib/dpkg/info/toy-one.postinst"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if o, err := b.source().Repair(context.Background(), b.machine(), b.work()); err != nil || !o.Succeeded() {
		t.Errorf("repair: %+v, %v", o, err)
	}
	release := hold(b.lab, "/var/lib/dpkg/lock-frontend")
	defer release()
	p, w = b.plan(fleet.Selection{All: true}), b.work()
	if because, _ := fleet.Explain(b.source().Fetch(context.Background(), b.machine(), p, w)); !strings.Contains(because, "python3 (process") {
		t.Error(because)
	}
}
