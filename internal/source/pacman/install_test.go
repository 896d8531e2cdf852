package pacman

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/source/sourcetest"
)

func TestEverythingIsUpgradedAsPlannedAndUndone(t *testing.T) {
	l := newLab(t)
	l.refresh()
	l.Write("/etc/toy.conf", "setting=mine\n")
	p := l.Plan(quick(), fleet.Selection{All: true})
	if got := sourcetest.Lines(p.Changes); got != everything {
		t.Fatalf("planned %s", got)
	}
	if p.Download == 0 || p.Free == 0 || strings.Join(p.ConfigFiles, " ") != "/etc/toy.conf" || p.Reboot.Needed != fleet.Needed {
		t.Errorf("%+v", p)
	}
	if len(p.Warnings) != 1 || p.Warnings[0] != "toy-old is removed because another package replaces it" {
		t.Errorf("%q", p.Warnings)
	}
	l.Sh("cat /var/cache/pacman/pkg/linux-6.10* >/tmp/linux && rm /var/cache/pacman/pkg/linux-6.10*")
	if got := l.Plan(quick(), fleet.Selection{All: true}).Warnings; len(got) != 2 || !strings.HasPrefix(got[1], "1 of these cannot be undone") {
		t.Errorf("%q", got)
	}
	l.Sh("cat /tmp/linux >/var/cache/pacman/pkg/linux-6.10.1.arch1-1-x86_64.pkg.tar.gz")
	if l.installed() != before {
		t.Fatalf("a plan has changed something: %s", l.installed())
	}
	o, w := l.Succeeds(quick(), p)
	if l.installed() != afterwards {
		t.Errorf("installed: %s\n%s", l.installed(), l.Said(w))
	}
	if got := sourcetest.Lines(o.Done); got != everything {
		t.Errorf("done: %s", got)
	}
	if strings.Join(o.ConfigFiles, " ") != "/etc/toy.conf.pacnew" {
		t.Errorf("to be reviewed: %q", o.ConfigFiles)
	}
	if got := l.Plan(quick(), fleet.Selection{All: true}); len(got.Changes) != 0 {
		t.Errorf("there is still something to do: %s", sourcetest.Lines(got.Changes))
	}
	back := l.Undo(quick(), p, o, w)
	if want := "remove toy-brought.x86_64 0.5-1, remove toy-replacement.x86_64 3.0-1, downgrade linux.x86_64 6.11.2.arch1-1 → 6.10.1.arch1-1"; !strings.HasPrefix(sourcetest.Lines(back.Changes), want) {
		t.Errorf("the way back: %s", sourcetest.Lines(back.Changes))
	}
	_, w = l.Succeeds(quick(), back)
	if l.installed() != before {
		t.Errorf("undone: %s\n%s", l.installed(), l.Said(w))
	}
	if got := strings.Fields(l.Sh("pacman -Qdq")); strings.Join(got, " ") != needed {
		t.Errorf("%q came because others need them", got)
	}
}

func TestOnlyAFullUpgradeIsPlanned(t *testing.T) {
	l := newLab(t)
	l.refresh()
	l.Refused(quick(), fleet.Selection{Names: []string{"toy-lib"}}, "Arch supports no partial upgrades")
	l.Refused(quick(), fleet.Selection{Names: []string{"toy-ignored"}}, `no update of "toy-ignored" can be installed`)
	l.Refused(quick(), fleet.Selection{Names: []string{"-Rns"}}, `no update of "-Rns" can be installed`)
	l.Refused(quick(), fleet.Selection{Security: true}, "which updates are for security is not known")
	all := fleet.Selection{Names: []string{"linux", "toy-app", "toy-conf", "toy-grouped", "toy-lib", "toy-replacement"}}
	if got := sourcetest.Lines(l.Plan(quick(), all).Changes); got != everything {
		t.Errorf("all by their names: %s", got)
	}
	t.Run("a conflict is for a person", func(t *testing.T) {
		l.offer("conflict", "toys")
		l.refresh()
		l.Refused(quick(), fleet.Selection{All: true}, "cannot be installed together, and which of them goes is for a person to decide")
	})
	t.Run("nothing that the machine needs is replaced by something else", func(t *testing.T) {
		l.offer("older", "toys")
		l.refresh()
		l.Refused(quick(), fleet.Selection{All: true}, "the plan would remove openssh")
	})
	t.Run("what lies beside a dependency is told", func(t *testing.T) {
		l.offer("toys")
		l.refresh()
		l.Write("/var/lib/pacman/local/toy-stranger-1-1/desc", "%NAME%\ntoy-stranger\n\n%VERSION%\n1-1\n\n%ARCH%\nx86_64\n\n%DEPENDS%\ntoy-lib=1.0\n\n")
		l.Write("/var/lib/pacman/local/toy-stranger-1-1/files", "%FILES%\n\n")
		l.Refused(quick(), fleet.Selection{All: true}, "toy-stranger needs toy-lib=1.0")
	})
}

