package chocolatey

import (
	"context"
	"slices"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/source"
	"redflag/internal/source/sourcetest"
)

// What the source is meant to be.
var (
	_ source.Lister = Source{}
	_ source.Holder = Source{}
)

// What the scripted Chocolatey answers is written from its documentation and from outputs in its issues (versions 0.9.9 to 2.3), not recorded.
const (
	asksVersion  = "choco.exe --version --no-color"
	asksList     = "choco.exe list --limit-output --no-color"
	asksList1    = "choco.exe list --limit-output --local-only --no-color"
	asksOutdated = "choco.exe outdated --limit-output --no-color"
	asksPins     = "choco.exe pin list --limit-output --no-color"
	asksAll      = "choco.exe upgrade all --noop --limit-output --yes --no-progress --ignore-unfound --no-color"
	outdated     = "7zip|23.1.0|24.8.0|false\r\nGoogleChrome|130.0.1|131.0.2|true\r\nlocal-tool|1.0|1.0|false\r\nvlc|3.0.20|3.0.21|false\r\n"
	installed    = "7zip|23.1.0\r\n7zip.install|23.1.0\r\nchocolatey|2.3.0\r\nGoogleChrome|130.0.1\r\nlocal-tool|1.0\r\nvlc|3.0.20\r\n"
)

func choco(t *testing.T, version string) *sourcetest.Script {
	t.Helper()
	s := sourcetest.NewScript(t)
	s.Write("ProgramData/chocolatey/bin/choco.exe", "")
	s.Answer(asksVersion, sourcetest.Reply{Stdout: version + "\r\n"})
	ask := asksList
	if strings.HasPrefix(version, "1.") || strings.HasPrefix(version, "0.") {
		ask = asksList1
	}
	s.Answer(ask, sourcetest.Reply{Stdout: installed})
	s.Answer(asksOutdated, sourcetest.Reply{Stdout: outdated, Code: 2})
	s.Answer(asksPins, sourcetest.Reply{Stdout: "GoogleChrome|130.0.1\r\n"})
	return s
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

func TestAScanReadsWhatIsOutdated(t *testing.T) {
	for _, version := range []string{"0.10.15", "1.4.0", "2.3.0", "2.0.0-beta-20230515"} {
		s := choco(t, version)
		if !(Source{}).Present(s.Machine()) {
			t.Error("it is not seen")
		}
		f := source.Scan(t.Context(), s.Machine(), []source.Source{Source{}}, source.Options{})[0]
		if f.State != fleet.OK || updates(f) != "7zip 23.1.0→24.8.0, googlechrome 130.0.1→131.0.2 held, vlc 3.0.20→3.0.21" || f.SecurityUnknown == "" || f.AsOf.IsZero() {
			t.Errorf("%s: %+v", version, f)
		}
		list, err := (Source{}).Packages(t.Context(), s.Machine())
		if err != nil || len(list) != 6 || list[3] != (fleet.Package{Source: "chocolatey", Name: "googlechrome", Version: "130.0.1"}) {
			t.Errorf("%s: %v, %v", version, list, err)
		}
	}
}

func TestWhatCannotBeAskedIsUnknown(t *testing.T) {
	const feed = "Unable to load the service index for source https://community.chocolatey.org/api/v2/."
	for name, c := range map[string]struct {
		reply   sourcetest.Reply
		because string
		updates string
	}{
		"a feed that does not answer": {sourcetest.Reply{Stdout: feed + "\r\nvlc|3.0.20|3.0.21|false\r\n", Code: 2}, "Chocolatey could not ask for everything: " + feed, "vlc 3.0.20→3.0.21"},
		"no feed at all":              {sourcetest.Reply{Stdout: feed + "\r\n", Code: 1}, "choco outdated ended with code 1: " + feed, ""},
		"a code alone":                {sourcetest.Reply{Code: 255}, "choco outdated ended with code 255", ""},
		"some, and none of them":      {sourcetest.Reply{Code: 2}, "choco outdated ended with code 2", ""},
		"another table":               {sourcetest.Reply{Stdout: "7zip 23.1.0 24.8.0\r\n"}, "Chocolatey could not ask for everything: 7zip 23.1.0 24.8.0", ""},
		"a newer form":                {sourcetest.Reply{Stdout: "vlc|3.0.20|3.0.21|false|extra\r\n", Code: 2}, "Chocolatey could not ask for everything: vlc|3.0.20|3.0.21|false|extra", ""},
		"a name that is an option":    {sourcetest.Reply{Stdout: "--source=x|1|2|false\r\n", Code: 2}, "Chocolatey could not ask for everything: --source=x|1|2|false", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := choco(t, "2.3.0")
			s.Answer(asksOutdated, c.reply)
			f := source.Scan(t.Context(), s.Machine(), []source.Source{Source{}}, source.Options{})[0]
			if f.State != fleet.Uncertain || !strings.HasPrefix(f.Because, c.because) || updates(f) != c.updates || f.Remedy == "" {
				t.Errorf("%+v", f)
			}
		})
	}
	t.Run("nothing is outdated", func(t *testing.T) {
		s := choco(t, "2.3.0")
		s.Answer(asksOutdated, sourcetest.Reply{})
		if f := source.Scan(t.Context(), s.Machine(), []source.Source{Source{}}, source.Options{})[0]; f.State != fleet.OK || len(f.Updates) != 0 {
			t.Errorf("%+v", f)
		}
	})
	for _, said := range []sourcetest.Reply{{}, {Stdout: "Chocolatey\r\n"}, {Stdout: "2.3.0\r\n", Code: 1}} {
		s := choco(t, "2.3.0")
		s.Answer(asksVersion, said)
		if list, err := (Source{}).Packages(t.Context(), s.Machine()); err == nil {
			t.Errorf("%+v: %v", said, list)
		}
	}
	s := choco(t, "2.3.0")
	s.Answer(asksList, sourcetest.Reply{})
	if list, err := (Source{}).Packages(t.Context(), s.Machine()); err == nil {
		t.Errorf("not even Chocolatey is installed, and nobody wonders: %v", list)
	}
}

