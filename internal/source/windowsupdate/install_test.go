package windowsupdate

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source/sourcetest"
)

const (
	shell = "powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -Command & ([ScriptBlock]::Create($env:REDFLAG_SCRIPT)) "
	lcu   = "5d1c5c0e-91a4-4c4f-8b6b-0e2e6c7d9a11:201"
	net   = "7a1b2c3d-0000-4f4f-9abc-0123456789ab:200"
	tool  = "55555555-5555-4555-8555-555555555555:202"
	both  = "'" + net + "' '" + lcu + "'"
)

// windows is a machine that has what was recorded on offer.
func windows(t *testing.T) *sourcetest.Script {
	t.Helper()
	s := sourcetest.NewScript(t)
	s.Write("Windows/System32/wuapi.dll", "")
	text, err := os.ReadFile("testdata/machines/windows11/commands/pending.stdout")
	if err != nil {
		t.Fatal(err)
	}
	s.Answer(shell+"'pending' 'offline'", sourcetest.Reply{Stdout: string(text), Do: carried(searchScript)})
	return s
}

// carried gives a shell script that fails unless it is a script of ours that PowerShell is given.
func carried(script string) string {
	first, _, _ := strings.Cut(script, "\n")
	return `case $REDFLAG_SCRIPT in *"` + first + `"*) ;; *) echo "another script" >>"$root/script/unexpected";; esac`
}

// stands tells the machine how updates stand.
func stands(s *sourcetest.Script, words string, updates ...update) {
	data, err := json.Marshal(map[string]any{"format": 1, "code": 2, "updates": updates})
	if err != nil {
		panic(err)
	}
	s.Answer(shell+"'state' 'offline' "+words, sourcetest.Reply{Stdout: string(data) + "\n", Do: carried(searchScript)})
}

func at(key string, change func(*update)) update {
	id, _, _ := strings.Cut(key, ":")
	u := update{ID: strings.ToUpper(id), Revision: 200}
	switch key {
	case lcu:
		u.Revision = 201
	case tool:
		u.Revision = 202
	}
	change(&u)
	return u
}

func missing(*update)     {}
func installed(u *update) { u.Installed, u.Uninstallable = true, true }
func waits(u *update)     { u.Waits = true }

func plan(t *testing.T, s *sourcetest.Script, sel fleet.Selection) fleet.Plan {
	t.Helper()
	p, err := (Source{}).Plan(t.Context(), s.Machine(), sel)
	if err != nil {
		t.Fatal(fleet.Explain(err))
	}
	return p
}

func lines(changes []fleet.Change) string {
	var list []string
	for _, c := range changes {
		list = append(list, c.String())
	}
	return strings.Join(list, ", ")
}

func TestAPlanNamesRevisions(t *testing.T) {
	s := windows(t)
	if p := plan(t, s, fleet.Selection{All: true}); lines(p.Changes) != "install KB2267602 0f5a0001-1111-4222-8333-444455556666:203, install KB5066128 "+net+", install KB5068861 "+lcu ||
		p.Reboot.Needed != fleet.Needed || !slices.Equal(p.Reboot.Because, []string{"KB5066128"}) || p.Download != 812345678+1234567 {
		t.Errorf("%+v", p)
	}
	if p := plan(t, s, fleet.Selection{Security: true}); lines(p.Changes) != "install KB5066128 "+net+", install KB5068861 "+lcu {
		t.Errorf("%+v", p)
	}
	p := plan(t, s, fleet.Selection{Names: []string{"KB5054156"}})
	if lines(p.Changes) != "install KB5054156 33333333-3333-4333-8333-333333333333:100" || len(p.Warnings) != 3 || !strings.Contains(p.Warnings[0], "licence") {
		t.Errorf("%+v", p)
	}
	if p := plan(t, s, fleet.Selection{Names: []string{"KB5068861"}}); p.Reboot.Needed != fleet.NeedUnknown {
		t.Errorf("%+v", p.Reboot)
	}
	for name, because := range map[string]string{"KB890830": "KB890830 is on hold: it is hidden in Windows Update", "KB1": `no update of "KB1" is on offer`} {
		_, err := (Source{}).Plan(t.Context(), s.Machine(), fleet.Selection{Names: []string{name}})
		if got, _ := fleet.Explain(err); got != because {
			t.Errorf("%q", got)
		}
	}
}