func TestNothingButTheApprovedPlanIsCarriedOut(t *testing.T) {
	l := newLab(t)
	l.refresh()
	own := l.synced()
	p := l.Plan(quick(), fleet.Selection{All: true})
	for what, change := range map[string]func(*fleet.Plan){
		"more": func(p *fleet.Plan) {
			p.Changes = p.Changes[1:]
		},
		"less": func(p *fleet.Plan) {
			p.Changes = append(p.Changes, fleet.Change{Action: fleet.Install, Name: "toy-surprise", Arch: "x86_64", To: "1-1"})
		},
		"from another version": func(p *fleet.Plan) {
			p.Changes = append([]fleet.Change{}, p.Changes...)
			p.Changes[3].From = "6.9-1"
		},
	} {
		t.Run(what, func(t *testing.T) {
			approved := p
			change(&approved)
			o := l.CarryOut(quick(), approved, l.Work())
			if o.Succeeded() || len(o.Done) > 0 || !strings.Contains(o.Because, "what pacman is about to do is not what was approved") {
				t.Errorf("%+v", o)
			}
			if l.installed() != before || l.synced() != own {
				t.Errorf("installed: %s", l.installed())
			}
		})
	}
}

func TestWhatIsOnOfferMustStayAsItWasPlanned(t *testing.T) {
	l := newLab(t)
	l.refresh()
	own := l.synced()
	p := l.Plan(quick(), fleet.Selection{All: true})
	t.Run("another version", func(t *testing.T) {
		approved := p
		approved.Changes = append([]fleet.Change{}, p.Changes...)
		approved.Changes[4].To = "1:2.0-9"
		_, err := quick().Apply(context.Background(), l.Machine(), approved, l.Work())
		if got, _ := fleet.Explain(err); got != "toy-app 1:2.0-9 is not on offer any more" || l.synced() != own {
			t.Errorf("%q", got)
		}
	})
	t.Run("a database that changes after the last look", func(t *testing.T) {
		l.Write("/etc/pacman.d/hooks/00-first.hook", "[Trigger]\nType = Package\nOperation = Upgrade\nTarget = *\n[Action]\nWhen = PreTransaction\n"+
			"Exec = /bin/sh -c \"echo >>/var/lib/pacman/sync/toys.db\"\n")
		o := l.CarryOut(quick(), p, l.Work())
		if len(o.Done) > 0 || !strings.Contains(o.Because, "what is on offer has changed") {
			t.Errorf("%+v", o)
		}
	})
}

func TestAFailureIsToldAsItIs(t *testing.T) {
	l := newLab(t, "toy-script")
	l.refresh()
	p := l.Plan(quick(), fleet.Selection{All: true})
	t.Run("a mirror that is gone", func(t *testing.T) {
		l.Sh("cd /srv/toys/new && for f in *; do cat $f >/tmp/$f; rm $f; done")
		err := quick().Fetch(context.Background(), l.Machine(), p, l.Work())
		if got, _ := fleet.Explain(err); !strings.Contains(got, "cannot be fetched from") {
			t.Errorf("%q", got)
		}
		l.Sh("cd /tmp && for f in *.pkg.tar.gz toys.*; do cat $f >/srv/toys/new/$f; rm $f; done")
	})
	t.Run("a lock that was left behind", func(t *testing.T) {
		l.Write("/var/lib/pacman/db.lck", "")
		l.Refused(quick(), fleet.Selection{All: true}, "pacman was interrupted")
		w := l.Work()
		if _, err := quick().Apply(context.Background(), l.Machine(), p, w); err == nil {
			t.Error("a lock is passed over")
		}
		if o, err := quick().Repair(context.Background(), l.Machine(), w); err != nil || !o.Succeeded() {
			t.Errorf("%+v, %v", o, err)
		}
		l.Plan(quick(), fleet.Selection{All: true})
	})
	t.Run("a lock that is held", func(t *testing.T) {
		holder := exec.CommandContext(t.Context(), "sh", "-c", `exec 9>"$1"; echo; exec cat`, "sh", l.Path("/var/lib/pacman/db.lck"))
		in, err := holder.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := holder.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		_, err = quick().Apply(context.Background(), l.Machine(), p, l.Work())
		if got, _ := fleet.Explain(err); !strings.Contains(got, "is at work on the packages") {
			t.Errorf("%q", got)
		}
		if _, err := quick().Repair(context.Background(), l.Machine(), l.Work()); err == nil {
			t.Error("a lock is taken from who holds it")
		}
		in.Close()
		_ = holder.Wait()
		if err := os.Remove(l.Path("/var/lib/pacman/db.lck")); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a script that fails while pacman says that all is well", func(t *testing.T) {
		w := l.Work()
		o := l.CarryOut(quick(), p, w)
		if o.Succeeded() || len(o.Missing) > 0 || strings.Join(o.HalfDone, " ") != "toy-script" ||
			o.Because != "the install script of toy-script failed; its files are installed all the same" {
			t.Errorf("%+v\n%s", o, l.Said(w))
		}
	})
	t.Run("a file that is there already", func(t *testing.T) {
		l.Write("/usr/share/clash", "mine")
		l.offer("clash", "toys")
		l.refresh()
		own := l.synced()
		o := l.CarryOut(quick(), l.Plan(quick(), fleet.Selection{All: true}), l.Work())
		if o.Succeeded() || len(o.Done) > 0 || o.Because != "toy-clash brings the file /usr/share/clash, which is there already" || l.synced() != own {
			t.Errorf("%+v", o)
		}
	})
}

