package flatpak

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/source"
)

// What the source is meant to be.
var (
	_ source.Installer = Source{}
	_ source.Refresher = Source{}
	_ source.Lister    = Source{}
	_ source.Holder    = Source{}
)

func TestExactlyTheApprovedCommitsAreInstalledAndTakenBack(t *testing.T) {
	l := newLab(t)
	if got := l.scan(); !(Source{}).Present(l.m) || got.State != fleet.OK || len(got.Updates) != 0 {
		t.Fatalf("at first: %+v", got)
	}
	before := l.deployed("--system", app)
	second := l.publish("app", app, "stable", "two", platform+"/x86_64/1", "")
	l.publish("runtime", platform, "1", "two", "", "")
	f := l.scan()
	if got := updates(f); got != "org.demo.App, org.demo.Platform:1" || f.State != fleet.OK || f.AsOf.IsZero() || f.SecurityUnknown == "" {
		t.Fatalf("%s: %+v", got, f)
	}
	if u := f.Updates[0]; u.From != algorithm+before || u.To != algorithm+second || u.Arch != "x86_64" || u.Origin != "demo" || u.Size == 0 {
		t.Errorf("%+v", u)
	}
	p := l.plan(fleet.Selection{Names: []string{app}})
	if lines(p.Changes) != "upgrade "+app || p.Reboot.Needed != fleet.NotNeeded || p.Restart.Needed != fleet.NotNeeded || p.Free == 0 {
		t.Errorf("%+v", p)
	}
	third := l.publish("app", app, "stable", "three", platform+"/x86_64/1", "") // what is newest has changed since the approval
	o := l.install(p)
	if !o.Succeeded() || lines(o.Done) != "upgrade "+app || l.deployed("--system", app) != second {
		t.Fatalf("%+v; installed is %s", o, l.deployed("--system", app))
	}
	p = l.back(p, o)
	if lines(p.Changes) != "downgrade "+app {
		t.Errorf("%s", lines(p.Changes))
	}
	if o = l.install(p); !o.Succeeded() || l.deployed("--system", app) != before {
		t.Errorf("%+v; installed is %s", o, l.deployed("--system", app))
	}
	l.scan()
	p = l.plan(fleet.Selection{All: true})
	if o = l.install(p); !o.Succeeded() || lines(o.Done) != "upgrade org.demo.App, upgrade org.demo.Platform:1" || l.deployed("--system", app) != third {
		t.Errorf("%+v", o)
	}
	if got := l.scan(); got.State != fleet.OK || len(got.Updates) != 0 {
		t.Errorf("at last: %+v", got)
	}
	list, err := Source{}.Packages(t.Context(), l.m)
	if err != nil || len(list) != 2 || list[0].Version != algorithm+third {
		t.Errorf("%v, %v", list, err)
	}
}

func TestARuntimeThatANewVersionNeedsComesWithItAndGoesWithIt(t *testing.T) {
	l := newLab(t)
	l.publish("runtime", platform, "2", "two", "", "")
	l.publish("extension", platform+".GL", "2", "gl", "", "")
	l.publish("app", app, "stable", "two", platform+"/x86_64/2", "")
	l.scan()
	p := l.plan(fleet.Selection{Names: []string{app}})
	if got := lines(p.Changes); got != "install org.demo.Platform.GL:2, install org.demo.Platform:2, upgrade org.demo.App" {
		t.Fatal(got)
	}
	o := l.install(p)
	if !o.Succeeded() {
		t.Fatalf("%+v", o)
	}
	o = l.install(l.back(p, o))
	if got := lines(o.Done); !o.Succeeded() || got != "remove org.demo.Platform.GL:2, remove org.demo.Platform:2, downgrade org.demo.App" {
		t.Errorf("%s: %+v", got, o)
	}
	l.publish("app", app, "stable", "three", platform+"/x86_64/3", "")
	f := l.scan()
	if got := updates(f); got != "org.demo.App (kept back)" || !strings.Contains(f.Updates[0].BlockedBecause, "needs org.demo.Platform/x86_64/3") {
		t.Errorf("%+v", f.Updates)
	}
	l.refused(fleet.Selection{Names: []string{app}}, "needs org.demo.Platform/x86_64/3")
}