func TestUpdatesAreFetchedInstalledAndUninstalled(t *testing.T) {
	s := windows(t)
	p := plan(t, s, fleet.Selection{Security: true})
	s.Answer(shell+both, sourcetest.Reply{Do: carried(fetchScript), Stdout: `{"format":1,"update":"` + strings.ToUpper(net) + `","code":2,"error":"0x00000000"}` + "\n" +
		`{"format":1,"update":"` + lcu + `","code":2,"error":"0x00000000"}` + "\n" + `{"format":1,"done":true}` + "\n"})
	w := s.Work()
	if err := (Source{}).Fetch(t.Context(), s.Machine(), p, w); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	stands(s, both, at(net, missing), at(lcu, missing))
	s.Write("later", `{"format":1,"code":2,"updates":[{"id":"7A1B2C3D-0000-4F4F-9ABC-0123456789AB","revision":200,"installed":true,"uninstallable":true},{"id":"5d1c5c0e-91a4-4c4f-8b6b-0e2e6c7d9a11","revision":201,"waits":true}]}`)
	s.Answer(shell+"'install' "+both, sourcetest.Reply{
		Do: carried(installScript) + `; f=$(grep -lF "'state'" "$dir"/*.cmd); cp "$root/later" "${f%.cmd}.stdout"`,
		Stdout: `{"format":1,"begins":"` + net + `"}` + "\n" + `{"format":1,"update":"` + net + `","code":2,"error":"0x00000000","reboot":false}` + "\n" +
			`{"format":1,"update":"` + lcu + `","code":2,"error":"0x00000000","reboot":true}` + "\n" + `{"format":1,"done":true}` + "\n",
	})
	o, err := (Source{}).Apply(context.Background(), s.Machine(), p, w)
	if err != nil || lines(o.Done) != lines(p.Changes) || !o.Succeeded() || o.Reboot.Needed != fleet.Needed || o.Reboot.Because[0] != "Windows finishes at the next start: KB5068861" {
		t.Fatalf("%+v, %v", o, err)
	}
	back, err := (Source{}).Undo(s.Machine(), p, o, w)
	if err != nil || lines(back.Back) != "remove KB5066128 "+net+", remove KB5068861 "+lcu {
		t.Fatalf("%+v, %v", back, err)
	}
	_, err = (Source{}).Plan(t.Context(), s.Machine(), back)
	if because, _ := fleet.Explain(err); because != "KB5068861 is not installed before the next start" {
		t.Errorf("%q", because)
	}
	stands(s, both, at(net, installed), at(lcu, installed))
	undo := plan(t, s, back)
	s.Write("gone", `{"format":1,"code":2,"updates":[{"id":"7a1b2c3d-0000-4f4f-9abc-0123456789ab","revision":200}]}`)
	s.Answer(shell+"'uninstall' "+both, sourcetest.Reply{
		Do:     `for f in $(grep -lF "'state'" "$dir"/*.cmd); do cp "$root/gone" "${f%.cmd}.stdout"; done`,
		Stdout: `{"format":1,"update":"` + net + `","code":2,"error":"0x00000000","reboot":true}` + "\n" + `{"format":1,"done":true}` + "\n",
	})
	if err := (Source{}).Fetch(t.Context(), s.Machine(), undo, w); err != nil {
		t.Error(err)
	}
	if o, err = (Source{}).Apply(context.Background(), s.Machine(), undo, w); err != nil || lines(o.Done) != lines(undo.Changes) || !o.Succeeded() || o.Reboot.Needed != fleet.Needed {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := (Source{}).Undo(s.Machine(), undo, o, w); err == nil {
		t.Error("what was uninstalled is planned to come back")
	}
}

func TestWhatFailsIsToldWithItsReason(t *testing.T) {
	s := windows(t)
	p := plan(t, s, fleet.Selection{Security: true})
	stands(s, both, at(net, missing), at(lcu, missing))
	s.Answer(shell+"'install' "+both, sourcetest.Reply{Code: 1, Stdout: "Etwas anderes\n" + `{"format":1,"update":"` + net + `","code":4,"error":"0x800F0823"}` + "\n" +
		`{"format":1,"update":"` + lcu + `","code":4,"error":"0x80070BC2"}` + "\n"})
	o, err := (Source{}).Apply(context.Background(), s.Machine(), p, s.Work())
	if err != nil || len(o.Missing) != 2 || o.Remedy != "install the newest servicing stack update, then try again" ||
		o.Because != "KB5066128: a newer servicing stack must be installed first (0x800F0823); KB5068861: it takes effect with the next start (0x80070BC2)" {
		t.Errorf("%+v, %v", o, err)
	}
	s.Answer(shell+"'install' "+both, sourcetest.Reply{Code: 1, Stdout: `{"format":1,"error":"0x80240044","message":"Zugriff"}` + "\n"})
	if o, err = (Source{}).Apply(context.Background(), s.Machine(), p, s.Work()); err != nil || o.Remedy != asAdministrator || len(o.Done) > 0 {
		t.Errorf("%+v, %v", o, err)
	}
	s.Answer(shell+"'install' "+both, sourcetest.Reply{Code: -1, Stdout: `{"format":1,"begins":"` + net + `"}` + "\n"})
	if o, err = (Source{}).Apply(context.Background(), s.Machine(), p, s.Work()); err != nil || !strings.Contains(o.Because, "Windows does not say what became of it") || o.Succeeded() {
		t.Errorf("%+v, %v", o, err)
	}
	for stdout, because := range map[string]string{
		"": "PowerShell has said nothing that can be read",
		`{"format":1,"update":"` + net + `","code":4,"error":"0x80072EE2"}` + "\n" + `{"format":1,"done":true}`: "KB5066128 could not be downloaded: the server for updates did not answer in time (0x80072EE2)",
		`{"format":1,"update":"` + net + `","code":2,"error":"0x00000000"}` + "\n" + `{"format":1,"done":true}`: "Windows does not know the update " + lcu + " any more",
	} {
		s.Answer(shell+both, sourcetest.Reply{Stdout: stdout + "\n"})
		err := (Source{}).Fetch(t.Context(), s.Machine(), p, s.Work())
		if got, _ := fleet.Explain(err); !strings.Contains(got, because) {
			t.Errorf("%q, want %q", got, because)
		}
	}
}

func TestAnInterruptedInstallationIsSettledByWhatIsThere(t *testing.T) {
	s := windows(t)
	p, w := plan(t, s, fleet.Selection{Security: true}), s.Work()
	if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, w); err != nil || o.Because != "it was ended before it changed anything" || len(o.Missing) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	if err := w.Write(s.Machine(), beforeFile, map[string]update{}); err != nil {
		t.Fatal(err)
	}
	stands(s, both, at(net, installed), at(lcu, waits))
	if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, w); err != nil || len(o.Done) != 2 || !o.Succeeded() {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestWhatWindowsDoesNotSayIsNotTakenForUninstalled(t *testing.T) {
	s := windows(t)
	p, w := fleet.NewPlan("windowsupdate", fleet.Selection{}, s.Machine().Now()), s.Work()
	p.Changes = []fleet.Change{{Action: fleet.Remove, Name: "KB5066128", From: net}}
	if err := w.Write(s.Machine(), beforeFile, map[string]update{}); err != nil {
		t.Fatal(err)
	}
	stands(s, "'"+net+"'")
	if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, w); err != nil || len(o.Done) > 0 || o.Succeeded() {
		t.Errorf("it was not there before: %+v, %v", o, err)
	}
	if err := w.Write(s.Machine(), beforeFile, map[string]update{net: at(net, installed)}); err != nil {
		t.Fatal(err)
	}
	if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, w); err != nil || !o.Succeeded() || len(o.Done) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	s.Answer(shell+"'state' 'offline' '"+net+"'", sourcetest.Reply{Stdout: `{"format":1,"code":3,"updates":[]}` + "\n"})
	if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, w); err == nil {
		t.Errorf("half an answer is believed: %+v", o)
	}
}