func TestAJobThatWasKilledIsSettledByWhatIsThere(t *testing.T) {
	l := newLab(t)
	l.refresh()
	own := l.synced()
	p := l.Plan(quick(), fleet.Selection{All: true})
	t.Run("before it began", func(t *testing.T) {
		o, err := quick().Settle(context.Background(), l.Machine(), p, l.Work())
		if err != nil || len(o.Done) > 0 || len(o.Missing) != len(p.Changes) || o.Because == "" {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("after pacman's databases were changed", func(t *testing.T) {
		w := l.Work()
		look, err := quick().look(l.Machine())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(l.Machine(), beforeFile, look.snapshot(l.Machine())); err != nil {
			t.Fatal(err)
		}
		if err := look.bring(l.Machine(), w); err != nil {
			t.Fatal(err)
		}
		o, err := quick().Settle(context.Background(), l.Machine(), p, w)
		if err != nil || o.Succeeded() || len(o.Done) > 0 || l.synced() != own {
			t.Errorf("%+v, %v", o, err)
		}
	})
	t.Run("after pacman has done it alone", func(t *testing.T) {
		w := l.Work()
		l.CarryOut(quick(), p, w)
		if err := os.Remove(l.Path(w.Dir + "/" + codeFile)); err != nil {
			t.Fatal(err)
		}
		if o, err := quick().Settle(context.Background(), l.Machine(), p, w); err != nil || !o.Succeeded() {
			t.Errorf("%+v, %v", o, err)
		}
	})
}

func TestWhatIsHeldStaysAndIsReleased(t *testing.T) {
	l := newLab(t)
	l.refresh()
	hold := func(hold bool, names ...string) string {
		because, _ := fleet.Explain(quick().Hold(context.Background(), l.Machine(), names, hold))
		return because
	}
	if got := hold(true, "toy-grouped", "linux"); got != "" {
		t.Fatal(got)
	}
	if got := l.Sh("pacman-conf IgnorePkg"); got != "linux\ntoy-grouped\ntoy-ignored\n" && got != "toy-ignored\nlinux\ntoy-grouped\n" {
		t.Errorf("pacman takes for held: %q", got)
	}
	if got := sourcetest.Lines(l.Plan(quick(), fleet.Selection{All: true}).Changes); strings.Contains(got, "linux") || strings.Contains(got, "toy-grouped") {
		t.Errorf("what is held would change: %s", got)
	}
	if got := hold(false, "toy-grouped", "linux"); got != "" {
		t.Error(got)
	}
	if got := sourcetest.Lines(l.Plan(quick(), fleet.Selection{All: true}).Changes); got != everything {
		t.Errorf("after the release: %s", got)
	}
	if got := hold(false, "toy-ignored"); !strings.Contains(got, "still held by IgnorePkg = toy-ignored in /etc/pacman.conf") {
		t.Error(got)
	}
	if got := hold(true, "toy-nobody"); !strings.Contains(got, "not installed") {
		t.Error(got)
	}
}