func TestWhatIsMaskedIsHeldAndWhatNobodyCaresForIsTold(t *testing.T) {
	l := newLab(t)
	l.publish("app", app, "stable", "two", platform+"/x86_64/1", "--end-of-life=nobody-cares")
	hold := func(hold bool, name string) string {
		because, _ := fleet.Explain(Source{}.Hold(t.Context(), l.m, []string{name}, hold))
		return because
	}
	if got := hold(true, app); got != "" {
		t.Fatal(got)
	}
	f := l.scan()
	if got := updates(f); got != "org.demo.App (held)" || strings.Join(f.Notes, ";") != "org.demo.App is at the end of its life: nobody-cares" {
		t.Errorf("%s, %q", got, f.Notes)
	}
	if held, err := (Source{}).Held(l.m); err != nil || strings.Join(held, " ") != app {
		t.Errorf("%q, %v", held, err)
	}
	l.refused(fleet.Selection{Names: []string{app}}, "org.demo.App is on hold")
	if p := l.plan(fleet.Selection{All: true}); len(p.Changes) > 0 {
		t.Errorf("%v", p.Changes)
	}
	if got := hold(false, app); got != "" || updates(l.scan()) != app {
		t.Errorf("%q", got)
	}
	l.flatpak("mask", "--system", "org.demo.*")
	if got := hold(false, app); got != "org.demo.App is masked by hand: org.demo.*" {
		t.Error(got)
	}
	l.flatpak("mask", "--system", "--remove", "org.demo.*")
	if got := hold(true, "org.nobody.Knows"); !strings.Contains(got, "is not installed") {
		t.Error(got)
	}
	l.publish("app", app, "stable", "three", platform+"/x86_64/1", "--end-of-life-rebase=org.demo.Other")
	f = l.scan()
	if got := updates(f); got != "org.demo.App (kept back)" || !strings.Contains(f.Updates[0].BlockedBecause, "app/org.demo.Other/x86_64/stable") {
		t.Errorf("%s: %+v", got, f.Updates)
	}
}

func TestAUsersInstallationIsChangedAsThatUser(t *testing.T) {
	l := newLab(t)
	l.startBus()
	as := []string{"-u", "nobody", "--", "env", "HOME=/home/nobody", "flatpak"}
	l.run("runuser", append(as, "remote-add", "--user", "--no-gpg-verify", "mine", "file://"+l.remote())...)
	l.run("runuser", append(as, "install", "--user", "-y", "--noninteractive", "mine", app)...)
	second := l.publish("app", app, "stable", "two", platform+"/x86_64/1", "")
	if got := updates(l.scan()); got != "org.demo.App, org.demo.App@nobody" {
		t.Fatal(got)
	}
	p := l.plan(fleet.Selection{Names: []string{app + "@nobody"}})
	if lines(p.Changes) != "upgrade org.demo.App@nobody" {
		t.Fatal(lines(p.Changes))
	}
	if o := l.install(p); !o.Succeeded() || l.deployed("--system", app) == second {
		t.Errorf("%+v", o)
	}
	if got := updates(l.scan()); got != "org.demo.App" {
		t.Error(got)
	}
	if got := l.sh(`find "$1" ! -user nobody | head -n 3`, filepath.Join(l.root, "home/nobody")); got != "" {
		t.Errorf("not the user's any more: %s", got)
	}
	if got := l.sh(`stat -c %a "$1/user-nobody.json" "$1/system.json"`, filepath.Join(l.root, answersDir)); got != "600\n644" {
		t.Errorf("who may read what is on offer: %s", got)
	}
	if err := (Source{}).Hold(t.Context(), l.m, []string{app + "@nobody"}, true); err != nil {
		t.Error(err)
	}
	if held, err := (Source{}).Held(l.m); err != nil || strings.Join(held, " ") != app+"@nobody" {
		t.Errorf("%q, %v", held, err)
	}
}

func TestWhatCannotBeLearntIsNotCalledUpToDate(t *testing.T) {
	l := newLab(t)
	f, err := Source{}.Scan(t.Context(), l.m)
	if because, remedy := fleet.Explain(err); because != "what is on offer for Flatpak was never asked for" || remedy == "" || len(f.Updates) > 0 {
		t.Errorf("never asked: %q", because)
	}
	second := l.publish("app", app, "stable", "two", platform+"/x86_64/1", "")
	l.scan()
	p := l.plan(fleet.Selection{All: true})
	l.sh(`mv "$1" "$1.away"`, l.remote())
	if got := l.scan(); got.State != fleet.Uncertain || !strings.Contains(got.Because, "what the remote demo has on offer is not known") {
		t.Errorf("a remote that is away: %+v", got)
	}
	if err := (Source{}).Fetch(t.Context(), l.m, p, l.work()); err == nil {
		t.Error("what is not there was fetched")
	}
	o, err := Source{}.Apply(t.Context(), l.m, p, l.work())
	if err != nil || o.Succeeded() || len(o.Done) > 0 || len(o.Missing) != 1 || o.Because == "" {
		t.Errorf("%+v, %v", o, err)
	}
	l.sh(`mv "$1.away" "$1"`, l.remote())
	l.refused(fleet.Selection{Security: true}, "which updates are for security is not known")
	l.refused(fleet.Selection{All: true}, "what the remote demo has on offer is not known")
	l.scan()
	l.refused(fleet.Selection{Names: []string{"--version"}}, "no update of")
	l.refused(fleet.Selection{Back: []fleet.Change{{Name: app, Arch: "x86_64", To: "--system"}}}, "is no commit")
	p = l.plan(fleet.Selection{All: true})
	p.Changes[0].To = algorithm + strings.Repeat("0", 64)
	if err := (Source{}).Fetch(t.Context(), l.m, p, l.work()); err == nil || l.deployed("--system", app) == second {
		t.Errorf("a commit that nobody has: %v", err)
	}
	if err := os.WriteFile(filepath.Join(l.root, answersDir, "system.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Source{}).Scan(t.Context(), l.m); err == nil {
		t.Error("a damaged answer is taken for one")
	}
}
