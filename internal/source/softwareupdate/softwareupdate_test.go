package softwareupdate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/source"
	"redflag/internal/source/sourcetest"
)

func TestScan(t *testing.T) { sourcetest.Replay(t, Source{}) }

func text(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/machines/silicon/commands", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// scripted is the recorded Mac, on which things can be done.
func scripted(t *testing.T) *sourcetest.Script {
	t.Helper()
	s := sourcetest.NewScript(t)
	for _, name := range []string{"list", "vers", "arm", "prefs", "history"} {
		s.Answer(strings.TrimSpace(text(t, name+".cmd")), sourcetest.Reply{Stdout: text(t, name+".stdout")})
	}
	s.Write("usr/sbin/softwareupdate", "")
	s.Write(historyFile, "")
	return s
}

// installs has the history say from now on that something was installed.
func installs(t *testing.T, s *sourcetest.Script, name, version string) (do string) {
	t.Helper()
	entry := "<dict><key>date</key><date>2026-11-25T08:00:00Z</date><key>displayName</key><string>" + name + "</string><key>displayVersion</key><string>" + version + "</string><key>processName</key><string>softwareupdated</string></dict>"
	s.Write("after", strings.Replace(text(t, "history.stdout"), "</array>\n</plist>", entry+"</array>\n</plist>", 1))
	return `for f in "$root"/script/*.cmd; do if grep -q InstallHistory "$f"; then cat "$root/after" >"${f%.cmd}.stdout"; fi; done`
}

const (
	safari = "Safari18.1SonomaAuto-18.1"
	tools  = "Command Line Tools for Xcode-16.2"
)

func lines(changes []fleet.Change) string {
	var list []string
	for _, c := range changes {
		list = append(list, c.String())
	}
	return strings.Join(list, ", ")
}

func plan(t *testing.T, s *sourcetest.Script, sel fleet.Selection) fleet.Plan {
	t.Helper()
	p, err := Source{}.Plan(t.Context(), s.Machine(), sel)
	if err != nil {
		t.Fatal(fleet.Explain(err))
	}
	return p
}

func TestAPlanHasWhatDoesNotRestartTheMac(t *testing.T) {
	s := scripted(t)
	p := plan(t, s, fleet.Selection{All: true})
	if got := lines(p.Changes); got != "upgrade "+tools+" 16.0 → 16.2, upgrade "+safari+" 18.4 → 18.5" || p.Reboot.Needed != fleet.NotNeeded || p.Download != (751234+153600)<<10 {
		t.Errorf("planned %s, %+v", got, p)
	}
	if got := lines(plan(t, s, fleet.Selection{Names: []string{safari}}).Changes); got != "upgrade "+safari+" 18.4 → 18.5" {
		t.Errorf("planned %s", got)
	}
	for _, c := range []struct {
		sel     fleet.Selection
		because string
	}{
		{fleet.Selection{Names: []string{"macOS Sonoma 14.7.1-23H222"}}, "an owner of the disk has to give a password: sudo softwareupdate --install 'macOS Sonoma 14.7.1-23H222' --restart --user NAME"},
		{fleet.Selection{Names: []string{"macOS Sequoia 15.1-24B83"}}, "deferred by whoever manages this Mac"},
		{fleet.Selection{Names: []string{"--all"}}, "no update of"},
		{fleet.Selection{Security: true}, "which updates are for security is not known"},
		{fleet.Selection{Back: []fleet.Change{{}}}, "macOS cannot go back"},
	} {
		_, err := Source{}.Plan(t.Context(), s.Machine(), c.sel)
		if got, _ := fleet.Explain(err); !strings.Contains(got, c.because) {
			t.Errorf("refused because %q, want %q", got, c.because)
		}
	}
}

func TestWhatWasDoneIsWhatApplesHistorySays(t *testing.T) {
	s := scripted(t)
	p, w := plan(t, s, fleet.Selection{All: true}), s.Work()
	s.Answer("softwareupdate --download "+tools+" "+safari, sourcetest.Reply{Stdout: "Downloading Safari\nDownloaded: Safari\n"})
	if err := (Source{}).Fetch(t.Context(), s.Machine(), p, w); err != nil {
		t.Fatal(fleet.Explain(err))
	}
	s.Answer("softwareupdate --install --agree-to-license "+tools+" "+safari, sourcetest.Reply{
		Stdout: "Installing Safari\nDone with Safari\nError installing Command Line Tools for Xcode\n", Do: installs(t, s, "Safari", "18.5"),
	})
	o, err := Source{}.Apply(t.Context(), s.Machine(), p, w)
	if err != nil {
		t.Fatal(fleet.Explain(err))
	}
	if o.Succeeded() || lines(o.Done) != "upgrade "+safari+" 18.4 → 18.5" || len(o.Missing) != 1 || o.Because != "macOS could not install it" {
		t.Errorf("%+v", o)
	}
	if _, err := (Source{}).Undo(s.Machine(), p, o, w); err == nil {
		t.Error("there is a way back")
	}
	s = scripted(t)
	p = plan(t, s, fleet.Selection{Names: []string{safari}})
	s.Answer("softwareupdate --install --agree-to-license "+safari, sourcetest.Reply{Do: installs(t, s, "Safari", "18.5") + `; mkdir "$root/job/code.json"`}) // how it ended cannot be written down
	if o, err := (Source{}).Apply(t.Context(), s.Machine(), p, s.Work()); err != nil || !o.Succeeded() {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestAFailureIsToldAsItIs(t *testing.T) {
	s := scripted(t)
	p := plan(t, s, fleet.Selection{Names: []string{safari}})
	s.Answer("softwareupdate --download "+safari, sourcetest.Reply{Stdout: safari + ": No such update\n", Code: 1})
	if got, _ := fleet.Explain(Source{}.Fetch(t.Context(), s.Machine(), p, s.Work())); got != "Apple does not offer it any more" {
		t.Errorf("%q", got)
	}
	s.Answer("softwareupdate --install --agree-to-license "+safari, sourcetest.Reply{Stdout: "Software Update Tool\n"})
	if o, err := (Source{}).Apply(t.Context(), s.Machine(), p, s.Work()); err != nil || o.Succeeded() || !strings.Contains(o.Because, "Apple's history does not have it") {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := (Source{}).Settle(t.Context(), s.Machine(), p, source.Work{Dir: "/other"}); err != nil || o.Because != "it was ended before it began to change anything" {
		t.Errorf("%+v, %v", o, err)
	}
	s.Answer(strings.TrimSpace(text(t, "list.cmd")), sourcetest.Reply{Stdout: strings.ReplaceAll(text(t, "list.stdout"), "Version: 18.5", "Version: 18.6")})
	_, err := Source{}.Apply(t.Context(), s.Machine(), p, s.Work())
	if got, _ := fleet.Explain(err); !strings.HasPrefix(got, "what it would do now is not what was approved") {
		t.Errorf("%q", got)
	}
}

func TestTheInventoryIsTheSystemAndWhatAppleHasInstalled(t *testing.T) {
	list, err := Source{}.Packages(t.Context(), scripted(t).Machine())
	var got []string
	for _, p := range list {
		got = append(got, p.Name+" "+p.Version)
	}
	if err != nil || strings.Join(got, ", ") != "macOS 14.5, Command Line Tools for Xcode 16.0, Safari 18.4, XProtectPlistConfigData 5270" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestARefreshAsksApple(t *testing.T) {
	s := scripted(t)
	if os.Geteuid() != 0 {
		if err := (Source{}).Refresh(t.Context(), s.Machine()); err == nil {
			t.Error("anybody may refresh")
		}
		return
	}
	s.Answer("softwareupdate --list", sourcetest.Reply{Stdout: text(t, "list.stdout")})
	if err := (Source{}).Refresh(t.Context(), s.Machine()); err != nil {
		t.Error(err)
	}
	s.Answer("softwareupdate --list", sourcetest.Reply{Stderr: "The network connection was lost.\n", Code: 1})
	if got, _ := fleet.Explain(Source{}.Refresh(t.Context(), s.Machine())); got != "Apple's server cannot be reached" {
		t.Error(got)
	}
}

func FuzzList(f *testing.F) {
	f.Add(text(f, "list.stdout"))
	f.Add(some + ":\n   * Safari12.1.1-12.1.1\n\tSafari (12.1.1), 67518K [recommended] [restart]\n")
	f.Fuzz(func(t *testing.T, said string) {
		list, err := parseList(said)
		for _, i := range list {
			if err == nil && (strings.HasPrefix(i.label, "-") || strings.ContainsAny(i.label, "'\"`$\\\n") || i.version == "" || i.size < 0) {
				t.Errorf("%+v", i)
			}
		}
	})
}

func FuzzPropertyList(f *testing.F) {
	f.Add([]byte(text(f, "prefs.stdout")))
	f.Add([]byte(text(f, "history.stdout")))
	f.Fuzz(func(_ *testing.T, data []byte) {
		v, err := parsePlist(data)
		if err != nil {
			return
		}
		_, _ = preferencesOf(v)
		_, _ = historyOf(v)
	})
}