func TestOnlyUpdatesOfWindowsAreGivenToItsScripts(t *testing.T) {
	s := windows(t)
	for _, to := range []string{"", "x'; Remove-Item C:\\ -Recurse #", net + " ", "0:1"} {
		p := fleet.NewPlan("windowsupdate", fleet.Selection{All: true}, s.Machine().Now())
		p.Changes = []fleet.Change{{Action: fleet.Install, Name: "KB1", To: to}}
		if _, err := (Source{}).Apply(context.Background(), s.Machine(), p, s.Work()); err == nil {
			t.Errorf("%q is installed", to)
		}
	}
	if got := machine.PowerShell("", "it's", "’; x").Args[6]; got != "& ([ScriptBlock]::Create($env:REDFLAG_SCRIPT)) 'it''s' '’’; x'" {
		t.Error(got)
	}
}

func TestAHeldUpdateIsHidden(t *testing.T) {
	s := windows(t)
	if held, err := (Source{}).Held(s.Machine()); err != nil || !slices.Equal(held, []string{"KB890830"}) {
		t.Errorf("%v, %v", held, err)
	}
	s.Answer(shell+"'false' '"+tool+"'", sourcetest.Reply{Stdout: `{"format":1,"done":true}` + "\n", Do: carried(hideScript)})
	stands(s, "'"+tool+"'", at(tool, missing))
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"kb890830"}, false); err != nil {
		t.Error(err)
	}
	s.Answer(shell+"'true' '"+tool+"'", sourcetest.Reply{Stdout: `{"format":1,"done":true}` + "\n"})
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"KB890830"}, true); err == nil {
		t.Error("Windows has not hidden it, and nobody says so")
	}
	s.Answer(shell+"'true' '"+tool+"'", sourcetest.Reply{Code: 1, Stdout: `{"format":1,"error":"0x80070005"}` + "\n"})
	err := (Source{}).Hold(t.Context(), s.Machine(), []string{"KB890830"}, true)
	if because, _ := fleet.Explain(err); because != "Windows Update cannot be asked: access is denied (0x80070005)" {
		t.Error(because)
	}
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"nosuch"}, true); err == nil {
		t.Error("what is not on offer is held")
	}
}

func TestARefreshSearchesAndNotesWhen(t *testing.T) {
	s := windows(t)
	s.Answer(shell+"'pending' 'online'", sourcetest.Reply{Stdout: `{"format":1,"code":2,"updates":[]}` + "\n"})
	if err := (Source{}).Refresh(t.Context(), s.Machine()); err != nil {
		t.Fatal(err)
	}
	if at := asOf(s.Machine(), reply{}); at.IsZero() {
		t.Error("when was searched is not known")
	}
	s.Answer(shell+"'installed' 'offline'", sourcetest.Reply{Stdout: `{"format":1,"code":2,"updates":[{"id":"7a1b2c3d-0000-4f4f-9abc-0123456789ab","revision":200,"kbs":["5066128"],"installed":true}]}` + "\n"})
	if list, err := (Source{}).Packages(t.Context(), s.Machine()); err != nil || len(list) != 1 || list[0] != (fleet.Package{Source: "windowsupdate", Name: "KB5066128", Version: net}) {
		t.Errorf("%v, %v", list, err)
	}
}