// upgrades tells the machine what an upgrade leaves behind, and the list of what is installed then.
func upgrades(s *sourcetest.Script, line string, code int, said, after string) {
	s.Write("after", after)
	s.Answer("choco.exe "+line+" --yes --no-progress --limit-output --no-color", sourcetest.Reply{
		Code: code, Stdout: said, Do: `for f in $(grep -l -x 'choco.exe list --limit-output --no-color' "$dir"/*.cmd); do cp "$root/after" "${f%.cmd}.stdout"; done`,
	})
}

func plan(t *testing.T, s *sourcetest.Script, sel fleet.Selection) fleet.Plan {
	t.Helper()
	p, err := (Source{}).Plan(t.Context(), s.Machine(), sel)
	if err != nil {
		t.Fatal(fleet.Explain(err))
	}
	return p
}

func TestEachChangeIsMadeInItsVersionAndTakenBack(t *testing.T) {
	s := choco(t, "2.3.0")
	s.Answer(asksAll, sourcetest.Reply{Code: 2, Stdout: "7zip|23.1.0|24.8.0|false\r\n7zip.install|23.1.0|24.8.0|false\r\nchocolatey|2.3.0|false\r\nGoogleChrome|130.0.1|131.0.2|true\r\nvlc|3.0.20|3.0.21|false\r\n"})
	p := plan(t, s, fleet.Selection{All: true})
	if changes(p.Changes) != "upgrade 7zip 23.1.0 → 24.8.0, upgrade 7zip.install 23.1.0 → 24.8.0, upgrade vlc 3.0.20 → 3.0.21" {
		t.Fatal(changes(p.Changes))
	}
	s.Answer("choco.exe upgrade vlc --noop --limit-output --yes --no-progress --ignore-unfound --no-color", sourcetest.Reply{Stdout: "vlc|3.0.20|3.0.21|false\r\n"})
	one := plan(t, s, fleet.Selection{Names: []string{"vlc"}})
	if changes(one.Changes) != "upgrade vlc 3.0.20 → 3.0.21" {
		t.Fatal(changes(one.Changes))
	}
	w := s.Work()
	after := strings.Replace(installed, "vlc|3.0.20", "vlc|3.0.21\r\nvcredist140|14.40", 1)
	upgrades(s, "upgrade vlc --version 3.0.21 --fail-on-unfound", 0, "", after)
	o, err := (Source{}).Apply(context.Background(), s.Machine(), one, w)
	if err != nil || !o.Succeeded() || changes(o.Done) != "install vcredist140 14.40, upgrade vlc 3.0.20 → 3.0.21" || o.Reboot.Needed != fleet.NeedUnknown {
		t.Fatalf("%+v, %v", o, err)
	}
	sel, err := (Source{}).Undo(s.Machine(), one, o, w)
	if err != nil {
		t.Fatal(err)
	}
	back := plan(t, s, sel)
	if changes(back.Changes) != "remove vcredist140 14.40, downgrade vlc 3.0.21 → 3.0.20" {
		t.Fatal(changes(back.Changes))
	}
	upgrades(s, "uninstall vcredist140", 0, "", strings.Replace(installed, "vlc|3.0.20", "vlc|3.0.21", 1))
	s.Write("back", installed)
	s.Answer("choco.exe upgrade vlc --version 3.0.20 --allow-downgrade --fail-on-unfound --yes --no-progress --limit-output --no-color", sourcetest.Reply{
		Do: `for f in $(grep -l -x 'choco.exe list --limit-output --no-color' "$dir"/*.cmd); do cp "$root/back" "${f%.cmd}.stdout"; done`})
	o, err = (Source{}).Apply(context.Background(), s.Machine(), back, w)
	if err != nil || !o.Succeeded() || changes(o.Done) != changes(back.Changes) {
		t.Fatalf("%+v, %v", o, err)
	}
}

