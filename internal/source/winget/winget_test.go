package winget

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
	"redflag/internal/source/sourcetest"
)

// What the source is meant to be.
var (
	_ source.Lister    = Source{}
	_ source.Holder    = Source{}
	_ source.Refresher = Source{}
)

const (
	folder    = "/Program Files/WindowsApps/Microsoft.DesktopAppInstaller_1.27.350.0_x64__8wekyb3d8bbwe"
	winget    = folder + "/winget.exe "
	asksTable = winget + "list --upgrade-available --include-pinned --accept-source-agreements --disable-interactivity"
	asksPins  = winget + "pin list --accept-source-agreements --disable-interactivity"
	exports   = winget + "export --output TMP/redflag-winget-X/export.json --include-versions --accept-source-agreements --disable-interactivity"
	asks      = "powershell.exe -NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -Command & ([ScriptBlock]::Create($env:REDFLAG_SCRIPT))"
	noModule  = `{"format":1,"module":false}` + "\n"
)

func written(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// windows is a machine that has several wingets, and what was written above installed.
func windows(t *testing.T, module bool) *sourcetest.Script {
	t.Helper()
	s := sourcetest.NewScript(t)
	for _, name := range []string{"1.9.25200.0_x64__8wekyb3d8bbwe/winget.exe", "1.27.350.0_x64__8wekyb3d8bbwe/winget.exe", "2026.1.1.0_neutral_~_8wekyb3d8bbwe/AppxManifest.xml", "1.28.0.0_neutral_split.scale-100_8wekyb3d8bbwe/x"} {
		s.Write("Program Files/WindowsApps/Microsoft.DesktopAppInstaller_"+name, "")
	}
	s.Write("tmp/x", "")
	t.Setenv("TMPDIR", s.Root()+"/tmp")
	s.Replace("s|" + s.Root() + "/tmp|TMP|; s|" + s.Root() + "||; s/redflag-winget-[0-9]*/redflag-winget-X/")
	s.Answer(asksPins, sourcetest.Reply{Stdout: written(t, "pins-none.txt")})
	if module {
		s.Answer(asks, sourcetest.Reply{Stdout: "WARNUNG: x\r\n" + written(t, "module.json"), Do: `case $REDFLAG_SCRIPT in *Get-WinGetPackage*) ;; *) echo "another script" >>"$root/script/unexpected";; esac`})
		return s
	}
	s.Answer(asks, sourcetest.Reply{Stdout: noModule})
	s.Answer(asksTable, sourcetest.Reply{Stdout: written(t, "upgrades-de.txt")})
	s.Write("export", written(t, "export.json"))
	s.Answer(exports, sourcetest.Reply{Do: `for d in "$root"/tmp/redflag-winget-*; do cp "$root/export" "$d/export.json"; done`})
	return s
}

func scan(t *testing.T, s *sourcetest.Script) fleet.Finding {
	t.Helper()
	return source.Scan(t.Context(), s.Machine(), []source.Source{Source{}}, source.Options{})[0]
}

func updates(f fleet.Finding) string {
	var list []string
	for _, u := range f.Updates {
		list = append(list, strings.TrimSpace(u.Name+" "+u.From+"→"+u.To+" "+string(u.Blocked)))
	}
	return strings.Join(list, ", ")
}

func changes(list []fleet.Change) string {
	var words []string
	for _, c := range list {
		words = append(words, c.String())
	}
	return strings.Join(words, ", ")
}

func TestTheModuleSaysWhatIsOutdated(t *testing.T) {
	s := windows(t, true)
	s.Answer(asksPins, sourcetest.Reply{Stdout: written(t, "pins.txt")})
	f := scan(t, s)
	if !(Source{}).Present(s.Machine()) || f.State != fleet.OK || updates(f) != "Git.Git 2.50.1→2.51.0.2 held, Mozilla.Firefox 130.0→131.0.2 held, Zoom.Zoom Unknown→6.2.0 kept back" {
		t.Errorf("%s %s: %s", f.State, f.Because, updates(f))
	}
	list, err := (Source{}).Packages(t.Context(), s.Machine())
	if err != nil || len(list) != 5 || list[0] != (fleet.Package{Source: "winget", Name: "7zip.7zip", Version: "24.08"}) {
		t.Errorf("%v, %v", list, err)
	}
	s.Answer(asks, sourcetest.Reply{Code: 1, Stdout: `{"format":1,"module":true,"error":"0x80040154","message":"Klasse nicht registriert"}` + "\n"})
	if f := scan(t, s); f.State != fleet.Uncertain || f.Because != "the module Microsoft.WinGet.Client failed with 0x80040154: Klasse nicht registriert" {
		t.Errorf("%+v", f)
	}
}

func TestAnInventoryThatIsEmptyOrHalfIsUnknown(t *testing.T) {
	s := windows(t, true)
	for _, packages := range []string{"[]", "null"} {
		s.Answer(asks, sourcetest.Reply{Stdout: `{"format":1,"module":true,"packages":` + packages + "}\n"})
		if f := scan(t, s); f.State != fleet.Uncertain {
			t.Errorf("%s: %+v", packages, f)
		}
		if list, err := (Source{}).Packages(t.Context(), s.Machine()); err == nil {
			t.Errorf("%s: %v", packages, list)
		}
	}
	s = windows(t, false)
	s.Answer(exports, sourcetest.Reply{Code: 1, Do: `for d in "$root"/tmp/redflag-winget-*; do cp "$root/export" "$d/export.json"; done`})
	if list, err := (Source{}).Packages(t.Context(), s.Machine()); err == nil {
		t.Errorf("%v", list)
	}
}

func TestATableIsReadByItsColumnsInAnyLanguage(t *testing.T) {
	for name, c := range map[string]struct{ updates, because string }{
		"upgrades-en.txt": {"Chocolatey.Chocolatey 2.2.0→2.3.0, Git.Git 2.50.1→2.51.0.2, Microsoft.PowerToys 0.85.1→0.86.0, Mozilla.Firefox 130.0→131.0.2",
			`what winget says cannot be read: "1 updates whose names or versions it has cut off"`},
		"upgrades-de.txt": {"Git.Git 2.50.1→2.51.0.2, Mozilla.Firefox 130.0→131.0.2", ""},
		"upgrades-zh.txt": {"Git.Git 2.50.1→2.51.0.2, Tencent.WeChat 3.9.11→3.9.12", ""},
	} {
		s := windows(t, false)
		s.Answer(asksTable, sourcetest.Reply{Stdout: written(t, name)})
		if f := scan(t, s); updates(f) != c.updates || f.Because != c.because || (f.State == fleet.OK) != (c.because == "") {
			t.Errorf("%s: %s %s: %s", name, f.State, f.Because, updates(f))
		}
	}
	s := windows(t, false)
	if list, err := (Source{}).Packages(t.Context(), s.Machine()); err != nil || len(list) != 3 || list[1].Name != "Git.Git" || list[1].Version != "2.50.1" {
		t.Errorf("%v, %v", list, err)
	}
}

func TestATableThatCannotBeReadIsUnknown(t *testing.T) {
	german := written(t, "upgrades-de.txt")
	for name, text := range map[string]string{
		"nothing":             "",
		"a sentence":          "Es ist ein Fehler aufgetreten.\r\n",
		"no rows":             "Name ID Version Verfügbar Quelle\r\n--------------------------------\r\n",
		"fewer columns":       strings.Replace(strings.ReplaceAll(german, "  winget", ""), "Quelle", "", 1),
		"more columns":        strings.Replace(german, "Quelle", "Quelle Neu", 1),
		"a row that is lost":  strings.Replace(german, "2 Aktualisierungen", "3 Aktualisierungen", 1),
		"a row out of place":  strings.Replace(german, "Git für Windows Git.Git", "Git für Windows  (x64) Git.Git", 1),
		"JSON, if it came to": `{"Updates":[]}`,
	} {
		s := windows(t, false)
		s.Answer(asksTable, sourcetest.Reply{Stdout: text})
		if f := scan(t, s); f.State != fleet.Uncertain || f.Because == "" || f.Remedy == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	for code, because := range map[int]string{
		0x8A15002B: "", 0x8A150014: "", -1978335189: "",
		0x8A15004B: "winget does not list updates: sources could not be opened (0x8A15004B)",
		0x8A150999: "winget does not list updates: it ended with code 0x8A150999",
	} {
		m := &machine.Machine{Root: windows(t, false).Root(), Now: windows(t, false).Machine().Now, Runner: ends{code}}
		f := source.Scan(t.Context(), m, []source.Source{Source{}}, source.Options{})[0]
		if f.Because != because || len(f.Updates) > 0 {
			t.Errorf("%x: %+v", code, f)
		}
	}
}

// ends is a machine whose winget ends with a code of 32 bits, which no shell can.
type ends struct{ code int }

func (e ends) Run(_ context.Context, c machine.Command) (machine.Result, error) {
	switch {
	case c.Name == "powershell.exe":
		return machine.Result{Stdout: []byte(noModule)}, nil
	case slices.Contains(c.Args, "pin"):
		return machine.Result{Code: noPin}, nil
	}
	return machine.Result{Code: e.code}, nil
}

const upgradesGit = winget + "upgrade --id Git.Git --exact --version 2.51.0.2 --source winget --include-unknown --silent --accept-source-agreements --accept-package-agreements --disable-interactivity"

func TestEachPackageIsUpgradedInItsVersion(t *testing.T) {
	s := windows(t, false)
	s.Answer(asksPins, sourcetest.Reply{Stdout: strings.Replace(written(t, "pins.txt"), "Git.Git", "Zoom.Zo", 1)})
	p, err := (Source{}).Plan(t.Context(), s.Machine(), fleet.Selection{All: true})
	if err != nil || changes(p.Changes) != "upgrade Git.Git 2.50.1 → 2.51.0.2" || len(p.Warnings) != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	s.Write("after", strings.Replace(written(t, "export.json"), "2.50.1", "2.51.0.2", 1))
	s.Answer(upgradesGit, sourcetest.Reply{Do: `cp "$root/after" "$root/export"`})
	w := s.Work()
	if err := (Source{}).Fetch(t.Context(), s.Machine(), p, w); err != nil {
		t.Error(err)
	}
	o, err := (Source{}).Apply(context.Background(), s.Machine(), p, w)
	if err != nil || !o.Succeeded() || changes(o.Done) != changes(p.Changes) || o.Reboot.Needed != fleet.NeedUnknown {
		t.Fatalf("%+v, %v", o, err)
	}
	if _, err := (Source{}).Undo(s.Machine(), p, o, w); err == nil {
		t.Error("there is a way back")
	}
	if err := w.Write(s.Machine(), codesFile, map[string]int{"Git.Git": rebootFinishes}); err != nil {
		t.Fatal(err)
	}
	if o, err = (Source{}).Settle(t.Context(), s.Machine(), p, w); err != nil || !o.Succeeded() || o.Reboot.Needed != fleet.Needed {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestWhatFailsIsToldWithItsReason(t *testing.T) {
	s := windows(t, true)
	p, err := (Source{}).Plan(t.Context(), s.Machine(), fleet.Selection{Names: []string{"Git.Git"}})
	if err != nil {
		t.Fatal(err)
	}
	w := s.Work()
	if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, w); err != nil || o.Because != "it was ended before it changed anything" {
		t.Errorf("%+v, %v", o, err)
	}
	s.Answer(upgradesGit, sourcetest.Reply{Code: 1})
	o, err := (Source{}).Apply(context.Background(), s.Machine(), p, w)
	if err != nil || o.Because != "Git.Git: it ended with code 0x00000001" || len(o.Missing) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	for code, because := range map[int]string{
		0x8A150011:  "Git.Git: the installer is not what the source says (its checksum differs) (0x8A150011)",
		-1978334975: "Git.Git: the program is running (0x8A150101)",
		0:           `Git.Git: winget says that all went well, and lists "2.50.1"`,
	} {
		if err := w.Write(s.Machine(), codesFile, map[string]int{"Git.Git": code}); err != nil {
			t.Fatal(err)
		}
		if o, err = (Source{}).Settle(t.Context(), s.Machine(), p, w); err != nil || o.Because != because || o.Remedy == "" {
			t.Errorf("%+v, %v", o, err)
		}
	}
	for _, c := range []fleet.Change{{Action: fleet.Upgrade, Name: "--all", To: "1", Origin: "winget"}, {Action: fleet.Upgrade, Name: "Git.Git", To: "1 --force", Origin: "winget"}, {Action: fleet.Remove, Name: "Git.Git"}, {Action: fleet.Upgrade, Name: "Git.Git", To: "1"}} {
		if args, err := words(c); err == nil {
			t.Errorf("%q", args)
		}
	}
	for _, sel := range []fleet.Selection{{Security: true}, {Names: []string{"nosuch"}}, {Back: []fleet.Change{{Name: "Git.Git", To: "2.50.1"}}}, {Mend: true}} {
		if p, err := (Source{}).Plan(t.Context(), s.Machine(), sel); err == nil {
			t.Errorf("%+v is planned: %+v", sel, p)
		}
	}
}

func TestHoldsAreBlockingPins(t *testing.T) {
	s := windows(t, true)
	s.Write("pins", written(t, "pins.txt"))
	s.Answer(winget+"pin add --id Git.Git --exact --blocking --accept-source-agreements --disable-interactivity", sourcetest.Reply{
		Do: `cp "$root/pins" "$(grep -l 'pin list' "$dir"/*.cmd | sed 's/cmd$/stdout/')"`})
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"git.git"}, true); err != nil {
		t.Error(fleet.Explain(err))
	}
	if held, err := (Source{}).Held(s.Machine()); err != nil || !slices.Equal(held, []string{"git.git", "mozilla.firefox"}) {
		t.Errorf("%v, %v", held, err)
	}
	s.Answer(winget+"pin remove --id Git.Git --exact --accept-source-agreements --disable-interactivity", sourcetest.Reply{})
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"Git.Git"}, false); err == nil {
		t.Error("it is pinned still, and nobody says so")
	}
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"nosuch"}, true); err == nil {
		t.Error("what is not there is pinned")
	}
	for _, text := range []string{written(t, "pins-none.txt"), written(t, "pins-none-de.txt"), ""} {
		pinned, err := parsePins([]byte(text))
		if (err == nil) != (text != "") || len(pinned) != 0 {
			t.Errorf("%q: %v, %v", text, pinned, err)
		}
	}
	s.Answer(winget+"source update --disable-interactivity", sourcetest.Reply{Code: 1})
	if err := (Source{}).Refresh(t.Context(), s.Machine()); err == nil {
		t.Error("what failed is refreshed")
	}
}