func TestHowAnUpgradeEndsIsToldByWhatIsThere(t *testing.T) {
	upgraded := strings.Replace(installed, "vlc|3.0.20", "vlc|3.0.21", 1)
	for name, c := range map[string]struct {
		code          int
		said, after   string
		because       string
		done, missing int
	}{
		"it fails":                         {1, "ERROR: Der Hash stimmt nicht\x1b[0m\r\n", installed, "vlc failed with code 1: ERROR: Der Hash stimmt nicht", 0, 1},
		"its script fails afterwards":      {1603, "", upgraded, "vlc is there, but its installation ended with code 1603", 1, 0},
		"it says well and did nothing":     {0, "", installed, "vlc is not what it should be, although Chocolatey says that all went well", 0, 1},
		"a reboot is in the way":           {350, "", installed, "vlc was not begun: a reboot is pending", 0, 1},
		"a reboot is in the way, half-way": {1604, "", installed, "vlc was not finished: a reboot is pending", 0, 1},
		"the machine goes down":            {1641, "", upgraded, "", 1, 0},
		"a reboot is needed":               {3010, "", upgraded, "", 1, 0},
		"nothing to do":                    {2, "", installed, "vlc failed with code 2", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := choco(t, "2.3.0")
			p := fleet.NewPlan("chocolatey", fleet.Selection{Names: []string{"vlc"}}, s.Machine().Now())
			p.Changes = []fleet.Change{{Action: fleet.Upgrade, Name: "vlc", From: "3.0.20", To: "3.0.21"}}
			code := c.code & 0xff // of the shell that plays Chocolatey
			upgrades(s, "upgrade vlc --version 3.0.21 --fail-on-unfound", code, c.said, c.after)
			w := s.Work()
			o, err := (Source{}).Apply(context.Background(), s.Machine(), p, w)
			if err != nil {
				t.Fatal(err)
			}
			if code != c.code { // as Windows has it, where they have 32 bits
				if err := w.Write(s.Machine(), codesFile, map[string]int{"vlc": c.code}); err != nil {
					t.Fatal(err)
				}
				if o, err = (Source{}).Settle(t.Context(), s.Machine(), p, w); err != nil {
					t.Fatal(err)
				}
			}
			if !strings.HasPrefix(o.Because, c.because) || (c.because == "") != o.Succeeded() || len(o.Done) != c.done || len(o.Missing) != c.missing || slices.Contains([]int{350, 1604, 1641, 3010}, c.code) != (o.Reboot.Needed == fleet.Needed) {
				t.Errorf("%+v", o)
			}
		})
	}
	s := choco(t, "2.3.0")
	p := fleet.NewPlan("chocolatey", fleet.Selection{All: true}, s.Machine().Now())
	p.Changes = []fleet.Change{{Action: fleet.Upgrade, Name: "vlc", From: "3.0.19", To: "3.0.21"}}
	if _, err := (Source{}).Apply(context.Background(), s.Machine(), p, s.Work()); err == nil {
		t.Error("what has changed meanwhile is upgraded all the same")
	}
	if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, s.Work()); err != nil || o.Because != "it was ended before it changed anything" {
		t.Errorf("%+v, %v", o, err)
	}
	for _, c := range []fleet.Change{{Action: fleet.Upgrade, Name: "all", To: "1"}, {Action: fleet.Upgrade, Name: "--force", To: "1"}, {Action: fleet.Upgrade, Name: "vlc", To: "1 --force"}, {Action: fleet.Purge, Name: "vlc"}} {
		if args, err := words(c); err == nil {
			t.Errorf("%q", args)
		}
	}
}

func TestWhatMustNotBePlannedIsRefused(t *testing.T) {
	s := choco(t, "2.3.0")
	s.Answer("choco.exe upgrade vlc --noop --limit-output --yes --no-progress --ignore-unfound --no-color", sourcetest.Reply{Stdout: "vlc|3.0.20|false\r\n"})
	for _, c := range []struct {
		sel     fleet.Selection
		because string
	}{
		{fleet.Selection{Names: []string{"googlechrome"}}, "googlechrome is on hold: it is pinned"},
		{fleet.Selection{Names: []string{"nosuch"}}, `no update of "nosuch"`},
		{fleet.Selection{Names: []string{"vlc"}}, "Chocolatey would not upgrade vlc now (it has 3.0.20)"},
		{fleet.Selection{Security: true}, "which updates are for security is not known"},
		{fleet.Selection{Back: []fleet.Change{{Name: "chocolatey", From: "2.3.0"}}}, "the plan would remove chocolatey, which this machine needs"},
		{fleet.Selection{Back: []fleet.Change{{Name: "vlc", From: "3.0.21", To: "3.0.20"}}}, "vlc is not 3.0.21 any more"},
		{fleet.Selection{Back: []fleet.Change{{Name: "-y", From: "1", To: "2"}}}, "is no package of Chocolatey's"},
	} {
		_, err := (Source{}).Plan(t.Context(), s.Machine(), c.sel)
		if got, _ := fleet.Explain(err); !strings.HasPrefix(got, c.because) && !strings.HasSuffix(got, c.because) {
			t.Errorf("%q, want %q", got, c.because)
		}
	}
}

func TestHoldsArePins(t *testing.T) {
	s := choco(t, "2.3.0")
	if held, err := (Source{}).Held(s.Machine()); err != nil || !slices.Equal(held, []string{"googlechrome"}) {
		t.Errorf("%v, %v", held, err)
	}
	s.Answer("choco.exe pin add --name=googlechrome --yes --limit-output --no-color", sourcetest.Reply{})
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"GoogleChrome"}, true); err != nil {
		t.Error(err)
	}
	s.Answer("choco.exe pin remove --name=googlechrome --yes --limit-output --no-color", sourcetest.Reply{})
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"googlechrome"}, false); err == nil {
		t.Error("it is pinned still, and nobody says so")
	}
	s.Answer("choco.exe pin add --name=vlc --yes --limit-output --no-color", sourcetest.Reply{Code: 1, Stdout: "Zugriff verweigert\r\n"})
	err := (Source{}).Hold(t.Context(), s.Machine(), []string{"vlc"}, true)
	if because, _ := fleet.Explain(err); because != "choco pin add ended with code 1: Zugriff verweigert" {
		t.Error(because)
	}
	if err := (Source{}).Hold(t.Context(), s.Machine(), []string{"nosuch"}, true); err == nil {
		t.Error("what is not there is held")
	}
}

// FuzzParse holds that every line is a row that can be trusted, or strange.
func FuzzParse(f *testing.F) {
	for _, text := range []string{outdated, installed, "a|1|2|false|x", "\xff|1", "vlc|3.0|true", "ERROR: |||", ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, strange := parse(text, 2, 4)
		for _, row := range rows {
			for _, field := range row {
				if field != fleet.Plain(field) || strings.HasPrefix(field, "-") || strings.ContainsAny(field, " \t") {
					t.Fatalf("%q", row)
				}
			}
		}
		for _, s := range strange {
			if s != fleet.Plain(s) {
				t.Fatalf("%q", s)
			}
		}
		if len(rows)+len(strange) == 0 && strings.TrimSpace(strings.ReplaceAll(string(text), "\ufeff", "")) != "" {
			t.Fatalf("%q is nothing", text)
		}
	})
}
